package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"postern/cmd/postern/doctor"
	"postern/config"
	"postern/oidc"
	"postern/proxy/policy"
)

const doctorUsage = `Usage: postern doctor [--output text|json] [--option value]...

Checks the configuration that "postern serve" would run with against the world: every provider, Redis, the app,
this machine. One line each: ok, warning, problem, or not checked and why, and what to do. It changes nothing,
logs nobody in, shows no secret, and ends within 20 seconds.

The exit status is 0 without a problem, 1 with one, 2 if the configuration is invalid (all of it is listed).
`

// diagnose is `postern doctor`.
func diagnose(ctx context.Context, p program) int {
	output, err := p.takeOutput()
	if err != nil {
		_, _ = fmt.Fprintf(p.stderr, "postern doctor: %v\n\n%s", err, doctorUsage)
		return exitUsage
	}
	if slices.ContainsFunc(p.args, func(arg string) bool { return arg == "--help" || arg == "-help" || arg == "-h" }) {
		_, _ = fmt.Fprint(p.stdout, doctorUsage)
		return exitOK
	}
	loaded, code := load(p)
	if loaded == nil {
		return code
	}
	if loaded.Config.NothingOn() {
		_, _ = fmt.Fprintln(p.stderr, "postern doctor: nothing is configured, so there is nothing to check")
		return exitUsage
	}
	report := doctor.Run(ctx, worldOf(loaded))
	if output == "json" {
		err = report.WriteJSON(p.stdout)
	} else {
		err = report.Write(p.stdout)
	}
	if err != nil || report.Problems > 0 {
		return exitFailure
	}
	return exitOK
}

// takeOutput takes --output from the arguments; the rest is for the configuration.
func (p *program) takeOutput() (string, error) {
	output, rest := "text", []string(nil)
	for args := p.args; len(args) > 0; args = args[1:] {
		name, value, inline := strings.Cut(args[0], "=")
		if strings.TrimLeft(name, "-") != "output" || !strings.HasPrefix(name, "-") {
			rest = append(rest, args[0])
			continue
		}
		if !inline {
			if len(args) == 1 {
				return "", fmt.Errorf("--output wants text or json")
			}
			args = args[1:]
			value = args[0]
		}
		if output = value; output != "text" && output != "json" {
			return "", fmt.Errorf("--output must be text or json")
		}
	}
	p.args = rest
	return output, nil
}

// worldOf puts together what the doctor looks at, by the same rules as the sidecar itself.
func worldOf(loaded *config.Loaded) doctor.World {
	cfg := *loaded.Config
	rules := func() (*policy.Policy, []string, error) {
		if len(cfg.Policy.Files) == 0 {
			return policy.WithoutFile(policySettings(&cfg)), nil, nil
		}
		files, err := readPolicyFiles(cfg.Policy.Files)
		if err != nil {
			return nil, nil, err
		}
		return policy.Load(files, policySettings(&cfg))
	}
	if known, _, err := rules(); err == nil && len(cfg.EntraTenants()) == 0 { // S-46, as the sidecar does
		cfg.OpenID.Tenants = known.EntraTenants()
	}
	w := doctor.World{
		Config: &cfg, Warnings: loaded.Warnings, SecretFiles: loaded.SecretFiles, Providers: providersToCheck(&cfg), Policy: rules,
		Env: os.Getenv, MemoryLimit: memoryLimit(os.DirFS("/")), Now: time.Now,
	}
	if port := newAppPort(&cfg); port != nil {
		w.Exposed = func(ctx context.Context) ([]netip.Addr, bool, error) {
			seen, err := port.look(ctx)
			return seen.exposed, seen.pending, err
		}
	}
	w.Running = func(ctx context.Context) error { return runsHere(ctx, cfg.Server) }
	return w
}

// providersToCheck is every provider in use: that of login, those that are asked for tokens, and those that only vouch for callers.
func providersToCheck(cfg *config.Config) []doctor.Provider {
	var all []doctor.Provider
	if cfg.LoginEnabled() && !cfg.SSOProxy() {
		o := cfg.OpenID
		all = append(all, doctor.Provider{
			Name: "login", Kind: oidc.LoginProviderName(o), Config: loginProvider(cfg), Login: true,
			Credentials: oidc.Credentials{
				ClientID: o.ClientID, JWK: o.ClientJWK, Secret: o.ClientSecret, FederatedTokenFile: o.FederatedTokenFile, NewJWTType: o.NewClientAuthJWTType,
			},
		})
	}
	known := map[string]bool{oidc.OpenID: true} // the login provider by its other name
	for _, client := range tokenClients(cfg) {
		known[client.name] = true
		p := doctor.Provider{Name: client.name, Kind: client.name, Config: describeProvider(cfg, client.name)}
		if !client.silent {
			p.Credentials = client.credentials
		}
		all = append(all, p)
	}
	for _, name := range cfg.InboundProviders() {
		if !known[name] && !(len(all) > 0 && all[0].Login && all[0].Kind == name) {
			known[name] = true
			all = append(all, doctor.Provider{Name: name, Kind: name, Config: describeProvider(cfg, name)})
		}
	}
	return all
}
