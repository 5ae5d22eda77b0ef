package session_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"postern/oidc"
	"postern/session"
)

// wonderwallKey is the encryption-key of newRing(t, 1), which wonderwall uses as it is.
var wonderwallKey = []byte(strings.Repeat("\x01", 32))

// asWonderwall seals as wonderwall does. The nonce does not matter here.
func asWonderwall(t testing.TB, key []byte, plain string) []byte {
	t.Helper()
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, aead.NonceSize())
	return aead.Seal(nonce, nonce, []byte(plain), nil) //nolint:gosec // a test
}

func cookieOfWonderwall(t testing.TB, plain string) string {
	t.Helper()
	return base64.RawURLEncoding.EncodeToString(asWonderwall(t, wonderwallKey, plain))
}

var dataKeyOfWonderwall = []byte(strings.Repeat("\x02", 32))

func ticketOfWonderwall(id string) string {
	text, _ := json.Marshal(map[string]any{"id": id, "dek": dataKeyOfWonderwall})
	return string(text)
}

const recordOfWonderwall = `{"external_session_id":"sid-of-kari","access_token":"access-1","id_token":"e30.eyJzdWIiOiJrYXJpIiwiYWNyIjoiTGV2ZWw0IiwiZ3JvdXBzIjpbInN0YWZmIl19.x",
"refresh_token":"refresh-1","acr":"Level4","metadata":{"session":{"created_at":"2026-01-01T10:00:00Z","ends_at":"2026-01-01T20:00:00Z",
"timeout_at":"2026-01-01T11:00:00.5+00:00"},"tokens":{"expire_at":"2026-01-01T10:30:00Z","refreshed_at":"2026-01-01T10:00:00Z"}}}`

// readerWorld is an SSO proxy at a time when that record lives, and a store that counts.
func readerWorld(t testing.TB, provider string) (*world, *remote) {
	t.Helper()
	now := func() time.Time { return time.Date(2026, 1, 1, 10, 15, 0, 0, time.UTC) }
	store := newRemote(t, now)
	return newWorld(t, worldConfig{store: store, now: now, session: func(c *session.ManagerConfig) {
		c.ReadsWonderwall, c.ManualRefreshOnly, c.CacheTTL, c.Provider = true, true, 0, provider
	}}), store
}

func TestS49ReadsARecordOfWonderwall(t *testing.T) {
	t.Parallel()
	for id, provider := range map[string]string{
		"idporten:client:sid": oidc.IDPorten, "azure:client:sid": oidc.EntraID, "openid:client:a:b": oidc.OpenID, "keycloak:client:sid": oidc.OpenID,
	} {
		w, store := readerWorld(t, "")
		if err := store.Create(context.Background(), id, asWonderwall(t, dataKeyOfWonderwall, recordOfWonderwall), time.Hour); err != nil {
			t.Fatal(err)
		}
		s, err := w.Use(context.Background(), cookieOfWonderwall(t, ticketOfWonderwall(id)), false)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		tokens, times := s.Tokens(), s.Metadata(w.now()).Session
		if s.Identity().Provider() != provider || s.Identity().Subject() != "kari" || s.SID() != "sid-of-kari" || s.Identity().ACR() != "Level4" {
			t.Errorf("%s: identity %+v", id, s.Identity().Caller())
		}
		if tokens.Access.Raw() != "access-1" || !tokens.Refresh.Empty() {
			t.Errorf("%s: the tokens are not those of the record, without the one to renew them", id)
		}
		if times.EndsInSeconds != 35100 || times.TimeoutInSeconds != 2700 || !times.Active {
			t.Errorf("%s: times %+v", id, times)
		}
		if len(s.HashedID()) != 22 || strings.Contains(s.HashedID(), "sid") {
			t.Errorf("%s: logs call it %q", id, s.HashedID())
		}
	}
}

