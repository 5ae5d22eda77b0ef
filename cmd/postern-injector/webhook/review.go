package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
)

// review is an AdmissionReview (admission.k8s.io/v1) as far as it is used.
type review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *request  `json:"request,omitempty"`
	Response   *response `json:"response,omitempty"`
}

const (
	reviewVersion = "admission.k8s.io/v1"
	reviewKind    = "AdmissionReview"
)

type request struct {
	UID         string          `json:"uid"`
	Kind        groupKind       `json:"kind"`
	SubResource string          `json:"subResource"`
	Name        string          `json:"name"`
	Namespace   string          `json:"namespace"`
	Operation   string          `json:"operation"`
	Object      json.RawMessage `json:"object"`
	DryRun      bool            `json:"dryRun"`
}

type groupKind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

type response struct {
	UID       string   `json:"uid"`
	Allowed   bool     `json:"allowed"`
	Status    *status  `json:"status,omitempty"`
	Patch     []byte   `json:"patch,omitempty"`
	PatchType string   `json:"patchType,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
}

type status struct {
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// problem is why a request gets no AdmissionReview back: an HTTP status, a code for metrics, and a line for whoever sees the answer.
type problem struct {
	status int
	code   string
	text   string
	cause  error // for the log; may be nil
}

var (
	errEmptyBody = &problem{http.StatusBadRequest, "empty_body", "the body is empty", nil}
	errTooLarge  = &problem{http.StatusRequestEntityTooLarge, "too_large", "the body is larger than 8 MiB", nil}
	errBusy      = &problem{http.StatusServiceUnavailable, "busy", "too many reviews at once", nil}
	errSettings  = &problem{http.StatusServiceUnavailable, "settings_not_loaded", "the settings are not loaded yet", nil}
)

func notAReview(text string, cause error) *problem {
	return &problem{http.StatusBadRequest, "not_a_review", text, cause}
}

// parseReview reads the question of an API server.
func parseReview(body []byte) (*request, *problem) {
	var r review
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, notAReview("the body is not JSON of an AdmissionReview", withoutValue(err))
	}
	switch {
	case r.APIVersion != reviewVersion || r.Kind != reviewKind:
		return nil, notAReview("want kind AdmissionReview of "+reviewVersion, nil)
	case r.Request == nil:
		return nil, notAReview("the AdmissionReview has no request", nil)
	case r.Request.UID == "":
		return nil, notAReview("the request has no uid", nil)
	}
	return r.Request, nil
}

// withoutValue keeps what a body holds out of the log: the messages of encoding/json may repeat a value.
func withoutValue(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return errors.New("field " + wrong.Field + " is of another type")
	}
	return errors.New("syntax")
}

// podHead is what is read of a pod for logs, events, and mirror pods. Of lists only what matters is kept: millions of empty owners would take many
// times their size.
type podHead struct {
	Metadata struct {
		Name         string     `json:"name"`
		GenerateName string     `json:"generateName"`
		Annotations  mirrored   `json:"annotations"`
		Controller   controller `json:"ownerReferences"`
	} `json:"metadata"`
}

type owner struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Controller bool   `json:"controller"`
}

// controller is the owner that made the pod; zero if a person did, or if there can be none of that name: the API server checks it only later.
type controller struct{ owner }

// UnmarshalJSON reads the list of owners.
func (c *controller) UnmarshalJSON(data []byte) error {
	return elements(data, '[', func(decoder *json.Decoder) error {
		var o owner
		if err := decoder.Decode(&o); err != nil {
			return err
		}
		if c.owner == (owner{}) && o.Controller && max(len(o.APIVersion), len(o.Kind), len(o.Name), len(o.UID)) <= maxOwnerField {
			c.owner = o
		}
		return nil
	})
}

// mirrored says whether the annotations hold that of a mirror pod.
type mirrored bool

// UnmarshalJSON reads the annotations.
func (m *mirrored) UnmarshalJSON(data []byte) error {
	return elements(data, '{', func(decoder *json.Decoder) error {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		*m = *m || name == mirrorAnnotation
		var value string
		return decoder.Decode(&value)
	})
}

// elements reads a list or an object, or null, one element at a time.
func elements(data []byte, opening json.Delim, each func(*json.Decoder) error) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	switch first, err := decoder.Token(); {
	case err != nil || first == nil:
		return err
	case first != opening:
		return errors.New("of another type")
	}
	for decoder.More() {
		if err := each(decoder); err != nil {
			return err
		}
	}
	return nil
}

const maxOwnerField = 320 // a group's name has 253 bytes at most, its version 63

// mirrorAnnotation marks what a kubelet shows of a static pod. It runs already, nothing can be changed, and what carries this annotation
// without being one is never run by a kubelet.
const mirrorAnnotation = "kubernetes.io/config.mirror"
