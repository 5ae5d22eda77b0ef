package config

// unsupported lists what can be said but not done yet. It is refused rather than ignored: an app must not run in the belief that it is
// guarded by something that is not there. Whoever builds a feature deletes its line.
func unsupported() []struct {
	option string
	asked  func(*Config) bool
} {
	return []struct {
		option string
		asked  func(*Config) bool
	}{
		{"sso.enabled", func(c *Config) bool { return c.SSO.Enabled }},
		{"session.forward-auth", func(c *Config) bool { return c.Session.ForwardAuth }},
		{"forward-auth.bind-address", func(c *Config) bool { return c.ForwardAuth.BindAddress != "" }},
		{"admin.bind-address", func(c *Config) bool { return c.Admin.BindAddress != "" }},
		{"audit.file", func(c *Config) bool { return c.Audit.File != "" }},
		{"stream-max-age", func(c *Config) bool { return c.Front.StreamMaxAge > 0 }},
		{"upstream-exposed", func(c *Config) bool { return c.Upstream.Exposed == "refuse" }},
	}
}

func (l *loader) refuseUnsupported() {
	for _, u := range unsupported() {
		if u.asked(l.c) {
			l.problem(u.option, "not in this version of postern")
		}
	}
	// What does no harm by being absent is a warning.
	const absent = "not in this version of postern, it has no effect"
	if l.c.Otel.Enabled {
		if l.said("otel.enabled") {
			l.warn("otel.enabled", absent)
		} else {
			l.warn("OTEL_EXPORTER_OTLP_ENDPOINT", absent)
		}
	}
	if l.c.Server.PprofEnabled { // S-42: on the admin listener, and there is none
		l.warn("pprof-enabled", absent)
	}
	if l.said("session.backchannel-logout") && l.c.Session.BackchannelLogout {
		l.warn("session.backchannel-logout", absent)
	}
	if l.c.Session.OutageGrace > 0 {
		l.warn("session.outage-grace", absent)
	}
}