// S-49 with S-47 and S-06: what does not open costs no call of the store, is nobody, and is forgotten about for a second.
func TestS49CookiesThatAreNone(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString(dataKeyOfWonderwall)
	for name, plain := range map[string]string{
		"no object": `[]`, "two ids": `{"id":"a:b:c","id":"a:b:d","dek":"` + key + `"}`, "other case": `{"ID":"a:b:c","dek":"` + key + `"}`,
		"more after it": ticketOfWonderwall("a:b:c") + "{}", "a key of ours": ticketOfWonderwall("postern:session:{abc}"), "a lone name": ticketOfWonderwall("revocations"),
		"a space": ticketOfWonderwall("a:b:c d"), "a line": ticketOfWonderwall("a:b:c\n"), "an empty part": ticketOfWonderwall("a::c"),
		"no key": `{"id":"a:b:c"}`, "short key": `{"id":"a:b:c","dek":"AAAA"}`, "long id": ticketOfWonderwall("a:b:" + strings.Repeat("c", 1100)),
		"no UTF-8": "{\"id\":\"a:b:\xff\",\"dek\":\"" + key + "\"}", "null": `null`, "numbers": `{"id":5,"dek":6}`,
	} {
		w, store := readerWorld(t, "")
		if _, err := w.Get(context.Background(), cookieOfWonderwall(t, plain)); !errors.Is(err, session.ErrNoSession) {
			t.Errorf("%s: %v, want nobody", name, err)
		}
		if calls := store.count(); calls > 0 {
			t.Errorf("%s cost %d calls of the store", name, calls)
		}
	}
	w, store := readerWorld(t, "")
	unknown := cookieOfWonderwall(t, ticketOfWonderwall("a:b:c"))
	for range 3 {
		if _, err := w.Get(context.Background(), unknown); !errors.Is(err, session.ErrNoSession) {
			t.Errorf("unknown: %v", err)
		}
	}
	if calls := store.count(); calls != 1 {
		t.Errorf("an unknown session was asked for %d times", calls)
	}
	closed := newWorld(t, worldConfig{})
	if _, err := closed.Get(context.Background(), unknown); !errors.Is(err, session.ErrNoSession) {
		t.Errorf("where nobody reads them: %v", err)
	}
}

func TestS49RecordsThatAreNone(t *testing.T) {
	t.Parallel()
	change := func(old, new string) string { return strings.Replace(recordOfWonderwall, old, new, 1) }
	for name, record := range map[string]string{
		"doubled member": change(`"acr":"Level4"`, `"acr":"Level4","acr":"Level4"`), "doubled inside": change(`"ends_at"`, `"ends_at":"2027-01-01T00:00:00Z","ends_at"`),
		"other case": change(`"access_token"`, `"Access_token"`), "more after it": recordOfWonderwall + "x", "cut off": recordOfWonderwall[:200],
		"year 1600": change("2026-01-01T11", "1600-01-01T11"), "year 9000": change("2026-01-01T20", "9000-01-01T20"), "time as a number": change(`"2026-01-01T20:00:00Z"`, "5"),
		"claims without sub": change("eyJzdWIiOiJrYXJpIiwiYWNyIjoiTGV2ZWw0IiwiZ3JvdXBzIjpbInN0YWZmIl19", "e30"), "raised level": change(`"acr":"Level4"`, `"acr":"Level3"`),
		"metadata in a list": change(`"metadata":{`, `"metadata":[{`), "empty": "", "too large": change(`{"external`, `{"x":"`+strings.Repeat("x", 300<<10)+`","external`),
	} {
		w, store := readerWorld(t, "")
		if err := store.Create(context.Background(), "a:b:c", asWonderwall(t, dataKeyOfWonderwall, record), time.Hour); err != nil {
			t.Fatal(err)
		}
		if s, err := w.Get(context.Background(), cookieOfWonderwall(t, ticketOfWonderwall("a:b:c"))); !errors.Is(err, session.ErrNoSession) {
			t.Errorf("%s: %v, %v, want nobody", name, s, err)
		}
	}
	w, store := readerWorld(t, oidc.IDPorten) // openid.provider was said
	if err := store.Create(context.Background(), "azure:b:c", asWonderwall(t, dataKeyOfWonderwall, recordOfWonderwall), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Get(context.Background(), cookieOfWonderwall(t, ticketOfWonderwall("azure:b:c"))); !errors.Is(err, session.ErrNoSession) {
		t.Errorf("of another provider: %v, want nobody", err)
	}
	store.change(func(string) error { return &session.StoreError{Op: "read session", Err: errors.New("down")} })
	if _, err := w.Get(context.Background(), cookieOfWonderwall(t, ticketOfWonderwall("idporten:b:c"))); errors.Is(err, session.ErrNoSession) || err == nil {
		t.Errorf("trouble came out as %v", err)
	}
}

// As SSO proxy nothing is ever written, whatever state the session is in, and a key of the ring that is not the first still opens.
func TestS49ProxiesOnlyRead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 10, 15, 0, 0, time.UTC)
	store := newRemote(t, func() time.Time { return now })
	shape := func(c *session.ManagerConfig) {
		c.ManualRefreshOnly, c.Inactivity, c.InactivityTimeout = true, true, time.Hour
	}
	server := newWorld(t, worldConfig{store: store, now: func() time.Time { return now }, session: shape})
	proxy := newWorld(t, worldConfig{store: store, ring: newRing(t, 9, 1), now: func() time.Time { return now }, session: func(c *session.ManagerConfig) {
		shape(c)
		c.ReadsWonderwall, c.CacheTTL, c.Provider, c.MaxLifetime = true, 0, "", 366*24*time.Hour
	}})
	cookies := []string{server.login(), cookieOfWonderwall(t, ticketOfWonderwall("openid:b:c"))}
	if err := store.Create(context.Background(), "openid:b:c", asWonderwall(t, dataKeyOfWonderwall, recordOfWonderwall), time.Hour); err != nil {
		t.Fatal(err)
	}
	store.change(func(op string) error {
		if op != "read" {
			t.Errorf("the store is asked to %s", op)
		}
		return nil
	})
	for minutes, want := range map[int]error{0: nil, 10: nil, 20: session.ErrEnded} { // the last with an access token that has expired
		now = time.Date(2026, 1, 1, 10, 15+minutes, 0, 0, time.UTC)
		for i, cookie := range cookies {
			if minutes == 20 && i == 0 {
				continue // its access token lives for an hour
			}
			if _, err := proxy.Use(context.Background(), cookie, false); !errors.Is(err, want) {
				t.Errorf("cookie %d after %d minutes: %v, want %v", i, minutes, err, want)
			}
		}
	}
}

