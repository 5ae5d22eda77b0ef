package storetest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/config"
)

// Redis is a real redis-server of one test, which ends with it.
type Redis struct {
	Client *redis.Client // for looking at what is there

	t       testing.TB
	address string
	dir     string
	process *exec.Cmd
}

// StartRedis starts redis-server on a free port of loopback. Where there is none the test is skipped, and fails with CI=true.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is missing: apt-get install redis-server")
		}
		t.Skip("redis-server is missing: apt-get install redis-server")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Redis{t: t, address: listener.Addr().String(), dir: t.TempDir()}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	r.Client = redis.NewClient(&redis.Options{Addr: r.address, MaxRetries: -1})
	t.Cleanup(func() {
		_ = r.Client.Close() // its server may be gone
		r.Stop()
	})
	r.Start()
	return r
}

// Config reaches this server.
func (r *Redis) Config() config.Redis {
	return config.Redis{URI: config.NewSecret("redis://" + r.address)}
}

// Address is host:port.
func (r *Redis) Address() string { return r.address }

// Start starts the server, again after Stop and then empty. It returns when the server answers.
func (r *Redis) Start() {
	r.t.Helper()
	host, port, _ := strings.Cut(r.address, ":")
	r.process = exec.Command("redis-server", "--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", r.dir,
		"--logfile", filepath.Join(r.dir, "redis.log"))
	if err := r.process.Start(); err != nil {
		r.t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); r.Client.Ping(context.Background()).Err() != nil; {
		if time.Now().After(deadline) {
			r.t.Fatal("redis-server does not answer")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Stop kills the server: connections are refused.
func (r *Redis) Stop() {
	if r.process == nil {
		return
	}
	_ = r.process.Process.Kill() // also one that hangs
	_ = r.process.Wait()
	r.process = nil
}

// Hang stops the server from answering while its connections stay open.
func (r *Redis) Hang() { r.signal(syscall.SIGSTOP) }

// Resume ends Hang.
func (r *Redis) Resume() { r.signal(syscall.SIGCONT) }

func (r *Redis) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.process.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}
