package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"postern/cmd/postern-injector/inject"
)

const (
	maxMessage  = 16 << 10
	maxWarnings = 20
	maxWarning  = 1000
)

// decide is the answer to a review, without its uid.
func (h *Handler) decide(ctx context.Context, req *request, d *decision) (*response, *problem) {
	if reason := notOurs(req); reason != "" {
		d.result, d.reason = resultUnchanged, reason
		return &response{Allowed: true}, nil
	}
	var head podHead
	if err := json.Unmarshal(req.Object, &head); err != nil {
		return nil, notAReview("the object is not a pod", withoutValue(err))
	}
	d.pod(&head)
	if head.Metadata.Annotations {
		d.result, d.reason = resultUnchanged, "mirror_pod"
		return &response{Allowed: true}, nil
	}
	if req.Namespace == "" {
		return nil, notAReview("the request has no namespace", nil)
	}
	settings := h.cfg.Settings()
	if settings == nil {
		return nil, errSettings
	}
	defaults, err := h.cfg.Defaults(ctx, req.Namespace)
	if err != nil {
		return nil, &problem{http.StatusServiceUnavailable, "defaults_unavailable", "the defaults of the namespace cannot be read now", err}
	}
	result, err := h.cfg.Inject(req.Object, inject.Request{Namespace: req.Namespace, Asked: d.asked, Defaults: defaults}, settings)
	var refusal *inject.Refusal
	switch {
	case errors.As(err, &refusal):
		return d.refused(refusal), nil
	case err != nil:
		return nil, internal(err)
	}
	return d.allowed(&result)
}

// notOurs says why a review is none of a new pod, which the webhook configuration keeps from happening; empty if it is one.
func notOurs(req *request) string {
	switch {
	case req.Kind != groupKind{Version: "v1", Kind: "Pod"}:
		return "not_a_pod"
	case req.SubResource != "":
		return "subresource"
	case req.Operation != "CREATE":
		return "not_create"
	}
	return ""
}

// allowed is the answer that lets the pod in, with the patch if there is one.
func (d *decision) allowed(result *inject.Result) (*response, *problem) {
	d.result, d.reason = resultUnchanged, result.Reason
	resp := &response{Allowed: true}
	for _, warning := range result.Warnings[:min(len(result.Warnings), maxWarnings)] {
		resp.Warnings = append(resp.Warnings, oneLine(warning, maxWarning))
	}
	d.warnings = resp.Warnings
	if len(result.Patch) == 0 {
		return resp, nil
	}
	patch, err := json.Marshal(result.Patch)
	if err != nil {
		return nil, internal(fmt.Errorf("encode the patch: %w", err))
	}
	d.result = resultPatched
	resp.Patch, resp.PatchType = patch, "JSONPatch"
	return resp, nil
}

// refused is the answer that keeps the pod out and says everything that is wrong with it at once.
func (d *decision) refused(refusal *inject.Refusal) *response {
	d.result, d.reason, d.problems = resultRefused, "refused", refusal.Codes()
	d.message = oneLine(refusal.Error(), maxMessage)
	return &response{Status: &status{Code: http.StatusUnprocessableEntity, Reason: "Invalid", Message: d.message}}
}
