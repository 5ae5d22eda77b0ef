package e2e

import (
	"strings"
	"testing"
	"time"

	"postern/session/redistest"
)

// storeEnv is a world in which paths of everybody, of nobody and of sessions can be told apart.
func storeEnv(uri string) map[string]string {
	return map[string]string{
		"POSTERN_REDIS_URI": uri, "POSTERN_AUTO_LOGIN": "true", "POSTERN_AUTO_LOGIN_IGNORE_PATHS": "/public/**",
	}
}

// Contract 3.4, S-29, scenarios 19 and 27, peers.md complaint 10: whatever happens to the store, a session is 503 within 2 seconds, and never
// a login or nobody; who has no session notices nothing; and it is over by itself when the store is back.
func TestS29StoreOutages(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]struct {
		begin, end func(testing.TB, *RedisServer, *FaultyPath)
	}{
		"killed, and back with its data": {
			func(t testing.TB, s *RedisServer, _ *FaultyPath) { s.Kill(t) },
			func(t testing.TB, s *RedisServer, _ *FaultyPath) { s.Start(t) },
		},
		"frozen": {
			func(_ testing.TB, s *RedisServer, _ *FaultyPath) { s.Freeze() },
			func(_ testing.TB, s *RedisServer, _ *FaultyPath) { s.Resume() },
		},
		"behind a black hole": {
			func(_ testing.TB, _ *RedisServer, path *FaultyPath) { path.Set(Fault{BlackHole: true}) },
			func(_ testing.TB, _ *RedisServer, path *FaultyPath) { path.Heal() },
		},
		"refusing connections": {
			func(_ testing.TB, _ *RedisServer, path *FaultyPath) { path.Set(Fault{Refuse: true}) },
			func(_ testing.TB, _ *RedisServer, path *FaultyPath) { path.Heal() },
		},
		"with another password": {
			func(t testing.TB, s *RedisServer, _ *FaultyPath) {
				s.Command(t, "CONFIG SET requirepass barley")
				if err := s.ClientWith(t, "barley").ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
					t.Fatal(err)
				}
			},
			func(t testing.TB, s *RedisServer, _ *FaultyPath) {
				if err := s.ClientWith(t, "barley").ConfigSet(t.Context(), "requirepass", "").Err(); err != nil {
					t.Fatal(err)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := Redis(t, "--appendonly", "yes", "--appendfsync", "always")
			path := FaultProxy(t, redis.Addr)
			w := newWorld(t, worldOptions{env: storeEnv("redis://" + path.Addr)})
			c := NewClient(t)
			w.login(t, c, "kari", "")
			if w.get(t, c, "/x").Header.Get("X-Postern-User") != "Z990001" {
				t.Fatal("not signed in")
			}
			outage.begin(t, redis, path)
			w.wantStoreTrouble(t, c)
			outage.end(t, redis, path)
			w.wantBack(t, c)
			if r := c.Navigate(w.ingress + "/oauth2/logout"); r.StatusCode != 302 {
				t.Errorf("logout after the outage: status %d", r.StatusCode)
			}
			w.Stop(t)
		})
	}
}

// wantStoreTrouble looks at every kind of request while the store is out of reach; c has a session.
func (w *world) wantStoreTrouble(t testing.TB, c *Client) {
	t.Helper()
	Eventually(t, "readyz tells of the store", func() error {
		if status, body := w.Readyz(t); status != 200 || !strings.Contains(body, "store_unavailable") {
			return errorf("status %d %s", status, body)
		}
		return nil
	})
	Eventually(t, "memory is not believed for long", func() error { // it may be for a second, and readyz can be sooner
		if r := c.Navigate(w.ingress + "/x"); r.StatusCode == 200 {
			return errorf("status %d", r.StatusCode)
		}
		return nil
	})
	_, before := w.sessionCookie(c)
	for range 3 {
		began := time.Now()
		r := c.Navigate(w.ingress + "/x")
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || len(r.Cookies()) != 0 {
			t.Errorf("status %d to %q with %d cookies, want 503", r.StatusCode, r.Header.Get("Location"), len(r.Cookies()))
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the answer took %s", took)
		}
	}
	for _, path := range []string{"/api", "/oauth2/session", "/oauth2/session/refresh", "/oauth2/session/forwardauth", "/oauth2/logout", "/oauth2/logout/local"} {
		if r := c.Get(w.ingress + path); r.StatusCode != 503 && (path != "/oauth2/session/forwardauth" || r.StatusCode != 404) || len(r.Cookies()) != 0 {
			t.Errorf("%s: status %d with %d cookies, want 503", path, r.StatusCode, len(r.Cookies()))
		}
	}
	if r := c.Get(w.ingress + "/public/x"); r.StatusCode != 200 || Echoed(t, r).Header.Get("X-Postern-User") != "" {
		t.Errorf("a public path: status %d", r.StatusCode)
	}
	nobody := NewClient(t)
	if r := nobody.Navigate(w.ingress + "/x"); r.StatusCode != 302 {
		t.Errorf("somebody without a cookie: status %d, want a login", r.StatusCode)
	}
	nobody.Forget()
	name, _ := w.sessionCookie(c)
	if r := nobody.Navigate(w.ingress+"/x", "Cookie", name+"=made-up"); r.StatusCode != 302 {
		t.Errorf("a cookie that does not open: status %d, want a login", r.StatusCode)
	}
	back := w.idp.SignIn(nobody, nobody.Navigate(w.ingress+"/oauth2/login"), "ola")
	if r := nobody.Navigate(back.Where().String()); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("a login that comes back: status %d, want 503", r.StatusCode)
	}
	if _, after := w.sessionCookie(c); after != before || after == "" {
		t.Error("the session cookie did not stay as it was")
	}
}

