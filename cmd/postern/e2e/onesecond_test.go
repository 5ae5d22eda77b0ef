package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// effective is the bound of S-07: so long after a logout was answered no replica speaks for anybody any more.
const effective = time.Second

// thief is a client with the session cookie of another one, as it was before a logout took it out of that one's jar.
func (w *world) thief(t testing.TB, of *Client) *Client {
	t.Helper()
	name, value := w.sessionCookie(of)
	if value == "" {
		t.Fatal("no session cookie to copy")
	}
	c := NewClient(t)
	c.SetCookie(w.ingress, &http.Cookie{Name: name, Value: value, Path: "/", Secure: true})
	return c
}

// logout ends the session of a client at a replica, and returns when that was answered.
func (w *replicated) logout(t testing.TB, c *Client, replica int) time.Time {
	t.Helper()
	if r := w.At(c, replica).Get(w.ingress + "/oauth2/logout/local"); r.StatusCode != http.StatusNoContent {
		t.Fatalf("logout: status %d", r.StatusCode)
	}
	return time.Now()
}

// warm makes every replica have the session in memory.
func (w *replicated) warm(t testing.TB, c *Client) {
	t.Helper()
	for i := range w.All {
		for range 3 {
			if s := w.look(w.At(c, i), "/"); s.status != 200 || s.user == "" {
				t.Fatalf("replica %d: %s", i, s)
			}
		}
	}
}

// wantNobody asks a replica for a while, by several connections, and fails the test if it still speaks for somebody.
func (w *replicated) wantNobody(t testing.TB, what string, c *Client, replica int, during time.Duration) {
	t.Helper()
	at, end := w.At(c, replica), time.Now().Add(during)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for time.Now().Before(end) {
				if s := w.look(at, "/"); s.user != "" || s.token != "" {
					t.Errorf("%s: replica %d still speaks for somebody: %s", what, replica, s)
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	wait.Wait()
}

// S-07: whatever keeps a replica from hearing of a logout, and whether it can tell or not: one second later it does not serve that session
// from memory, nor after it is healed. Sessions that were not ended go on as soon as it is.
func TestS07LogoutIsEffectiveWithinOneSecond(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		breakIt func(t testing.TB, w *replicated, r *RedisServer)
		heal    func(t testing.TB, w *replicated, r *RedisServer)
	}{
		"nothing is broken": {func(testing.TB, *replicated, *RedisServer) {}, func(testing.TB, *replicated, *RedisServer) {}},
		"its way to the store is a black hole": {
			func(_ testing.TB, w *replicated, _ *RedisServer) { w.All[1].Store.Set(Fault{BlackHole: true}) },
			func(_ testing.TB, w *replicated, _ *RedisServer) { w.All[1].Store.Heal() },
		},
		"only short frames pass": {
			func(_ testing.TB, w *replicated, _ *RedisServer) { w.All[1].Store.Set(Fault{DropAbove: 16}) },
			func(_ testing.TB, w *replicated, _ *RedisServer) { w.All[1].Store.Heal() },
		},
		"only frames below an entry pass": {
			func(_ testing.TB, w *replicated, _ *RedisServer) { w.All[1].Store.Set(Fault{DropAbove: 120}) },
			func(_ testing.TB, w *replicated, _ *RedisServer) { w.All[1].Store.Heal() },
		},
		"everything comes late": {
			func(_ testing.TB, w *replicated, _ *RedisServer) {
				w.All[1].Store.Set(Fault{Delay: 400 * time.Millisecond})
			},
			func(_ testing.TB, w *replicated, _ *RedisServer) { w.All[1].Store.Heal() },
		},
		"its connections are refused": {
			func(_ testing.TB, w *replicated, _ *RedisServer) { w.All[1].Store.Set(Fault{Refuse: true}) },
			func(_ testing.TB, w *replicated, _ *RedisServer) { w.All[1].Store.Heal() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := Redis(t)
			w := newReplicas(t, 3, worldOptions{}, redis.Addr)
			leaving, staying := NewClient(t), NewClient(t)
			w.login(t, leaving, "kari", "")
			w.login(t, staying, "ola", "")
			w.warm(t, leaving)
			w.warm(t, staying)
			left := w.thief(t, leaving)
			test.breakIt(t, w, redis)
			answered := w.logout(t, leaving, 0)
			sleepUntil(answered.Add(effective))
			w.wantNobody(t, "broken", left, 1, 1500*time.Millisecond)
			w.wantNobody(t, "broken", left, 2, 100*time.Millisecond)
			test.heal(t, w, redis)
			w.wantNobody(t, "healed", left, 1, 500*time.Millisecond)
			Eventually(t, "the other session goes on", func() error {
				if s := w.look(w.At(staying, 1), "/"); s.status != 200 || s.user != "Z990002" {
					if s.status != 503 {
						t.Fatalf("a session was lost: %s", s)
					}
					return errorf("%s", s)
				}
				return nil
			})
			w.wantNobody(t, "later", left, 1, 100*time.Millisecond)
		})
	}
}

// S-07: a replica that stood still does not believe what it knew before.
func TestS07AReplicaThatStoodStill(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := newReplicas(t, 3, worldOptions{}, redis.Addr)
	client := redis.Client(t)
	for name, meanwhile := range map[string]func(){
		"the log is there": func() {},
		"the log is gone": func() { // a gap: every replica must forget what it has in memory, and read it again
			keys, err := client.Keys(context.Background(), "*").Result()
			if err != nil {
				t.Fatal(err)
			}
			keys = slices.DeleteFunc(keys, func(key string) bool { return strings.HasPrefix(key, "postern:session:") })
			if len(keys) == 0 {
				t.Fatal("the store holds nothing but sessions: where is the log?")
			}
			if err := client.Del(context.Background(), keys...).Err(); err != nil {
				t.Fatal(err)
			}
		},
		"the store is empty": func() { client.FlushAll(context.Background()) },
	} {
		leaving, staying := NewClient(t), NewClient(t)
		w.login(t, leaving, "kari", "")
		w.login(t, staying, "ola", "")
		w.warm(t, leaving)
		w.warm(t, staying)
		left := w.thief(t, leaving)
		w.All[1].Freeze()
		answered := w.logout(t, leaving, 0)
		meanwhile()
		var wait sync.WaitGroup
		for range 60 { // these are in the kernel's queue when it wakes, while the log is being read
			wait.Go(func() {
				sleepUntil(answered.Add(2 * time.Second))
				if s := w.look(w.At(left, 1), "/"); s.user != "" {
					t.Errorf("%s: a request that came while it stood still: %s", name, s)
				}
			})
		}
		sleepUntil(answered.Add(3 * time.Second))
		w.All[1].Resume()
		w.wantNobody(t, name, left, 1, 1200*time.Millisecond)
		wait.Wait()
		for i := range w.All {
			s := w.look(w.At(staying, i), "/")
			if lost := name == "the store is empty"; lost != (s.user == "") || s.status != 200 {
				t.Errorf("%s, replica %d: the other session: %s", name, i, s)
			}
		}
	}
}

// S-07: the log may be lost, and connections may be cut again and again, while everybody runs.
func TestS07TheLogIsLostOrConnectionsAreCut(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := newReplicas(t, 3, worldOptions{}, redis.Addr)
	client := redis.Client(t)
	cut := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-cut:
				return
			case <-time.After(150 * time.Millisecond):
			}
			client.ClientKillByFilter(context.Background(), "TYPE", "normal", "SKIPME", "yes")
			client.ClientKillByFilter(context.Background(), "TYPE", "pubsub")
		}
	})
	t.Cleanup(wait.Wait)
	stop := sync.OnceFunc(func() { close(cut) })
	t.Cleanup(stop)
	leaving := NewClient(t)
	w.login(t, leaving, "kari", "")
	for i := range w.All {
		w.look(w.At(leaving, i), "/")
	}
	left := w.thief(t, leaving)
	Eventually(t, "a logout while connections are cut", func() error {
		if r := w.At(leaving, 0).Get(w.ingress + "/oauth2/logout/local"); r.StatusCode != http.StatusNoContent {
			return errorf("status %d", r.StatusCode)
		}
		return nil
	})
	time.Sleep(effective)
	w.wantNobody(t, "connections are cut", left, 1, time.Second)
	w.wantNobody(t, "connections are cut", left, 2, 300*time.Millisecond)
	stop()
	w.wantNobody(t, "connections last", left, 1, 500*time.Millisecond)

	w.login(t, leaving, "kari", "")
	w.warm(t, leaving)
	left = w.thief(t, leaving)
	if err := client.FlushAll(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(effective)
	for i := range w.All {
		w.wantNobody(t, "the store was emptied", left, i, 200*time.Millisecond)
	}
	w.login(t, leaving, "kari", "")
	w.warm(t, leaving)
	left = w.thief(t, leaving)
	sleepUntil(w.logout(t, leaving, 2).Add(effective))
	for i := range w.All {
		w.wantNobody(t, "a log that began anew", left, i, 200*time.Millisecond)
	}
}

