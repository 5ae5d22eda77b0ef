package config

import (
	"net"
	"strings"
)

// checkForwardAuth looks at who may ask on whose behalf, and what for (S-16).
func (l *loader) checkForwardAuth() {
	f, s := &l.c.ForwardAuth, &l.c.Session
	if s.ForwardAuthSetHeaders && !s.ForwardAuth {
		l.problem("session.forward-auth-set-headers", "needs session.forward-auth")
	}
	if s.ForwardAuth && !l.c.LoginEnabled() {
		l.warn("session.forward-auth", "has no effect: login is off")
	}
	l.checkSecretFile("forward-auth.secret-file", f.SecretFile)
	switch {
	case f.BindAddress != "" && !l.c.LoginEnabled() && !l.c.Bearer.Enabled() && !l.offline && !l.refused("bearer.providers"):
		l.problem("forward-auth.bind-address", "needs login or bearer validation: everybody would be refused")
	case f.BindAddress != "" && f.SecretFile == "" && !onThisMachine(f.BindAddress):
		l.warn("forward-auth.bind-address", "whoever reaches it is told what apps are told, tokens included: only the ingress controller may "+
			"(a NetworkPolicy, or forward-auth.secret-file)")
	case f.BindAddress == "" && f.SecretFile != "" && !l.c.LoginEnabled():
		l.problem("forward-auth.secret-file", "needs login or forward-auth.bind-address: there is no endpoint that would ask for it")
	}
}

// checkAdmin is S-31: whoever may end everybody's session proves it, and not in clear over a network.
func (l *loader) checkAdmin() {
	a := &l.c.Admin
	l.checkSecretFile("admin.token-file", a.TokenFile)
	if a.BindAddress == "" {
		if a.TokenFile != "" {
			l.warn("admin.token-file", "has no effect without admin.bind-address")
		}
		if l.c.Server.PprofEnabled { // S-42
			l.warn("pprof-enabled", "has no effect without admin.bind-address, which is where profiles are served")
		}
		return
	}
	if a.TokenFile == "" && !strings.HasPrefix(a.BindAddress, "unix:") {
		l.missing("admin.token-file", "required, unless admin.bind-address is unix:/path")
	}
	if !onThisMachine(a.BindAddress) && l.c.Server.TLSCertFile == "" {
		l.problem("admin.bind-address", "must be on loopback, or unix:/path, unless tls.cert-file is given: the token must not be sent in clear")
	}
	if !l.c.LoginEnabled() && !l.c.Server.PprofEnabled {
		l.warn("admin.bind-address", "serves nothing: login is off, so there are no sessions, and pprof-enabled is too")
	}
}

// onThisMachine says whether a listener can be reached from this machine only. What is no address is a problem elsewhere.
func onThisMachine(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	return err != nil || LoopbackHost(host)
}
