package session

import (
	"bytes"
	"encoding/base64"
	"testing"
	"time"

	"postern/config"
	"postern/oidc"
)

// newHearer is a manager that hears what it is told, and the access tokens of which it knows that they have ended.
func newHearer(tb testing.TB) (*Manager, *oidc.Revocations) {
	tb.Helper()
	ring, err := NewKeyRing([]config.Secret{config.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, keySize)))})
	if err != nil {
		tb.Fatal(err)
	}
	store := NewMemoryStore(0, Deps{})
	heard := oidc.NewRevocations(nil)
	m := NewManager(ManagerConfig{Session: config.Session{MaxLifetime: 10 * time.Hour, CacheTTL: time.Minute}, CookieName: "c", Provider: oidc.OpenID},
		ring, store, nil, Deps{Revocations: heard})
	tb.Cleanup(func() {
		_ = m.Close(tb.Context())
		_ = store.Close()
	})
	return m, heard
}

// exampleEvents are one of each kind, about one session with one access token.
func exampleEvents(m *Manager) (ended, changed event) {
	of := handle{1, 2, 3}
	l := &label{
		created: time.Unix(1, 0).UTC(), ends: time.Unix(2, 0).UTC(), log: [22]byte{'x'},
		tokens: []endedToken{{hash: oidc.TokenHash(oidc.NewToken("access")), expiry: time.Now().Add(time.Hour).Truncate(time.Second)}},
	}
	sealed := m.ring.sealLabel(of, l)
	ended = event{kind: eventEnded, handle: of, ends: time.Now().Add(time.Hour).Truncate(time.Second).UTC(), label: sealed}
	return ended, event{kind: eventChanged, handle: of, revision: Revision{4}, label: sealed}
}

// Whoever may write to the store may write to its log. What is cut, too long, of no kind or sealed by somebody else is nothing, and no end lasts
// longer than a session can.
func TestHostileLogEntries(t *testing.T) {
	t.Parallel()
	m, heard := newHearer(t)
	ended, changed := exampleEvents(m)
	foreign := ended
	foreign.handle, foreign.label = handle{9}, bytes.Repeat([]byte{7}, 200)
	moved := ended
	moved.handle = handle{8} // with the label of another session
	long := ended
	long.label = bytes.Repeat([]byte{7}, maxLabel+1)
	for what, entry := range map[string][]byte{
		"nothing": nil, "a kind alone": {byte(eventEnded)}, "no kind": append([]byte{3}, ended.encode()[1:]...), "the first of a log": make([]byte, 17),
		"cut before its end": ended.encode()[:1+len(handle{})+7], "a cut revision": changed.encode()[:1+len(handle{})+3], "too long": long.encode(),
		"a megabyte": bytes.Repeat([]byte{1}, 1<<20),
	} {
		m.hear(entry)
		if n := m.graves.count.Load(); n != 0 {
			t.Fatalf("%s: %d sessions have ended", what, n)
		}
	}
	for what, e := range map[string]event{"a label that is none": foreign, "the label of another session": moved} {
		m.hear(e.encode())
		if !m.graves.has(e.handle) || heard.Has("access") {
			t.Errorf("%s: ended %v, and its token %v", what, m.graves.has(e.handle), heard.Has("access"))
		}
	}
	ended.ends = time.Unix(1<<40, 0)
	m.hear(ended.encode())
	m.hear(ended.encode())
	if !heard.Has("access") || m.graves.count.Load() != 3 {
		t.Errorf("heard of the token: %v, of %d sessions", heard.Has("access"), m.graves.count.Load())
	}
	for _, e := range m.graves.all(time.Now()) {
		if left := time.Until(e.ends); left > 11*time.Hour {
			t.Errorf("an end is kept for %v", left)
		}
	}
}

func FuzzLogEntry(f *testing.F) {
	m, _ := newHearer(f)
	ended, changed := exampleEvents(m)
	f.Add(ended.encode())
	f.Add(changed.encode())
	f.Add(make([]byte, 17))
	f.Fuzz(func(t *testing.T, entry []byte) {
		m.hear(entry)
		e, ok := decodeEvent(entry)
		if !ok {
			return
		}
		if again, ok := decodeEvent(e.encode()); !ok || again.kind != e.kind || again.handle != e.handle || again.revision != e.revision ||
			!again.ends.Equal(e.ends) || !bytes.Equal(again.label, e.label) {
			t.Errorf("%x reads %+v, and that again %+v", entry, e, again)
		}
		if len(e.label) > maxLabel {
			t.Errorf("a label of %d bytes", len(e.label))
		}
	})
}

func FuzzLabel(f *testing.F) {
	m, _ := newHearer(f)
	f.Add((&label{}).encode())
	f.Add(m.labelOf(&ticket{sealedBy: m.ring.current.Load().keys[0]}, &record{claims: `{"sub":"kari"}`, access: oidc.NewToken("a"), expiry: time.Unix(5, 0)}).encode())
	f.Fuzz(func(t *testing.T, plain []byte) {
		l, err := decodeLabel(plain)
		if err != nil {
			return
		}
		if !bytes.Equal(l.encode(), plain) {
			t.Errorf("%x reads %+v, which is written %x", plain, l, l.encode())
		}
	})
}
