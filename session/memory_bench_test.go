package session

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"runtime"
	"testing"
	"time"

	"postern/config"
	"postern/oidc"
)

// typicalRecord is a caseworker's session of Entra ID: 2.3 kB in the store. No two share a byte of memory.
func typicalRecord(tb testing.TB, n int) record {
	tb.Helper()
	text := func(length int) string {
		return base64.RawURLEncoding.EncodeToString(bytes.Repeat(fmt.Appendf(nil, "%08d", n), length/8))
	}
	claims := fmt.Sprintf(`{"aud":"5f1d7c1e-8f0a-4d53-9d0c-6a1f0f7f3b10","iss":"https://login.microsoftonline.com/7d1a4a5e/v2.0","iat":1795364634,`+
		`"exp":1795368234,"groups":["43451d82-19cd-4828-918d-cbf7d5b572ec"],"name":"Kari Saksbehandler %d","nonce":"%s","NAVident":"Z%06d",`+
		`"oid":"0b8e6d2e-7d61-4c1b-8bd2-%012d","preferred_username":"kari.%d@example.org","sid":"%s","sub":"subject-%d","tid":"7d1a4a5e","ver":"2.0"}`,
		n, text(32), n, n, n, text(16), n)
	encode := base64.RawURLEncoding.EncodeToString
	id := encode([]byte(`{"alg":"RS256","kid":"abc","typ":"JWT"}`)) + "." + encode([]byte(claims)) + "." + text(256)
	now := time.Now()
	return record{
		created: now, ends: now.Add(10 * time.Hour), refreshed: now, expiry: now.Add(time.Hour),
		access: oidc.NewToken(text(500)), refresh: oidc.NewToken(text(250)), id: oidc.NewToken(id),
		provider: oidc.EntraID, claims: claims, granted: `{"scp":"defaultaccess"}`, sid: text(16),
	}
}

// readTypical reads such a session as if it came from the store, so that it holds on to what a real one holds on to.
func readTypical(tb testing.TB, m *Manager, n int) (stored int) {
	tb.Helper()
	t, _, err := m.tickets.issue(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	written := typicalRecord(tb, n)
	value, err := m.seal(t, &written)
	if err != nil {
		tb.Fatal(err)
	}
	r, revision, err := openRecord(t, value)
	if err != nil {
		tb.Fatal(err)
	}
	o, err := m.newOpened(t, revision, r, nil)
	if err != nil {
		tb.Fatal(err)
	}
	m.cache.keepRead(o, m.cache.generation(t.handle), o.read)
	return len(value)
}

func cacheOf(tb testing.TB, bound int64) *Manager {
	tb.Helper()
	ring, err := NewKeyRing([]config.Secret{config.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)))})
	if err != nil {
		tb.Fatal(err)
	}
	store := NewMemoryStore(0, Deps{})
	m := NewManager(ManagerConfig{
		Session:    config.Session{MaxLifetime: 10 * time.Hour, CacheTTL: time.Hour},
		CookieName: "__Host-postern.session", Provider: oidc.EntraID, CacheBytes: bound,
	}, ring, store, nil, Deps{})
	tb.Cleanup(func() {
		_ = m.Close(tb.Context()) // its context is over: there is nothing to wait for
		_ = store.Close()
	})
	return m
}

// The issue's figure: 100 000 sessions of 2.3 kB take less than 350 MB of live heap, and what the cache believes they take is about that.
func BenchmarkMemoryOf100000Sessions(b *testing.B) {
	const sessions, most = 100_000, 350_000_000
	for b.Loop() {
		m := cacheOf(b, 1<<30)
		before, stored := liveHeap(), 0
		for n := range sessions {
			stored += readTypical(b, m, n)
		}
		m.cache.entries.CleanUp()
		used, believed := liveHeap()-before, m.cache.entries.WeightedSize()
		b.ReportMetric(float64(used)/1e6, "MB")
		b.ReportMetric(float64(stored)/sessions, "B/stored")
		b.ReportMetric(float64(believed)/float64(used), "estimate/real")
		switch kept := m.cache.entries.EstimatedSize(); {
		case kept != sessions:
			b.Fatalf("%d sessions are kept", kept)
		case used > most:
			b.Fatalf("%d bytes of live heap, want at most %d", used, most)
		case believed < used*9/10:
			b.Fatalf("the cache believes that it holds %d bytes and holds %d: its bound is none", believed, used)
		}
		runtime.KeepAlive(m)
	}
}

// The bound of the cache is one of real bytes, whatever comes.
func TestMemoryOfSessionsStaysWithinItsBound(t *testing.T) {
	const bound = 8 << 20
	m := cacheOf(t, bound)
	before := liveHeap()
	for n := range 4 * bound / 2300 {
		readTypical(t, m, n)
	}
	m.cache.entries.CleanUp()
	if used := liveHeap() - before; used > bound*5/4 || m.cache.entries.WeightedSize() > bound || m.cache.entries.EstimatedSize() < 1000 {
		t.Errorf("%d sessions take %d bytes of live heap, the bound is %d", m.cache.entries.EstimatedSize(), used, bound)
	}
	runtime.KeepAlive(m)
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
