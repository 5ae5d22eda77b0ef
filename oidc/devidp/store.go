package devidp

import (
	"container/list"
	"time"
)

// store keeps values for a fixed time and never more than max of them: the oldest goes first. All entries live equally long, so the order
// of arrival is the order of expiry. It is not safe for concurrent use; [IdP].mu guards all stores.
type store[V any] struct {
	life  time.Duration
	max   int
	items map[string]*list.Element
	order list.List
}

type stored[V any] struct {
	key   string
	value V
	until time.Time
}

func newStore[V any](life time.Duration, most int) *store[V] {
	return &store[V]{life: life, max: most, items: map[string]*list.Element{}}
}

func (s *store[V]) put(key string, value V, now time.Time) {
	s.drop(key)
	for e := s.order.Front(); e != nil && (len(s.items) >= s.max || !now.Before(e.Value.(*stored[V]).until)); e = s.order.Front() {
		s.drop(e.Value.(*stored[V]).key)
	}
	s.items[key] = s.order.PushBack(&stored[V]{key, value, now.Add(s.life)})
}

func (s *store[V]) get(key string, now time.Time) (value V, ok bool) {
	e, ok := s.items[key]
	if !ok || !now.Before(e.Value.(*stored[V]).until) {
		return value, false
	}
	return e.Value.(*stored[V]).value, true
}

// take is get for a value that may be used once.
func (s *store[V]) take(key string, now time.Time) (V, bool) {
	value, ok := s.get(key, now)
	s.drop(key)
	return value, ok
}

func (s *store[V]) drop(key string) {
	if e, ok := s.items[key]; ok {
		s.order.Remove(e)
		delete(s.items, key)
	}
}

func (s *store[V]) each(f func(key string, value V)) {
	for e := s.order.Front(); e != nil; {
		next := e.Next() // f may drop this one
		f(e.Value.(*stored[V]).key, e.Value.(*stored[V]).value)
		e = next
	}
}