// wantBack returns when the session is served again, without a new login.
func (w *world) wantBack(t testing.TB, c *Client) {
	t.Helper()
	Eventually(t, "the session is back", func() error {
		if r := c.Get(w.ingress + "/x"); r.StatusCode != 200 || Echoed(t, r).Header.Get("X-Postern-User") != "Z990001" {
			return errorf("status %d", r.StatusCode)
		}
		return nil
	})
	Eventually(t, "readyz is content", func() error {
		if status, body := w.Readyz(t); status != 200 || strings.Contains(body, "store_unavailable") {
			return errorf("status %d %s", status, body)
		}
		return nil
	})
}

// Scenario 27: the store is down at the start, and comes.
func TestStartsWithTheStoreDown(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	redis.Stop(t)
	w := prepareWorld(t, worldOptions{env: storeEnv(redis.URI())})
	w.Process = Launch(t, w.env)
	w.WaitURL(t, "http://"+w.ProbeAddr+"/livez")
	if r := NewClient(t).Get(w.ingress + "/public/x"); r.StatusCode != 200 {
		t.Errorf("a public path: status %d", r.StatusCode)
	}
	redis.Start(t)
	w.WaitReady(t)
	c := NewClient(t)
	w.login(t, c, "kari", "")
	w.wantBack(t, c)
	w.Stop(t)
}

// A store that is far away is slow, and nothing else.
func TestStoreThatIsSlowIsWaitedFor(t *testing.T) {
	t.Parallel()
	path := FaultProxy(t, Redis(t).Addr)
	env := storeEnv("redis://" + path.Addr)
	env["POSTERN_SESSION_CACHE_TTL"] = "0" // else memory would serve
	w := newWorld(t, worldOptions{env: env})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	path.Set(Fault{Delay: 150 * time.Millisecond}) // each way
	for served := 0; served < 5; {
		before := redistest.StoodStill()
		r := c.Get(w.ingress + "/x")
		switch {
		case r.StatusCode == 200 && Echoed(t, r).Header.Get("X-Postern-User") == "Z990001":
			served++
		case r.StatusCode != 503 || redistest.StoodStill() == before: // else the store was late for another reason
			t.Fatalf("status %d", r.StatusCode)
		}
	}
}

// A full store takes no new sessions, and signs nobody out.
func TestStoreThatIsFullSignsNobodyOut(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := newWorld(t, worldOptions{env: storeEnv(redis.URI())})
	c, late := NewClient(t), NewClient(t)
	w.login(t, c, "kari", "")
	back := w.idp.SignIn(late, late.Navigate(w.ingress+"/oauth2/login"), "ola")
	redis.Command(t, "CONFIG SET maxmemory 1mb")
	if r := late.Navigate(back.Where().String()); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("a login: status %d, want 503", r.StatusCode)
	}
	if w.get(t, c, "/x").Header.Get("X-Postern-User") != "Z990001" {
		t.Error("signed out")
	}
	redis.Command(t, "CONFIG SET maxmemory 0")
	w.login(t, late, "ola", "")
	if w.get(t, late, "/x").Header.Get("X-Postern-User") != "Z990002" {
		t.Error("not signed in after the store had room again")
	}
}

// What the store itself has lost is a login, and no error.
func TestStoreThatLostItsDataAsksForALogin(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := newWorld(t, worldOptions{env: storeEnv(redis.URI())})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	redis.Command(t, "FLUSHALL")
	Eventually(t, "a login is asked for", func() error {
		r := c.Navigate(w.ingress + "/x")
		if r.StatusCode != 302 || !strings.Contains(r.Header.Get("Location"), "/oauth2/login") { // at first served from memory
			return errorf("status %d to %q", r.StatusCode, r.Header.Get("Location"))
		}
		return nil
	})
	w.login(t, c, "kari", "")
	w.wantBack(t, c)
}

// Logins that succeed in a row, and then the store is gone: the cookie did stick, so nobody is told that it does not.
func TestLoginsInAnOutageAreNoLoop(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := newWorld(t, worldOptions{env: storeEnv(redis.URI())})
	c := NewClient(t)
	for range 3 {
		w.login(t, c, "kari", "/same")
	}
	redis.Stop(t)
	if r := c.Navigate(w.ingress + "/oauth2/login?redirect=/same"); r.StatusCode != 302 {
		t.Errorf("status %d, want the login to begin\n%.300s", r.StatusCode, r.Body)
	}
}
