package main

import (
	"net"
	"runtime"
	"sync"

	"postern/obo/guard"
	"postern/proxy/admin"
)

const adminOption = "admin.bind-address"

// addAdmin builds the operator's way to sessions and profiles (S-31). Without login there are only profiles.
func (s *sidecar) addAdmin() error {
	cfg := &s.cfg
	if cfg.Admin.BindAddress == "" {
		return nil
	}
	token, err := s.secretOf("admin.token-file", cfg.Admin.TokenFile)
	if err != nil {
		return err
	}
	deps := admin.Deps{
		Guard: guard.New(guard.Config{
			AllowRemote: !loopbackAddress(cfg.Admin.BindAddress), AllowedHosts: cfg.Token.AllowedHosts, Secret: token,
		}),
		Log: s.log, Audit: s.audit, Registerer: s.registry,
	}
	if s.sessions != nil {
		deps.Sessions = s.sessions
	}
	if cfg.Server.PprofEnabled {
		sampleHeap()
	}
	s.admin = admin.New(admin.Config{Profiles: cfg.Server.PprofEnabled, BodyBytes: cfg.Server.Limits.BodyBytes}, deps)
	return nil
}

// sampleHeap records one allocation of every so many bytes, Go's own choice, for the heap profile. Where nobody may ask for it that would be a
// hundredth of all the CPU for nothing, so that main turns it off first.
var sampleHeap = sync.OnceFunc(func() { runtime.MemProfileRate = 512 << 10 })

// secureAdmin speaks TLS where others than this machine could listen in.
func (s *sidecar) secureAdmin(l net.Listener) (net.Listener, error) {
	if loopbackAddress(s.cfg.Admin.BindAddress) {
		return l, nil
	}
	return withTLS(l, &s.cfg.Server)
}
