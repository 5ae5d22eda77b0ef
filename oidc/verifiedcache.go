package oidc

import (
	"crypto/sha256"
	"math"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"

	"postern/oidc/meter"
)

const defaultVerifiedCache = 32 << 20

// verified is what was found out about one token, and what it depends on. What each request reads comes last, beside the [Identity].
type verified struct {
	key       *verificationKey // that signed it
	announced string           // issuer of the metadata
	answer    []byte           // of an introspection, instead of the identity
	weight    uint32

	until    int64 // seconds since 1970: the end of the token, with leeway
	from     *acceptance
	identity *Identity
	seen     atomic.Pointer[snapshot] // keys and metadata in which key and issuer were found last
	used     atomic.Int64             // when the cache heard last of it, in [usedEvery] since 1970
}

// verifiedBearer is what is kept of a bearer token, in one piece of memory: each part is wanted with the other, and thousands are kept, of whom
// each is in no processor's cache when it comes again.
type verifiedBearer struct {
	verified

	bearer Identity
}

// stillGood says whether what was verified once still holds: the token lives, and the key that signed it is one of the provider's (a
// withdrawn one takes its tokens with it at once, GO-2025-3376). An error is trouble with the keys: they are too old to say so (S-34).
func (e *verified) stillGood(now time.Time) (bool, error) {
	if now.Unix() > e.until {
		return false, nil
	}
	current := e.from.Provider.state.Load() // there was one when the token was verified, and there will always be one
	if err := e.from.Provider.keysTrouble(current, now); err != nil {
		return false, err
	}
	if e.seen.Load() == current {
		return true, nil
	}
	if current.metadata.Issuer != e.announced || !current.keys.holds(e.key) {
		return false, nil
	}
	e.seen.Store(current)
	return true, nil
}

// verifiedCache remembers good tokens, never bad ones, up to a weight in bytes. Nothing in it is believed without [verified.stillGood].
type verifiedCache struct {
	entries  *otter.Cache[verifiedKey, *verified]
	clock    *cacheClock
	hash     *verifiedHash
	settings [sha256.Size]byte
}

func newVerifiedCache(settings [sha256.Size]byte, maxBytes int64, now func() time.Time) *verifiedCache {
	if maxBytes <= 0 {
		maxBytes = defaultVerifiedCache
	}
	clock := &cacheClock{start: now()}
	return &verifiedCache{clock: clock, hash: newVerifiedHash(), settings: settings, entries: otter.Must(&otter.Options[verifiedKey, *verified]{
		MaximumWeight: uint64(maxBytes),
		Weigher:       func(_ verifiedKey, e *verified) uint32 { return e.weight },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(entry otter.Entry[verifiedKey, *verified]) time.Duration {
			left := min(entry.Value.until-now().Unix()+1, int64(math.MaxInt64/time.Second)/2)
			return time.Duration(max(left, 1)) * time.Second
		}),
		Clock:    clock,
		Executor: func(task func()) { task() }, // they are short: a goroutine for each would cost more than they do
	})}
}

// under is the same memory under other settings.
func (c *verifiedCache) under(settings [sha256.Size]byte) *verifiedCache {
	other := *c
	other.settings = settings
	return &other
}

func (c *verifiedCache) keyOf(raw string) verifiedKey { return c.hash.of(&c.settings, raw) }

// usedEvery is how often the cache is told that an entry is in use, for it to choose well whom to evict: each time would cost as much as to find it.
const usedEvery = 16 * time.Second

// get is nil unless that very token is there.
func (c *verifiedCache) get(key verifiedKey, now time.Time) *verified {
	c.clock.moveOn(now)
	e, there := c.entries.GetEntryQuietly(key)
	if !there {
		return nil
	}
	if used := now.Unix() / int64(usedEvery/time.Second); e.Value.used.Load() != used {
		e.Value.used.Store(used)
		_, _ = c.entries.GetIfPresent(key)
	}
	return e.Value
}

func (c *verifiedCache) keep(key verifiedKey, e *verified) { c.entries.Set(key, e) }

func (c *verifiedCache) drop(key verifiedKey) { c.entries.Invalidate(key) }

// size is in the unit of the bound: bytes, estimated.
func (c *verifiedCache) size() uint64 { return c.entries.WeightedSize() }

// metrics shows the cache under a name.
func (c *verifiedCache) metrics(to prometheus.Registerer, name string) *meter.Cache {
	return meter.NewCache(to, name, func() int { return int(c.size()) }, c.entries.EstimatedSize) // #nosec G115 -- at most the bound
}

// weightOf is what an entry keeps alive, as measured: the claims, the texts of the caller that were taken out of them, the headers
// that are made of both (see [Identity.Memo]), and what the cache needs for an entry.
func weightOf(jwt compactJWT) uint32 { return uint32(2<<10 + 3*len(jwt.payload)) }

// cacheClock makes the cache tell the time by that of requests, in seconds, and forgo a goroutine of its own: to look at the clock would be a good
// part of finding an entry. What has ended is cleared away when something is kept.
type cacheClock struct {
	start  time.Time
	passed atomic.Int64 // seconds since then
}

func (c *cacheClock) moveOn(now time.Time) {
	if passed := int64(now.Sub(c.start) / time.Second); passed > c.passed.Load() {
		c.passed.Store(passed)
	}
}

// NowNano implements [otter.Clock].
func (c *cacheClock) NowNano() int64 { return c.passed.Load() * int64(time.Second) }

// Tick implements [otter.Clock]; nil means that there are no ticks.
func (*cacheClock) Tick(time.Duration) <-chan time.Time { return nil }
