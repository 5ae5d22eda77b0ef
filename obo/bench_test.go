package obo

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"postern/oidc"
)

func BenchmarkCachedMachineToken(b *testing.B) {
	broker := newTestBroker(b, Config{}, &idp{name: oidc.EntraID, answer: numbered(3600)})
	benchmarkHits(b, func() error {
		_, err := broker.Machine(b.Context(), Request{Provider: oidc.EntraID, Target: "dev-gcp:team:app"})
		return err
	})
}

func BenchmarkCachedExchange(b *testing.B) {
	broker := newTestBroker(b, Config{}, &idp{name: oidc.TokenX, answer: numbered(3600)})
	user := strings.Repeat("u", 1500)
	benchmarkHits(b, func() error {
		_, err := broker.Exchange(b.Context(), Request{Provider: oidc.TokenX, Target: "dev-gcp:team:app", UserToken: user})
		return err
	})
}

func benchmarkHits(b *testing.B, ask func() error) {
	b.Helper()
	if err := ask(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := ask(); err != nil {
			b.Fatal(err)
		}
	}
}

// A quarter of a million tokens of 1 KiB are held to 450 MB of live heap, and to their bound.
func BenchmarkMemoryOf250000TokensOf1KiB(b *testing.B) {
	const tokens, most = 250_000, 450 << 20
	for b.Loop() {
		before := liveHeap()
		c := newCache(1<<30, time.Now)
		now := time.Now()
		for i := range tokens {
			k := key(sha256.Sum256(fmt.Append(nil, i)))
			c.keep(k, newEntry(machine, oidc.TokenResponse{
				Tokens: oidc.Tokens{Access: oidc.NewToken(fmt.Sprintf("%01024d", i))}, ExpiresIn: time.Hour,
			}, now))
		}
		c.entries.CleanUp()
		used := liveHeap() - before
		b.ReportMetric(float64(used)/(1<<20), "MiB")
		b.ReportMetric(float64(c.size())/float64(used), "estimate/real")
		switch kept := c.entries.EstimatedSize(); {
		case kept != tokens:
			b.Fatalf("%d tokens are kept", kept)
		case used > most:
			b.Fatalf("%d bytes of live heap", used)
		}
		runtime.KeepAlive(c)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The bound of the cache holds whatever comes.
func TestCacheStaysWithinItsBound(t *testing.T) {
	t.Parallel()
	const bound = 1 << 20
	p := &idp{name: oidc.EntraID, answer: func(int, url.Values) (int, string) {
		return http.StatusOK, `{"access_token":"` + strings.Repeat("a", 8<<10) + `","token_type":"Bearer","expires_in":3600}`
	}}
	b := newTestBroker(t, Config{CacheBytes: bound}, p)
	for i := range 400 {
		if _, err := b.Machine(t.Context(), Request{Provider: oidc.EntraID, Target: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	b.cache.entries.CleanUp()
	if n := b.Cached(false); n != b.cache.entries.EstimatedSize() || n == 0 || b.Cached(true) != 0 {
		t.Errorf("%d tokens are counted, %d are kept", n, b.cache.entries.EstimatedSize())
	}
	if size := b.cache.size(); size > bound || size < bound/2 {
		t.Errorf("%d bytes are kept, the bound is %d", size, bound)
	}
}
