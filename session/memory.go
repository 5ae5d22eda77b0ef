package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	defaultMemory = 64 << 20
	entryOverhead = 160 // bytes of map and header for one entry, roughly
	sweepEvery    = time.Minute
)

// errFull says that nothing more fits. Nobody's session is dropped to make room: whoever is logged in stays so, and the next login has to
// wait until another session ends.
var errFull = errors.New("memory for sessions is full")

// MemoryStore keeps sessions in the process: they end with it, and no other replica sees them.
type MemoryStore struct {
	now    func() time.Time
	limit  int64
	closed chan struct{}
	close  func()

	mu      sync.Mutex
	entries map[string]memoryEntry
	sets    map[string]map[string]time.Time
	bytes   int64
	marks   int64 // part of bytes that marks take
	stored  int   // sessions
}

type memoryEntry struct {
	value []byte // nil for a mark
	ends  time.Time
}

// NewMemoryStore makes a store that holds at most so many bytes; 0 means 64 MiB. Marks take at most a quarter of them, so that logins that
// were only started cannot keep out those who are logged in. Close it to stop its sweeper.
func NewMemoryStore(maxBytes int64, d Deps) *MemoryStore {
	if maxBytes <= 0 {
		maxBytes = defaultMemory
	}
	closed := make(chan struct{})
	s := &MemoryStore{
		now: d.withDefaults().Now, limit: maxBytes, entries: map[string]memoryEntry{}, sets: map[string]map[string]time.Time{},
		closed: closed, close: sync.OnceFunc(func() { close(closed) }),
	}
	s.showState(d.Registerer)
	go s.sweepUntilClosed()
	return s
}

func (s *MemoryStore) showState(to prometheus.Registerer) {
	read := func(what func() float64) func() float64 {
		return func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return what()
		}
	}
	register(to, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "postern_sessions_stored", Help: "Sessions in memory, where no Redis is configured. Those that have run out count until they are swept.",
	}, read(func() float64 { return float64(s.stored) })), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "postern_session_memory_bytes", Help: "Memory that the store of sessions takes, where no Redis is configured; what is in use of cache.max-memory.",
	}, read(func() float64 { return float64(s.bytes) })))
}

// Close stops the sweeper. The store still answers.
func (s *MemoryStore) Close() error {
	s.close()
	return nil
}

// Ping always succeeds.
func (s *MemoryStore) Ping(context.Context) error { return nil }

// Create implements [Store].
func (s *MemoryStore) Create(_ context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := memoryEntry{value: value, ends: s.now().Add(ttl)}
	if !s.roomFor(cost(key, e), s.limit) {
		return &StoreError{Op: "create session", Err: errFull}
	}
	s.put(key, e)
	return nil
}

// Read implements [Store].
func (s *MemoryStore) Read(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.live(key)
	if !ok {
		return nil, ErrNotFound
	}
	return e.value, nil
}

// Replace implements [Store]. It is never refused for want of room: a renewed record is hardly longer than the one before.
func (s *MemoryStore) Replace(_ context.Context, key string, old Revision, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.live(key)
	switch {
	case !ok:
		return ErrNotFound
	case len(e.value) < RevisionSize || Revision(e.value) != old:
		return ErrConflict
	}
	e.value = value
	s.put(key, e)
	return nil
}

// Delete implements [Store].
func (s *MemoryStore) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(key)
	return nil
}

// Mark implements [Store].
func (s *MemoryStore) Mark(_ context.Context, key string, ttl time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.live(key); ok {
		return false, nil
	}
	e := memoryEntry{ends: s.now().Add(ttl)}
	if s.marks+cost(key, e) > s.limit/4 {
		s.sweep()
	}
	if s.marks+cost(key, e) > s.limit/4 || !s.roomFor(cost(key, e), s.limit) {
		return false, &StoreError{Op: "mark", Err: errFull}
	}
	s.put(key, e)
	return true, nil
}

func (s *MemoryStore) live(key string) (memoryEntry, bool) {
	e, ok := s.entries[key]
	if ok && !s.now().Before(e.ends) {
		s.remove(key)
		return memoryEntry{}, false
	}
	return e, ok
}

func (s *MemoryStore) put(key string, e memoryEntry) {
	s.remove(key)
	s.entries[key] = e
	s.account(key, e, 1)
}

func (s *MemoryStore) remove(key string) {
	if e, ok := s.entries[key]; ok {
		delete(s.entries, key)
		s.account(key, e, -1)
	}
}

func (s *MemoryStore) account(key string, e memoryEntry, sign int64) {
	s.bytes += sign * cost(key, e)
	if e.value == nil {
		s.marks += sign * cost(key, e)
	} else {
		s.stored += int(sign)
	}
}

func cost(key string, e memoryEntry) int64 { return int64(len(key) + len(e.value) + entryOverhead) }

// roomFor drops what has expired if that is needed, and nothing else.
func (s *MemoryStore) roomFor(bytes, limit int64) bool {
	if s.bytes+bytes > limit {
		s.sweep()
	}
	return s.bytes+bytes <= limit
}

func (s *MemoryStore) sweep() {
	now := s.now()
	for key, e := range s.entries {
		if !now.Before(e.ends) {
			s.remove(key)
		}
	}
	for set := range s.sets {
		s.sweepSet(set)
	}
}

func (s *MemoryStore) sweepUntilClosed() {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.closed:
			return
		case <-ticker.C:
			s.mu.Lock()
			s.sweep()
			s.mu.Unlock()
		}
	}
}
