package session_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/config"
	"postern/session"
	"postern/session/redistest"
	"postern/session/storetest"
)

// monitor records every command that a server executes, until the test ends.
func monitor(t *testing.T, server *storetest.Redis) (recorded func() string) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprint(conn, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	if ok, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(ok, "+OK") {
		t.Fatalf("MONITOR: %q, %v", ok, err)
	}
	var mu sync.Mutex
	var text strings.Builder
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			line, err := lines.ReadString('\n')
			mu.Lock()
			text.WriteString(line)
			mu.Unlock()
			if err != nil || strings.Contains(line, "end of the story") {
				return
			}
		}
	}()
	return func() string {
		if err := server.Client.Echo(t.Context(), "end of the story").Err(); err != nil {
			t.Fatal(err)
		}
		<-ended
		mu.Lock()
		defer mu.Unlock()
		return text.String()
	}
}

// The store sees ciphertext, times and keyed hashes: nothing of the person, the tokens, the provider's session or ours.
func TestS27TheStoreSeesNothingInTheClear(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	recorded := monitor(t, server)
	c := &clock{}
	w := newWorld(t, worldConfig{store: redisStore(t, server.Config()), now: c.now, session: inactivity})
	cookie, other := w.login(), w.login()
	w.wantAccess(cookie, "access-0")
	c.elapse(5 * time.Minute)
	w.wantAccess(cookie, "access-0") // a touch
	if s, err := w.Refresh(t.Context(), cookie); err != nil || s.Tokens().Access.Raw() != "access-1" {
		t.Fatal(s, err)
	}
	if first, err := w.Once(t.Context(), "state", "state-of-kari", time.Hour); !first || err != nil {
		t.Fatal(first, err)
	}
	ids := []string{w.IDOf(cookie), w.IDOf(other)}
	idToken := w.provider.login().Tokens.ID.Raw()

	w.Settle() // the lock is let go of
	var dump strings.Builder
	for keys := server.Client.Scan(t.Context(), 0, "*", 0).Iterator(); keys.Next(t.Context()); {
		value, err := server.Client.Dump(t.Context(), keys.Val()).Result()
		if err != nil {
			t.Fatal(err)
		}
		dump.WriteString(keys.Val() + "\n" + value + "\n")
		if keys.Val() == "postern:{log}" {
			continue // stays, and is short
		}
		if ttl := server.Client.PTTL(t.Context(), keys.Val()).Val(); ttl <= 0 || ttl > 11*time.Hour {
			t.Errorf("a key lives for %v", ttl)
		}
		if kind, rest, _ := strings.Cut(strings.TrimPrefix(keys.Val(), "postern:"), ":"); !slices.Contains([]string{"session", "sessions", "once"}, kind) ||
			len(rest) != 45 || rest[0] != '{' || rest[44] != '}' {
			t.Errorf("key %q is no kind and keyed hash", keys.Val())
		}
	}
	if _, err := w.End(t.Context(), cookie); err != nil {
		t.Fatal(err)
	}
	seen := dump.String() + recorded()
	if !strings.Contains(strings.ToLower(seen), "evalsha") || !strings.Contains(seen, "postern:once:{") {
		t.Fatalf("the story was not recorded:\n%s", seen)
	}
	secrets := []string{
		kari.Subject, "01017012345", kari.Name, "Nordmann", kari.SID, "staff", "access-", "refresh-", idToken, strings.Split(idToken, ".")[1],
		"state-of-kari", cookie, other, "openid",
	}
	for _, id := range ids {
		raw := []byte(id)
		secrets = append(secrets, id, base64.RawURLEncoding.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw), fmt.Sprintf("%x", id))
	}
	for _, secret := range secrets {
		if strings.Contains(seen, secret) {
			t.Errorf("the store saw %q", secret)
		}
	}
}

func TestS47TenThousandRandomCookiesCostRedisNothing(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	w := newWorld(t, worldConfig{store: redisStore(t, server.Config())})
	cookie := w.login()
	commands := func() (lines []string) {
		stats, err := server.Client.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(stats) {
			if !strings.HasPrefix(line, "cmdstat_info") {
				name, _, _ := strings.Cut(line, ",")
				lines = append(lines, name)
			}
		}
		return lines
	}
	before := commands()
	for range 10_000 {
		value := base64.URLEncoding.EncodeToString(storetest.NewBytes(t, 132))
		if _, err := w.Use(t.Context(), value, true); !errors.Is(err, session.ErrNoSession) {
			t.Fatal(err)
		}
	}
	if after := commands(); !slices.Equal(before, after) {
		t.Errorf("commands before %q, after %q", before, after)
	}
	w.wantAccess(cookie, "access-0")
}

func TestASessionOutlivesAnOutageOfRedisThatKeepsItsData(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	w := newWorld(t, worldConfig{store: redisStore(t, server.Config())})
	cookie := w.login()
	w.wantAccess(cookie, "access-0")
	server.Hang()
	for range 5 {
		took := redistest.Took(func() {
			if s, err := w.Use(t.Context(), cookie, true); s != nil || !isTrouble(err) {
				t.Errorf("in the outage: %v, %v; want trouble", s, err)
			}
		})
		if took > callLimit {
			t.Errorf("a request waited %v", took)
		}
	}
	server.Resume()
	for clock := redistest.StartClock(); ; time.Sleep(20 * time.Millisecond) {
		access, err := w.use(cookie)
		if err == nil && access == "access-0" {
			return
		}
		if clock.Elapsed() > 3*time.Second {
			t.Fatalf("after the outage: %q, %v", access, err)
		}
	}
}

func TestRedisConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg  config.Redis
		want string
	}{
		"nothing":             {config.Redis{}, "no address"},
		"not a redis URL":     {config.Redis{URI: config.NewSecret("http://:sesame@redis")}, "redis.uri"},
		"an unknown database": {config.Redis{URI: config.NewSecret("redis://:sesame@redis/zero")}, "redis.uri"},
		"sentinels alone":     {config.Redis{SentinelAddresses: []string{"s:26379"}}, "redis.sentinel-master"},
		"a CA without TLS":    {config.Redis{Address: "r:6379", CAFile: "ca.pem"}, "needs TLS"},
		"no such CA":          {config.Redis{URI: config.NewSecret("rediss://r"), CAFile: "testdata/none.pem"}, "read redis.ca-file"},
		"a CA that is none":   {config.Redis{URI: config.NewSecret("rediss://r"), CAFile: "testdata/record-v1.hex"}, "no certificate"},
	} {
		_, err := session.NewRedisStore(test.cfg, session.Deps{})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: error %v does not say %q, or says too much", name, err, test.want)
		}
	}
}

func TestRedisIsReachedInEveryConfiguredWay(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	if err := server.Client.ConfigSet(t.Context(), "requirepass", "sesame").Err(); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]config.Redis{
		"password in the URI":      {URI: config.NewSecret("redis://:sesame@" + server.Address() + "/3")},
		"password of its own":      {URI: server.Config().URI, Password: config.NewSecret("sesame")},
		"user and address, idle 5": {Address: server.Address(), Username: "default", Password: config.NewSecret("sesame"), ConnectionIdleTimeout: 5},
		"never idle":               {Address: server.Address(), Password: config.NewSecret("sesame"), ConnectionIdleTimeout: -1},
	} {
		if err := redisStore(t, cfg).Ping(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := redisStore(t, server.Config()).Ping(context.Background()); !isTrouble(err) || strings.Contains(err.Error(), "sesame") {
		t.Errorf("without the password: %v", err)
	}
}
