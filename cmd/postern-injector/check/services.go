package check

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// backend is a port of a Service.
type backend struct {
	namespace, service string
	port               int32
}

// judgeServices looks where the ports of Services lead, as the controller of EndpointSlices finds it.
func (j *judging) judgeServices() {
	for i := range j.objects.Services {
		service := &j.objects.Services[i]
		if j.ctx.Err() != nil {
			return
		}
		if len(service.Spec.Selector) == 0 || service.Spec.Type == corev1.ServiceTypeExternalName {
			continue // its EndpointSlices are made by others
		}
		selector := labels.SelectorFromSet(service.Spec.Selector)
		for _, p := range j.pods[service.Namespace] {
			if selector.Matches(labels.Set(p.meta.Labels)) {
				j.judgeService(service, p)
			}
		}
	}
}

func (j *judging) judgeService(service *corev1.Service, p *pod) {
	about := Object{"Service", service.Namespace, service.Name}
	headless := service.Spec.ClusterIP == corev1.ClusterIPNone
	reached := false
	for _, port := range service.Spec.Ports {
		if !isTCP(port.Protocol) {
			continue
		}
		to, clash := target(port, p)
		if !p.isApp(to) {
			continue
		}
		reached = true
		words, fix := fmt.Sprintf("port %d leads to the app's port %d of %s", port.Port, to, p.owner), fmt.Sprintf("Set targetPort: %d", p.proxy)
		if clash {
			words += fmt.Sprintf(", since a container of the app calls its port %q as the sidecar does", port.TargetPort.StrVal)
		}
		if headless {
			fix = fmt.Sprintf("Set port and targetPort to %d: clients of a headless Service call the pod itself", p.proxy)
		}
		j.reach("service_port", about, port.Port, words, fix, p)
	}
	if headless && !reached && len(p.app) > 0 && !p.closed {
		j.findings.add(Warning, "headless_service", about,
			fmt.Sprintf("it gives clients the addresses of the pods of %s, and with them the app's port %d", p.owner, p.app[0]),
			"Close the port: apply charts/networkpolicy, or bind the app to 127.0.0.1")
	}
}

// reach notes a way to the app. Where policies close the app's port it leads nowhere, until somebody opens one.
func (j *judging) reach(code string, about Object, port int32, words, fix string, p *pod) {
	severity, ending := Error, ", around the sidecar"
	if p.closed {
		severity, ending = Warning, ", where no NetworkPolicy admits anybody: it does not work, and would go around the sidecar"
	}
	j.findings.add(severity, code, about, words+ending, fix)
	if to := (backend{about.Namespace, about.Name, port}); j.reaches[to] != Error {
		j.reaches[to] = severity
	}
}

// target is the port of a pod that a port of a Service leads to; 0 if the pod has none of that name.
func target(port corev1.ServicePort, p *pod) (number int32, clash bool) {
	switch to := port.TargetPort; {
	case to.StrVal != "":
		return p.named(to.StrVal)
	case to.IntVal != 0:
		return to.IntVal, false
	default:
		return port.Port, false
	}
}

// judgeSlices looks at the addresses that Services really have: written by hand or by a program for those without selector, and possible
// beside those of the controller for the others.
func (j *judging) judgeSlices() {
	selecting := map[Object]*corev1.Service{}
	for i := range j.objects.Services {
		service := &j.objects.Services[i]
		selecting[Object{"Service", service.Namespace, service.Name}] = service
	}
	for i := range j.objects.Slices {
		slice := &j.objects.Slices[i]
		if j.ctx.Err() != nil {
			return
		}
		about := Object{"Service", slice.Namespace, slice.Labels[discoveryv1.LabelServiceName]}
		service := selecting[about]
		if service == nil {
			about = Object{"EndpointSlice", slice.Namespace, slice.Name}
		}
		for _, endpoint := range slice.Endpoints {
			for _, address := range endpoint.Addresses {
				for _, p := range j.byIP[address] {
					j.judgeEndpoint(about, service, slice, p)
				}
			}
		}
	}
}

func (j *judging) judgeEndpoint(about Object, service *corev1.Service, slice *discoveryv1.EndpointSlice, p *pod) {
	for _, port := range slice.Ports {
		if port.Protocol != nil && !isTCP(*port.Protocol) || port.Port != nil && !p.isApp(*port.Port) || len(p.app) == 0 {
			continue
		}
		to := p.app[0] // a slice without a port is every port
		if port.Port != nil {
			to = *port.Port
		}
		at := slices.IndexFunc(servicePorts(service), func(of corev1.ServicePort) bool { return of.Name == deref(port.Name) })
		number := int32(0) // of no port that the Service has
		if at >= 0 {
			number = service.Spec.Ports[at].Port
			if j.reaches[backend{about.Namespace, about.Name, number}] == Error {
				continue // the Service itself is at fault
			}
		}
		words := fmt.Sprintf("EndpointSlice %s names a pod of %s with the app's port %d", slice.Name, p.owner, to)
		fix := fmt.Sprintf("Write port %d into the EndpointSlice, or give the Service a selector and targetPort: %d", p.proxy, p.proxy)
		j.reach("endpoint_slice", about, number, words, fix, p)
	}
}

func servicePorts(service *corev1.Service) []corev1.ServicePort {
	if service == nil {
		return nil
	}
	return service.Spec.Ports
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// judgeIngresses looks which paths from outside lead to such a port.
func (j *judging) judgeIngresses() {
	ports := map[Object][]corev1.ServicePort{}
	for i := range j.objects.Services {
		service := &j.objects.Services[i]
		ports[Object{"Service", service.Namespace, service.Name}] = service.Spec.Ports
	}
	for i := range j.objects.Ingresses {
		ingress := &j.objects.Ingresses[i]
		about := Object{"Ingress", ingress.Namespace, ingress.Name}
		judge := func(to networkingv1.IngressBackend, at string) {
			if to.Service == nil {
				return
			}
			service, number := Object{"Service", ingress.Namespace, to.Service.Name}, to.Service.Port.Number
			if name := to.Service.Port.Name; name != "" {
				i := slices.IndexFunc(ports[service], func(p corev1.ServicePort) bool { return p.Name == name })
				if i < 0 {
					return
				}
				number = ports[service][i].Port
			}
			if severity := j.reaches[backend{service.Namespace, service.Name, number}]; severity != "" {
				j.findings.add(severity, "ingress", about, fmt.Sprintf("%s goes to port %d of %s, which leads to the app around the sidecar", at, number, service),
					"Mend the Service")
			}
		}
		if to := ingress.Spec.DefaultBackend; to != nil {
			judge(*to, "the default backend")
		}
		for _, rule := range ingress.Spec.Rules {
			if rule.HTTP == nil {
				continue
			}
			for _, path := range rule.HTTP.Paths {
				judge(path.Backend, rule.Host+path.Path)
			}
		}
	}
}
