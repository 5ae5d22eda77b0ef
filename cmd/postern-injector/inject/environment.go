package inject

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"postern/config"
)

// policyDirectory is where the ConfigMap is mounted, as a directory: of a single file (subPath) the pod would see no change (S-48).
const policyDirectory = "/etc/postern/policy"

// variable is one of the sidecar's environment, literally: nothing in it refers to another.
type variable struct{ name, value string }

// environment is everything that is said to the sidecar, but secrets. The listeners are on every address, of IPv6 too.
func (i *injection) environment() []variable {
	var out []variable
	set := func(option, value string) { out = append(out, variable{config.VariableOf(option), value}) }
	if i.app != 0 {
		set("bind-address", ":"+strconv.Itoa(i.ours.Proxy))
		set("upstream-port", strconv.Itoa(i.app))
		if i.loopback() {
			set("upstream-ip", "127.0.0.1")
		}
	}
	set("metrics-bind-address", ":"+strconv.Itoa(i.ours.Metrics))
	set("probe-bind-address", ":"+strconv.Itoa(i.ours.Probe))
	for _, provider := range i.tokens {
		out = append(out, variable{tokenVariable(provider), "true"})
	}
	if len(i.tokens) > 0 || len(i.secrets) > 0 { // a Secret might switch the token API on, too
		set("token.bind-address", "127.0.0.1:"+strconv.Itoa(i.ours.Token))
	}
	if i.egress {
		set("egress.bind-address", "127.0.0.1:"+strconv.Itoa(i.ours.Egress))
	}
	i.accessVariables(set)
	for _, a := range annotations() {
		text := i.said.text(a.key)
		if a.option == "" || text == "" || a.front && i.app == 0 || fixed(a.key) {
			continue
		}
		set(a.option, text)
	}
	i.shutdownVariables(set)
	known, sessions := i.settings.known(), i.keepsSessions()
	for _, name := range slices.Sorted(maps.Keys(i.settings.Env)) {
		if sessions || !strings.HasPrefix(known[name].Option, "redis.") {
			out = append(out, variable{name, i.settings.Env[name]})
		}
	}
	return out
}

// keepsSessions says whether the sidecar has a use for the store: it logs people in, or the settings make it a part of a single sign-on.
func (i *injection) keepsSessions() bool {
	if i.app != 0 && i.said.text(keyProvider) != "" {
		return true
	}
	known := i.settings.known()
	for name := range i.settings.Env {
		if strings.HasPrefix(known[name].Option, "sso.") {
			return true
		}
	}
	return false
}

// fixed are annotations whose options are set in any case, lest a Secret say them.
func fixed(key string) bool {
	return slices.Contains([]string{keyRequireAuth, keyPolicyMode, keyGraceful, keyWait}, key)
}

// accessVariables: protected unless somebody says otherwise (S-04).
func (i *injection) accessVariables(set func(option, value string)) {
	if i.app == 0 {
		return
	}
	requireAuth, mode := "true", "enforce"
	if text := i.said.text(keyRequireAuth); text != "" {
		requireAuth = text
	}
	if text := i.said.text(keyPolicyMode); text != "" {
		mode = text
	}
	set("require-auth", requireAuth)
	if _, key := i.policy(); key != "" {
		set("policy-file", policyDirectory+"/"+key)
	}
	set("policy-mode", mode)
}

func (i *injection) loopback() bool {
	switch text := i.said.text(keyAppAddress); text {
	case "", "pod-ip":
	case "loopback":
		return true
	default:
		i.problem(codeBadValue, "%s: %s is neither \"pod-ip\" nor \"loopback\"", i.said.where(keyAppAddress), shown(text))
	}
	return false
}

// shutdownVariables fit the sidecar into the pod's grace period, which it shares with the app: it is stopped after the app.
func (i *injection) shutdownVariables(set func(option, value string)) {
	grace := time.Duration(min(i.pod.gracePeriod(), 1<<31)) * time.Second
	graceful := max(min(10*time.Second, grace/2), time.Second)
	if text := i.said.text(keyGraceful); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			i.problem(codeBadValue, "%s: %s is no duration such as 10s", i.said.where(keyGraceful), shown(text))
		} else if graceful = d; d >= grace {
			i.problem(codeShutdown, "%s: %s is not shorter than terminationGracePeriodSeconds, which is %d", i.said.where(keyGraceful), shown(text), i.pod.gracePeriod())
		}
	}
	set(keyGraceful, graceful.String())
	if text := i.said.text(keyWait); text != "" {
		d, err := time.ParseDuration(text)
		switch {
		case err != nil || d < 0:
			i.problem(codeBadValue, "%s: %s is no duration such as 5s", i.said.where(keyWait), shown(text))
		case d >= graceful:
			i.problem(codeShutdown, "%s: %s is not shorter than %s, which is %s", i.said.where(keyWait), shown(text), keyGraceful, graceful)
		}
		set(keyWait, text)
	}
}

// appEnvironment is what the app's containers get to know.
func (i *injection) appEnvironment() []variable {
	var out []variable
	if len(i.tokens) > 0 {
		base := "http://127.0.0.1:" + strconv.Itoa(i.ours.Token) + "/api/v1/"
		out = append(out, variable{"NAIS_TOKEN_ENDPOINT", base + "token"},
			variable{"NAIS_TOKEN_EXCHANGE_ENDPOINT", base + "token/exchange"},
			variable{"NAIS_TOKEN_INTROSPECTION_ENDPOINT", base + "introspect"})
	}
	if i.egress {
		out = append(out, variable{"POSTERN_EGRESS_URL", "http://127.0.0.1:" + strconv.Itoa(i.ours.Egress)})
	}
	return out
}

// containerEnvironment is the variables as a container holds them. Kubernetes puts other variables, secrets among them, in the place of
// $(NAME); $$ stands for the letter itself.
func containerEnvironment(list []variable) []corev1.EnvVar {
	out := make([]corev1.EnvVar, len(list))
	for n, v := range list {
		out[n] = corev1.EnvVar{Name: v.name, Value: strings.ReplaceAll(v.value, "$", "$$")}
	}
	return out
}