// S-07 as a figure: how long after the answer to a logout another replica still speaks for that session. The bound is a second.
func TestS07LagOfLogouts(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{}, Redis(t).Addr)
	const logouts = 40
	var lags []time.Duration
	for n := range logouts {
		c := NewClient(t)
		w.login(t, c, "kari", "")
		w.warm(t, c)
		left, at := w.thief(t, c), n%3
		answered := w.logout(t, c, at)
		var mu sync.Mutex
		var wait sync.WaitGroup
		for i := range w.All {
			there := w.At(left, i)
			wait.Go(func() {
				lag := time.Duration(0)
				for time.Since(answered) < 2*effective {
					asked := time.Now()
					if s := w.look(there, "/"); s.user == "" {
						break
					}
					lag = asked.Sub(answered)
				}
				mu.Lock()
				defer mu.Unlock()
				if lags = append(lags, lag); i == at && lag > 0 {
					t.Errorf("the replica that answered the logout itself went on for %s", lag)
				}
			})
		}
		wait.Wait()
	}
	slices.Sort(lags)
	most := lags[len(lags)-1]
	t.Logf("%d logouts over %d replicas: median %s, 90 %% %s, at most %s", logouts, len(w.All),
		lags[len(lags)/2].Round(time.Millisecond), lags[len(lags)*9/10].Round(time.Millisecond), most.Round(time.Millisecond))
	if most >= effective {
		t.Errorf("a logout took %s to be effective everywhere", most)
	}
}
