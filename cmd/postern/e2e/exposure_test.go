package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// listeningApp is an app that listens where it is told.
func listeningApp(t *testing.T, network, address string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	_ = server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
}

func exposureOf(t *testing.T, p *Process) string {
	t.Helper()
	for line := range strings.Lines(p.Metrics(t)) {
		if value, ok := strings.CutPrefix(line, "postern_upstream_exposed "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "absent"
}

// becomes waits until /readyz and the gauge say this, and shows that both say it.
func becomes(t *testing.T, p *Process, status int, body, gauge string) {
	t.Helper()
	Eventually(t, "the exposure of the app", func() error {
		gotStatus, gotBody := p.Readyz(t)
		if got := exposureOf(t, p); gotStatus != status || !strings.Contains(gotBody, body) || body == "" && strings.Contains(gotBody, "upstream") || got != gauge {
			return fmt.Errorf("status %d %s, gauge %s; want %d %q, %s", gotStatus, strings.TrimSpace(gotBody), got, status, body, gauge)
		}
		return nil
	})
}

const beyondLoopback = "listens beyond loopback"

// S-05: an app that others reach beside Postern is named; with `refuse` the pod is not ready.
func TestS05ExposedApp(t *testing.T) {
	t.Parallel()
	named := `{"dependency":"upstream","reason":"upstream_exposed"}`
	for name, test := range map[string]struct {
		listen, mode string
		status       int
		body, gauge  string
		warnings     int
	}{
		"on every address":          {"0.0.0.0", "", 200, named, "1", 1},
		"on every address of IPv6":  {"::", "warn", 200, named, "1", 1},
		"on every address, refused": {"0.0.0.0", "refuse", 503, named, "1", 1},
		"on loopback":               {"127.0.0.1", "", 200, "", "0", 0},
		"on loopback, refused":      {"127.0.0.1", "refuse", 200, "", "0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := FreePort(t)
			if test.listen == "::" && !hasIPv6(t) {
				t.Skip("this machine has no IPv6")
			}
			listeningApp(t, "tcp", net.JoinHostPort(test.listen, port))
			env := map[string]string{"POSTERN_UPSTREAM_HOST": "127.0.0.1:" + port}
			if test.mode != "" {
				env["POSTERN_UPSTREAM_EXPOSED"] = test.mode
			}
			p := Launch(t, env)
			t.Cleanup(func() { p.Stop(t) })
			p.WaitURL(t, "http://"+p.ProbeAddr+"/livez")
			becomes(t, p, test.status, test.body, test.gauge)
			if _, body := p.Readyz(t); strings.Contains(body, "0.0.0.0") || strings.Contains(body, port) {
				t.Errorf("/readyz tells an address: %s", body)
			}
			if r := NewClient(t).Get(p.URL() + "/"); r.StatusCode != 200 || r.Body != "hello" {
				t.Errorf("a request: status %d %s", r.StatusCode, r.Body) // it is the pod that is taken out of service, not a request
			}
			if got := strings.Count(p.Log.Text(), beyondLoopback); got != test.warnings {
				t.Errorf("%d warnings, want %d", got, test.warnings)
			}
		})
	}
}

// A sidecar that starts before its app notices soon how the app came up.
func TestS05AppThatComesUpExposed(t *testing.T) {
	t.Parallel()
	port := FreePort(t)
	p := Start(t, map[string]string{"POSTERN_UPSTREAM_HOST": "127.0.0.1:" + port, "POSTERN_UPSTREAM_EXPOSED": "refuse"})
	becomes(t, p, 200, "", "0")
	listeningApp(t, "tcp", "0.0.0.0:"+port)
	becomes(t, p, 503, `"status":"exposed"`, "1")
	record := p.Log.WaitFor(t, map[string]any{"reason": "upstream_exposed", "level": "WARN"})
	if record["address"] == nil {
		t.Errorf("the warning does not say where: %v", record)
	}
	if code := LaunchWith(t, map[string]string{
		"POSTERN_UPSTREAM_HOST": "127.0.0.1:" + port, "POSTERN_PROBE_BIND_ADDRESS": p.ProbeAddr,
	}, "healthcheck").Wait(t); code != 1 {
		t.Errorf("healthcheck exits with %d", code)
	}
}

// There is nothing to look at where the app has no port, is elsewhere, or is none at all.
func TestS05NothingToLookAt(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "app.sock")
	listeningApp(t, "unix", socket)
	for name, test := range map[string]struct{ upstream, gauge string }{
		"a Unix socket": {"unix:" + socket, "0"},
		"another host":  {"192.0.2.1:8080", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := Start(t, map[string]string{"POSTERN_UPSTREAM_HOST": test.upstream, "POSTERN_UPSTREAM_EXPOSED": "refuse"})
			becomes(t, p, 200, "", test.gauge)
		})
	}
	t.Run("a Texas", func(t *testing.T) {
		t.Parallel()
		metrics := "127.0.0.1:" + FreePort(t)
		jwk, _ := newJWK(t)
		env := map[string]string{
			"MASKINPORTEN_ENABLED": "true", "MASKINPORTEN_CLIENT_ID": "app", "MASKINPORTEN_WELL_KNOWN_URL": "https://idp.invalid/.well-known/openid-configuration",
			"MASKINPORTEN_CLIENT_JWK": jwk, "BIND_ADDRESS": "127.0.0.1:" + FreePort(t), "POSTERN_METRICS_BIND_ADDRESS": metrics,
			"POSTERN_UPSTREAM_EXPOSED": "refuse",
		}
		p := LaunchWith(t, env)
		t.Cleanup(func() { p.Stop(t) })
		p.MetricsAddr = metrics
		p.WaitURL(t, "http://"+metrics+"/metrics")
		if got := exposureOf(t, p); got != "absent" {
			t.Errorf("gauge %s", got)
		}
	})
}

func hasIPv6(t *testing.T) bool {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}
