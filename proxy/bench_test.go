package proxy

import (
	"net/http"
	"testing"

	"postern/config"
	"postern/oidc"
)

func BenchmarkIdentityWrite(b *testing.B) {
	for name, sets := range map[string][]string{"postern": {"postern"}, "all": {"postern", "claims", "oauth2-proxy", "easyauth"}} {
		b.Run(name, func(b *testing.B) {
			w := newIdentityHeaders(config.Identity{Headers: sets, MaxBytes: 6 << 10})
			id := sessionIdentity(b, oidc.EntraID, entraClaims)
			h, room := http.Header{}, headerTexts{}
			b.ReportAllocs()
			for b.Loop() {
				w.write(h, &room, id, "session", "access-token")
			}
		})
	}
}

// BenchmarkIdentityDerive is what is made once a caller.
func BenchmarkIdentityDerive(b *testing.B) {
	w := newIdentityHeaders(config.Identity{Headers: []string{"postern"}, MaxBytes: 6 << 10})
	id := sessionIdentity(b, oidc.EntraID, entraClaims)
	b.ReportAllocs()
	for b.Loop() {
		w.valuesOf(id)
	}
}

func TestIdentityWriteAllocates(t *testing.T) {
	for want, sets := range map[float64][]string{0: {"postern", "claims"}, 2: {"postern", "claims", "oauth2-proxy", "easyauth"}} {
		w := newIdentityHeaders(config.Identity{Headers: sets, MaxBytes: 6 << 10})
		id := sessionIdentity(t, oidc.EntraID, entraClaims)
		h, room := http.Header{}, headerTexts{}
		w.write(h, &room, id, "session", "access-token")
		if got := testing.AllocsPerRun(100, func() { w.write(h, &room, id, "session", "access-token") }); got > want {
			t.Errorf("%v: %v allocations; want at most %v", sets, got, want)
		}
	}
}
