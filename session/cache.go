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
	keepID  bool
}

// stripe is what is known of a share of the sessions.
type stripe struct {
	mu         sync.Mutex
	generation uint64
	prints     map[handle]fingerprint // of what is kept
}

func newCache(ttl time.Duration, maxBytes int64, keepID bool) *cache {
	if ttl <= 0 {
		return nil
	}
	if maxBytes <= 0 {
		maxBytes = defaultCache
	}
	c := &cache{keepID: keepID}
	for i := range c.stripes {
		c.stripes[i].prints = map[handle]fingerprint{}
	}
	c.entries = otter.Must(&otter.Options[fingerprint, *opened]{
		MaximumWeight:    uint64(maxBytes),
		Weigher:          func(_ fingerprint, o *opened) uint32 { return o.weight() },
		ExpiryCalculator: otter.ExpiryWriting[fingerprint, *opened](ttl),
		OnDeletion:       c.dropped,
	})
	return c
}

func (c *cache) get(print fingerprint) *opened {
	if c == nil {
		return nil
	}
	o, _ := c.entries.GetIfPresent(print)
	return o
}

// bytes is in the unit of the bound, estimated.
func (c *cache) bytes() int {
	if c == nil {
		return 0
	}
	return int(c.entries.WeightedSize()) // #nosec G115 -- at most the bound
}

func (c *cache) count() int {
	if c == nil {
		return 0
	}
	return c.entries.EstimatedSize()
}

func (c *cache) generation(h handle) uint64 {
	if c == nil {
		return 0
	}
	s := c.stripe(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation
}

// keepRead keeps what was read from the store since the generation, and returns it as of the time of reading.
func (c *cache) keepRead(o *opened, since uint64, at time.Time) *opened {
	if c == nil {
		return o
	}
	if !o.read.Equal(at) {
		again := *o
		again.read = at
		o = &again
	}
	s := c.stripe(o.ticket.handle)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation == since {
		c.set(s, o)
	}
	return o
}

// keepWritten keeps what was written to the store since the generation. If somebody else wrote too, nobody here knows in which order, and
// the store will have to be asked.
func (c *cache) keepWritten(o *opened, since uint64) {
	if c == nil {
		return
	}
	s := c.stripe(o.ticket.handle)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation == since {
		c.set(s, o)
	} else {
		c.entries.Invalidate(o.ticket.cookie)
	}
	s.generation++
}

func (c *cache) set(s *stripe, o *opened) {
	s.prints[o.ticket.handle] = o.ticket.cookie
	c.entries.Set(o.ticket.cookie, o.lighten(c.keepID))
}

// forget drops what is kept of a session, and what is about to be.
func (c *cache) forget(h handle) { c.forgetUnless(h, Revision{}) }

// forgetUnless drops what is kept of a session unless it is of that revision, and whatever is about to be kept.
func (c *cache) forgetUnless(h handle, written Revision) {
	if c == nil {
		return
	}
	s := c.stripe(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	if print, kept := s.prints[h]; kept {
		if o, _ := c.entries.GetIfPresent(print); o == nil || written == (Revision{}) || o.revision != written {
			c.entries.Invalidate(print)
		}
	}
}

// forgetAll drops everything.
func (c *cache) forgetAll() {
	if c == nil {
		return
	}
	for i := range c.stripes {
		s := &c.stripes[i]
		s.mu.Lock()
		s.generation++
		for _, print := range s.prints {
			c.entries.Invalidate(print)
		}
		s.mu.Unlock()
	}
}

// dropped is told of what is not kept any more, some time later.
func (c *cache) dropped(e otter.DeletionEvent[fingerprint, *opened]) {
	if e.Cause == otter.CauseReplacement {
		return
	}
	h := e.Value.ticket.handle
	s := c.stripe(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := c.entries.GetIfPresent(e.Key); !again {
		delete(s.prints, h)
	}
}

func (c *cache) stripe(h handle) *stripe { return &c.stripes[int(h[0])%len(c.stripes)] }

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
