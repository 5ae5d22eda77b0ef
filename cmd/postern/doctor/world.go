package doctor

import (
	"context"
	"net/netip"
	"time"

	"postern/config"
	"postern/oidc"
	"postern/proxy/policy"
)

// World is a configuration, and what the program makes of it.
type World struct {
	Config      *config.Config
	Warnings    []string          // of the configuration
	SecretFiles map[string]string // paths that secrets were read from, by option
	Providers   []Provider
	Policy      func() (rules *policy.Policy, warnings []string, err error)
	Exposed     func(ctx context.Context) (exposed []netip.Addr, pending bool, err error) // nil: there is no port to look at
	Running     func(ctx context.Context) error                                           // nil if the sidecar of this configuration runs here
	Env         func(name string) string                                                  // of the process
	MemoryLimit int64                                                                     // bytes; 0 for none
	Now         func() time.Time
}

// Provider is one that the configuration uses.
type Provider struct {
	Name        string // for the names of checks: "login", "entra_id", "tokenx", …
	Kind        string // of oidc's names
	Config      oidc.ProviderConfig
	Login       bool             // people log in there
	Credentials oidc.Credentials // without a client id: it is never asked for tokens
}

func (p Provider) asked() bool { return p.Credentials.ClientID != "" }

func (w World) sections() []section {
	cfg := w.Config
	all := []section{
		{"configuration", shortLimit, w.configuration},
		{"files", shortLimit, w.files},
		{"ports", shortLimit, w.ports},
		{"memory", shortLimit, w.memory},
	}
	if cfg.LoginEnabled() {
		all = append(all, section{"encryption-key", shortLimit, w.encryption}, section{"ingress", shortLimit, w.ingress})
	}
	for _, p := range w.Providers {
		all = append(all, section{p.Name, providerLimit, newExaminer(w, p).look})
	}
	if cfg.SSOProxy() {
		all = append(all, section{"sso", shortLimit, w.ssoServer})
	}
	if cfg.LoginEnabled() && cfg.Redis.Enabled() {
		all = append(all, section{"redis", 2 * shortLimit, w.redis})
	}
	if cfg.HasFrontDoor() && !cfg.SSOServer() {
		all = append(all, section{"upstream", shortLimit, w.upstream}, section{"upstream.exposed", shortLimit, w.exposure},
			section{"policy", shortLimit, w.policy})
	}
	for _, route := range cfg.Egress.Routes {
		all = append(all, section{"egress." + route.Name, shortLimit, func(ctx context.Context) []Finding { return w.egress(ctx, route) }})
	}
	return all
}

// configuration repeats the warnings that every start logs.
func (w World) configuration(context.Context) []Finding {
	var found []Finding
	for _, text := range w.Warnings {
		found = append(found, warning("configuration", "\"postern config\" shows where each value comes from.", "%s", text))
	}
	return judged(found, "configuration", "valid, without a warning")
}
