package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"postern/oidc/devidp"
)

const (
	clientID     = "5f1d7c1e-8f0a-4d53-9d0c-6a1f0f7f3b10"
	clientSecret = "not-a-secret"
)

// world is everything that takes part. The ingress is on the port of every Postern of the run, so that there is one at a time.
type world struct {
	binary   string
	dir      string // "" if the binary is somebody else's
	front    string // host:port of Postern, by a name that cookies can be set for
	app, idp *process
	targets  map[string]*process // "postern", and a bare proxy for each caller
	sent     map[string]http.Header
}

// The callers, and the headers that come with their requests.
const (
	anonymous = "anonymous"
	session   = "session"
)

const postern = "postern"

// newWorld builds the binary and starts what Postern needs around it.
func newWorld(ctx context.Context, binary string, progress io.Writer) (*world, error) {
	w := &world{binary: binary, targets: map[string]*process{}, sent: map[string]http.Header{}}
	if err := w.prepare(ctx, progress); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) prepare(ctx context.Context, progress io.Writer) error {
	if w.binary == "" {
		say(progress, "building postern")
		if err := w.build(ctx); err != nil {
			return err
		}
	}
	free, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(free)
	if err != nil {
		return err
	}
	w.front = "localhost:" + port
	if w.app, err = start(ctx, roleApp, part{}); err != nil {
		return err
	}
	return w.startProvider(ctx)
}

// build makes the binary as it is shipped: static, stripped, without paths of this machine.
func (w *world) build(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "postern-bench-")
	if err != nil {
		return err
	}
	w.dir, w.binary = dir, filepath.Join(dir, "postern")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", w.binary, "postern/cmd/postern") //nolint:gosec // our own program
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build postern: %w\n%s", err, out)
	}
	return nil
}

func (w *world) startProvider(ctx context.Context) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	w.idp, err = spawn(ctx, "postern idp", address, nil, nil, w.binary, "idp", "--bind-address="+address,
		"--client-id="+clientID, "--client-secret="+clientSecret, "--redirect-uri="+w.ingress()+"/oauth2/callback")
	if err != nil {
		return err
	}
	_, err = w.idp.wait(ctx, w.wellKnown(), 10*time.Millisecond)
	return err
}

func (w *world) ingress() string { return "http://" + w.front }

func (w *world) wellKnown() string {
	return "http://" + w.idp.address + "/" + devidp.DefaultTenantID + "/v2.0/.well-known/openid-configuration"
}

// startPostern runs the sidecar, and says how long it took from exec until it was ready.
func (w *world) startPostern(ctx context.Context) (*process, time.Duration, error) {
	probe, err := freeAddress(ctx)
	if err != nil {
		return nil, 0, err
	}
	metrics, err := freeAddress(ctx)
	if err != nil {
		return nil, 0, err
	}
	_, port, err := net.SplitHostPort(w.front)
	if err != nil {
		return nil, 0, err
	}
	address := "127.0.0.1:" + port
	p, err := spawn(ctx, postern, address, nil, nil, w.binary, "serve",
		"--bind-address="+address, "--probe-bind-address="+probe, "--metrics-bind-address="+metrics,
		"--ingress="+w.ingress(), "--upstream-host="+w.app.address, "--identity.headers=postern",
		"--cookie.secure=false", // plain http
		"--openid.provider=azure", "--openid.client-id="+clientID, "--openid.client-secret="+clientSecret, "--openid.well-known-url="+w.wellKnown())
	if err != nil {
		return nil, 0, err
	}
	took, err := p.wait(ctx, "http://"+probe+"/readyz", time.Millisecond)
	if err != nil {
		p.stop()
		return nil, 0, err
	}
	return p, took, nil
}

// open starts the targets: Postern with one person logged in, and bare proxies that send the app the same.
func (w *world) open(ctx context.Context) error {
	var err error
	if w.targets[postern], _, err = w.startPostern(ctx); err != nil {
		return err
	}
	cookie, err := login(ctx, w.ingress())
	if err != nil {
		return err
	}
	for caller, cookies := range map[string]string{anonymous: "theme=dark", session: "theme=dark; " + cookie} {
		w.sent[caller] = browserHeaders(w.front, cookies)
		if err := w.openBare(ctx, caller); err != nil {
			return err
		}
	}
	return nil
}

// openBare learns what Postern sends for a caller, starts a bare proxy that sends it too, and makes sure that it does.
func (w *world) openBare(ctx context.Context, caller string) error {
	var want, got http.Header
	if err := getJSON(ctx, "http://"+w.targets[postern].address+pathHeaders, w.sent[caller], &want); err != nil {
		return err
	}
	if speaksForSomebody(want) != (caller == session) {
		return fmt.Errorf("the app is told somebody's name for the caller %q, or nobody's for a session", caller)
	}
	bare, err := start(ctx, roleBare, part{Bare: sendAlike(w.app.address, w.sent[caller], want)}, bareGC)
	if err != nil {
		return err
	}
	w.targets[caller] = bare
	if err := getJSON(ctx, "http://"+bare.address+pathHeaders, w.sent[caller], &got); err != nil {
		return err
	}
	if !maps.EqualFunc(want, got, slices.Equal) {
		return errors.New("the bare proxy sends other headers than postern: the comparison would be unfair")
	}
	return nil
}

func (w *world) close() {
	for _, p := range w.targets {
		p.stop()
	}
	w.idp.stop()
	w.app.stop()
	if w.dir != "" {
		_ = os.RemoveAll(w.dir)
	}
}

// browserHeaders are those of a script on a page of the app.
func browserHeaders(host, cookies string) http.Header {
	return http.Header{
		"Host":            {host},
		"Accept":          {"application/json, text/plain, */*"},
		"Accept-Encoding": {"gzip, deflate, br, zstd"},
		"Accept-Language": {"nb-NO,nb;q=0.9,en;q=0.8"},
		"Cookie":          {cookies},
		"Referer":         {"http://" + host + "/cases"},
		"Sec-Fetch-Dest":  {"empty"},
		"Sec-Fetch-Mode":  {"cors"},
		"Sec-Fetch-Site":  {"same-origin"},
		"User-Agent":      {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
	}
}
