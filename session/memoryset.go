package session

import (
	"context"
	"slices"
	"strings"
	"time"
)

const memberOverhead = 100 // bytes of map and times for one member, roughly

// Add implements [Store].
func (s *MemoryStore) Add(_ context.Context, set, member string, ttl time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweepSet(set)
	if _, there := s.sets[set][member]; !there {
		size := int64(len(member) + memberOverhead)
		if !s.roomFor(size, s.limit) {
			return 0, &StoreError{Op: "add to set", Err: errFull}
		}
		s.bytes += size
	}
	if s.sets[set] == nil {
		s.sets[set] = map[string]time.Time{}
	}
	s.sets[set][member] = s.now().Add(ttl)
	return len(s.sets[set]), nil
}

// Members implements [Store].
func (s *MemoryStore) Members(_ context.Context, set string) ([]Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweepSet(set)
	var all []Member
	for name, ends := range s.sets[set] {
		all = append(all, Member{Name: name, Ends: ends})
	}
	slices.SortFunc(all, func(a, b Member) int {
		if order := a.Ends.Compare(b.Ends); order != 0 {
			return order
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all, nil
}

// Remove implements [Store].
func (s *MemoryStore) Remove(_ context.Context, set, member string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeMember(set, member)
	return nil
}

// Count implements [Store].
func (s *MemoryStore) Count(_ context.Context, prefix string) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for key, e := range s.entries {
		if strings.HasPrefix(key, prefix) && now.Before(e.ends) {
			n++
		}
	}
	return n, nil
}

// sweepSet drops the members of a set that have ended.
func (s *MemoryStore) sweepSet(set string) {
	now := s.now()
	for member, ends := range s.sets[set] {
		if !now.Before(ends) {
			s.removeMember(set, member)
		}
	}
}

func (s *MemoryStore) removeMember(set, member string) {
	if _, there := s.sets[set][member]; !there {
		return
	}
	delete(s.sets[set], member)
	s.bytes -= int64(len(member) + memberOverhead)
	if len(s.sets[set]) == 0 {
		delete(s.sets, set)
	}
}
