package session_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/config"
	"postern/session"
	"postern/session/redistest"
	"postern/session/storetest"
)

// back is how soon after the end of an outage sessions are served again.
const back = 10 * time.Second

// Each outage is trouble within the budget, never absence, and ends by itself.
func TestRedisOutages(t *testing.T) {
	t.Parallel()
	do := func(t *testing.T, s *redistest.Server, command ...any) {
		t.Helper()
		if err := s.Client(t).Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(command, err)
		}
	}
	var admin *redis.Client // of the server that takes no more connections
	for name, outage := range map[string]struct {
		args       []string
		begin, end func(*testing.T, *redistest.Server)
	}{
		"paused": {
			begin: func(t *testing.T, s *redistest.Server) { do(t, s, "CLIENT", "PAUSE", 2000, "ALL") },
		},
		"busy with a script": {
			args: []string{"--busy-reply-threshold", "50"},
			begin: func(t *testing.T, s *redistest.Server) {
				go func() { _ = s.Client(t).Eval(t.Context(), "while true do end", nil).Err() }() // ends when it is killed
			},
			end: func(t *testing.T, s *redistest.Server) { do(t, s, "SCRIPT", "KILL") },
		},
		"a replica of nobody": { // READONLY for writes, and MASTERDOWN for reads
			args:  []string{"--replica-serve-stale-data", "no"},
			begin: func(t *testing.T, s *redistest.Server) { do(t, s, "REPLICAOF", "127.0.0.1", "1") },
			end:   func(t *testing.T, s *redistest.Server) { do(t, s, "REPLICAOF", "NO", "ONE") },
		},
		"loading": {
			args: []string{"--appendonly", "yes", "--appendfsync", "always", "--key-load-delay", "200000"},
			begin: func(t *testing.T, s *redistest.Server) {
				for i := range 10 {
					do(t, s, "SET", fmt.Sprint("postern:other:", i), "x")
				}
				s.Restart(t) // returns when everything is there again
			},
		},
		"no connections left": {
			begin: func(t *testing.T, s *redistest.Server) {
				admin = s.Client(t)
				for _, err := range []error{
					admin.ConfigSet(t.Context(), "maxclients", "1").Err(), admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err(),
				} {
					if err != nil {
						t.Fatal(err)
					}
				}
			},
			end: func(t *testing.T, _ *redistest.Server) {
				if err := admin.ConfigSet(t.Context(), "maxclients", "1000").Err(); err != nil { // by the one connection there is
					t.Fatal(err)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, outage.args...)
			key := storetest.NewKey(t)
			traffic := newTraffic(t, redisStore(t, storetest.ConfigOf(server)), key)
			traffic.awaitService(back)
			outage.begin(t, server)
			traffic.awaitTrouble(key)
			if outage.end != nil {
				outage.end(t, server)
			}
			traffic.awaitService(back)
			traffic.wantPrompt()
		})
	}
}

// A server that went away without a word leaves connections behind on which nobody answers. They are given up together, not one time-out
// after the other.
func TestRedisConnectionsToNobodyAreGivenUpTogether(t *testing.T) {
	t.Parallel()
	a := redistest.NewAuthority(t)
	for name, server := range map[string]*redistest.Server{"plain": redistest.Start(t), "TLS": redistest.StartTLS(t, a)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := redistest.NewFaultPath(t, server.Addr)
			cfg := config.Redis{URI: config.NewSecret("redis://" + path.Addr)}
			if name == "TLS" {
				cfg = config.Redis{URI: config.NewSecret("rediss://" + path.Addr), CAFile: a.CAFile}
			}
			store := redisStore(t, cfg)
			crowd(t, store, 200)     // so that the pool is full
			recovers(t, store, back) // a busy machine cannot make so many connections in time
			key := storetest.NewKey(t)
			traffic := newTraffic(t, store, key)
			path.Strand()
			traffic.awaitTrouble(key)
			traffic.awaitService(6 * time.Second) // a pool of 20 takes 14 s, one by one
			traffic.wantPrompt()
		})
	}
}

