package check

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// judgePods looks at what the pods say about themselves.
func (j *judging) judgePods() {
	for i := range j.objects.Pods {
		of := &j.objects.Pods[i]
		p := newPod(of.ObjectMeta, of.Spec, nil, Object{})
		j.judgeLabel(of.ObjectMeta, ownerOf(of.ObjectMeta), p != nil && p.sidecar != nil)
	}
	for _, all := range j.pods {
		for _, p := range all {
			j.judgeSidecar(p)
			j.judgeHost(p)
		}
	}
}

func (j *judging) judgeSidecar(p *pod) {
	switch isPod := p.isPod(); {
	case p.sidecar == nil && isPod:
		j.findings.add(Error, "no_sidecar", p.owner, "its pods are labelled for the sidecar and have none: every request reaches the app",
			"Make the pods anew (kubectl rollout restart), and look why the injector was not asked when they were made")
	case p.sidecar != nil && !p.image(j.settings.Images):
		j.findings.add(Error, "foreign_image", p.owner, fmt.Sprintf("its sidecar runs the image %s, which is not one of those given", p.sidecar.Image),
			"Make the pods anew, and install the chart's guard, which refuses an image that is exchanged later")
	}
}

// isPod says whether it is one of the cluster's, which the injector has seen, and not a template.
func (p *pod) isPod() bool {
	return p.meta.UID != "" || p.owner.Kind == "Pod" || len(p.meta.OwnerReferences) > 0
}

// judgeHost looks for ways from the node's own addresses.
func (j *judging) judgeHost(p *pod) {
	severity, closed := Error, ""
	if p.closed {
		severity, closed = Warning, ", unless the cluster's network applies NetworkPolicies to it"
	}
	for _, c := range p.spec.Containers {
		for _, port := range c.Ports {
			if isTCP(port.Protocol) && p.isApp(port.ContainerPort) && (port.HostPort != 0 || p.spec.HostNetwork) {
				if p.spec.HostNetwork {
					j.findings.add(Error, "host_network", p.owner, fmt.Sprintf("the app's port %d is open on the node (hostNetwork)", port.ContainerPort),
						"Take hostNetwork away, or bind the app to 127.0.0.1")
				} else {
					j.findings.add(severity, "host_port", p.owner,
						fmt.Sprintf("hostPort %d of the node leads to the app's port %d around the sidecar%s", port.HostPort, port.ContainerPort, closed),
						"Take hostPort away")
				}
			}
		}
	}
}

// judgeLabel looks for a label that asks for the sidecar in words that nobody understands.
func (j *judging) judgeLabel(meta metav1.ObjectMeta, about Object, guarded bool) {
	if value, ok := meta.Labels[labelInject]; ok && !guarded && value != "true" && value != "false" {
		j.findings.add(Warning, "label_value", about, fmt.Sprintf("the label %s is %q, which asks for nothing", labelInject, value),
			`Write "true" or "false"`)
	}
	if !guarded && meta.Annotations[labelInject] == "true" && meta.Labels[labelInject] == "" {
		j.misplaced(about, "annotation "+labelInject+" of its pods")
	}
}

// judgeWorkloads looks for workloads that ask for the sidecar where nobody looks.
func (j *judging) judgeWorkloads() {
	for i := range j.objects.Workloads {
		w := &j.objects.Workloads[i]
		guarded := j.guarded(w)
		j.judgeLabel(w.podMeta(), w.object(), guarded)
		if w.Template.Labels[labelInject] != "" || guarded {
			continue
		}
		for _, where := range []struct {
			what string
			meta metav1.ObjectMeta
		}{
			{"the " + w.Kind + " itself", w.Meta},
			{"jobTemplate", w.Between},
		} {
			if where.meta.Labels[labelInject] == "true" || where.meta.Annotations[labelInject] == "true" {
				j.misplaced(w.object(), "metadata of "+where.what)
			}
		}
	}
}

// guarded says whether the pods of a workload have the sidecar all the same, because their namespace asked.
func (j *judging) guarded(w *Workload) bool {
	if len(w.Template.Labels) == 0 {
		return false
	}
	made, found := labels.SelectorFromSet(w.Template.Labels), false
	for _, p := range j.pods[w.Meta.Namespace] {
		if p.isPod() && made.Matches(labels.Set(p.meta.Labels)) {
			found = true
			if p.sidecar == nil {
				return false
			}
		}
	}
	return found
}

func (j *judging) misplaced(about Object, where string) {
	j.findings.add(Error, "misplaced_label", about, fmt.Sprintf("%s: \"true\" is in the %s, where nobody looks: its pods have no sidecar", labelInject, where),
		"Put it among the labels of the pod template (spec.template.metadata.labels; of a CronJob below spec.jobTemplate)")
}
