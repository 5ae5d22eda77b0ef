package kubelet

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// environment is what a container finds in its environment, by name.
type environment map[string]string

// environment resolves the container's own over the image's over what every container has.
func (c *container) environment(image []string) (environment, error) {
	env := environment{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": c.pod.object.Name, "HOME": "/"}
	c.pod.serviceEnvironment(env)
	for _, e := range image {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	for _, from := range c.spec.EnvFrom {
		var data map[string]string
		var err error
		switch {
		case from.SecretRef != nil:
			data, err = c.pod.secret(from.SecretRef.Name, from.SecretRef.Optional)
		case from.ConfigMapRef != nil:
			data, err = c.pod.configMap(from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
		}
		if err != nil {
			return nil, err
		}
		for k, v := range data {
			env[from.Prefix+k] = v
		}
	}
	for _, e := range c.spec.Env {
		value, there, err := c.value(e, env)
		if err != nil {
			return nil, err
		}
		if there {
			env[e.Name] = value
		}
	}
	return env, nil
}

// value is that of one variable; there is none for an optional key that does not exist.
func (c *container) value(e corev1.EnvVar, so environment) (value string, there bool, err error) {
	from := e.ValueFrom
	switch {
	case from == nil:
		return so.expand(e.Value), true, nil
	case from.FieldRef != nil:
		value, err = c.pod.field(from.FieldRef.FieldPath)
		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err = c.resource(from.ResourceFieldRef)
		return value, true, err
	case from.SecretKeyRef != nil:
		r := from.SecretKeyRef
		data, err := c.pod.secret(r.Name, r.Optional)
		return pick(data, err, "Secret", c.pod.object.Namespace+"/"+r.Name, r.Key, r.Optional)
	case from.ConfigMapKeyRef != nil:
		r := from.ConfigMapKeyRef
		data, err := c.pod.configMap(r.Name, r.Optional)
		return pick(data, err, "ConfigMap", c.pod.object.Namespace+"/"+r.Name, r.Key, r.Optional)
	default:
		return "", false, fmt.Errorf("%s: a source that is not known here", e.Name)
	}
}

func pick(data map[string]string, err error, kind, name, key string, optional *bool) (string, bool, error) {
	if err != nil {
		return "", false, err
	}
	value, ok := data[key]
	if !ok && (optional == nil || !*optional) {
		return "", false, fmt.Errorf("couldn't find key %s in %s %s", key, kind, name)
	}
	return value, ok, nil
}

func (p *pod) secret(name string, optional *bool) (map[string]string, error) {
	s, ok := p.k.secrets.get(p.object.Namespace, name)
	if !ok {
		return nil, absent("secret", name, optional)
	}
	data := map[string]string{}
	for k, v := range s.Data {
		data[k] = string(v)
	}
	return data, nil
}

func (p *pod) configMap(name string, optional *bool) (map[string]string, error) {
	s, ok := p.k.configMaps.get(p.object.Namespace, name)
	if !ok {
		return nil, absent("configmap", name, optional)
	}
	data := maps.Clone(s.Data)
	if data == nil {
		data = map[string]string{}
	}
	for k, v := range s.BinaryData {
		data[k] = string(v)
	}
	return data, nil
}

func absent(kind, name string, optional *bool) error {
	if optional != nil && *optional {
		return nil
	}
	return fmt.Errorf("%s %q not found", kind, name)
}

// field is what the downward API knows of the pod.
func (p *pod) field(path string) (string, error) {
	o := p.object
	if name, ok := strings.CutPrefix(path, "metadata.labels['"); ok {
		return o.Labels[strings.TrimSuffix(name, "']")], nil
	}
	if name, ok := strings.CutPrefix(path, "metadata.annotations['"); ok {
		return o.Annotations[strings.TrimSuffix(name, "']")], nil
	}
	fields := map[string]string{
		"metadata.name": o.Name, "metadata.namespace": o.Namespace, "metadata.uid": string(o.UID),
		"spec.nodeName": o.Spec.NodeName, "spec.serviceAccountName": o.Spec.ServiceAccountName,
		"status.podIP": p.ip, "status.podIPs": p.ip, "status.hostIP": nodeIP, "status.hostIPs": nodeIP,
		"metadata.labels": quoted(o.Labels), "metadata.annotations": quoted(o.Annotations),
	}
	value, ok := fields[path]
	if !ok {
		return "", fmt.Errorf("the field %s is not known here", path)
	}
	return value, nil
}

// quoted is how a map stands in a file of a downward API volume.
func quoted(of map[string]string) string {
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(of)) {
		lines = append(lines, k+"="+strconv.Quote(of[k]))
	}
	return strings.Join(lines, "\n")
}

// resource is a request or limit of a container; a limit that is not set is what the node has.
func (c *container) resource(ref *corev1.ResourceFieldSelector) (string, error) {
	of := c.spec
	for _, other := range c.pod.all() {
		if ref.ContainerName != "" && other.spec.Name == ref.ContainerName {
			of = other.spec
		}
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	list := of.Resources.Limits
	if kind == "requests" {
		list = of.Resources.Requests
	}
	quantity, ok := list[corev1.ResourceName(name)]
	if node, known := capacity[name].(string); !ok && known && kind == "limits" {
		quantity = resource.MustParse(node)
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	if name == "cpu" {
		return strconv.FormatInt(roundUp(quantity.MilliValue(), divisor.MilliValue()), 10), nil
	}
	return strconv.FormatInt(roundUp(quantity.Value(), divisor.Value()), 10), nil
}

func roundUp(n, by int64) int64 { return (n + by - 1) / by }

// serviceEnvironment names the API server, and the Services of the namespace unless the pod does not want them.
func (p *pod) serviceEnvironment(env environment) {
	for _, s := range p.k.services.in("") {
		api := s.Namespace == "default" && s.Name == "kubernetes"
		links := p.object.Spec.EnableServiceLinks
		mine := s.Namespace == p.object.Namespace && (links == nil || *links)
		if !api && !mine || net.ParseIP(s.Spec.ClusterIP) == nil || len(s.Spec.Ports) == 0 {
			continue
		}
		prefix := strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_SERVICE_"
		env[prefix+"HOST"], env[prefix+"PORT"] = s.Spec.ClusterIP, strconv.Itoa(int(s.Spec.Ports[0].Port))
	}
}

func (e environment) list() (list []string) {
	for _, name := range slices.Sorted(maps.Keys(e)) {
		list = append(list, name+"="+e[name])
	}
	return list
}

func (e environment) expandAll(texts []string) (expanded []string) {
	for _, t := range texts {
		expanded = append(expanded, e.expand(t))
	}
	return expanded
}

// expand replaces $(NAME). $$ stands for one $, and what cannot be resolved stays as it is.
func (e environment) expand(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch end := strings.IndexByte(rest, ')'); {
		case strings.HasPrefix(rest, "$$"):
			out.WriteByte('$')
			i++
		case strings.HasPrefix(rest, "$(") && end > 0:
			if value, ok := e[rest[2:end]]; ok {
				out.WriteString(value)
			} else {
				out.WriteString(rest[:end+1])
			}
			i += end
		default:
			out.WriteByte(text[i])
		}
	}
	return out.String()
}
