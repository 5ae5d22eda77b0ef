package check

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Settings is what is known besides the objects.
type Settings struct {
	Images []string // of the sidecar: names or patterns of [path.Match]; empty means any
}

// judging is one look at the objects.
type judging struct {
	ctx      context.Context
	objects  *Objects
	settings Settings
	pods     map[string][]*pod // those of interest, by namespace
	byIP     map[string][]*pod
	policies map[string][]policy
	reaches  map[backend]Severity // ports of Services that lead to an app
	findings findings
}

// Findings are errors first, each once; none means that nothing was found that goes around a sidecar. The error is the context's.
func (o *Objects) Findings(ctx context.Context, settings Settings) ([]Finding, error) {
	j := &judging{
		ctx: ctx, objects: o, settings: settings, findings: findings{},
		pods: map[string][]*pod{}, byIP: map[string][]*pod{}, reaches: map[backend]Severity{}, policies: map[string][]policy{},
	}
	j.compile()
	j.collect()
	for _, step := range []func(){j.judgePods, j.judgeWorkloads, j.judgePolicies, j.judgeServices, j.judgeSlices, j.judgeIngresses} {
		if step(); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return j.findings.sorted(), nil
}

// collect finds the pods of interest: those of the cluster, and what templates make of which there is no pod yet.
func (j *judging) collect() {
	all := map[string][]labels.Set{}
	for i := range j.objects.Pods {
		of := &j.objects.Pods[i]
		if of.Status.Phase == corev1.PodSucceeded || of.Status.Phase == corev1.PodFailed {
			continue
		}
		all[of.Namespace] = append(all[of.Namespace], of.Labels)
		var ips []string
		if !of.Spec.HostNetwork { // else they are the node's
			for _, ip := range of.Status.PodIPs {
				ips = append(ips, ip.IP)
			}
			if ip := of.Status.PodIP; ip != "" && !slices.Contains(ips, ip) {
				ips = append(ips, ip)
			}
		}
		j.take(newPod(of.ObjectMeta, of.Spec, ips, ownerOf(of.ObjectMeta)))
	}
	for i := range j.objects.Workloads {
		w := &j.objects.Workloads[i]
		made := labels.SelectorFromSet(w.Template.Labels)
		if len(w.Template.Labels) > 0 && slices.ContainsFunc(all[w.Meta.Namespace], func(of labels.Set) bool { return made.Matches(of) }) {
			continue // its pods say more
		}
		j.take(newPod(w.podMeta(), w.Template.Spec, nil, w.object()))
	}
}

func (j *judging) take(p *pod) {
	if p == nil {
		return
	}
	p.policies = j.selecting(p)
	p.closed = p.isClosed()
	j.pods[p.meta.Namespace] = append(j.pods[p.meta.Namespace], p)
	for _, ip := range p.ips {
		j.byIP[ip] = append(j.byIP[ip], p)
	}
}

func (w *Workload) object() Object { return Object{w.Kind, w.Meta.Namespace, w.Meta.Name} }

// podMeta is the metadata of a pod that the template makes, with the label that the injector adds.
func (w *Workload) podMeta() metav1.ObjectMeta {
	all := w.Template.Labels
	if all[labelInject] == "true" {
		all = maps.Clone(all)
		all[labelInjected] = "true"
	}
	return metav1.ObjectMeta{Namespace: w.Meta.Namespace, Name: w.Meta.Name, Labels: all, Annotations: w.Template.Annotations}
}
