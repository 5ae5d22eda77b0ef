package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"postern/cmd/postern/e2e"
	"postern/oidc/devidp"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"postern": main})
}

// TestStories runs what an operator types, and holds what is printed and the exit status to testdata/*.txtar.
//
//	exits STATUS program [args…]    runs the program; the exit status must be this one
func TestStories(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

func exits(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: exits status program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ran := errors.AsType[*exec.ExitError](err)
		if !ran {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// output is what a command prints; it may be read while the command runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// S-41: `postern serve` refuses the test provider unless every ingress is on loopback, or allow-test-provider is said.
func TestS41ServeRefusesTheTestProvider(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ingress []string
		more    []string
		ready   bool
	}{
		"ingress on the internet":         {[]string{"https://app.example.org"}, nil, false},
		"one of two on the internet":      {[]string{"http://app.localhost:3000", "https://app.example.org"}, nil, false},
		"a name that only looks loopback": {[]string{"https://localhost.example.org"}, nil, false},
		"ingress on loopback":             {[]string{"http://app.localhost:3000", "http://127.0.0.1:3000"}, nil, true},
		"said to be wanted":               {[]string{"https://app.example.org"}, []string{"--allow-test-provider"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := devidp.ClientConfig{
				ID: "5f1d7c1e-8f0a-4d53-9d0c-6a1f0f7f3b10", Secret: "not-a-secret", RedirectURIs: []string{test.ingress[0] + "/oauth2/callback"},
			}
			provider, err := devidp.New(devidp.Config{Clients: []devidp.ClientConfig{client}})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(provider)
			defer server.Close()
			socket := filepath.Join(t.TempDir(), "s")
			printed, errs := new(output), new(output)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan int, 1)
			go func() {
				ended <- dispatch(ctx, program{stdout: printed, stderr: errs, args: append([]string{
					"serve", "--bind-address=unix:" + socket + "front", "--probe-bind-address=unix:" + socket + "probe", "--metrics-bind-address=",
					"--ingress=" + strings.Join(test.ingress, ","), "--openid.client-id=" + client.ID, "--openid.client-secret=" + client.Secret,
					"--openid.well-known-url=" + server.URL + "/" + devidp.DefaultTenantID + "/v2.0/.well-known/openid-configuration",
				}, test.more...)})
			}()
			e2e.Eventually(t, "the provider's metadata were read", func() error {
				said := printed.String()
				switch {
				case test.ready && strings.Contains(said, "identity provider ready"):
				case !test.ready && strings.Contains(said, `"level":"WARN"`) && strings.Contains(said, "test_provider_refused"):
				default:
					return fmt.Errorf("the log says %s", said)
				}
				status, body := overSocket(t, socket+"probe", "probe", "/readyz")
				if (status == http.StatusOK) != test.ready || strings.Contains(body, "test_provider_refused") == test.ready {
					return fmt.Errorf("readyz: status %d %s", status, body)
				}
				return nil
			})
			_, host, _ := strings.Cut(test.ingress[0], "//")
			want := map[bool]int{true: http.StatusFound, false: http.StatusServiceUnavailable}[test.ready]
			if status, body := overSocket(t, socket+"front", host, "/oauth2/login"); status != want {
				t.Errorf("login: status %d, want %d: %s", status, want, body)
			}
			stop()
			if code := <-ended; code != exitOK || errs.String() != "" {
				t.Errorf("exit status %d, standard error %q", code, errs)
			}
		})
	}
}

// overSocket asks a listener on a Unix socket.
func overSocket(t *testing.T, socket, host, path string) (status int, body string) {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
