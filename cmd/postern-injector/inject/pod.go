package inject

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	kjson "k8s.io/apimachinery/pkg/util/json"
)

// Bounds of a pod. etcd takes 1.5 MiB, the webhook's request 8 MiB; nothing that Kubernetes knows nests deeper than some twenty levels. A hundred
// containers with a hundred variables each have some 60000 tokens; a million empty objects would take many times their size in memory.
const (
	maxPod    = 8 << 20
	maxDepth  = 100
	maxTokens = 100_000 // names, values and brackets
)

// pod is the pod as it was sent. The types lack what is newer than they are, so it is only looked at.
type pod struct {
	corev1.Pod
	hasMetadata bool
}

// readPod reads as the API server does: names of fields count with their case. What two readers could understand differently is refused.
func readPod(data []byte) (*pod, error) {
	if len(data) > maxPod {
		return nil, fmt.Errorf("it is larger than %d MiB", maxPod>>20)
	}
	if err := unambiguous(data); err != nil {
		return nil, err
	}
	var top struct {
		APIVersion string          `json:"apiVersion"`
		Kind       string          `json:"kind"`
		Metadata   json.RawMessage `json:"metadata"`
	}
	if err := kjson.Unmarshal(data, &top); err != nil {
		return nil, err
	}
	if top.Kind != "" && top.Kind != "Pod" || top.APIVersion != "" && top.APIVersion != "v1" {
		return nil, fmt.Errorf("it is no Pod of v1 but %s of %s", shown(top.Kind), shown(top.APIVersion))
	}
	p := &pod{hasMetadata: len(top.Metadata) > 0 && top.Metadata[0] == '{'}
	if err := kjson.Unmarshal(data, &p.Pod); err != nil {
		return nil, err
	}
	return p, p.complete()
}

// complete wants what patches and messages rest upon.
func (p *pod) complete() error {
	if len(p.Spec.Containers) == 0 {
		return errors.New("it has no containers")
	}
	for place, list := range map[string][]corev1.Container{"containers": p.Spec.Containers, "initContainers": p.Spec.InitContainers} {
		for i, c := range list {
			if c.Name == "" {
				return fmt.Errorf("spec.%s[%d] has no name", place, i)
			}
		}
	}
	return nil
}

// unambiguous refuses two fields of one name in an object, text after the end, and depth and numbers that no pod has.
func unambiguous(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	type level struct {
		names map[string]bool // nil in a list
		value bool            // a value comes next, not a name
	}
	var open []level
	for tokens := 0; ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) && len(open) == 0 {
			return nil
		}
		if err != nil {
			return errors.New("it is no JSON: " + strings.TrimPrefix(err.Error(), "json: "))
		}
		if tokens++; tokens > maxTokens {
			return fmt.Errorf("it has more than %d names, values and brackets", maxTokens)
		}
		inObject := len(open) > 0 && open[len(open)-1].names != nil
		switch t := token.(type) {
		case json.Delim:
			switch {
			case t == '}' || t == ']':
				open = open[:len(open)-1]
				continue
			case len(open) == maxDepth:
				return fmt.Errorf("it nests deeper than %d levels", maxDepth)
			}
			if inObject {
				open[len(open)-1].value = false
			}
			next := level{}
			if t == '{' {
				next.names = map[string]bool{}
			}
			open = append(open, next)
			continue
		case string:
			if top := len(open) - 1; inObject && !open[top].value {
				if open[top].names[t] {
					return fmt.Errorf("it has the field %s twice in one object", shown(t))
				}
				open[top].names[t], open[top].value = true, true
				continue
			}
		}
		if inObject {
			open[len(open)-1].value = false
		}
	}
}

// everyContainer visits what runs in the pod, but the sidecar, in the order in which it starts. at is its place: /spec/containers/0.
func (p *pod) everyContainer(visit func(at string, c *corev1.Container)) {
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; c.Name != Container {
			visit(fmt.Sprintf("/spec/initContainers/%d", i), c)
		}
	}
	for i := range p.Spec.Containers {
		if c := &p.Spec.Containers[i]; c.Name != Container {
			visit(fmt.Sprintf("/spec/containers/%d", i), c)
		}
	}
}

// sidecar is the container of our name where ours would be, with its place in initContainers; -1 if there is none.
func (p *pod) sidecar() (*corev1.Container, int) {
	for i := range p.Spec.InitContainers {
		if p.Spec.InitContainers[i].Name == Container {
			return &p.Spec.InitContainers[i], i
		}
	}
	return nil, -1
}

// gracePeriod is how long the pod may take to stop, in seconds.
func (p *pod) gracePeriod() int64 {
	if g := p.Spec.TerminationGracePeriodSeconds; g != nil {
		return *g
	}
	return corev1.DefaultTerminationGracePeriodSeconds
}
