package e2e

import (
	"os"
	"testing"
	"time"
)

// replicated is a world of several replicas that share a Redis.
type replicated struct {
	*world
	*Replicas
}

func newReplicas(t testing.TB, n int, o worldOptions, store string) *replicated {
	t.Helper()
	w := prepareWorld(t, o)
	return &replicated{w, StartReplicas(t, n, w.env, store)}
}

func TestReplicasShareSessionsAndTakeTurns(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := newReplicas(t, 3, worldOptions{}, redis.Addr)
	c := NewClient(t)
	w.login(t, c, "kari", "")
	served := map[string]int{}
	for range 9 {
		r := c.Get(w.ingress + "/x")
		if r.StatusCode != 200 || Echoed(t, r).Header.Get("X-Postern-User") != "Z990001" {
			t.Fatalf("status %d", r.StatusCode)
		}
		served[r.Header.Get(ServedBy)]++
	}
	for i, replica := range w.All {
		if served[replica.Addr] != 3 {
			t.Errorf("replica %d answered %d of 9", i, served[replica.Addr])
		}
		if r := w.At(c, i).Get(w.ingress + "/x"); r.StatusCode != 200 || r.Header.Get(ServedBy) != "" {
			t.Errorf("replica %d by itself: status %d", i, r.StatusCode)
		}
	}
	w.All[0].Kill(t)
	for range 6 {
		if r := c.Get(w.ingress + "/x"); r.StatusCode != 200 || r.Header.Get(ServedBy) == w.All[0].Addr {
			t.Errorf("with one replica killed: status %d by %s", r.StatusCode, r.Header.Get(ServedBy))
		}
	}
	w.All[0].Restart(t)
	if r := w.At(c, 0).Get(w.ingress + "/x"); r.StatusCode != 200 || Echoed(t, r).Header.Get("X-Postern-User") != "Z990001" {
		t.Errorf("a replica that was restarted: status %d", r.StatusCode)
	}
	w.All[1].Store.Set(Fault{BlackHole: true})
	if r := w.At(c, 1).Get(w.ingress + "/x"); r.StatusCode == 401 || r.StatusCode == 302 {
		t.Errorf("a replica without its store: status %d", r.StatusCode)
	}
	if r := w.At(c, 2).Get(w.ingress + "/x"); r.StatusCode != 200 {
		t.Errorf("the store of another replica: status %d", r.StatusCode)
	}
	w.All[1].Store.Heal()
	w.All[2].Freeze()
	frozen := w.At(c, 2)
	frozen.http.Timeout = 300 * time.Millisecond
	if _, err := frozen.Try("GET", w.ingress+"/x", ""); !os.IsTimeout(err) {
		t.Errorf("a frozen replica: %v", err)
	}
	w.All[2].Resume()
	Eventually(t, "a replica that was frozen goes on", func() error {
		if r, err := w.At(c, 2).Try("GET", w.ingress+"/x", ""); err != nil || r.StatusCode != 200 {
			return errorf("%v", err)
		}
		return nil
	})
}
