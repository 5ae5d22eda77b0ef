package inject

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Status is the annotation postern.dev/status: what was injected.
type Status struct {
	Version int    `json:"version"` // of this form: 1
	Config  string `json:"config"`  // hash of the sidecar as it was wanted, without its resources
	Image   string `json:"image"`
	Ports   struct {
		App int `json:"app,omitempty"`
		ports
	} `json:"ports"`
}

func (i *injection) status(wanted sidecar) (Status, error) {
	comparable, err := json.Marshal([]any{withoutSizes(wanted.container), wanted.volumes, wanted.app})
	if err != nil {
		return Status{}, err
	}
	sum := sha256.Sum256(comparable)
	s := Status{Version: 1, Config: "sha256:" + hex.EncodeToString(sum[:]), Image: wanted.container.Image}
	s.Ports.App, s.Ports.ports = i.app, i.ours
	if i.app == 0 {
		s.Ports.Proxy = 0
	}
	if len(i.tokens) == 0 {
		s.Ports.Token = 0
	}
	if !i.egress {
		s.Ports.Egress = 0
	}
	return s, nil
}

// rememberedPort is the app's port that was found when the sidecar came; 0 if it is not there yet. It is no secret and no privilege: who can
// write it could say app-port.
func (i *injection) rememberedPort() int {
	var s Status
	if c, _ := i.pod.sidecar(); c == nil || json.Unmarshal([]byte(i.pod.Annotations[AnnotationStatus]), &s) != nil {
		return 0
	}
	if s.Ports.App < 1 || s.Ports.App > 65535 || !slices.Contains(numbers(i.declared()), s.Ports.App) {
		return 0
	}
	return s.Ports.App
}

// present says whether the pod has the wanted sidecar already: this is another call for one pod, after somebody else has changed it. Whatever
// else bears our names is refused; to pass over it would be a way around the sidecar.
func (i *injection) present(wanted sidecar) bool {
	const again = "leave the sidecar, its volumes, label %s and annotation %s to the injector"
	there, at := i.pod.sidecar()
	for _, c := range i.pod.Spec.InitContainers[at+1:] {
		if there != nil && c.Name == Container {
			i.problem(codeNotOurs, "spec.initContainers has two containers %q; "+again, Container, LabelInjected, AnnotationStatus)
		}
	}
	for _, c := range i.pod.Spec.Containers {
		if c.Name == Container {
			i.problem(codeNotOurs, "spec.containers has a container %q, which is the name of the sidecar; give it another", Container)
		}
	}
	for _, c := range i.pod.Spec.EphemeralContainers {
		if c.Name == Container {
			i.problem(codeNotOurs, "spec.ephemeralContainers has a container %q, which is the name of the sidecar; give it another", Container)
		}
	}
	text, marked := i.pod.Annotations[AnnotationStatus]
	if label, ok := i.pod.Labels[LabelInjected]; ok && label != "true" {
		i.problem(codeNotOurs, "label %s: %s is not for others to set", LabelInjected, shown(label))
	}
	if there == nil {
		if marked {
			i.problem(codeNotOurs, "annotation %s without the sidecar; "+again, AnnotationStatus, LabelInjected, AnnotationStatus)
		}
		i.volumesOf(wanted, false)
		return false
	}
	var have Status
	want, err := i.status(wanted)
	switch {
	case err != nil:
		i.problem(codeConfiguration, "the sidecar cannot be written: %v", err)
	case !marked:
		i.problem(codeNotOurs, "spec.initContainers has a container %q that the injector did not make; "+again, Container, LabelInjected, AnnotationStatus)
	case json.Unmarshal([]byte(text), &have) != nil || have != want:
		i.problem(codeNotOurs, "annotation %s is not that of the sidecar that this pod would get now; "+again, AnnotationStatus, LabelInjected, AnnotationStatus)
	default:
		if why := i.settings.differs(there, &wanted.container); why != "" {
			i.problem(codeNotOurs, "the container %q is not the sidecar that this pod would get now: %s; "+again, Container, why, LabelInjected, AnnotationStatus)
		}
	}
	i.volumesOf(wanted, true)
	return true
}

