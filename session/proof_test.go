package session

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"runtime"
	"testing"
	"time"

	"postern/config"
	"postern/oidc"
)

// S-07: a replica that stood still wakes with old sessions in memory and requests in its queue, and reads the log at the same time. What it
// reads may prove nothing about a session that a request has taken out of memory before.
func TestS07WhatWasSeenBeforeTheProofIsNotServed(t *testing.T) {
	t.Parallel()
	ring, err := NewKeyRing([]config.Secret{config.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)))})
	if err != nil {
		t.Fatal(err)
	}
	store := NewMemoryStore(0, Deps{})
	defer store.Close()
	m := NewManager(ManagerConfig{
		Session:    config.Session{MaxLifetime: time.Hour, CacheTTL: time.Hour},
		CookieName: "__Host-postern.session", Provider: oidc.EntraID,
	}, ring, store, nil, Deps{})
	defer m.Close(context.Background())
	m.shared = struct{ Shared }{} // as if others could end sessions too; nothing here asks it
	for n := range 3000 {
		cookie, h := keptSession(t, m, n)
		m.heard.Store(0) // too long ago
		asked, answers := make(chan struct{}), make(chan error, 4)
		for range cap(answers) {
			go func() {
				<-asked
				_, err := m.find(context.Background(), cookie, time.Now())
				answers <- err
			}()
		}
		close(asked)
		runtime.Gosched()
		m.bury(event{kind: eventEnded, handle: h, ends: time.Now().Add(time.Hour)})
		m.heard.Store(int64(time.Since(m.born)))
		for range cap(answers) {
			if err := <-answers; !errors.Is(err, ErrNoSession) {
				t.Fatalf("round %d: a session that has ended is served: %v", n, err)
			}
		}
	}
}

// keptSession is a session in memory that the store does not have any more.
func keptSession(t *testing.T, m *Manager, n int) (cookie string, h handle) {
	t.Helper()
	ticket, cookie, err := m.tickets.issue(m.rand)
	if err != nil {
		t.Fatal(err)
	}
	o, err := m.newOpened(ticket, Revision{recordVersion}, typicalRecord(t, n), nil)
	if err != nil {
		t.Fatal(err)
	}
	m.cache.keepRead(o, m.cache.generation(ticket.handle), o.read)
	return cookie, ticket.handle
}
