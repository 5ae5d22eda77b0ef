package webhook

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strings"

	"postern/cmd/postern-injector/inject"
	"postern/cmd/postern-injector/kube"
)

// Results of a review.
const (
	resultPatched   = "patched"
	resultUnchanged = "unchanged"
	resultRefused   = "refused"
	resultError     = "error"
)

// decision is all that logs, metrics and events learn of a review: never the pod, never what its annotations or variables hold.
type decision struct {
	asked     inject.Asked
	uid       string
	namespace string
	name      string
	generated bool // name is a generateName
	owner     owner
	dryRun    bool

	result, reason string
	problems       []string // codes of a refusal
	message        string   // of a refusal, for people who may see the pod
	warnings       []string
}

func (d *decision) of(req *request) {
	d.uid, d.namespace, d.dryRun = oneLine(req.UID, 100), oneLine(req.Namespace, 100), req.DryRun
	d.name = oneLine(req.Name, 300)
}

func (d *decision) pod(head *podHead) {
	m := &head.Metadata
	d.name = oneLine(cmp.Or(d.name, m.Name, m.GenerateName), 300)
	d.generated = m.Name == "" && d.name == m.GenerateName
	d.owner = m.Controller.owner
}

// log writes the one line of a decision. Pods that nobody asked to change are not worth one.
func (d *decision) log(ctx context.Context, log *slog.Logger, trouble *problem) {
	level := slog.LevelInfo
	nameKey := "name"
	if d.generated {
		nameKey = "generate_name"
	}
	attrs := []slog.Attr{
		slog.String("uid", d.uid), slog.String("namespace", d.namespace), slog.String(nameKey, d.name), slog.String("asked_by", string(d.asked)),
		slog.String("result", d.result), slog.String("reason", d.reason),
	}
	if d.owner.Name != "" {
		attrs = append(attrs, slog.String("owner", oneLine(d.owner.Kind+"/"+d.owner.Name, 400)))
	}
	if d.dryRun {
		attrs = append(attrs, slog.Bool("dry_run", true))
	}
	if len(d.problems) > 0 {
		attrs = append(attrs, slog.Any("problems", d.problems))
	}
	if len(d.warnings) > 0 {
		attrs = append(attrs, slog.Int("warnings", len(d.warnings)))
	}
	switch {
	case trouble != nil:
		attrs = append(attrs, slog.Int("status", trouble.status))
		if trouble.cause != nil {
			attrs = append(attrs, slog.String("error", oneLine(trouble.cause.Error(), 1000)))
		}
		level = slog.LevelWarn
		if trouble.status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
	case d.result == resultUnchanged && len(d.warnings) == 0:
		level = slog.LevelDebug
	}
	log.LogAttrs(ctx, level, "admission", attrs...)
}

// Happening is something about a pod that people must be able to find, since nobody saw the answer to the controller that made it.
type Happening struct {
	Regarding kube.Reference
	Reason    string
	Note      string
}

// happening is the event of a decision. A dry run leaves no trace.
func (d *decision) happening() (Happening, bool) {
	if d.dryRun || d.namespace == "" {
		return Happening{}, false
	}
	about := kube.Reference{APIVersion: "v1", Kind: "Pod", Namespace: d.namespace, Name: d.name}
	switch {
	case d.owner.Name != "":
		about = kube.Reference{APIVersion: d.owner.APIVersion, Kind: d.owner.Kind, Namespace: d.namespace, Name: d.owner.Name, UID: d.owner.UID}
	case d.name == "" || d.generated:
		return Happening{}, false // whoever made it reads the answer, and there is no name to find an event by
	}
	switch {
	case d.result == resultRefused:
		return Happening{about, "SidecarRefused", d.message}, true
	case len(d.warnings) > 0:
		return Happening{about, "SidecarWarning", strings.Join(d.warnings, "; ")}, true
	}
	return Happening{}, false
}
