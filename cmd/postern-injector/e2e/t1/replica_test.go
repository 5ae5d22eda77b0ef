package t1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
)

// replica is one process of the built injector.
type replica struct {
	release        *release
	program        *cluster.Program
	address, probe string // host:port
}

// prepare is what a replica is started with: the rights of the chart's service account, and a directory of its own.
func (r *release) prepare(t testing.TB, number int) (dir string) {
	t.Helper()
	dir = filepath.Join(r.dir, fmt.Sprint("replica-", number))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := os.ReadFile(r.c.KubeconfigFor(t, r.namespace, r.name))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "kubeconfig"), string(kubeconfig)) // that of the harness goes with this test
	return dir
}

// launch starts replicas at the same moment, and returns when they listen.
func (r *release) launch(t testing.TB, n int) []*replica {
	t.Helper()
	r.mu.Lock()
	first := len(r.replicas)
	r.mu.Unlock()
	var started []*replica
	var dirs []string
	for i := range n {
		dirs = append(dirs, r.prepare(t, first+i))
	}
	for _, dir := range dirs {
		args := append([]string{"--kubeconfig=" + filepath.Join(dir, "kubeconfig")}, r.args...)
		p, err := cluster.StartProgram(dir, r.binary, append([]string{"PATH=/nonexistent", "HOME=" + dir}, r.environ...), args...)
		if err != nil {
			t.Fatal(err)
		}
		one := &replica{release: r, program: p}
		started = append(started, one)
		r.mu.Lock()
		r.replicas = append(r.replicas, one)
		r.mu.Unlock()
	}
	for _, one := range started {
		cluster.Eventually(t, "the injector listens", one.listening)
	}
	return started
}

// listening is nil when the replica has said where it listens.
func (p *replica) listening() error {
	lines := p.lines("listening")
	if len(lines) == 0 {
		return fmt.Errorf("it says: %s", p.program.Said())
	}
	p.release.mu.Lock()
	defer p.release.mu.Unlock()
	p.address, p.probe = fmt.Sprint(lines[0]["bind_address"]), fmt.Sprint(lines[0]["probe_bind_address"])
	return nil
}

func (p *replica) await(t testing.TB) {
	t.Helper()
	cluster.Eventually(t, "the injector is ready", func() error {
		if status := p.status(); status != http.StatusOK {
			_, text := p.get("/readyz")
			return fmt.Errorf("/readyz: %d %s", status, text)
		}
		return nil
	})
}

// status is that of /readyz; 0 if there is none.
func (p *replica) status() int {
	code, _ := p.get("/readyz")
	return code
}

func (p *replica) get(path string) (int, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.probe+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// metric is the sum of the series over all replicas that run.
func (r *release) metric(t testing.TB, name string, labels map[string]string) (sum float64) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.replicas {
		if code, text := one.get("/metrics"); code == http.StatusOK {
			sum += cluster.SumOf(t, text, name, labels)
		}
	}
	return sum
}

// lines are the log lines with this message.
func (p *replica) lines(message string) (found []tree) {
	scan := bufio.NewScanner(strings.NewReader(p.program.Said()))
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		var line tree
		if json.Unmarshal(scan.Bytes(), &line) == nil && line["msg"] == message {
			found = append(found, line)
		}
	}
	return found
}

// lines are those of all replicas.
func (r *release) lines(message string) (found []tree) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.replicas {
		found = append(found, one.lines(message)...)
	}
	return found
}

// leaf is what a replica serves to whoever trusts these CAs.
func (p *replica) handshake(config *tls.Config) (tls.ConnectionState, error) {
	dialer := tls.Dialer{Config: config}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	tlsConn, ok := conn.(*tls.Conn)
	if !ok {
		return tls.ConnectionState{}, errors.New("no TLS")
	}
	return tlsConn.ConnectionState(), nil
}

// post sends a body to the webhook, past the API server.
func (p *replica) post(t testing.TB, path, contentType string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+p.address+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: p.release.trust(t)}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, text
}

// balancer is what kube-proxy does: each connection goes to one of the replicas that are ready.
type balancer struct {
	listener net.Listener
	targets  func() []string

	mu   sync.Mutex
	next int
	held []net.Conn
}

func balanced(t testing.TB, targets func() []string) *balancer {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{listener: l, targets: targets}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go b.connect(conn)
		}
	}()
	return b
}

func (b *balancer) address() string { return b.listener.Addr().String() }

func (b *balancer) connect(client net.Conn) {
	defer client.Close()
	targets := b.targets()
	b.mu.Lock()
	b.next++
	n := b.next
	b.mu.Unlock()
	for i := range targets {
		server, err := net.DialTimeout("tcp", targets[(n+i)%len(targets)], time.Second)
		if err != nil {
			continue
		}
		b.mu.Lock()
		b.held = append(b.held, client, server)
		b.mu.Unlock()
		cluster.Splice(client, client, server)
		return
	}
}

// close ends all connections, too.
func (b *balancer) close() {
	b.listener.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range b.held {
		conn.Close()
	}
}
