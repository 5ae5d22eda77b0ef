package inject

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Asked is who wants the sidecar.
type Asked string

// Who may ask.
const (
	ByPod       Asked = "pod"       // the pod's label
	ByNamespace Asked = "namespace" // the namespace's label, unless the pod says no
	ByRequired  Asked = "required"  // the namespace's label, and nobody may say no
)

// Request is what is known besides the pod itself.
type Request struct {
	Namespace string // of the admission request: a pod made by a ReplicaSet has none yet
	Asked     Asked
	Defaults  map[string]string // of the namespace: short annotation name → value
}

// Operation is one of RFC 6902: `add`, or `test` where a position matters.
type Operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value,omitempty"`
}

// Result says what to do with the pod.
type Result struct {
	Patch    []Operation // empty: leave it as it is
	Warnings []string    // for the person who creates the pod
	Reason   string      // a stable code for logs and metrics, one of Reason…
}

// Inject computes the patch. The error is a [*Refusal] if the pod cannot be created as it is; any other error is a mistake of the caller.
func Inject(data []byte, req Request, s *Settings) (Result, error) {
	if s == nil {
		return Result{}, errors.New("inject: no settings")
	}
	if req.Asked != ByPod && req.Asked != ByNamespace && req.Asked != ByRequired {
		return Result{}, fmt.Errorf("inject: nobody asks by %q", string(req.Asked))
	}
	p, err := readPod(data)
	if err != nil {
		return Result{}, &Refusal{Problems: []Problem{{Code: codeInvalidPod, Message: "it cannot be read: " + err.Error()}}}
	}
	i := &injection{pod: p, req: req, settings: s}
	if reason := i.outcome(); reason != "" {
		if reason != ReasonMirrorPod {
			i.unmarked()
		}
		if err := i.refusal(); err != nil {
			return Result{}, err
		}
		return Result{Warnings: i.warnings, Reason: reason}, nil
	}
	wanted := i.wanted()
	there := i.present(wanted)
	if err := i.refusal(); err != nil {
		return Result{}, err
	}
	patch, err := i.patch(wanted, there)
	if err != nil {
		return Result{}, err
	}
	return Result{Patch: patch, Warnings: i.warnings, Reason: reasonOf(patch, there)}, nil
}

func reasonOf(patch []Operation, there bool) string {
	switch {
	case !there:
		return ReasonInjected
	case len(patch) > 0:
		return ReasonCompleted
	default:
		return ReasonAlreadyInjected
	}
}

// injection is one call of Inject.
type injection struct {
	report
	pod      *pod
	req      Request
	settings *Settings

	allKeys []string // to be listed, since one was unknown that is like none of them
	said    said
	ours    ports
	app     int // the app's port; 0: there is no front door
	tokens  []string
	secrets []string
	egress  bool
}

// wanted is the sidecar that the pod should have. With problems it may be half of one.
func (i *injection) wanted() sidecar {
	i.strangers()
	i.said = i.gather()
	i.sharedProcesses()
	i.ours = i.ownPorts()
	i.tokens, i.secrets, i.egress = i.tokenProviders(), i.secretNames(), i.said.text(keyEgress) != ""
	i.app = i.appPort()
	i.portConflicts()
	i.protection()
	return i.makeSidecar()
}
