package inject

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"postern/config"
)

// Settings is what the administrator of the cluster says, in the file that the chart renders. [ReadSettings] makes them.
type Settings struct {
	Image         string            `yaml:"image"`          // by digest
	AllowedImages []string          `yaml:"allowed-images"` // glob patterns of what the annotation `image` may name; * stops at a slash
	PullPolicy    string            `yaml:"pull-policy"`    // default IfNotPresent
	Resources     Resources         `yaml:"resources"`
	Env           map[string]string `yaml:"env"`      // options of every sidecar that are no secrets and that no annotation sets
	Secrets       []string          `yaml:"secrets"`  // Secrets of the pod's namespace that every sidecar reads (envFrom), for POSTERN_REDIS_URI and the like
	Defaults      map[string]string `yaml:"defaults"` // short annotation name → value, for pods and namespaces that do not say it

	remembered *remembered // nil: nothing is
}

const maxSettings = 1 << 20

// SettingsError is everything that is wrong with the settings, a line each.
type SettingsError struct{ Problems []string }

// Error lists the problems, one per line.
func (e *SettingsError) Error() string { return strings.Join(e.Problems, "\n") }

// ReadSettings reads one YAML document strictly. The error is a [*SettingsError] with all problems.
func ReadSettings(data []byte) (*Settings, error) {
	if len(data) > maxSettings {
		return nil, &SettingsError{[]string{"larger than 1 MiB"}}
	}
	s := &Settings{remembered: &remembered{}}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	err := decoder.Decode(s)
	if wrong, ok := errors.AsType[*yaml.TypeError](err); ok {
		return nil, &SettingsError{wrong.Errors}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, &SettingsError{[]string{err.Error()}}
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, &SettingsError{[]string{"more than one YAML document"}}
	}
	if problems := s.problems(); len(problems) > 0 {
		return nil, &SettingsError{problems}
	}
	return s, nil
}

func (s *Settings) pullPolicy() corev1.PullPolicy {
	if s.PullPolicy == "" {
		return corev1.PullIfNotPresent
	}
	return corev1.PullPolicy(s.PullPolicy)
}

func (s *Settings) problems() []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !byDigest.MatchString(s.Image) {
		add("image: must be of the form NAME@sha256:DIGEST")
	}
	for n, pattern := range s.AllowedImages {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			add("allowed-images: entry %d is no pattern such as registry.example.org/postern@*", n+1)
		}
	}
	if !slices.Contains([]string{"", "Always", "IfNotPresent", "Never"}, s.PullPolicy) {
		add("pull-policy: must be one of Always, IfNotPresent, Never")
	}
	for n, name := range s.Secrets {
		if len(validation.IsDNS1123Subdomain(name)) > 0 || slices.Contains(s.Secrets[:n], name) {
			add("secrets: entry %d is no name of a Secret, or repeats an earlier one", n+1)
		}
	}
	out = append(out, s.environmentProblems()...)
	for _, message := range s.trial() {
		add("%s", message)
	}
	return out
}

// environmentProblems: pods are read by many, so that no secret may stand in them; and what an annotation sets has its place in defaults.
func (s *Settings) environmentProblems() []string {
	var out []string
	known := s.known()
	own := ownOptions()
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		v, ok := known[name]
		a, annotated := annotationOf(v.Option)
		switch {
		case !ok && strings.HasPrefix(name, "OTEL_"):
			out = append(out, fmt.Sprintf("env: %s might hold a secret; put it into a Secret and name that in secrets", name))
		case !ok:
			near, _ := config.Nearest(name, slices.Sorted(maps.Keys(known)))
			out = append(out, fmt.Sprintf("env: %s is unknown; nearest: %s", shown(name), near))
		case v.Option == "redis.uri" && storeAddress.MatchString(s.Env[name]): // as long as it says no more than where the store is
		case v.Secret || strings.Contains(s.Env[name], "@") && strings.Contains(s.Env[name], "://"):
			out = append(out, fmt.Sprintf("env: %s holds a secret, which every reader of a pod would see; put it into a Secret and name that in secrets", name))
		case annotated:
			out = append(out, fmt.Sprintf("env: %s is said in defaults, as %s", name, a.key))
		case slices.Contains(own, v.Option):
			out = append(out, fmt.Sprintf("env: %s is set by the injector itself", name))
		}
	}
	return out
}

// storeAddress is a redis.uri without user, password and query. A longer path might hold anything.
var storeAddress = regexp.MustCompile(`^rediss?://[a-zA-Z0-9.:\[\]-]+(/[0-9]{1,3})?$`)

// ownOptions are those that the injector sets by itself.
func ownOptions() []string {
	out := []string{
		"bind-address", "metrics-bind-address", "probe-bind-address", "token.bind-address", "egress.bind-address", "upstream-host", "upstream-ip", "upstream-port",
		"policy-file", "config", "token.allow-remote",
	}
	for _, provider := range []string{"entra_id", "tokenx", "maskinporten", "idporten"} {
		out = append(out, tokenVariable(provider))
	}
	return out
}

// trial gives a sidecar to a pod that says what settings leave open: what is wrong then is wrong with the settings.
func (s *Settings) trial() []string {
	annotations := map[string]string{}
	for _, open := range [][2]string{
		{keyAppPort, "8080"},
		{keyPolicy, "policy"},
		{keyProvider, "openid"},
		{keyIngress, "https://app.example.org"},
		{keySecrets, "client"},
		{keyTokens, "entra_id,tokenx,maskinporten,idporten"},
	} {
		key, value := open[0], open[1]
		if said, ok := s.Defaults[key]; !ok || said == none {
			annotations[Prefix+key] = value
		}
	}
	p := &pod{hasMetadata: true}
	p.Annotations = annotations
	c := corev1.Container{Name: "app"}
	if name := s.Defaults[keyAppPort]; name != "" && name != none {
		if number, ok := portNumber(name); !ok {
			c.Ports = []corev1.ContainerPort{{Name: name, ContainerPort: 8080}}
		} else {
			c.Ports = []corev1.ContainerPort{{ContainerPort: int32(number)}}
		}
	}
	p.Spec.Containers = []corev1.Container{c}
	i := &injection{pod: p, req: Request{Asked: ByNamespace}, settings: s}
	i.wanted()
	var out []string
	for _, problem := range i.problems {
		out = append(out, problem.Message)
	}
	return out
}
