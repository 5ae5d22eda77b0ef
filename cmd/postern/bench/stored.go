package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ownSessions are those that a caller with many sessions in Redis uses, each of a login of its own. The others are there, and nobody comes.
const ownSessions = 50

// storedBytes is what a session of Entra ID takes in the store.
const storedBytes = 2300

// openStored starts a Redis for each number of sessions, and the Posterns that have them there.
func (w *world) openStored(ctx context.Context, callers []*caller, progress io.Writer) error {
	type store struct {
		redis   *process
		key     string
		cookies []string
	}
	stores := map[int]store{}
	for _, c := range callers {
		s, ready := stores[c.stored]
		if !ready {
			say(progress, "filling a Redis with %d sessions", c.stored)
			var err error
			s.key = base64.StdEncoding.EncodeToString(randomBytes(32))
			if s.redis, err = w.startRedis(ctx); err != nil {
				return err
			}
			if s.cookies, err = w.fillStore(ctx, s.redis, s.key, c.stored); err != nil {
				return err
			}
			stores[c.stored] = s
		}
		address, err := freeAddress(ctx)
		if err != nil {
			return err
		}
		more := storeOptions(s.redis, s.key)
		if c.cold {
			more = append(more, "--session.cache-ttl=0s")
		}
		if c.postern, _, err = w.startReplica(ctx, address, more...); err != nil {
			return err
		}
		w.targets = append(w.targets, c.postern)
		c.redis, c.cookies, c.common = s.redis, s.cookies, browserHeaders(w.front, plainCookies)
		// Every session is read, and from now on in memory where anything is.
		if err := askEach(ctx, c.postern.address, c.requests(pathSmall)); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

func storeOptions(redis *process, key string) []string {
	return []string{"--redis.uri=redis://" + redis.address, "--encryption-key=" + key}
}

func (w *world) startRedis(ctx context.Context) (*process, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("redis-server is missing: apt-get install redis-server")
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	p, err := spawn(ctx, "redis-server", address, nil, nil, path,
		"--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", w.dir, "--logfile", filepath.Join(w.dir, "redis-"+port+".log"))
	if err != nil {
		return nil, err
	}
	w.targets = append(w.targets, p)
	client := redisClient(p)
	defer client.Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if err = client.Ping(ctx).Err(); err == nil {
			return p, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("wait for redis-server: %w", err)
		}
	}
}

func redisClient(p *process) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: p.address, MaxRetries: -1, DisableIdentity: true})
}

// fillStore makes real logins, at a Postern that is there for nothing else, and puts others' sessions beside theirs. It returns the cookies
// of the real ones.
func (w *world) fillStore(ctx context.Context, store *process, key string, sessions int) (cookies []string, err error) {
	front, _, err := w.startWithLogin(ctx, storeOptions(store, key)...)
	if err != nil {
		return nil, err
	}
	defer front.stop()
	for range min(sessions, ownSessions) {
		cookie, err := login(ctx, w.ingress())
		if err != nil {
			return nil, err
		}
		cookies = append(cookies, cookie)
	}
	client := redisClient(store)
	defer client.Close()
	return cookies, addSessions(ctx, client, sessions-len(cookies))
}

// addSessions puts values of the usual size, which open for nobody, at keys like those of sessions.
func addSessions(ctx context.Context, client *redis.Client, n int) error {
	const batch = 1000
	value := randomBytes(storedBytes)
	for n > 0 {
		pipe := client.Pipeline()
		for range min(n, batch) {
			copy(value, randomBytes(64)) // no two alike
			pipe.Set(ctx, "postern:session:{"+base64.RawURLEncoding.EncodeToString(randomBytes(32))+"}", string(value), 10*time.Hour)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("fill the store: %w", err)
		}
		n -= batch
	}
	return nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// storeCalls are the commands that a Redis has been sent.
type storeCalls struct {
	commands int64
	at       time.Time     // when it was asked
	during   time.Duration // of a difference
}

func storeCallsOf(ctx context.Context, store *process) (storeCalls, error) {
	client := redisClient(store)
	defer client.Close()
	info, err := client.Info(ctx, "stats").Result()
	if err != nil {
		return storeCalls{}, fmt.Errorf("ask redis-server for its statistics: %w", err)
	}
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if count, found := strings.CutPrefix(lines.Text(), "total_commands_processed:"); found {
			n, err := strconv.ParseInt(count, 10, 64)
			return storeCalls{commands: n, at: time.Now()}, err
		}
	}
	return storeCalls{}, errors.New("ask redis-server for its statistics: there is no count of commands")
}

// readingEachSecond is what a Postern may ask the store in the background, by the second: whether sessions have ended elsewhere.
const readingEachSecond = 50

// plausibleStore makes sure that sessions in memory cost no call of the store, and those that are seen for the first time one.
func plausibleStore(all int, calls storeCalls, cold bool) error {
	background := int64(readingEachSecond*calls.during.Seconds()) + 8*turns // and what asking for the counts takes
	switch {
	case cold && calls.commands < nearlyAll(all):
		return fmt.Errorf("only %d calls of the store for %d sessions that are seen for the first time", calls.commands, all)
	case cold && calls.commands > int64(all)+background:
		return fmt.Errorf("%d calls of the store for %d sessions that are seen for the first time", calls.commands, all)
	case !cold && calls.commands > background:
		return readAgain{calls.commands, all}
	}
	return nil
}

// readAgain is a round in which sessions in memory were read from the store. A machine that stands still for a second takes the proof away that memory
// may be served from: such a round says nothing, and is measured again. A Postern that reads each time does so then too.
type readAgain struct {
	commands int64
	all      int
}

// Error implements error.
func (r readAgain) Error() string {
	return fmt.Sprintf("%d calls of the store for %d requests of sessions in memory", r.commands, r.all)
}
