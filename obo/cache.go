package obo

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"postern/oidc"
)

const (
	defaultCache = 32 << 20
	entryBytes   = 256              // of an entry beside the token itself: key, times, the cache's own books; as measured
	longMargin   = 2 * time.Minute  // life that a token from the cache has left at least, if it had more than that to begin with
	leastLeft    = 10 * time.Second // the same while the provider is in trouble
	renewalPause = 10 * time.Second // between two tries to renew ahead
)

// entry is one token that was bought.
type entry struct {
	use     use
	access  string
	expiry  time.Time
	userEnd time.Time     // of the user token that bought it; zero: none, or not known
	life    time.Duration // when it was new
	renewal atomic.Int64  // when it may be renewed ahead next, in nanoseconds since 1970
}

func newEntry(use use, answer oidc.TokenResponse, now time.Time) *entry {
	return &entry{use: use, access: answer.Access.Raw(), life: answer.ExpiresIn, expiry: now.Add(answer.ExpiresIn)}
}

// margin is the life that must be left for a token to be handed out again: Texas' rule, so that apps see what they are used to.
func (e *entry) margin() time.Duration {
	if e.life > longMargin {
		return longMargin
	}
	return e.life / 2
}

// fresh says whether the token may be handed out as it is.
func (e *entry) fresh(now time.Time) bool { return e.leaves(e.margin(), now) }

// lasts says whether the token will do while no other can be had.
func (e *entry) lasts(now time.Time) bool { return e.leaves(leastLeft, now) }

func (e *entry) leaves(left time.Duration, now time.Time) bool {
	return !now.Add(left).After(e.expiry) && !e.endedForUser(now)
}

// endedForUser says whether the user token has less than a second left: no whole one to hand out (tokens are counted in them).
func (e *entry) endedForUser(now time.Time) bool {
	return !e.userEnd.IsZero() && now.Add(time.Second).After(e.userEnd)
}

// renewNow says, to one caller at a time, that the token is in its last fifth before its margin and still asked for.
func (e *entry) renewNow(now time.Time) bool {
	if now.Add(e.margin() + e.life/5).Before(e.expiry) {
		return false
	}
	due := e.renewal.Load()
	return now.UnixNano() >= due && e.renewal.CompareAndSwap(due, now.Add(renewalPause).UnixNano())
}

func (e *entry) token(now time.Time) Token {
	end := e.expiry
	if !e.userEnd.IsZero() && e.userEnd.Before(end) {
		end = e.userEnd
	}
	return Token{Access: oidc.NewToken(e.access), ExpiresIn: int64(end.Sub(now) / time.Second), Cached: true}
}

// cache holds tokens up to a weight in bytes. Whether one may be handed out is for the entry to say.
type cache struct {
	entries             *otter.Cache[key, *entry]
	machines, exchanges atomic.Int64 // how many there are of each use
}

func newCache(maxBytes int64, now func() time.Time) *cache {
	if maxBytes <= 0 {
		maxBytes = defaultCache
	}
	c := &cache{}
	c.entries = otter.Must(&otter.Options[key, *entry]{
		MaximumWeight: uint64(maxBytes),
		Weigher: func(_ key, e *entry) uint32 {
			return uint32(min(int64(len(e.access))+entryBytes, math.MaxUint32))
		},
		ExpiryCalculator: otter.ExpiryWritingFunc(func(kept otter.Entry[key, *entry]) time.Duration {
			return max(kept.Value.life, time.Second)
		}),
		Clock:            clock(now),
		OnAtomicDeletion: func(gone otter.DeletionEvent[key, *entry]) { c.count(gone.Value.use).Add(-1) }, // replaced ones too
	})
	return c
}

func (c *cache) count(use use) *atomic.Int64 {
	if use == onBehalf {
		return &c.exchanges
	}
	return &c.machines
}

func (c *cache) get(k key) *entry {
	e, _ := c.entries.GetIfPresent(k)
	return e
}

func (c *cache) keep(k key, e *entry) {
	if e.life > 0 {
		c.count(e.use).Add(1)
		c.entries.Set(k, e)
	}
}

func (c *cache) drop(k key) { c.entries.Invalidate(k) }

// size is in the unit of the bound: bytes, estimated.
func (c *cache) size() uint64 { return c.entries.WeightedSize() }

// clock makes the cache tell the time by ours, and forgo a goroutine of its own: what has ended is cleared away when something is kept.
type clock func() time.Time

// NowNano implements [otter.Clock].
func (c clock) NowNano() int64 { return c().UnixNano() }

// Tick implements [otter.Clock]; nil means that there are no ticks.
func (clock) Tick(time.Duration) <-chan time.Time { return nil }