// unmarked refuses our marks on a pod that stays as it is: to people, and to monitoring, they say that it has the sidecar.
func (i *injection) unmarked() {
	if _, ok := i.pod.Annotations[AnnotationStatus]; ok {
		i.problem(codeNotOurs, "annotation %s is the injector's, and this pod gets no sidecar; leave it out", AnnotationStatus)
	}
	if _, ok := i.pod.Labels[LabelInjected]; ok {
		i.problem(codeNotOurs, "label %s is the injector's, and this pod gets no sidecar; leave it out", LabelInjected)
	}
}

// volumesOf refuses volumes of our names that are not ours.
func (i *injection) volumesOf(wanted sidecar, there bool) {
	for _, v := range i.pod.Spec.Volumes {
		if v.Name != volumePolicy && v.Name != volumeNoToken {
			continue
		}
		if !there || !slices.ContainsFunc(wanted.volumes, func(w corev1.Volume) bool { return reflect.DeepEqual(v, w) }) {
			i.problem(codeNotOurs, "spec.volumes has a volume %q, which is a name of the injector; give it another", v.Name)
		}
	}
}

// withoutSizes leaves out what LimitRange and autoscalers change, what hangs on it, and what says nothing about the sidecar itself.
func withoutSizes(c corev1.Container) corev1.Container {
	c.Resources, c.ResizePolicy, c.ImagePullPolicy = corev1.ResourceRequirements{}, nil, ""
	c.Env = slices.DeleteFunc(slices.Clone(c.Env), func(v corev1.EnvVar) bool { return v.Name == goMemLimit })
	return c
}

// differs says what of a container is not as wanted; empty if nothing is. Other webhooks may add variables that say nothing to the sidecar, and
// mounts among the platform's credentials; they may fetch the same image elsewhere.
func (s *Settings) differs(have, want *corev1.Container) string {
	h, w := withoutSizes(*have), withoutSizes(*want)
	if digestOf(h.Image) != digestOf(w.Image) {
		return "image"
	}
	h.Image = w.Image
	if h.SecurityContext != nil {
		h.SecurityContext = h.SecurityContext.DeepCopy()
		h.SecurityContext.SELinuxOptions, h.SecurityContext.AppArmorProfile = nil, nil
	}
	h.Env = slices.DeleteFunc(h.Env, func(v corev1.EnvVar) bool {
		return !slices.ContainsFunc(w.Env, func(ours corev1.EnvVar) bool { return ours.Name == v.Name }) && s.harmless(v.Name)
	})
	h.VolumeMounts = slices.DeleteFunc(slices.Clone(h.VolumeMounts), func(m corev1.VolumeMount) bool {
		ours := slices.ContainsFunc(w.VolumeMounts, func(o corev1.VolumeMount) bool { return o.MountPath == m.MountPath || o.Name == m.Name })
		return !ours && (strings.HasPrefix(m.MountPath, "/var/run/secrets/") || strings.HasPrefix(m.MountPath, "/run/secrets/")) && !strings.Contains(m.MountPath, "..")
	})
	hv, wv := reflect.ValueOf(h), reflect.ValueOf(w)
	for n := range hv.NumField() {
		a, b := hv.Field(n), wv.Field(n)
		if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
			continue
		}
		if !reflect.DeepEqual(a.Interface(), b.Interface()) {
			return hv.Type().Field(n).Tag.Get("json")
		}
	}
	return ""
}

func digestOf(image string) string {
	_, digest, _ := strings.Cut(image, "@")
	return digest
}

// harmless says whether a variable that somebody added means nothing to the sidecar, or only what the platform may say: which web proxy leads
// out, and where the pod's own federated token is.
func (s *Settings) harmless(name string) bool {
	switch name {
	case "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "AZURE_FEDERATED_TOKEN_FILE":
		return true
	}
	for _, prefix := range []string{"POSTERN_", "WONDERWALL_", "TEXAS_", "GO", "SSL_CERT_"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	_, known := s.known()[name]
	return !known || strings.HasPrefix(name, "OTEL_")
}
