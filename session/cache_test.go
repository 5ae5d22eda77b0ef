package session

import (
	"testing"
	"time"
)

// What was read or written before somebody else wrote or ended the session must not be found afterwards.
func TestMemoryNeverHoldsWhatIsOlderThanTheStore(t *testing.T) {
	t.Parallel()
	type step func(c *cache, o *opened)
	keepRead := func(c *cache, o *opened, since uint64) { c.keepRead(o, since, time.Time{}) }
	keepWritten := func(c *cache, o *opened, since uint64) { c.keepWritten(o, since) }
	for name, test := range map[string]struct {
		keep      func(*cache, *opened, uint64)
		meanwhile step
		want      bool
	}{
		"read, nothing meanwhile":    {keepRead, func(*cache, *opened) {}, true},
		"read, ended meanwhile":      {keepRead, func(c *cache, o *opened) { c.forget(o.ticket.handle) }, false},
		"written, nothing meanwhile": {keepWritten, func(*cache, *opened) {}, true},
		"written, ended meanwhile":   {keepWritten, func(c *cache, o *opened) { c.forget(o.ticket.handle) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(time.Minute, 0, false)
			defer c.close()
			o := &opened{ticket: exampleTicket(t), light: true}
			since := c.generation(o.ticket.handle)
			test.meanwhile(c, o)
			test.keep(c, o, since)
			if got := c.get(o.ticket.cookie); (got == o) != test.want {
				t.Errorf("kept: %v, want %v", got == o, test.want)
			}
		})
	}
	c := newCache(time.Minute, 0, false)
	defer c.close()
	older, newer, latest := &opened{ticket: exampleTicket(t), light: true}, &opened{ticket: exampleTicket(t), light: true}, &opened{ticket: exampleTicket(t), light: true}
	print := older.ticket.cookie
	since := c.generation(older.ticket.handle)
	c.keepWritten(newer, since)
	if c.keepRead(older, since, time.Time{}); c.get(print) != newer {
		t.Error("what was read before a write displaced what was written")
	}
	if c.keepWritten(latest, since); c.get(print) != nil {
		t.Error("of two writes at a time one was kept, and nobody knows whether it was the later")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(time.Minute, 1<<20, false)
	defer c.close()
	for i := range 5000 {
		o := &opened{ticket: exampleTicket(t), light: true}
		o.ticket.cookie, o.ticket.handle = fingerprint{byte(i), byte(i >> 8)}, handle{byte(i), byte(i >> 8)}
		c.keepRead(o, c.generation(o.ticket.handle), time.Time{})
	}
	c.entries.CleanUp()
	if weight := c.entries.WeightedSize(); weight > 1<<20 {
		t.Errorf("%d bytes are kept, want at most %d", weight, 1<<20)
	}
	var u unknowns
	now := time.Unix(0, 0)
	for i := range 3 * maxUnknown {
		u.add(fingerprint{byte(i), byte(i >> 8), byte(i >> 16)}, now)
	}
	if len(u.until) > maxUnknown {
		t.Errorf("%d unknown tickets are remembered, want at most %d", len(u.until), maxUnknown)
	}
	if u.add(fingerprint{31: 1}, now.Add(unknownFor)); len(u.until) != 1 {
		t.Errorf("%d unknown tickets are remembered after their time", len(u.until))
	}
}
