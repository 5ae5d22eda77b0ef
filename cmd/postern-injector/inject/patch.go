package inject

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// patcher writes operations; the first error stays.
type patcher struct {
	operations []Operation
	err        error
}

func (p *patcher) operation(op, path string, value any) {
	data, err := json.Marshal(value)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("inject: write %s: %w", path, err)
	}
	p.operations = append(p.operations, Operation{Op: op, Path: path, Value: data})
}

func (p *patcher) add(path string, value any) { p.operation("add", path, value) }

// patch adds what is lacking, and nothing else: with a sidecar that is there already it may be empty.
func (i *injection) patch(wanted sidecar, there bool) ([]Operation, error) {
	status, err := i.status(wanted)
	if err != nil {
		return nil, fmt.Errorf("inject: write status: %w", err)
	}
	var p patcher
	i.patchMetadata(&p, status, there)
	i.patchVolumes(&p, wanted.volumes)
	if !there {
		if i.pod.Spec.InitContainers == nil {
			p.add("/spec/initContainers", []corev1.Container{wanted.container})
		} else {
			p.add("/spec/initContainers/0", wanted.container)
		}
	}
	i.patchApp(&p, wanted.app, there)
	return p.operations, p.err
}

func (i *injection) patchMetadata(p *patcher, status Status, there bool) {
	if !i.pod.hasMetadata {
		p.add("/metadata", struct{}{})
	}
	if i.pod.Labels[LabelInjected] != "true" {
		addMember(p, "/metadata/labels", i.pod.Labels == nil, LabelInjected, "true")
	}
	absent := i.pod.Annotations == nil
	if !there {
		text, err := json.Marshal(status)
		if err != nil && p.err == nil {
			p.err = err
		}
		addMember(p, "/metadata/annotations", absent, AnnotationStatus, string(text))
		absent = false
	}
	if _, said := i.pod.Annotations[annotationDefault]; !said {
		addMember(p, "/metadata/annotations", absent, annotationDefault, i.pod.Spec.Containers[0].Name)
	}
}

// addMember makes the object first if it is absent, or null.
func addMember(p *patcher, object string, absent bool, name, value string) {
	if absent {
		p.add(object, map[string]string{name: value})
		return
	}
	p.add(object+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), value)
}

func (i *injection) patchVolumes(p *patcher, volumes []corev1.Volume) {
	absent := i.pod.Spec.Volumes == nil
	for _, v := range volumes {
		switch {
		case slices.ContainsFunc(i.pod.Spec.Volumes, func(have corev1.Volume) bool { return have.Name == v.Name }):
		case absent:
			p.add("/spec/volumes", []corev1.Volume{v})
			absent = false
		default:
			p.add("/spec/volumes/-", v)
		}
	}
}

// patchApp tells the app's containers where the sidecar serves them. What they say themselves stays.
func (i *injection) patchApp(p *patcher, variables []variable, there bool) {
	i.pod.everyContainer(func(at string, c *corev1.Container) {
		var lacking []corev1.EnvVar
		for _, v := range variables {
			n := slices.IndexFunc(c.Env, func(have corev1.EnvVar) bool { return have.Name == v.name })
			if n < 0 {
				lacking = append(lacking, corev1.EnvVar{Name: v.name, Value: v.value})
			} else if c.Env[n].Value != v.value {
				i.warn("container %s has %s of its own, which is not the sidecar's", shown(c.Name), v.name)
			}
		}
		if len(lacking) == 0 {
			return
		}
		if !there {
			at = shifted(at)
		}
		p.operation("test", at+"/name", c.Name)
		if c.Env == nil {
			p.add(at+"/env", lacking)
			return
		}
		for _, v := range lacking {
			p.add(at+"/env/-", v)
		}
	})
}

// shifted is the place of an init container when the sidecar stands before it.
func shifted(at string) string {
	var n int
	if _, err := fmt.Sscanf(at, "/spec/initContainers/%d", &n); err != nil {
		return at
	}
	return fmt.Sprintf("/spec/initContainers/%d", n+1)
}
