package e2e

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Complaints 2 and 6 over replicas: tabs log in at the same time, each step of each login at another replica. No tab breaks another, each comes
// to its own deep link, nothing goes round in circles.
func TestLoginsOfManyTabsOverReplicas(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{env: map[string]string{"POSTERN_AUTO_LOGIN": "true"}}, Redis(t).Addr)
	c := NewClient(t)
	paths := []string{"/a", "/b?x=1&y=%2F", "/c/%C3%B8", "/d"}
	callbacks := make([]*Response, len(paths))
	for i, path := range paths {
		sent := w.At(c, i%3).Navigate(w.ingress + path)
		if sent.StatusCode != 302 || sent.Where().Path != "/oauth2/login" {
			t.Fatalf("tab %d: status %d to %s", i, sent.StatusCode, sent.Where().Redacted())
		}
		callbacks[i] = w.dev.SignIn(c, w.At(c, (i+1)%3).Navigate(sent.Where().String()), "kari")
	}
	for i := range paths {
		i = len(paths) - 1 - i // the last tab comes back first
		done := w.At(c, (i+2)%3).Navigate(callbacks[i].Where().String())
		if want := w.ingress + paths[i]; done.StatusCode != http.StatusFound || done.Where().String() != want {
			t.Errorf("tab %d: status %d to %s, want %s", i, done.StatusCode, done.Where().Redacted(), want)
		}
	}
	for i := range w.All {
		wantKari(t, "after the logins", []seen{w.look(w.At(c, i), "/")})
	}
}

// Complaint 10: the store is slow or gone while people work and go away in the middle. Who brings no session never notices; nobody loses one.
func TestNobodyLosesASessionByATroubledStore(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := newReplicas(t, 3, worldOptions{env: map[string]string{"POSTERN_AUTO_LOGIN": "true", "POSTERN_SESSION_CACHE_TTL": "100ms"}}, redis.Addr)
	c, stranger := NewClient(t), NewClient(t)
	w.login(t, c, "kari", "")
	name, value := w.sessionCookie(c)
	impatient := func() {
		var wait sync.WaitGroup
		for i := range 30 {
			wait.Go(func() {
				ctx, leave := context.WithTimeout(t.Context(), time.Duration(i+1)*3*time.Millisecond)
				defer leave()
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.All[i%3].URL()+"/", nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Host = w.host()
				r.Header.Set("Cookie", name+"="+value)
				if resp, err := loopback().RoundTrip(r); err == nil {
					resp.Body.Close()
				}
			})
		}
		wait.Wait()
	}
	for what, fault := range map[string]Fault{"slow": {Delay: 60 * time.Millisecond}, "a black hole": {BlackHole: true}, "refused": {Refuse: true}} {
		for _, replica := range w.All {
			replica.Store.Set(fault)
		}
		impatient()
		for i := range w.All {
			within(t, time.Second, what, func() {
				if s := w.look(w.At(stranger, i), "/"); s.status != 401 {
					t.Errorf("%s, replica %d: somebody without a session: %s", what, i, s)
				}
			})
			for range 5 {
				r := w.At(c, i).Navigate(w.ingress + "/")
				if r.StatusCode != 200 && (r.StatusCode != 503 || r.Header.Get("Retry-After") == "") || len(r.Cookies()) != 0 {
					t.Errorf("%s, replica %d: status %d to %q with %d cookies", what, i, r.StatusCode, r.Header.Get("Location"), len(r.Cookies()))
				}
			}
			w.All[i].Store.Heal()
		}
		for i := range w.All {
			Eventually(t, "the session is there again", func() error {
				s := w.look(w.At(c, i), "/")
				if s.status == 401 || s.status == 302 {
					t.Fatalf("%s, replica %d: signed out: %s", what, i, s)
				}
				if s.user != "Z990001" {
					return errorf("%s", s)
				}
				return nil
			})
		}
	}
}

// Complaint 22: a session ends when it was said to end, on every replica, however much it is used and refreshed, from memory or not.
func TestASessionEndsWhenItWasSaidToOnEveryReplica(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{env: map[string]string{"POSTERN_SESSION_MAX_LIFETIME": "5s"}}, Redis(t).Addr)
	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 2})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	c = w.thief(t, c) // which a browser would stop sending by itself
	ends := w.metadata(t, c).Session.EndsAt
	for time.Until(ends) > 200*time.Millisecond {
		wantKari(t, "before its end", w.lookAtOnce(3, c, "/"))
		time.Sleep(30 * time.Millisecond)
	}
	if got := w.metadata(t, c).Session.EndsAt; !got.Equal(ends) || w.refreshes(t) == 0 {
		t.Errorf("the end moved from %s to %s with %d refreshes", ends, got, w.refreshes(t))
	}
	sleepUntil(ends.Add(50 * time.Millisecond))
	for i := range w.All {
		w.wantNobody(t, "after its end", c, i, 200*time.Millisecond)
	}
}