// crowd makes calls all at once, and returns how many of them were refused.
func crowd(t *testing.T, store *session.RedisStore, n int) int {
	t.Helper()
	var group sync.WaitGroup
	var refused atomic.Int32
	for range n {
		group.Go(func() {
			if store.Ping(t.Context()) != nil {
				refused.Add(1)
			}
		})
	}
	group.Wait()
	return int(refused.Load())
}

// A server far away is slow and not gone: a crowd that the connections do not suffice for is refused in part, and nobody after it.
func TestRedisThatIsSlowIsNotGivenUp(t *testing.T) {
	t.Parallel()
	path := redistest.NewFaultPath(t, redistest.Start(t).Addr)
	store := redisStore(t, config.Redis{URI: config.NewSecret("redis://" + path.Addr)})
	key := storetest.NewKey(t)
	value, _ := storetest.NewValue(t, 500)
	if err := store.Create(t.Context(), key, value, time.Minute); err != nil {
		t.Fatal(err)
	}
	path.Set(redistest.Fault{Delay: 150 * time.Millisecond}) // each way
	if refused := crowd(t, store, 200); refused == 0 {
		t.Error("the connections sufficed for everybody: this test shows nothing")
	}
	for served := 0; served < 3; {
		before, began := redistest.StoodStill(), time.Now()
		_, err := store.Read(t.Context(), key)
		switch {
		case err == nil:
			served++
		case redistest.StoodStill() == before: // else the answer was late for another reason
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
	}
}

// A full server refuses new sessions. Nobody who is logged in notices, and logging out works.
func TestRedisThatIsFullLogsNobodyOut(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	store := redisStore(t, storetest.ConfigOf(server))
	key := storetest.NewKey(t)
	value, _ := storetest.NewValue(t, 500)
	if err := store.Create(t.Context(), key, value, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := server.Client(t).ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := store.Create(t.Context(), storetest.NewKey(t), value, time.Minute); !isTrouble(err) {
			t.Fatalf("Create: %v, want trouble", err)
		}
		if _, err := store.Read(t.Context(), key); err != nil {
			t.Fatalf("Read: %v", err)
		}
	}
	if err := store.Delete(t.Context(), key); err != nil {
		t.Errorf("Delete: %v", err)
	}
}

// What the store itself has lost is lost, and told as it is: not there. Scripts come back by themselves.
func TestRedisThatLostItsDataSaysSo(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := redisStore(t, storetest.ConfigOf(server))
	for name, lose := range map[string]func(){
		"emptied": func() {
			for _, command := range []string{"FLUSHALL", "SCRIPT FLUSH"} {
				server.Command(t, command)
			}
		},
		"restarted": func() { server.Restart(t) },
	} {
		key := storetest.NewKey(t)
		value, revision := storetest.NewValue(t, 500)
		renew := func() error { return store.Replace(t.Context(), key, revision, value) }
		if err := errors.Join(store.Create(t.Context(), key, value, time.Minute), renew()); err != nil {
			t.Fatal(err)
		}
		lose()
		recovers(t, store, back)
		if _, err := store.Read(t.Context(), key); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s: Read: %v, want not found", name, err)
		}
		if err := renew(); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s: Replace: %v, want not found", name, err)
		}
	}
}

// A password that was changed on the server is trouble for new connections, until the new one is told, without a restart.
func TestRedisPasswordChangesAtRuntime(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "sesame")
	cfg := storetest.ConfigOf(server)
	cfg.Password = config.NewSecret("sesame")
	store := redisStore(t, cfg)
	key := storetest.NewKey(t)
	traffic := newTraffic(t, store, key)
	admin := server.Client(t)
	if err := admin.ConfigSet(t.Context(), "requirepass", "barley").Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	traffic.awaitTrouble(key)
	cfg.Password = config.NewSecret("barley")
	if err := store.ReplaceCredentials(cfg); err != nil {
		t.Fatal(err)
	}
	traffic.awaitService(back)
	traffic.wantPrompt()
}
