package session

import (
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
)

const defaultCache = 32 << 20

// cache keeps opened sessions, each under the fingerprint of the one cookie value that opened it (S-06): a ticket with the id of a session
// and another data key has another fingerprint, so it neither finds nor displaces what the owner's ticket opened.
//
// What is kept must never be older than what somebody else has just written or ended, so whoever is about to read or write the store asks
// for the generation first, and what they bring is only kept if nobody has written in between. A nil cache keeps nothing.
type cache struct {
	entries *otter.Cache[fingerprint, *opened]
	stripes [64]stripe
}

type stripe struct {
	mu         sync.Mutex
	generation uint64
}

func newCache(ttl time.Duration, maxBytes int64) *cache {
	if ttl <= 0 {
		return nil
	}
	if maxBytes <= 0 {
		maxBytes = defaultCache
	}
	return &cache{entries: otter.Must(&otter.Options[fingerprint, *opened]{
		MaximumWeight:    uint64(maxBytes),
		Weigher:          func(_ fingerprint, o *opened) uint32 { return o.weight() },
		ExpiryCalculator: otter.ExpiryWriting[fingerprint, *opened](ttl),
	})}
}

func (c *cache) get(print fingerprint) *opened {
	if c == nil {
		return nil
	}
	o, _ := c.entries.GetIfPresent(print)
	return o
}

func (c *cache) generation(print fingerprint) uint64 {
	if c == nil {
		return 0
	}
	s := c.stripe(print)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation
}

// keepRead keeps what was read from the store since the generation.
func (c *cache) keepRead(o *opened, since uint64) {
	if c == nil {
		return
	}
	s := c.stripe(o.ticket.cookie)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation == since {
		c.entries.Set(o.ticket.cookie, o)
	}
}

// keepWritten keeps what was written to the store since the generation. If somebody else wrote too, nobody here knows in which order, and
// the store will have to be asked.
func (c *cache) keepWritten(o *opened, since uint64) {
	if c == nil {
		return
	}
	s := c.stripe(o.ticket.cookie)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation == since {
		c.entries.Set(o.ticket.cookie, o)
	} else {
		c.entries.Invalidate(o.ticket.cookie)
	}
	s.generation++
}

// forget drops what is kept, and what is about to be.
func (c *cache) forget(print fingerprint) {
	if c == nil {
		return
	}
	s := c.stripe(print)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.entries.Invalidate(print)
	s.generation++
}

func (c *cache) stripe(print fingerprint) *stripe { return &c.stripes[int(print[0])%len(c.stripes)] }

func (c *cache) close() {
	if c != nil {
		c.entries.InvalidateAll()
		c.entries.StopAllGoroutines()
	}
}

const (
	unknownFor = time.Second // how long a ticket that was not found is not looked for again (S-47)
	maxUnknown = 8192
)

// unknowns remembers for a moment which tickets the store does not have. When it is full, further ones are asked for each time.
type unknowns struct {
	mu    sync.Mutex
	until map[fingerprint]time.Time
}

func (u *unknowns) has(print fingerprint, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	until, ok := u.until[print]
	if ok && !now.Before(until) {
		delete(u.until, print)
		return false
	}
	return ok
}

func (u *unknowns) add(print fingerprint, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.until) >= maxUnknown {
		for other, until := range u.until {
			if !now.Before(until) {
				delete(u.until, other)
			}
		}
	}
	if len(u.until) < maxUnknown {
		if u.until == nil {
			u.until = map[fingerprint]time.Time{}
		}
		u.until[print] = now.Add(unknownFor)
	}
}
