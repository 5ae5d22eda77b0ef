package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"postern/session"
	"postern/session/storetest"
)

func benchWorld(b *testing.B, wc worldConfig) (*world, string) {
	b.Helper()
	w := newWorld(b, wc)
	grant := w.provider.login()
	_, cookie, err := w.Create(context.Background(), grant, session.Login{SID: kari.SID})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	return w, cookie
}

func BenchmarkGetFromMemory(b *testing.B) {
	w, cookie := benchWorld(b, worldConfig{})
	for b.Loop() {
		if _, err := w.Get(context.Background(), cookie); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUseFromMemory(b *testing.B) {
	w, cookie := benchWorld(b, worldConfig{session: func(c *session.ManagerConfig) { c.Inactivity = true }})
	for b.Loop() {
		if _, err := w.Use(context.Background(), cookie, true); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetOpensTicketAndRecord(b *testing.B) {
	w, cookie := benchWorld(b, worldConfig{session: func(c *session.ManagerConfig) { c.CacheTTL = 0 }})
	for b.Loop() {
		if _, err := w.Get(context.Background(), cookie); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTicketOpen(b *testing.B) {
	sealer := newRing(b, 1).Sealer("ticket", time.Hour)
	value, err := sealer.Seal(cookieName, make([]byte, 49))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sealer.Open(cookieName, value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCookieOfNobody(b *testing.B) {
	w, cookie := benchWorld(b, worldConfig{})
	cookie = strings.Repeat("A", len(cookie))
	for b.Loop() {
		if _, err := w.Get(context.Background(), cookie); err == nil {
			b.Fatal("found")
		}
	}
}

func BenchmarkGetFromRedis(b *testing.B) {
	server := storetest.StartRedis(b)
	store, err := session.NewRedisStore(server.Config(), session.Deps{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	w, cookie := benchWorld(b, worldConfig{store: store})
	for b.Loop() {
		if _, err := w.Get(context.Background(), cookie); err != nil {
			b.Fatal(err)
		}
	}
}
