package e2e

import (
	"maps"
	"strings"
	"testing"
	"time"

	"postern/session/redistest"
)

// Sentinel: the primary is killed while people work; they are served again by the replica that took over, without a login.
func TestStoreSentinelFailover(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t, redistest.SentinelOptions{})
	env := storeEnv("")
	delete(env, "POSTERN_REDIS_URI")
	maps.Copy(env, map[string]string{
		"POSTERN_REDIS_SENTINEL_MASTER": redistest.Master, "POSTERN_REDIS_SENTINEL_ADDRESSES": strings.Join(s.Addresses(), ","),
	})
	w := newWorld(t, worldOptions{env: env})
	c, other := NewClient(t), NewClient(t)
	w.login(t, c, "kari", "")
	w.login(t, other, "ola", "")
	s.AwaitSynced(t)
	s.Nodes[0].Kill(t)
	for end := time.Now().Add(40 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		r := c.Navigate(w.ingress + "/x")
		if r.StatusCode == 200 {
			if Echoed(t, r).Header.Get("X-Postern-User") != "Z990001" {
				t.Fatal("served as nobody")
			}
			if s.Primary() != nil {
				break
			}
		} else if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Fatalf("status %d to %q during the failover", r.StatusCode, r.Header.Get("Location"))
		}
		if time.Now().After(end) {
			t.Fatal("not served after the failover")
		}
	}
	w.wantBack(t, c)
	if r := c.Navigate(w.ingress + "/oauth2/logout/local"); r.StatusCode >= 400 {
		t.Errorf("logout: status %d", r.StatusCode)
	}
	if r := c.Navigate(w.ingress + "/x"); r.StatusCode != 302 {
		t.Errorf("after the logout: status %d", r.StatusCode)
	}
	if w.get(t, other, "/x").Header.Get("X-Postern-User") != "Z990002" {
		t.Error("somebody else was signed out")
	}
}

// Cluster: a node is killed. Whose session was on it gets 503, the others are served all the time.
func TestStoreClusterLosesANode(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, redistest.ClusterOptions{})
	env := storeEnv("")
	delete(env, "POSTERN_REDIS_URI")
	env["POSTERN_REDIS_CLUSTER_ADDRESSES"] = strings.Join(cluster.Addresses(), ",")
	env["POSTERN_SESSION_CACHE_TTL"] = "0" // else memory would serve them all
	w := newWorld(t, worldOptions{env: env})
	browsers := map[int][]*Client{} // by the node that has their session
	keys := map[string]bool{}
	for n := 0; n < 30 && (len(browsers[0]) == 0 || len(browsers[1]) == 0 || len(browsers[2]) == 0); n++ {
		c := NewClient(t)
		w.login(t, c, "kari", "")
		for i, node := range cluster.Nodes {
			found, err := node.Client(t).Keys(t.Context(), "postern:session:*").Result()
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range found {
				if !keys[key] {
					keys[key], browsers[i] = true, append(browsers[i], c)
				}
			}
		}
	}
	dead := (cluster.Owner(t, "postern:{log}") + 1) % 3 // with the node of the log nobody could log in or out
	cluster.Nodes[dead].Kill(t)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for node, all := range browsers {
			for _, c := range all {
				r := c.Navigate(w.ingress + "/x")
				switch {
				case node == dead && (r.StatusCode != 503 || r.Header.Get("Retry-After") == ""):
					t.Fatalf("a session of the dead node: status %d to %q", r.StatusCode, r.Header.Get("Location"))
				case node != dead && (r.StatusCode != 200 || Echoed(t, r).Header.Get("X-Postern-User") != "Z990001"):
					t.Fatalf("a session of a node that lives: status %d", r.StatusCode)
				}
			}
		}
	}
	living := browsers[(dead+1)%3][0]
	if r := living.Navigate(w.ingress + "/oauth2/logout/local"); r.StatusCode >= 400 {
		t.Errorf("logout: status %d", r.StatusCode)
	}
	if r := living.Navigate(w.ingress + "/x"); r.StatusCode != 302 {
		t.Errorf("after the logout: status %d", r.StatusCode)
	}
}

// TLS: with the right CA it works; with another it is trouble that says so in the log, and no crash.
func TestStoreTLS(t *testing.T) {
	t.Parallel()
	a, other := redistest.NewAuthority(t), redistest.NewAuthority(t)
	server := redistest.StartTLS(t, a, "--requirepass", "sesame")
	env := storeEnv("rediss://:sesame@" + server.Addr)
	env["POSTERN_REDIS_CA_FILE"] = a.CAFile
	w := newWorld(t, worldOptions{env: env})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	w.wantBack(t, c)

	wrong := maps.Clone(w.env)
	delete(wrong, "POSTERN_BIND_ADDRESS")
	wrong["POSTERN_REDIS_CA_FILE"] = other.CAFile
	p := Launch(t, wrong)
	p.WaitURL(t, "http://"+p.ProbeAddr+"/livez")
	name, value := w.sessionCookie(c)
	Eventually(t, "the metadata is there", func() error {
		r := c.Get("http://"+p.Addr+"/x", "Host", w.host(), "Cookie", name+"="+value)
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			return errorf("status %d, want 503", r.StatusCode)
		}
		return nil
	})
	Eventually(t, "the log says why", func() error {
		if !strings.Contains(p.Log.Text(), "certificate signed by unknown authority") {
			return errorf("it does not")
		}
		return nil
	})
	p.Log.Without(t, map[string]string{"password": "sesame"})
	p.Stop(t)
}

// The password of the store changes with its file, while people are signed in.
func TestStorePasswordIsReadAgain(t *testing.T) {
	t.Parallel()
	server := Redis(t, "--requirepass", "sesame")
	file := t.TempDir() + "/password"
	writeFile(t, file, "sesame")
	env := storeEnv(server.URI())
	env["POSTERN_REDIS_PASSWORD_FILE"] = file
	w := newWorld(t, worldOptions{env: env})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	admin := server.Client(t)
	if err := admin.ConfigSet(t.Context(), "requirepass", "barley").Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the old password is trouble", func() error {
		if r := c.Navigate(w.ingress + "/x"); r.StatusCode != 503 { // at first served from memory
			return errorf("status %d", r.StatusCode)
		}
		return nil
	})
	writeFile(t, file, "barley\n")
	w.wantBack(t, c)
	w.Log.Without(t, map[string]string{"old password": "sesame", "new password": "barley"})
}
