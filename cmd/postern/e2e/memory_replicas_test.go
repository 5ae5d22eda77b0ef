package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// bearerWorld is replicas that also take access tokens themselves, and have a token API.
func bearerWorld(t testing.TB) *replicated {
	t.Helper()
	return newReplicas(t, 3, worldOptions{
		env: map[string]string{
			"POSTERN_BEARER_PROVIDERS": "all", "POSTERN_REQUIRE_AUTH": "true", "AZURE_ENABLED": "true",
			"AZURE_APP_CLIENT_ID": DevClientID, "AZURE_APP_CLIENT_SECRET": DevClientSecret,
		},
		idp: func(t testing.TB, redirects, postLogout []string) (identityProvider, map[string]string) {
			dev := DevIDP(t, "", redirects, postLogout)
			return dev, map[string]string{"POSTERN_OPENID_PROVIDER": "azure", "AZURE_APP_WELL_KNOWN_URL": dev.WellKnown()}
		},
	}, Redis(t).Addr)
}

// carried is what becomes of an access token that comes back at a replica's front door, and whether its introspection calls it active.
func (w *replicated) carried(t testing.TB, authorization string, replica int) (status int, active any) {
	t.Helper()
	c := NewClient(t)
	status = w.At(c, replica).Get(w.ingress+"/", "Authorization", authorization).StatusCode
	r := c.Send("POST", "http://"+w.All[replica].TokenAddr+introspectPath, fmt.Sprintf(`{"identity_provider":"entra_id","token":%q}`,
		strings.TrimPrefix(authorization, "Bearer ")), "Content-Type", "application/json")
	var answer struct {
		Active any `json:"active"`
	}
	if err := json.Unmarshal([]byte(r.Body), &answer); err != nil {
		t.Fatalf("introspection: status %d %s", r.StatusCode, r.Body)
	}
	return status, answer.Active
}

// S-09, S-30: the provider has ended a session, and its access token lives; a logout after that ends the token all the same.
func TestS09LogoutAfterARefusedRefreshEndsTheAccessToken(t *testing.T) {
	t.Parallel()
	w := bearerWorld(t)
	w.dev = w.idp.(*DevProvider)
	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 16})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	token := w.get(t, c, "/").Header.Get("Authorization")
	sleepUntil(time.Now().Add(8100 * time.Millisecond)) // half of its life is the cooldown
	w.dev.Dev(t, "token-error", map[string]any{"grant_type": "refresh_token", "error": "invalid_grant", "times": -1})
	if r := c.Send("POST", w.ingress+"/oauth2/session/refresh", ""); r.StatusCode != 401 {
		t.Fatalf("refused refresh: status %d", r.StatusCode)
	}
	sleepUntil(w.logout(t, c, 0).Add(effective))
	for i := range w.All {
		if status, active := w.carried(t, token, i); status != 401 || active != false {
			t.Errorf("replica %d: status %d, active %v", i, status, active)
		}
	}
}

// S-09 over replicas: a logout ends the token that the app was handed, and the one that it was handed before a refresh, wherever they come back.
func TestS09LogoutEndsAccessTokensOnEveryReplica(t *testing.T) {
	t.Parallel()
	w := bearerWorld(t)
	w.dev = w.idp.(*DevProvider)
	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 16})
	c, other := NewClient(t), NewClient(t)
	w.login(t, c, "kari", "")
	w.login(t, other, "kari", "")
	first := w.get(t, c, "/").Header.Get("Authorization")
	staying := w.get(t, other, "/").Header.Get("Authorization")
	tokens := map[string]string{"of the login": first}
	sleepUntil(time.Now().Add(8100 * time.Millisecond)) // half of its life is the cooldown
	if r := c.Send("POST", w.ingress+"/oauth2/session/refresh", ""); r.StatusCode != 200 {
		t.Fatalf("refresh: status %d", r.StatusCode)
	}
	Eventually(t, "the replica that is asked next has heard of the refresh", func() error {
		if tokens["of the refresh"] = w.get(t, c, "/").Header.Get("Authorization"); tokens["of the refresh"] == first {
			return errorf("it serves the token of before, which lives")
		}
		return nil
	})
	for i := range w.All {
		for name, token := range tokens {
			if status, active := w.carried(t, token, i); status != 200 || active != true {
				t.Fatalf("before, replica %d, token %s: status %d, active %v", i, name, status, active)
			}
		}
	}
	sleepUntil(w.logout(t, c, 0).Add(effective))
	for i := range w.All {
		for name, token := range tokens {
			if status, active := w.carried(t, token, i); status != 401 || active != false {
				t.Errorf("replica %d, token %s: status %d, active %v", i, name, status, active)
			}
		}
		if status, active := w.carried(t, staying, i); status != 200 || active != true {
			t.Errorf("replica %d, a token of her other session: status %d, active %v", i, status, active)
		}
	}
	w.All[1].Kill(t)
	w.All[1].Restart(t)
	for name, token := range tokens {
		if status, active := w.carried(t, token, 1); status != 401 || active != false {
			t.Errorf("a replica that has just started, token %s: status %d, active %v", name, status, active)
		}
	}
}

