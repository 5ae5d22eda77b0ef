package config

import (
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

func (l *loader) checkListeners() {
	s := &l.c.Server
	if s.BindAddress == "" && l.c.HasFrontDoor() {
		l.missing("bind-address", "must not be empty while there is a front door")
	}
	l.checkLoopback("token.bind-address", l.c.Token.BindAddress, l.c.TokenAPIEnabled())
	l.checkLoopback("egress.bind-address", l.c.Egress.BindAddress, len(l.c.Egress.Routes) > 0)

	taken := map[string]string{}
	for _, listener := range []struct {
		name, address string
		on            bool
	}{
		{"bind-address", s.BindAddress, true},
		{"metrics-bind-address", s.MetricsBindAddress, true},
		{"probe-bind-address", s.ProbeBindAddress, true},
		{"token.bind-address", l.c.Token.BindAddress, l.c.TokenAPIEnabled()},
		{"egress.bind-address", l.c.Egress.BindAddress, len(l.c.Egress.Routes) > 0},
		{"forward-auth.bind-address", l.c.ForwardAuth.BindAddress, true},
		{"admin.bind-address", l.c.Admin.BindAddress, true},
	} {
		if listener.address == "" || !listener.on {
			continue
		}
		if err := listenAddress(listener.address); err != nil {
			l.missing(listener.name, "%v", err)
			continue
		}
		if other, clash := taken[listener.address]; clash {
			l.problem(listener.name, "is the address of %s too", other)
		}
		if !strings.HasSuffix(listener.address, ":0") { // any free port
			taken[listener.address] = listener.name
		}
	}

	if s.ShutdownGraceful <= s.ShutdownWait {
		l.missing("shutdown-graceful-period", "must be longer than shutdown-wait-before-period")
	}
	if (s.TLSCertFile == "") != (s.TLSKeyFile == "") {
		l.problem("tls.cert-file", "needs tls.key-file, and the other way round")
	}
}

// listenAddress accepts host:port, with an empty host for every address, and unix:/path.
func listenAddress(address string) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if !filepath.IsAbs(path) || filepath.Clean(path) == "/" {
			return errors.New("must be unix: and an absolute path, such as unix:/run/postern.sock")
		}
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("must be host:port or unix:/path")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("must end in a port number")
	}
	return nil
}

func (l *loader) checkLimits() {
	limits := &l.c.Server.Limits
	if limits.HeaderBytes < 4<<10 {
		l.missing("limits.header-bytes", "must be at least 4KiB")
	}
	if limits.HeaderTime == 0 {
		l.missing("limits.header-time", "must be longer than 0s")
	}
	if limits.IdleTime == 0 {
		l.missing("limits.idle-time", "must be longer than 0s")
	}
	if limits.BodyBytes < 16<<10 {
		l.missing("limits.body-bytes", "must be at least 16KiB")
	}
	if limits.TokenAPIBytes < 16<<10 {
		l.missing("limits.token-api-bytes", "must be at least 16KiB")
	}
	if r := &l.c.RateLimit; r.Enabled && r.Logins == 0 {
		l.missing("ratelimit.logins", "must be at least 1; ratelimit.enabled=false switches the limit off")
	}
	if r := &l.c.RateLimit; r.Enabled && r.Window == 0 {
		l.missing("ratelimit.window", "must be longer than 0s")
	}
}
