package inject

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"postern/config"
)

// checkConfiguration loads what the sidecar would load, so that it does not fail when the pod is there already. What Secrets bring is not known
// here; everything that they could bring is taken to be there and right.
func (i *injection) checkConfiguration(vars []variable) {
	env := map[string]string{"POSTERN_UPSTREAM_IP": "192.0.2.1"} // the pod's own address, not known yet
	if i.app == 0 {
		env = map[string]string{}
	}
	for _, v := range vars {
		env[v.name] = v.value
	}
	if len(i.secrets) > 0 {
		i.addSecrets(env)
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		pairs = append(pairs, name+"="+env[name])
	}
	found, err := i.settings.judge(pairs)
	if wrong, ok := errors.AsType[*config.ProblemsError](err); ok {
		for _, p := range wrong.Problems[:min(len(wrong.Problems), maxProblems)] {
			i.configurationProblem(p.Option, p.Text)
		}
	} else if err != nil {
		i.problem(codeConfiguration, "the sidecar's configuration: %v", err)
	}
	if i.app != 0 && i.said.text(keyProvider) != "" && err == nil && !found.login {
		i.problem(codeConfiguration, "%s: openid.client-id is not given, so nobody could log in; %s names the Secrets that hold it",
			i.said.where(keyProvider), Prefix+keySecrets)
	}
	for _, line := range found.warnings {
		option, text, _ := strings.Cut(line, ": ")
		if a, ok := annotationOf(option); ok && i.said.text(a.key) != "" {
			i.warn("%s: %s", i.said.where(a.key), text)
		}
	}
}

// configurationProblem says it in the words of the pod: which annotation, rather than which option.
func (i *injection) configurationProblem(option, text string) {
	if a, ok := annotationOf(option); ok {
		if _, set := i.settings.Env[config.VariableOf(option)]; !set {
			i.problem(codeConfiguration, "%s: %s", i.said.where(a.key), text)
			return
		}
	}
	if _, ok := i.settings.known()[option]; (ok || strings.HasPrefix(option, "openid.")) && len(i.secrets) == 0 {
		i.problem(codeConfiguration, "the sidecar's configuration: %s: %s; %s names the Secrets that hold such things", option, text, Prefix+keySecrets)
		return
	}
	i.problem(codeConfiguration, "the sidecar's configuration: %s: %s", option, text)
}

// addSecrets fills in what Secrets usually hold. Everything that is said openly wins over them, as it does in the sidecar.
func (i *injection) addSecrets(env map[string]string) {
	add := func(name, value string) {
		if _, said := env[name]; !said {
			env[name] = value
		}
	}
	const (
		client    = "3f0c1d8e-0000-4000-8000-000000000000"
		key       = `{"kty":"EC","alg":"ES256","d":"x"}`
		metadata  = "/.well-known/openid-configuration"
		sealing   = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
		store     = "rediss://store.invalid"
		variables = "_WELL_KNOWN_URL"
	)
	provider := i.said.text(keyProvider)
	login := provider != "" && i.app != 0
	if login {
		add("WONDERWALL_REDIS_URI", store)
		if _, file := env["POSTERN_ENCRYPTION_KEY_FILE"]; !file {
			add("WONDERWALL_ENCRYPTION_KEY", sealing)
		}
	}
	if login && provider == "openid" {
		add("WONDERWALL_OPENID_CLIENT_ID", client)
		add("WONDERWALL_OPENID_CLIENT_JWK", key)
		add("WONDERWALL_OPENID"+variables, "https://openid.invalid"+metadata)
	}
	if slices.Contains(i.tokens, "entra_id") || login && provider == "azure" {
		add("AZURE_APP_CLIENT_ID", client)
		add("AZURE_APP_JWK", key)
		add("AZURE_APP_TENANT_ID", client)
		add("AZURE_APP"+variables, "https://entra.invalid"+metadata)
	}
	for provider, prefix := range map[string]string{"tokenx": "TOKEN_X", "maskinporten": "MASKINPORTEN"} {
		if slices.Contains(i.tokens, provider) {
			add(prefix+"_CLIENT_ID", client)
			add(prefix+variables, "https://"+provider+".invalid"+metadata)
		}
	}
	add("TOKEN_X_PRIVATE_JWK", key)
	add("MASKINPORTEN_CLIENT_JWK", key)
	if slices.Contains(i.tokens, "idporten") || login && provider == "idporten" {
		add("IDPORTEN_AUDIENCE", "https://app.invalid")
		add("IDPORTEN_CLIENT_ID", client)
		add("IDPORTEN_CLIENT_JWK", key)
		add("IDPORTEN"+variables, "https://idporten.invalid"+metadata)
	}
}
