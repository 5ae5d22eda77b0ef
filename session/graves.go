package session

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxGraves bounds what is remembered of ended sessions: some 20 MiB.
const maxGraves = 1 << 16

// graves are the sessions that have ended, each until it would have ended anyway. A store that fell back to an older state, or was asked
// just before it deleted the record, cannot bring one back to a replica that has heard of its end (S-08).
type graves struct {
	count atomic.Int64
	mu    sync.RWMutex
	of    map[handle]event
}

func (g *graves) has(h handle) bool {
	if g.count.Load() == 0 {
		return false
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	_, found := g.of[h]
	return found
}

// add returns false for one that is known, or over.
func (g *graves) add(e event, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.of[e.handle]; known || !now.Before(e.ends) {
		return false
	}
	if len(g.of) >= maxGraves {
		g.makeRoom(now)
	}
	if g.of == nil {
		g.of = map[handle]event{}
	}
	g.of[e.handle] = e
	g.count.Store(int64(len(g.of)))
	return true
}

// all is the ones that are not over.
func (g *graves) all(now time.Time) (events []event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweep(now)
	for _, e := range g.of {
		events = append(events, e)
	}
	return events
}

// makeRoom drops what is over, else some of the others.
func (g *graves) makeRoom(now time.Time) {
	g.sweep(now)
	for h := range g.of {
		if len(g.of) < maxGraves-maxGraves/16 {
			return
		}
		delete(g.of, h)
	}
}

func (g *graves) sweep(now time.Time) {
	for h, e := range g.of {
		if !now.Before(e.ends) {
			delete(g.of, h)
		}
	}
	g.count.Store(int64(len(g.of)))
}
