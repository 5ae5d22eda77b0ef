package config

import (
	"net"
	"net/netip"
	"strconv"
)

// privateNetworks is the default of trusted-proxies (S-13, as decided in its preamble).
func privateNetworks() []netip.Prefix {
	var out []netip.Prefix
	for _, text := range []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10"} {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// fillFromPlatform lets the platform's variables speak where the operator did not: first those with names of their own, then those that
// fill an option.
func (l *loader) fillFromPlatform() {
	for _, o := range l.options {
		if o.variable {
			l.fill(o, append([]string{o.name}, o.variables...))
		}
	}
	for _, o := range l.options {
		if o.variable || o.given() || o.origin.rank != byDefault {
			continue
		}
		preset := o.presets[l.c.OpenID.Provider]
		variables := preset.variables
		if o.while == nil || o.while(l.c) {
			variables = append(variables, o.variables...)
		}
		if !l.fill(o, variables) && preset.fallback != "" {
			l.derive(o, preset.fallback, "default of "+l.c.OpenID.Provider)
		}
	}
}

// fill takes the first variable that is set to something; of those with names of their own, the first that is set.
func (l *loader) fill(o *option, variables []string) bool {
	for _, name := range variables {
		text, set := l.env[name]
		if !set || text == "" && !o.variable {
			continue
		}
		err := o.fromText(text)
		switch {
		case err == nil:
			o.origin = origin{rank: byPlatform, label: "environment variable " + name}
		case o.forgiving:
			l.warn(name, "%v; it is not used", err)
		default:
			o.origin = origin{rank: byPlatform, label: "environment variable " + name}
			o.invalid = true
			l.problem(name, "%v", err)
		}
		return true
	}
	return false
}

// derive sets a default that depends on something else.
func (l *loader) derive(o *option, text, label string) {
	if err := o.fromText(text); err != nil {
		panic("config: default of " + o.name + ": " + err.Error())
	}
	o.origin = origin{rank: byDefault, label: label}
}

// dependentDefaults sets what follows from other options. Each step may use what the steps before it have set.
func (l *loader) dependentDefaults() {
	c := l.c
	if l.said("upstream-ip") && l.said("upstream-port") && l.upstreamIP != "" && l.upstreamPort != 0 {
		c.Upstream.Host = net.JoinHostPort(l.upstreamIP, strconv.Itoa(l.upstreamPort))
		host := l.option("upstream-host")
		host.origin = origin{rank: l.option("upstream-ip").origin.rank, label: "upstream-ip and upstream-port"}
	}
	c.Upstream.Set = l.said("upstream-host") || l.said("upstream-ip")
	c.Front.TrustedProxiesSet = l.said("trusted-proxies")
	c.OpenID.ProviderSet = l.said("openid.provider")

	l.fallBack("require-auth", strconv.FormatBool(len(c.Policy.Files) > 0), "default with policy-file", len(c.Policy.Files) > 0)
	guarded := len(c.Policy.Files) > 0 || c.Front.RequireAuth
	l.fallBack("bearer.providers", "all", "default with policy-file or require-auth", guarded)
	l.fallBack("bearer.providers", "none", "default", !guarded)
	c.Bearer.Set, c.Bearer.Accepted = l.said("bearer.providers"), c.resolveInbound()
	known := len(c.Policy.Files) > 0 || c.Front.RequireAuth || c.Bearer.Enabled()
	l.fallBack("identity.headers", "postern", "default with policy-file, require-auth or bearer validation", known) // S-36
	l.noHeaders()
	l.fallBack("session.cache-ttl", "0s", "default as SSO proxy", c.SSOProxy()) // S-49
	for _, name := range []string{otlpPrefix + "ENDPOINT", otlpPrefix + "TRACES_ENDPOINT", otlpPrefix + "METRICS_ENDPOINT"} {
		l.fallBack("otel.enabled", "true", "default with "+name, l.env[name] != "")
	}

	if c.TexasOnly() {
		l.fallBack("token.bind-address", "127.0.0.1:3000", "default as a Texas", true)
		l.fallBack("bind-address", "", "default as a Texas", true)
		l.fallBack("metrics-bind-address", "", "default as a Texas", true)
		l.fallBack("otel.service-name", "texas", "default as a Texas", true)
	}
	if len(c.Egress.Routes) == 0 {
		l.fallBack("egress.bind-address", "", "default without routes", true)
	}
}

// fallBack sets a default if its condition holds and neither the operator nor the platform said otherwise.
func (l *loader) fallBack(name, text, label string, condition bool) {
	if o := l.option(name); condition && o.origin.rank == byDefault {
		l.derive(o, text, label)
	}
}

// noHeaders turns the word none into no sets, and refuses it beside others.
func (l *loader) noHeaders() {
	headers := l.c.Identity.Headers
	for _, set := range headers {
		if set != "none" {
			continue
		}
		if len(headers) > 1 {
			l.problem("identity.headers", "none stands alone")
		}
		l.c.Identity.Headers = nil
		return
	}
}
