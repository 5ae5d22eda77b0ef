package e2e

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// S-39, scenario 30, over three replicas and under load: the key is exchanged in the three steps that the documents name, and nobody notices.
// Sessions, logins that are under way and refreshes go on in each of them, also while some replicas have the new ring and some have not.
func TestS39KeyRotationUnderLoadLosesNobodyOnAnyReplica(t *testing.T) {
	t.Parallel()
	const second = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	file := filepath.Join(t.TempDir(), "keys")
	writeFile(t, file, testKey)
	w := prepareWorld(t, worldOptions{env: map[string]string{"POSTERN_ENCRYPTION_KEY_FILE": file}})
	delete(w.env, "POSTERN_ENCRYPTION_KEY")
	r := &replicated{w, StartReplicas(t, 3, w.env, Redis(t).Addr)}
	r.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 4})

	const old, young = "logged in before", "logged in with the new key"
	people := map[string][]*Client{}
	signIn := func(when string) {
		for range 4 {
			c := NewClient(t)
			r.login(t, c, "kari", "")
			people[when] = append(people[when], c)
		}
	}
	signIn(old)
	// Somebody is at the provider through each step, and comes back after it.
	away := NewClient(t)
	step := func(n int, keys string) {
		t.Helper()
		back := r.idp.SignIn(away, away.Navigate(r.ingress+"/oauth2/login"), "kari")
		writeFile(t, file, keys)
		for _, replica := range r.All {
			Eventually(t, fmt.Sprintf("step %d at every replica", n), func() error {
				if got := len(replica.Log.Find(map[string]any{"msg": "secret replaced", "option": "encryption-key"})); got != n {
					return errorf("%d of %d", got, n)
				}
				return nil
			})
		}
		if done := away.Navigate(back.Where().String()); done.StatusCode != 302 {
			t.Errorf("step %d: a login that was under way: status %d", n, done.StatusCode)
		}
		wantKari(t, fmt.Sprintf("step %d, a new login", n), r.lookAtOnce(3, away, "/"))
	}
	during(t, r, people[old], func() {
		step(1, testKey+","+second)
		step(2, second+","+testKey)
		time.Sleep(4 * time.Second) // refreshes with the new ring
	})
	signIn(young)
	during(t, r, people[young], func() { step(3, second) })
	for i := range r.All {
		for n := range 4 {
			if s := r.look(r.At(people[old][n], i), "/"); s.user != "" || s.status != 200 {
				t.Errorf("replica %d: the dropped key still opens: %s", i, s)
			}
			wantKari(t, young, []seen{r.look(r.At(people[young][n], i), "/")})
		}
	}
}

// during has people at work while something is done, at all replicas, and wants every answer to be theirs.
func during(t testing.TB, w *replicated, people []*Client, do func()) {
	t.Helper()
	over := make(chan struct{})
	var wait sync.WaitGroup
	for _, c := range people {
		wait.Go(func() {
			var all []seen
			for done := false; !done || len(all) < 20; { // it may be over soon
				select {
				case <-over:
					done = true
				case <-time.After(20 * time.Millisecond):
				}
				all = append(all, w.look(c, "/"))
			}
			wantKari(t, "under load", all)
		})
	}
	func() {
		defer wait.Wait()
		defer close(over)
		do()
	}()
}
