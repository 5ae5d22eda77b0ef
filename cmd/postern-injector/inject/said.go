package inject

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// maxValue bounds a value: it becomes an environment variable, and all of those together have to fit into 128 KiB.
const maxValue = 32 << 10

// said is what pod, namespace and chart say, by short names: for each the first of these that says it.
type said map[string]saying

type saying struct {
	text  string
	where string // for messages
	own   bool   // the pod itself says it
}

func (s said) text(key string) string { return s[key].text }
func (s said) is(key string) bool     { return s[key].text == "true" }
func (s said) own(key string) bool    { return s[key].own }

// where names a value's place: annotation postern.dev/ingress, or ingress in the defaults of somebody.
func (s said) where(key string) string {
	if found := s[key]; found.where != "" {
		return found.where
	}
	return "annotation " + Prefix + key
}

func (i *injection) gather() said {
	out := said{}
	for _, a := range annotations() {
		text, own := i.pod.Annotations[Prefix+a.key]
		v := saying{text: text, where: "annotation " + Prefix + a.key, own: true}
		if !own {
			var ok bool
			if text, ok = i.req.Defaults[a.key]; ok {
				v = saying{text: text, where: a.key + " in " + conditionNamespace}
			} else if text, ok = i.settings.Defaults[a.key]; ok {
				v = saying{text: text, where: a.key + " in the defaults of the injector's settings"}
			} else {
				continue
			}
		}
		v.text = strings.TrimSpace(v.text)
		if v.text == none && !a.nones {
			continue
		}
		if i.readable(a, v) {
			out[a.key] = v
		}
	}
	return out
}

// readable refuses what no value can be, whatever it means.
func (i *injection) readable(a annotation, v saying) bool {
	switch {
	case v.text == "":
		i.problem(codeBadValue, "%s is empty; leave it out, or say none", v.where)
	case len(v.text) > maxValue:
		i.problem(codeBadValue, "%s is longer than %d KiB", v.where, maxValue>>10)
	case strings.ContainsRune(v.text, 0):
		i.problem(codeBadValue, "%s holds a NUL", v.where)
	case a.toggle && v.text != "true" && v.text != "false":
		i.problem(codeBadValue, "%s: %s is neither \"true\" nor \"false\"", v.where, shown(v.text))
	default:
		return true
	}
	return false
}

// list splits a value at its commas.
func (s said) list(key string) []string {
	var out []string
	for entry := range strings.SplitSeq(s.text(key), ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			out = append(out, entry)
		}
	}
	return out
}

// secretNames are those of the settings first: of two Secrets with one key the later one wins.
func (i *injection) secretNames() []string {
	names := slices.Clone(i.settings.Secrets)
	for _, name := range i.said.list(keySecrets) {
		if why := validation.IsDNS1123Subdomain(name); len(why) > 0 {
			i.problem(codeBadValue, "%s: %s is no name of a Secret", i.said.where(keySecrets), shown(name))
			continue
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// tokenVariable is what switches a provider of the platform on.
func tokenVariable(provider string) string {
	switch provider {
	case "entra_id":
		return "AZURE_ENABLED"
	case "tokenx":
		return "TOKEN_X_ENABLED"
	case "maskinporten":
		return "MASKINPORTEN_ENABLED"
	case "idporten":
		return "IDPORTEN_ENABLED"
	}
	return ""
}

func (i *injection) tokenProviders() []string {
	var out []string
	for _, name := range i.said.list(keyTokens) {
		switch {
		case tokenVariable(name) == "":
			i.problem(codeBadValue, "%s: %s is none of entra_id, tokenx, maskinporten, idporten", i.said.where(keyTokens), shown(name))
		case slices.Contains(out, name):
			i.problem(codeBadValue, "%s names %s twice", i.said.where(keyTokens), name)
		default:
			out = append(out, name)
		}
	}
	return out
}

// policy is the ConfigMap and the key that hold the access policy.
func (i *injection) policy() (name, key string) {
	text := i.said.text(keyPolicy)
	if text == "" || i.app == 0 {
		return "", ""
	}
	name, key, split := strings.Cut(text, "/")
	if !split {
		key = "policy.yaml"
	}
	where := i.said.where(keyPolicy)
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		i.problem(codeBadValue, "%s: %s is no name of a ConfigMap", where, shown(name))
	}
	if len(validation.IsConfigMapKey(key)) > 0 {
		i.problem(codeBadValue, "%s: %s is no key of a ConfigMap", where, shown(key))
	}
	return name, key
}

// protection is S-04 and what a namespace that requires the sidecar means by it.
func (i *injection) protection() {
	policy, provider := i.said.text(keyPolicy), i.said.text(keyProvider)
	switch {
	case i.app != 0 && policy == "" && provider == "":
		i.problem(codeUnprotected, "neither %s nor %s says who may reach the app; name a ConfigMap with the access policy or the provider that people log in at, "+
			"or say %s: %q if the pod serves nobody", Prefix+keyPolicy, Prefix+keyProvider, Prefix+keyAppPort, none)
	case i.app == 0 && len(i.tokens) == 0 && !i.egress:
		i.problem(codeUnprotected, "there is nothing for the sidecar to do: the pod serves nobody, and neither %s nor %s is said", Prefix+keyTokens, Prefix+keyEgress)
	}
	required := i.req.Asked == ByRequired
	for _, open := range []struct {
		is       bool
		key, why string
	}{
		{i.app != 0 && i.said.text(keyRequireAuth) == "false", keyRequireAuth, "requests without a caller reach the app"},
		{i.app != 0 && i.said.text(keyPolicyMode) == "report", keyPolicyMode, "what would be refused is only logged, and reaches the app"},
		{i.app == 0 && i.said.text(keyAppPort) == none && len(i.declared()) > 0, keyAppPort, "the containers declare ports, and the sidecar guards none of them"},
	} {
		switch {
		case open.is && required:
			i.problem(codeNoOptOut, "%s: %s, which is not possible here: the namespace requires the sidecar", i.said.where(open.key), open.why)
		case open.is:
			i.warn("%s: %s", i.said.where(open.key), open.why)
		}
	}
	for _, a := range annotations() {
		if a.front && i.app == 0 && i.said.own(a.key) && i.said.text(keyAppPort) == none {
			i.problem(codeBadValue, "%s has no meaning with %s: %q", i.said.where(a.key), Prefix+keyAppPort, none)
		}
	}
}
