package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/session/redistest"
)

// stopLimit is more than any test configures as shutdown-graceful-period.
const stopLimit = 15 * time.Second

// Process is a running postern.
type Process struct {
	Addr        string // host:port of the public listener
	ProbeAddr   string
	MetricsAddr string
	TokenAddr   string // of the token API, if it is on
	Log         *Log

	*child
	ended  bool   // the test itself has seen to its end
	launch func() // runs it once more as it was
}

// Start runs the binary and returns when it is ready. At the end of the test it is stopped with SIGTERM and must exit with 0.
//
// The listeners are on free ports, unless env says where (POSTERN_BIND_ADDRESS and so on). What the test must know before, such as the port
// for the ingress, it chooses with [FreePort].
func Start(t testing.TB, env map[string]string, args ...string) *Process {
	t.Helper()
	p := Launch(t, env, args...)
	p.WaitReady(t)
	t.Cleanup(func() {
		if !p.ended {
			p.Stop(t)
		}
		if text := p.Log.Stderr(); text != "" { // contract 8: logs are lines of the log, whoever writes them
			t.Errorf("postern wrote beside the log:\n%s", text)
		}
	})
	return p
}

// Launch runs the binary and returns at once: for a start that fails, or is not ready for long, or for another subcommand than serve.
func Launch(t testing.TB, env map[string]string, args ...string) *Process {
	t.Helper()
	p := &Process{Log: newLog()}
	full := map[string]string{}
	for name, addr := range map[string]*string{
		"POSTERN_BIND_ADDRESS": &p.Addr, "POSTERN_PROBE_BIND_ADDRESS": &p.ProbeAddr, "POSTERN_METRICS_BIND_ADDRESS": &p.MetricsAddr,
		"POSTERN_TOKEN_BIND_ADDRESS": &p.TokenAddr,
	} {
		*addr = env[name]
		if *addr == "" {
			*addr = "127.0.0.1:" + FreePort(t)
		}
		full[name] = *addr
	}
	for name, value := range env {
		full[name] = value
	}
	p.run(t, full, args)
	return p
}

// LaunchWith runs the binary with this environment and nothing else, so that its listeners are where the variables say, or by default.
func LaunchWith(t testing.TB, env map[string]string, args ...string) *Process {
	t.Helper()
	p := &Process{Log: newLog()}
	p.run(t, env, args)
	return p
}

func (p *Process) run(t testing.TB, env map[string]string, args []string) {
	t.Helper()
	binary, dir := Build(t), t.TempDir()
	t.Cleanup(func() { p.Log.finish(t) })
	p.launch = func() { p.child = spawn(t, &p.Log.out, &p.Log.err, dir, env, binary, args...) }
	p.launch()
}

// again runs it once more after its end, with the same environment, arguments and log.
func (p *Process) again(t testing.TB) {
	t.Helper()
	if p.alive() {
		t.Fatal("postern still runs")
	}
	p.launch()
	p.ended = false
}

// URL is the address of the public listener, by its number.
func (p *Process) URL() string { return "http://" + p.Addr }

// Port is the port of the public listener.
func (p *Process) Port() string {
	_, port, _ := net.SplitHostPort(p.Addr)
	return port
}

// WaitReady returns when /readyz of the probe listener is 200.
func (p *Process) WaitReady(t testing.TB) {
	t.Helper()
	p.WaitURL(t, "http://"+p.ProbeAddr+"/readyz")
}

// WaitURL returns when a GET of the URL is 200, and fails the test if the process ends before.
func (p *Process) WaitURL(t testing.TB, url string) {
	t.Helper()
	Eventually(t, "waiting for "+url, func() error {
		if !p.alive() {
			t.Fatalf("postern ended with exit code %d before %s answered\n%s", p.code, url, p.Log.Text())
		}
		status, body, err := probe(url)
		if err != nil || status == http.StatusOK {
			return err
		}
		return fmt.Errorf("status %d %s", status, strings.TrimSpace(body))
	})
}

// Readyz is what /readyz answers now.
func (p *Process) Readyz(t testing.TB) (status int, body string) {
	t.Helper()
	status, body, err := probe("http://" + p.ProbeAddr + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	return status, body
}

// Metrics is the text of /metrics.
func (p *Process) Metrics(t testing.TB) string {
	t.Helper()
	_, body, err := probe("http://" + p.MetricsAddr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// Stop sends SIGTERM; the exit code must be 0.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.ended = true
	p.signal(syscall.SIGTERM)
	if code := p.wait(t, stopLimit); code != 0 {
		t.Errorf("postern exited with %d after SIGTERM", code)
	}
}

// StopInTrouble sends SIGTERM while what it depends on is broken: it may also say with 1 that a refresh was not over in time.
func (p *Process) StopInTrouble(t testing.TB) {
	t.Helper()
	p.ended = true
	p.signal(syscall.SIGTERM)
	code := p.wait(t, stopLimit)
	if late := p.Log.Find(map[string]any{"msg": "stopped", "error": "wait for refreshes: context deadline exceeded"}); code != 0 && (code != 1 || len(late) == 0) {
		t.Errorf("postern exited with %d after SIGTERM", code)
	}
}

// Wait is the exit code of a process that ends by itself.
func (p *Process) Wait(t testing.TB) int {
	t.Helper()
	p.ended = true
	return p.wait(t, Patience)
}

// Kill ends it without a chance to clean up.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.ended = true
	p.signal(os.Kill)
	p.wait(t, stopLimit)
}

// Freeze stops the process where it is (SIGSTOP); Resume lets it go on.
func (p *Process) Freeze() { redistest.Freeze(p.cmd.Process) }

// Resume ends what Freeze began.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

func probe(url string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := loopback().RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}
