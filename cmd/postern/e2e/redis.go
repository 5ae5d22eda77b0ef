package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const installRedis = "apt-get install redis-server, or run .ci/test"

// RedisServer is a real redis-server that keeps nothing on disk, unless it was asked to.
type RedisServer struct {
	Addr string // host:port

	path, dir string
	args      []string
	log       capture
	*child
}

// Redis starts a redis-server on a free port. Further arguments are redis-server's own, such as "--requirepass", "…" or "--appendonly", "yes" (then
// what was written is there again after a restart).
func Redis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	r := &RedisServer{Addr: "127.0.0.1:" + FreePort(t), args: args, dir: t.TempDir()}
	r.path = program(t, installRedis, "redis-server", "valkey-server")
	r.Start(t)
	return r
}

// URI is the address as session stores are told it.
func (r *RedisServer) URI() string { return "redis://" + r.Addr }

// Start runs the server again on the same port, after Stop or Kill.
func (r *RedisServer) Start(t testing.TB) {
	t.Helper()
	host, port, _ := net.SplitHostPort(r.Addr)
	args := append([]string{
		"--bind", host, "--port", port, "--dir", r.dir, "--save", "", "--appendonly", "no", "--daemonize", "no",
	}, r.args...)
	r.child = spawn(t, &r.log, &r.log, r.dir, nil, r.path, args...)
	Eventually(t, "waiting for redis-server", func() error {
		if !r.alive() {
			t.Fatalf("redis-server ended:\n%s", r.log.String())
		}
		return r.ping()
	})
}

// ping is nil when the server answers commands, with or without a password.
func (r *RedisServer) ping() error {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", r.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(answer, "+PONG") && !strings.HasPrefix(answer, "-NOAUTH") {
		return fmt.Errorf("answered %q", answer)
	}
	return nil
}

// Stop ends the server as an administrator would: connections are closed, later ones refused.
func (r *RedisServer) Stop(t testing.TB) {
	t.Helper()
	r.signal(syscall.SIGTERM)
	r.wait(t, Patience)
}

// Kill ends the server at once.
func (r *RedisServer) Kill(t testing.TB) {
	t.Helper()
	r.signal(os.Kill)
	r.wait(t, Patience)
}

// Restart is Stop and Start.
func (r *RedisServer) Restart(t testing.TB) {
	t.Helper()
	r.Stop(t)
	r.Start(t)
}

// Freeze makes the server hang: the kernel still takes connections and bytes, nobody answers.
func (r *RedisServer) Freeze() { r.signal(syscall.SIGSTOP) }

// Resume ends what Freeze began; what was sent meanwhile is then carried out.
func (r *RedisServer) Resume() { r.signal(syscall.SIGCONT) }

// Client speaks to the server beside postern, to look at keys and to break things.
func (r *RedisServer) Client(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: r.Addr, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second,
	})
	t.Cleanup(func() { c.Close() })
	return c
}
