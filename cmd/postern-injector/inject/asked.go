package inject

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"postern/config"
)

// outcome says that a pod stays as it is, and why; empty if it gets the sidecar.
func (i *injection) outcome() string {
	label, labelled := i.pod.Labels[LabelInject]
	if labelled && label != "true" && label != "false" {
		i.problem(codeBadLabel, "label %s: %s is neither \"true\" nor \"false\"", LabelInject, shown(label))
		return ""
	}
	switch {
	case i.pod.Annotations[annotationMirror] != "":
		return ReasonMirrorPod // of a static pod, which the node runs whatever is said here
	case label == "false" && i.req.Asked == ByRequired:
		i.problem(codeNoOptOut, "label %s: \"false\" is not possible here: the namespace says that every pod has the sidecar (%s=required)", LabelInject, LabelInject)
	case label == "false":
		return ReasonOptedOut
	case !labelled && i.req.Asked == ByPod:
		return ReasonNotAsked
	}
	return i.unsuitable(labelled)
}

// unsuitable looks at pods that a sidecar cannot work in. If only the namespace asked, such a pod is left alone.
func (i *injection) unsuitable(labelled bool) string {
	skips := i.req.Asked == ByNamespace && !labelled
	for _, u := range []struct {
		is            bool
		code, message string
	}{
		{i.pod.Spec.HostNetwork, codeHostNetwork, "spec.hostNetwork: the sidecar's ports would be those of the node"},
		{windows(&i.pod.Spec), codeWindows, "the pod is for Windows, for which there is no sidecar"},
		{virtual(&i.pod.Spec), codeVirtualNode, "the pod is for a virtual kubelet, which knows no native sidecars"},
	} {
		switch {
		case u.is && skips:
			i.warn("the pod stays without the sidecar that its namespace asks for: %s", u.message)
			return u.code
		case u.is:
			i.problem(u.code, "%s", u.message)
		}
	}
	return ""
}

func windows(spec *corev1.PodSpec) bool {
	return spec.OS != nil && spec.OS.Name == corev1.Windows || spec.NodeSelector[corev1.LabelOSStable] == string(corev1.Windows)
}

func virtual(spec *corev1.PodSpec) bool {
	return spec.NodeSelector["type"] == "virtual-kubelet" ||
		slices.ContainsFunc(spec.Tolerations, func(t corev1.Toleration) bool { return t.Key == virtualKubelet })
}

// sharedProcesses is about what containers of the pod see of each other.
func (i *injection) sharedProcesses() {
	if i.said.is(keyAcceptShared) {
		return
	}
	const accept = "every container could read the sidecar's secrets in /proc; %s: \"true\" accepts that"
	if share := i.pod.Spec.ShareProcessNamespace; share != nil && *share {
		i.problem(codeSharedProcess, "spec.shareProcessNamespace: "+accept, Prefix+keyAcceptShared)
	}
	if i.pod.Spec.HostPID {
		i.problem(codeSharedProcess, "spec.hostPID: "+accept, Prefix+keyAcceptShared)
	}
}

// strangers refuses what begins with our prefix and is not ours: a misspelt key must not leave an app open.
func (i *injection) strangers() {
	labels := []string{LabelInject, LabelInjected}
	for _, key := range slices.Sorted(maps.Keys(i.pod.Labels)) {
		if strings.HasPrefix(key, Prefix) && !slices.Contains(labels, key) {
			i.unknown("label "+shown(key), key, labels)
		}
	}
	keys := append(annotationKeys(), AnnotationStatus)
	for _, key := range slices.Sorted(maps.Keys(i.pod.Annotations)) {
		switch {
		case slices.Contains(labels, key):
			i.problem(codeUnknownKey, "annotation %s: it is a label, not an annotation", key)
		case strings.HasPrefix(key, Prefix) && !slices.Contains(keys, key):
			i.unknown("annotation "+shown(key), key, keys)
		}
	}
	i.unknownDefaults(i.req.Defaults, conditionNamespace)
	i.unknownDefaults(i.settings.Defaults, "the injector's settings")
	if i.allKeys != nil {
		i.problem(codeUnknownKey, "known are %s", strings.Join(i.allKeys, ", "))
	}
}

// unknownDefaults are keys of a namespace or of the chart that no annotation has.
func (i *injection) unknownDefaults(defaults map[string]string, where string) {
	for _, key := range slices.Sorted(maps.Keys(defaults)) {
		if _, known := annotationByKey(key); !known {
			i.unknown(shown(key)+" in "+where, Prefix+key, annotationKeys())
		}
	}
}

// unknown names the nearest key, or, once, all there are.
func (i *injection) unknown(what, key string, keys []string) {
	if i.full() {
		return
	}
	if found := near(key, keys); found != "" {
		i.problem(codeUnknownKey, "%s is unknown; nearest: %s", what, found)
		return
	}
	i.problem(codeUnknownKey, "%s is unknown", what)
	i.allKeys = keys
}

// near compares what follows the prefix, which all have in common.
func near(key string, keys []string) string {
	short := make([]string, len(keys))
	for i, k := range keys {
		short[i] = strings.TrimPrefix(k, Prefix)
	}
	if found, ok := config.Nearest(strings.TrimPrefix(key, Prefix), short); ok {
		return Prefix + found
	}
	return ""
}