// commandsOf is how many commands each replica's store connection has sent, by Redis' own count: of all kinds, without those of the test.
func commandsOf(t testing.TB, r *RedisServer) (all map[string]int) {
	t.Helper()
	info, err := r.Client(t).Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	all = map[string]int{}
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		name, rest, found := strings.Cut(strings.TrimPrefix(lines.Text(), "cmdstat_"), ":calls=")
		count, _, _ := strings.Cut(rest, ",")
		if n, err := strconv.Atoi(count); found && err == nil && name != "info" && name != "hello" && name != "client" {
			all[name] = n
		}
	}
	return all
}

// spent is what a piece of work cost the store beyond what the same time costs when nobody asks for anything.
func spent(t testing.TB, r *RedisServer, work func()) (more int, by map[string]int) {
	t.Helper()
	minus := func(a, b map[string]int) map[string]int {
		d := map[string]int{}
		for name, n := range a {
			d[name] = n - b[name]
		}
		return d
	}
	before, began := commandsOf(t, r), time.Now()
	work()
	worked := minus(commandsOf(t, r), before)
	before = commandsOf(t, r)
	time.Sleep(time.Since(began))
	idle := minus(commandsOf(t, r), before)
	by = minus(worked, idle)
	for _, n := range by {
		more += n
	}
	return more, by
}

// The figures of the issue: a session in memory costs no call of the store, and the first sight of one on a replica exactly one.
func TestSessionsAreServedFromMemory(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := newReplicas(t, 2, worldOptions{}, redis.Addr)
	var browsers []*Client
	for range 20 {
		c := NewClient(t)
		w.login(t, w.At(c, 0), "kari", "")
		browsers = append(browsers, c)
	}
	time.Sleep(1500 * time.Millisecond) // what a login leaves to do later is done, and what a replica begins with
	const slack = 8                     // a reader of the log that was a moment faster or slower
	first, by := spent(t, redis, func() {
		for _, c := range browsers {
			if s := w.look(w.At(c, 1), "/"); s.user != "Z990001" {
				t.Fatalf("first sight: %s", s)
			}
		}
	})
	if first < len(browsers)-slack || first > len(browsers)+slack {
		t.Errorf("the first sight of %d sessions cost %d commands: %v", len(browsers), first, by)
	}
	again, by := spent(t, redis, func() {
		for range 20 {
			for _, c := range browsers {
				if s := w.look(w.At(c, 1), "/"); s.user != "Z990001" {
					t.Fatalf("from memory: %s", s)
				}
			}
		}
	})
	if again > slack {
		t.Errorf("400 requests of sessions in memory cost %d commands: %v", again, by)
	}
	t.Logf("first sight of %d: %d commands, 400 requests from memory: %d", len(browsers), first, again)
}

// S-47: a ticket that the store does not have is remembered for a moment.
func TestS47ATicketThatIsNotFoundIsRememberedForAMoment(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := newReplicas(t, 2, worldOptions{}, redis.Addr)
	c := NewClient(t)
	w.login(t, c, "kari", "")
	gone := w.thief(t, c)
	if r := w.At(c, 0).Get(w.ingress + "/oauth2/logout/local"); r.StatusCode != http.StatusNoContent {
		t.Fatalf("logout: status %d", r.StatusCode)
	}
	n, by := spent(t, redis, func() {
		for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
			if s := w.look(w.At(gone, 1), "/"); s.status != 200 || s.user != "" {
				t.Fatalf("%s", s)
			}
		}
	})
	if n > 10 {
		t.Errorf("asking for 2 s for a session that is gone cost %d commands: %v", n, by)
	}
}
