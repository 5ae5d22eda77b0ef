package check

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// judgePolicies looks which NetworkPolicies admit the app's port, and for pods that none of them closes.
func (j *judging) judgePolicies() {
	for _, all := range j.pods {
		for _, p := range all {
			if j.ctx.Err() != nil {
				return
			}
			if p.spec.HostNetwork {
				continue // policies do not apply to it; judgeHost has said so
			}
			for _, port := range p.app {
				j.judgePort(p, port)
			}
		}
	}
}

func (j *judging) judgePort(p *pod, port int32) {
	if len(p.policies) == 0 {
		j.findings.add(Warning, "no_policy", p.owner, fmt.Sprintf("no NetworkPolicy is about its pods: every pod of the cluster can reach the app's port %d", port),
			fmt.Sprintf("Apply charts/networkpolicy, which admits only ports %d and %d, or bind the app to 127.0.0.1", p.proxy, p.metrics))
	}
	for _, policy := range p.policies {
		for i, rule := range policy.Spec.Ingress {
			if how := admits(p, rule, port); how != "" {
				j.findings.add(Error, "policy_admits", Object{"NetworkPolicy", policy.Namespace, policy.Name},
					fmt.Sprintf("rule %d admits %s to the app's port %d of %s (%s)", i+1, from(rule), port, p.owner, how),
					fmt.Sprintf("List port %d in the rule, or the app is reached around the sidecar", p.proxy))
			}
		}
	}
}

// policy is one for incoming traffic, and whom it is about.
type policy struct {
	*networkingv1.NetworkPolicy

	selector labels.Selector
}

// compile leaves out policies that say nothing on incoming traffic, and those whose selector cannot be read: they close no pod.
func (j *judging) compile() {
	for i := range j.objects.Policies {
		of := &j.objects.Policies[i]
		selector, err := metav1.LabelSelectorAsSelector(&of.Spec.PodSelector)
		if err == nil && (len(of.Spec.PolicyTypes) == 0 || slices.Contains(of.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)) {
			j.policies[of.Namespace] = append(j.policies[of.Namespace], policy{of, selector})
		}
	}
}

// selecting are the policies that close a pod but for what they admit.
func (j *judging) selecting(p *pod) (found []*networkingv1.NetworkPolicy) {
	for _, policy := range j.policies[p.meta.Namespace] {
		if j.ctx.Err() == nil && policy.selector.Matches(labels.Set(p.meta.Labels)) {
			found = append(found, policy.NetworkPolicy)
		}
	}
	return found
}

// isClosed says whether policies keep everybody away from the app's port. Policies are a union: one that admits is enough.
func (p *pod) isClosed() bool {
	if p.spec.HostNetwork || len(p.policies) == 0 {
		return false
	}
	for _, policy := range p.policies {
		for _, rule := range policy.Spec.Ingress {
			if slices.ContainsFunc(p.app, func(port int32) bool { return admits(p, rule, port) != "" }) {
				return false
			}
		}
	}
	return true
}

// admits says in words how a rule lets traffic to a port of a pod; "" if it does not. Its peers do not matter: whoever they are, they get to the
// app around the sidecar.
func admits(p *pod, rule networkingv1.NetworkPolicyIngressRule, port int32) string {
	if len(rule.Ports) == 0 {
		return "it names no ports, which is every port"
	}
	for _, allowed := range rule.Ports {
		switch at := allowed.Port; {
		case allowed.Protocol != nil && *allowed.Protocol != corev1.ProtocolTCP:
		case at == nil:
			return "every TCP port"
		case at.StrVal != "" || at.IntVal == 0:
			if p.hasPort(at.StrVal, port) {
				return fmt.Sprintf("port %q", at.StrVal)
			}
		case at.IntVal == port:
			return "by its number"
		case allowed.EndPort != nil && at.IntVal <= port && port <= *allowed.EndPort:
			return fmt.Sprintf("ports %d to %d", at.IntVal, *allowed.EndPort)
		}
	}
	return ""
}

// hasPort says whether any container calls the port so. A name that the app shares with the sidecar may be either, so it is the app's.
func (p *pod) hasPort(name string, number int32) bool {
	return slices.ContainsFunc(slices.Concat(p.spec.Containers, p.spec.InitContainers), func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(port corev1.ContainerPort) bool {
			return port.Name == name && port.ContainerPort == number && isTCP(port.Protocol)
		})
	})
}

// from says who is admitted.
func from(rule networkingv1.NetworkPolicyIngressRule) string {
	if len(rule.From) == 0 {
		return "everybody"
	}
	var who []string
	for _, peer := range rule.From {
		switch {
		case peer.IPBlock != nil:
			who = append(who, peer.IPBlock.CIDR)
		case peer.NamespaceSelector != nil && peer.PodSelector != nil:
			who = append(who, "some pods of some namespaces")
		case peer.NamespaceSelector != nil && len(peer.NamespaceSelector.MatchLabels)+len(peer.NamespaceSelector.MatchExpressions) == 0:
			who = append(who, "all pods")
		case peer.NamespaceSelector != nil:
			who = append(who, "pods of some namespaces")
		case peer.PodSelector != nil:
			who = append(who, "some pods of its namespace")
		}
	}
	slices.Sort(who)
	return strings.Join(slices.Compact(who), " and ")
}