func FuzzWonderwallCookie(f *testing.F) {
	f.Add(ticketOfWonderwall("idporten:client:sid"))
	f.Add(`{"id":"a:b:c","dek":""}`)
	f.Add(`{"id":"a:b:c","id":"a:b:c"}`)
	w, store := readerWorld(f, "")
	f.Fuzz(func(t *testing.T, plain string) {
		before := store.count()
		for _, value := range []string{plain, cookieOfWonderwall(t, plain)} {
			s, err := w.Get(context.Background(), value)
			if s != nil || !errors.Is(err, session.ErrNoSession) || store.count() > before+1 {
				t.Errorf("%v, %v after %d calls", s, err, store.count()-before)
			}
		}
	})
}

func FuzzWonderwallRecord(f *testing.F) {
	f.Add(recordOfWonderwall)
	f.Add(`{"access_token":"a","id_token":"a.e30.c","metadata":{"session":{},"tokens":{}}}`)
	f.Add(`{}`)
	w, store := readerWorld(f, "")
	f.Fuzz(func(t *testing.T, plain string) {
		id := fmt.Sprintf("idporten:b:%x", sha256.Sum256([]byte(plain)))
		if err := store.Create(context.Background(), id, asWonderwall(t, dataKeyOfWonderwall, plain), time.Hour); err != nil {
			t.Skip("does not fit the store")
		}
		t.Cleanup(func() { _ = store.Delete(context.Background(), id) })
		s, err := w.Use(context.Background(), cookieOfWonderwall(t, ticketOfWonderwall(id)), false)
		switch {
		case err != nil && (errors.Is(err, session.ErrNoSession) || errors.Is(err, session.ErrEnded) || errors.Is(err, session.ErrInactive)):
		case err != nil:
			t.Errorf("neither a session nor nobody: %v", err)
		case s.Identity().Subject() == "" || s.Tokens().Access.Empty() || !s.Metadata(w.now()).Session.Active:
			t.Errorf("a session of nobody: %+v", s.Identity().Caller())
		}
	})
}

// S-44 with S-49: nobody tells of a logout at a wonderwall, and the streams of such a session end all the same.
func TestS49StreamsEndWithASessionOfWonderwall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		w := newWorld(t, worldConfig{store: store, session: func(c *session.ManagerConfig) {
			c.ReadsWonderwall, c.ManualRefreshOnly, c.CacheTTL, c.Provider = true, true, 0, ""
		}})
		text := strings.NewReplacer("2026-01-01T", time.Now().UTC().Format("2006-01-02T"), "T11:00:00.5+00:00", "T00:20:00Z", "T10:30", "T00:30").Replace(recordOfWonderwall)
		if err := store.Create(t.Context(), "openid:b:c", asWonderwall(t, dataKeyOfWonderwall, text), time.Hour); err != nil {
			t.Fatal(err)
		}
		s, err := w.Use(t.Context(), cookieOfWonderwall(t, ticketOfWonderwall("openid:b:c")), false)
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan error, 1)
		defer w.Watch(s, func(reason error) { over <- reason })()
		time.Sleep(time.Minute)
		select {
		case reason := <-over:
			t.Fatalf("ended while it lives: %v", reason)
		default:
		}
		if err := store.Delete(t.Context(), "openid:b:c"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		select {
		case reason := <-over:
			if !errors.Is(reason, session.ErrNoSession) {
				t.Errorf("ended because %v", reason)
			}
		default:
			t.Error("the stream goes on after the logout")
		}
	})
}
