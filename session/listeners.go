package session

import "sync"

// listeners are told, in this process, when something was heard of a session.
type listeners struct {
	mu sync.Mutex
	of map[handle]map[*listener]struct{}
}

type listener struct{ rang chan struct{} }

// listen registers for a session. Its channel has something in it once there was news.
func (ls *listeners) listen(h handle) *listener {
	l := &listener{rang: make(chan struct{}, 1)}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.of == nil {
		ls.of = map[handle]map[*listener]struct{}{}
	}
	if ls.of[h] == nil {
		ls.of[h] = map[*listener]struct{}{}
	}
	ls.of[h][l] = struct{}{}
	return l
}

func (ls *listeners) leave(h handle, l *listener) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.of[h], l)
	if len(ls.of[h]) == 0 {
		delete(ls.of, h)
	}
}

// ring tells those who listen for a session.
func (ls *listeners) ring(h handle) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.of[h] {
		l.tell()
	}
}

// ringAll tells everybody: something may have been missed.
func (ls *listeners) ringAll() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, all := range ls.of {
		for l := range all {
			l.tell()
		}
	}
}

func (l *listener) tell() {
	select {
	case l.rang <- struct{}{}:
	default: // has not looked since the last time
	}
}
