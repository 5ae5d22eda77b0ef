package main

import (
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
)

// demoCallID is the header that ties a call on one side of Postern to the request on the other.
const demoCallID = "Demo-Call"

// demoTap stands between Postern and the API and notes what comes through, for the page /try. The API does not know of it.
type demoTap struct {
	api http.Handler

	mu      sync.Mutex
	watched map[string]*demoWatch // calls that are under way
}

// demoWatch is one call that somebody waits for.
type demoWatch struct {
	tap *demoTap
	id  string
	got http.Header // nil until the API has got it
}

func newDemoTap(api http.Handler) *demoTap {
	return &demoTap{api: api, watched: map[string]*demoWatch{}}
}

// ServeHTTP implements [http.Handler].
func (t *demoTap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.note(r.Header)
	r.Header.Del(demoCallID)
	t.api.ServeHTTP(w, r)
}

// note keeps what says who is calling, and of the token only that it was there.
func (t *demoTap) note(h http.Header) {
	t.mu.Lock()
	defer t.mu.Unlock()
	watch := t.watched[h.Get(demoCallID)]
	if watch == nil {
		return
	}
	watch.got = http.Header{}
	for name, values := range h {
		switch {
		case strings.HasPrefix(name, "X-Postern-"):
			watch.got[name] = values
		case name == "Authorization":
			watch.got.Set(name, "Bearer …")
		}
	}
}

// watch marks a request that is about to be sent.
func (t *demoTap) watch(h http.Header) *demoWatch {
	watch := &demoWatch{tap: t, id: rand.Text()}
	h.Set(demoCallID, watch.id)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watched[watch.id] = watch
	return watch
}

// header is what the API got, if it got anything.
func (w *demoWatch) header() (h http.Header, reached bool) {
	w.tap.mu.Lock()
	defer w.tap.mu.Unlock()
	return w.got, w.got != nil
}

func (w *demoWatch) forget() {
	w.tap.mu.Lock()
	defer w.tap.mu.Unlock()
	delete(w.tap.watched, w.id)
}
