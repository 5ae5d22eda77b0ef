package redistest

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const host = "127.0.0.1"

// Server is a real redis-server (or valkey-server). It keeps nothing on disk unless its arguments say so.
type Server struct {
	Addr string // host:port

	authority *Authority // of its certificate; nil without TLS
	sentinel  bool
	path, dir string
	args      []string
	log       output
	*process
}

// Start starts a server on a free port. Further arguments are redis-server's own, such as "--requirepass", "…" or "--appendonly", "yes" (then
// what was written is there again after a restart).
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return launch(t, &Server{args: args})
}

// StartTLS starts a server that speaks TLS only, with a certificate of the authority for its address.
func StartTLS(t testing.TB, a *Authority, args ...string) *Server {
	t.Helper()
	return launch(t, &Server{authority: a, args: args})
}

// launch puts a server on a free port. A port that somebody else has taken in the meantime is given up for another.
func launch(t testing.TB, s *Server) *Server {
	t.Helper()
	s.path, s.dir = program(t), t.TempDir()
	for range 5 {
		s.Addr = net.JoinHostPort(host, freePort(t))
		if s.run(t) {
			return s
		}
	}
	t.Fatalf("redis-server finds no port:\n%s", s.log.String())
	return nil
}

func program(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "redis-server is missing: apt-get install redis-server, or run .ci/test"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// Start runs the server again on the same port, after Stop or Kill. It returns when the server answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if !s.run(t) {
		t.Fatalf("the port of redis-server was taken:\n%s", s.log.String())
	}
}

// run is false if another program has taken the port.
func (s *Server) run(t testing.TB) bool {
	t.Helper()
	s.process = start(t, &s.log, s.dir, s.path, s.arguments(t)...)
	taken := false
	eventually(t, "waiting for redis-server", func() error {
		if s.alive() {
			return s.ping()
		}
		if taken = strings.Contains(s.log.String(), "Address already in use"); !taken {
			t.Fatalf("redis-server ended:\n%s", s.log.String())
		}
		return nil
	})
	return !taken
}

func (s *Server) arguments(t testing.TB) []string {
	_, port, _ := net.SplitHostPort(s.Addr)
	var args []string
	if s.sentinel {
		args = append(args, s.sentinelFile(t), "--sentinel")
	}
	args = append(args, "--bind", host, "--dir", s.dir, "--daemonize", "no")
	if s.authority != nil {
		args = append(args, "--port", "0", "--tls-port", port)
		args = append(args, s.authority.serverArguments()...)
	} else {
		args = append(args, "--port", port)
	}
	if s.sentinel {
		return args
	}
	return append(append(args, "--save", "", "--appendonly", "no"), s.args...)
}

// ping is nil when the server answers commands, with or without a password.
func (s *Server) ping() error {
	// Not by the client library first: it writes a line for each refused connection.
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", s.Addr)
	if err != nil {
		return err
	}
	_ = conn.Close()
	c := redis.NewClient(s.options())
	defer c.Close()
	err = c.Ping(context.Background()).Err()
	if err != nil && redis.HasErrorPrefix(err, "NOAUTH") {
		return nil
	}
	return err
}

// Refused are the commands and keys that users tried without the right to, as ACL LOG has them.
func (s *Server) Refused(t testing.TB) []string {
	t.Helper()
	c := redis.NewClient(s.options())
	defer c.Close()
	entries, err := c.ACLLog(context.Background(), 100).Result()
	must(t, err)
	var refused []string
	for _, entry := range entries {
		refused = append(refused, entry.Reason+" "+entry.Object)
	}
	return refused
}

// Stop ends the server as an administrator would: connections are closed, later ones refused.
func (s *Server) Stop(testing.TB) { s.end(syscall.SIGTERM) }

// Kill ends the server at once.
func (s *Server) Kill(testing.TB) { s.end(os.Kill) }

// Restart is Stop and Start.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	s.Start(t)
}

// Freeze makes the server hang: the kernel still takes connections and bytes, nobody answers.
func (s *Server) Freeze() { Freeze(s.cmd.Process) }

// Resume ends what Freeze began; what was sent meanwhile is then carried out.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// URI is the address as session stores are told it.
func (s *Server) URI() string {
	if s.authority != nil {
		return "rediss://" + s.Addr
	}
	return "redis://" + s.Addr
}

// Client speaks to the server beside the program under test, to look at keys and to break things.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(s.options())
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ClientWith is Client with another password than the server was started with.
func (s *Server) ClientWith(t testing.TB, password string) *redis.Client {
	t.Helper()
	o := s.options()
	o.Password = password
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *Server) options() *redis.Options {
	o := &redis.Options{
		Addr: s.Addr, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: time.Second,
		Password: s.argument("--requirepass"),
	}
	if s.authority != nil {
		o.TLSConfig = s.authority.ClientConfig()
	}
	return o
}

// argument is the value of an argument that the server was started with.
func (s *Server) argument(name string) string {
	for i := 0; i+1 < len(s.args); i++ {
		if s.args[i] == name {
			return s.args[i+1]
		}
	}
	return ""
}

// Command sends one command, its words parted by spaces.
func (s *Server) Command(t testing.TB, line string) {
	t.Helper()
	var words []any
	for word := range strings.FieldsSeq(line) {
		words = append(words, word)
	}
	s.do(t, words)
}

// do sends commands to the server, one after the other, and ends the test if one is refused.
func (s *Server) do(t testing.TB, commands ...[]any) {
	t.Helper()
	c := redis.NewClient(s.options())
	defer c.Close()
	for _, command := range commands {
		if err := c.Do(context.Background(), command...).Err(); err != nil && !errors.Is(err, redis.Nil) {
			t.Fatalf("%v: %v", command, err)
		}
	}
}