// Complaint 22: somebody who works at one replica is not idle at another one, whose memory has not seen them for long; and who does nothing is
// signed out everywhere.
func TestIdleTimeoutIsOneOverAllReplicas(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{env: map[string]string{
		"POSTERN_SESSION_INACTIVITY": "true", "POSTERN_SESSION_INACTIVITY_TIMEOUT": "3s",
	}}, Redis(t).Addr)
	c := NewClient(t)
	w.login(t, c, "kari", "")
	w.warm(t, c)
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		wantKari(t, "at work", []seen{w.look(w.At(c, 0), "/")})
	}
	for i := 1; i < 3; i++ {
		wantKari(t, "at a replica that has not seen her for 6 s", []seen{w.look(w.At(c, i), "/")})
	}
	time.Sleep(3100 * time.Millisecond)
	for i := range w.All {
		if s := w.look(w.At(c, i), "/"); s.user != "" || s.status != 200 {
			t.Errorf("replica %d, after 3 s of idling: %s", i, s)
		}
	}
}

// Row 75 of peers.md (CVE-2025-29923), wonderwall.md 3.5: what the store answers for one session opens for no other, and damage is nobody.
func TestRow75RecordsThatWereMixedUpOpenForNobody(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := newReplicas(t, 2, worldOptions{env: map[string]string{"POSTERN_AUTO_LOGIN": "true"}}, redis.Addr)
	client := redis.Client(t)
	people := []*Client{NewClient(t), NewClient(t)}
	for i, person := range []string{"kari", "ola"} {
		w.login(t, w.At(people[i], 0), person, "")
	}
	keys, err := client.Keys(t.Context(), "postern:session:*").Result()
	if err != nil || len(keys) != 2 {
		t.Fatalf("%d sessions in the store: %v", len(keys), err)
	}
	first, second := client.Get(t.Context(), keys[0]).Val(), client.Get(t.Context(), keys[1]).Val()
	put := func(one, other string) {
		t.Helper()
		for i, value := range []string{one, other} {
			if err := client.Set(t.Context(), keys[i], value, time.Hour).Err(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(1100 * time.Millisecond) // what was not found is remembered for a second
	}
	damaged := func(value string) string { return value[:len(value)-1] + string(value[len(value)-1]^1) }
	for what, values := range map[string][2]string{
		"mixed up": {second, first}, "damaged": {damaged(first), damaged(second)}, "cut off": {first[:40], second[:40]}, "empty": {"", ""},
		"of a newer version": {"\xff" + first[1:], "\xff" + second[1:]},
	} {
		put(values[0], values[1])
		for i := range people {
			if s := w.look(w.At(people[i], 1), "/"); s.status != 401 && s.status != 503 || s.user != "" { // replica 1 has seen neither
				t.Errorf("%s, person %d: %s", what, i, s)
			}
		}
	}
	put(first, second)
	for i, user := range []string{"Z990001", "Z990002"} {
		if s := w.look(w.At(people[i], 1), "/"); s.user != user {
			t.Errorf("put right, person %d: %s", i, s)
		}
	}
}

// Scenario 20, wonderwall.md 3.5: two browsers of one session of the provider have two sessions here, and neither disturbs the other.
func TestTwoBrowsersWithOneSidAreTwoSessions(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{env: map[string]string{"POSTERN_IDENTITY_HEADERS": "postern,claims"}}, Redis(t).Addr)
	one, two := NewClient(t), NewClient(t)
	w.login(t, one, "kari", "")
	for name, value := range one.Cookies(w.dev.Issuer + "/authorize") {
		two.SetCookie(w.dev.origin(), &http.Cookie{Name: name, Value: value, Path: "/"})
	}
	back := w.idp.SignIn(two, two.Navigate(w.ingress+"/oauth2/login"), "ola") // whom it does not ask for
	if done := two.Navigate(back.Where().String()); done.StatusCode != 302 {
		t.Fatalf("callback: status %d", done.StatusCode)
	}
	sid := func(c *Client) any {
		return claims(t, "."+w.get(t, c, "/").Header.Get("X-Postern-Claims")+".")["sid"]
	}
	if a, b := sid(one), sid(two); a == nil || a != b {
		t.Fatalf("the browsers have the sids %v and %v, want one", a, b)
	}
	for range 3 {
		wantKari(t, "one", w.lookAtOnce(6, one, "/"))
		wantKari(t, "two", w.lookAtOnce(6, two, "/"))
	}
	left := w.thief(t, one)
	sleepUntil(w.logout(t, one, 0).Add(effective))
	for i := range w.All {
		w.wantNobody(t, "the one that logged out", left, i, 50*time.Millisecond)
	}
	wantKari(t, "the other one", w.lookAtOnce(6, two, "/"))
}
