package check

import (
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What the injector puts into a pod (contract 9).
const (
	labelInject   = "postern.dev/inject"
	labelInjected = "postern.dev/injected"
	keyAppPort    = "postern.dev/app-port"
	container     = "postern"
	proxyPort     = 7564
	metricsPort   = 7565
	proxyName     = "postern-proxy" // of the port, wherever an annotation has moved it
	metricsName   = "postern-metrics"
)

// pod is a pod that has, or was to have, the sidecar: one of the cluster's, or what a template makes.
type pod struct {
	meta    metav1.ObjectMeta
	spec    corev1.PodSpec
	ips     []string
	owner   Object            // the workload, or the pod itself
	sidecar *corev1.Container // nil if it has none
	app     []int32           // the app's own ports; several if it is not clear which one
	proxy   int32             // where the sidecar listens
	metrics int32

	policies []*networkingv1.NetworkPolicy // that close it but for what they admit
	closed   bool                          // they keep everybody away from the app's ports
}

// newPod is nil for a pod that has nothing to do with the sidecar.
func newPod(meta metav1.ObjectMeta, spec corev1.PodSpec, ips []string, owner Object) *pod {
	p := &pod{meta: meta, spec: spec, ips: ips, owner: owner, proxy: proxyPort, metrics: metricsPort}
	for i, c := range spec.InitContainers {
		if c.Name == container && native(c) {
			p.sidecar = &spec.InitContainers[i]
		}
	}
	if p.sidecar == nil && meta.Labels[labelInject] != "true" && meta.Labels[labelInjected] != "true" {
		return nil
	}
	if p.sidecar != nil {
		for _, port := range p.sidecar.Ports {
			switch port.Name {
			case proxyName:
				p.proxy = port.ContainerPort
			case metricsName:
				p.metrics = port.ContainerPort
			}
		}
	}
	p.app = p.appPorts()
	return p
}

// native says whether a container of initContainers runs beside the app.
func native(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// appPorts are where the sidecar sends requests; else what the annotation says; else every port that the app's containers declare.
func (p *pod) appPorts() []int32 {
	if p.sidecar != nil {
		if port := upstreamPort(p.sidecar.Env); port != 0 {
			return []int32{port}
		}
	}
	switch said := p.meta.Annotations[keyAppPort]; {
	case said == "none":
		return nil
	case said != "":
		if number, err := strconv.ParseUint(said, 10, 16); err == nil && number > 0 {
			return []int32{int32(number)}
		}
		if found := p.declared(said); len(found) > 0 {
			return found
		}
	}
	return p.declared("")
}

// declared are the TCP ports of the app's containers, all or those of a name.
func (p *pod) declared(name string) (ports []int32) {
	for _, c := range p.spec.Containers {
		for _, port := range c.Ports {
			if isTCP(port.Protocol) && (name == "" || port.Name == name) && !slices.Contains(ports, port.ContainerPort) {
				ports = append(ports, port.ContainerPort)
			}
		}
	}
	return ports
}

// upstreamPort is what the sidecar was told; 0 if nothing.
func upstreamPort(env []corev1.EnvVar) int32 {
	said := map[string]string{}
	for _, v := range env {
		said[v.Name] = v.Value // the last one counts
	}
	for _, prefix := range []string{"POSTERN_", "WONDERWALL_"} {
		text := said[prefix+"UPSTREAM_PORT"]
		if text == "" {
			_, text, _ = net.SplitHostPort(said[prefix+"UPSTREAM_HOST"])
		}
		if port, err := strconv.ParseUint(text, 10, 16); err == nil && port > 0 {
			return int32(port)
		}
	}
	return 0
}

func isTCP(protocol corev1.Protocol) bool { return protocol == "" || protocol == corev1.ProtocolTCP }

// named is where a port name leads to, as Kubernetes finds it: the app's containers first, then the sidecars. clash says that both have it.
func (p *pod) named(name string) (port int32, clash bool) {
	for _, c := range p.spec.Containers {
		for _, candidate := range c.Ports {
			if candidate.Name == name && isTCP(candidate.Protocol) && port == 0 {
				port = candidate.ContainerPort
			}
		}
	}
	for _, c := range p.spec.InitContainers {
		for _, candidate := range c.Ports {
			if !native(c) || candidate.Name != name || !isTCP(candidate.Protocol) {
				continue
			}
			if port != 0 {
				return port, true
			}
			port = candidate.ContainerPort
		}
	}
	return port, false
}

func (p *pod) isApp(port int32) bool { return slices.Contains(p.app, port) }

// image says whether the sidecar is one of those that may be: an image, or a pattern as the injector's allowed-images.
func (p *pod) image(allowed []string) bool {
	return len(allowed) == 0 || slices.ContainsFunc(allowed, func(pattern string) bool {
		fits, err := path.Match(pattern, p.sidecar.Image)
		return pattern == p.sidecar.Image || err == nil && fits
	})
}

// ownerOf is the workload that a pod belongs to: of a ReplicaSet it is the Deployment, whose name it carries.
func ownerOf(meta metav1.ObjectMeta) Object {
	controller := metav1.GetControllerOfNoCopy(&metav1.ObjectMeta{OwnerReferences: meta.OwnerReferences})
	if controller == nil {
		return Object{"Pod", meta.Namespace, meta.Name}
	}
	hash := meta.Labels["pod-template-hash"]
	if name, ok := strings.CutSuffix(controller.Name, "-"+hash); ok && controller.Kind == "ReplicaSet" && hash != "" {
		return Object{"Deployment", meta.Namespace, name}
	}
	return Object{controller.Kind, meta.Namespace, controller.Name}
}
