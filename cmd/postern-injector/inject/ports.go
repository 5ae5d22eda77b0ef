package inject

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// ports are the sidecar's.
type ports struct {
	Proxy   int `json:"proxy,omitempty"`
	Metrics int `json:"metrics"`
	Probe   int `json:"probe"`
	Token   int `json:"token,omitempty"`
	Egress  int `json:"egress,omitempty"`
}

type ownPort struct {
	key    string // of the annotation that moves it
	number int
}

func (p ports) all() []ownPort {
	return []ownPort{{keyProxyPort, p.Proxy}, {keyMetricsPort, p.Metrics}, {keyProbePort, p.Probe}, {keyTokenPort, p.Token}, {keyEgressPort, p.Egress}}
}

// ownPorts reads the annotations that move ours. Below 1024 the sidecar, which has no capability, could not listen.
func (i *injection) ownPorts() ports {
	p := ports{portProxy, portMetrics, portProbe, portToken, portEgress}
	for key, port := range map[string]*int{keyProxyPort: &p.Proxy, keyMetricsPort: &p.Metrics, keyProbePort: &p.Probe, keyTokenPort: &p.Token, keyEgressPort: &p.Egress} {
		text := i.said.text(key)
		if text == "" {
			continue
		}
		number, ok := portNumber(text)
		if !ok || number < 1024 {
			i.problem(codeBadValue, "%s: %s is no port number from 1024 to 65535", i.said.where(key), shown(text))
			continue
		}
		*port = number
	}
	all := p.all()
	for n, port := range all {
		for _, other := range all[:n] {
			if port.number == other.number {
				i.problem(codePortConflict, "%s and %s are both %d", Prefix+other.key, Prefix+port.key, port.number)
			}
		}
	}
	return p
}

// portNumber is decimal digits without sign or leading zero.
func portNumber(text string) (int, bool) {
	number, err := strconv.ParseUint(text, 10, 16)
	return int(number), err == nil && number > 0 && strconv.FormatUint(number, 10) == text
}

// declaration is a port that a container declares.
type declaration struct {
	container string
	corev1.ContainerPort
}

func (d declaration) String() string {
	name := ""
	if d.Name != "" {
		name = " (" + shown(d.Name) + ")"
	}
	return fmt.Sprintf("%d/%s%s of container %s", d.ContainerPort.ContainerPort, d.protocol(), name, shown(d.container))
}

func (d declaration) protocol() corev1.Protocol {
	if d.Protocol == "" {
		return corev1.ProtocolTCP
	}
	return d.Protocol
}

// declared are the ports of the app's containers, without those of init containers.
func (i *injection) declared() (out []declaration) {
	for _, c := range i.pod.Spec.Containers {
		for _, port := range c.Ports {
			out = append(out, declaration{c.Name, port})
		}
	}
	return out
}

// unclear stands for a port that could not be found, so that everything else is checked as if it were.
const unclear = 1

// appPort finds the port that requests go to; 0 if there is none to find, or none that serves.
func (i *injection) appPort() int {
	text, all := i.said.text(keyAppPort), i.declared()
	tcp := slices.DeleteFunc(slices.Clone(all), func(d declaration) bool { return d.protocol() != corev1.ProtocolTCP })
	switch {
	case text == none:
		return 0
	case text != "":
		return i.namedPort(text, all, tcp)
	case i.servesNobody(all):
		return 0
	}
	if number := i.rememberedPort(); number != 0 {
		return number // containers that came later may declare ports too
	}
	if main, ok := i.pod.Annotations[annotationDefault]; ok && len(numbers(tcp)) > 1 {
		tcp = slices.DeleteFunc(tcp, func(d declaration) bool { return d.container != main })
	}
	found := numbers(tcp)
	if len(found) == 1 {
		return found[0]
	}
	i.problem(codeAppPort, "the app's port is not clear: say %s; the containers declare %s", Prefix+keyAppPort, listed(all))
	return unclear
}

// servesNobody says whether a pod without ports wants nothing but tokens. A server whose namespace asks for protection must say so.
func (i *injection) servesNobody(declared []declaration) bool {
	guarded := i.said.text(keyPolicy) != "" || i.said.text(keyProvider) != ""
	runsToTheEnd := i.pod.Spec.RestartPolicy == corev1.RestartPolicyNever || i.pod.Spec.RestartPolicy == corev1.RestartPolicyOnFailure
	return len(declared) == 0 && !i.said.own(keyPolicy) && !i.said.own(keyProvider) && (len(i.tokens) > 0 || i.egress) && (runsToTheEnd || !guarded)
}

// namedPort is a port that was said, by number or by name.
func (i *injection) namedPort(text string, all, tcp []declaration) int {
	where := i.said.where(keyAppPort)
	if number, ok := portNumber(text); ok {
		at := func(d declaration) bool { return int(d.ContainerPort.ContainerPort) == number }
		switch {
		case slices.ContainsFunc(all, at) && !slices.ContainsFunc(tcp, at):
			i.problem(codeAppPort, "%s: %d is not a TCP port; the containers declare %s", where, number, listed(all))
			return unclear
		case len(all) > 0 && !slices.ContainsFunc(all, at):
			i.warn("%s: no container declares %d; they declare %s", where, number, listed(all))
		}
		return number
	}
	var found []declaration
	for _, d := range all {
		if d.Name == text {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 1 && found[0].protocol() == corev1.ProtocolTCP:
		return int(found[0].ContainerPort.ContainerPort)
	case len(found) == 1:
		i.problem(codeAppPort, "%s: %s is not a TCP port; the containers declare %s", where, shown(text), listed(all))
	case len(found) > 1:
		i.problem(codeAppPort, "%s: several containers have a port %s; say its number", where, shown(text))
	default:
		i.problem(codeAppPort, "%s: %s is neither a port number nor the name of a port; the containers declare %s", where, shown(text), listed(all))
	}
	return unclear
}

// portConflicts: two who listen on one port of a pod never both start, and with an equal name a Service goes around the sidecar.
func (i *injection) portConflicts() {
	for _, own := range i.ours.all() {
		if i.app == own.number {
			i.problem(codePortConflict, "the app's port %d is the sidecar's own; %s moves that", i.app, Prefix+own.key)
		}
	}
	i.pod.everyContainer(func(_ string, c *corev1.Container) {
		for _, port := range c.Ports {
			d := declaration{c.Name, port}
			for _, own := range i.ours.all() {
				if int(port.ContainerPort) == own.number && own.number != i.app {
					i.problem(codePortConflict, "%s is the sidecar's own; %s moves that", d, Prefix+own.key)
				}
			}
			if slices.Contains([]string{portNameProxy, portNameMetrics, portNameProbe}, port.Name) {
				i.problem(codePortConflict, "%s has a name of the sidecar's ports; give it another", d)
			}
		}
	})
}

// numbers are sorted, each once.
func numbers(list []declaration) []int {
	var out []int
	for _, d := range list {
		out = append(out, int(d.ContainerPort.ContainerPort))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func listed(all []declaration) string {
	const most = 8
	if len(all) == 0 {
		return "none"
	}
	var texts []string
	for n, d := range all {
		if n == most {
			texts = append(texts, fmt.Sprintf("%d more", len(all)-most))
			break
		}
		texts = append(texts, d.String())
	}
	return strings.Join(texts, ", ")
}
