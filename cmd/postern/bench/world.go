package main

import (
	"context"
	_ "embed" // the profile
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
	"strings"
	"time"

	"postern/oidc/devidp"
)

const (
	clientID     = "5f1d7c1e-8f0a-4d53-9d0c-6a1f0f7f3b10"
	clientSecret = "not-a-secret"
)

// world is everything that takes part. The ingress of a login is on the port of every Postern that has one, so that there is one of them at
// a time; those for bearer tokens have addresses of their own.
type world struct {
	binary   string
	dir      string // for the run's files
	front    string // host:port of the Postern with a login, by a name that cookies can be set for
	second   string // the same of the one whose app calls another API
	others   gateways
	app, idp *process
	targets  []*process
	profiled bool // every Postern serves profiles
	sockets  int  // that were given for that
}

const postern = "postern"

// newWorld builds the binary and starts what Postern needs around it.
func newWorld(ctx context.Context, binary string, profiled bool, others gateways, progress io.Writer) (*world, error) {
	w := &world{binary: binary, profiled: profiled, others: others}
	if err := w.prepare(ctx, progress); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) prepare(ctx context.Context, progress io.Writer) (err error) {
	if w.dir, err = os.MkdirTemp("", "postern-bench-"); err != nil {
		return err
	}
	if w.binary == "" {
		say(progress, "building postern")
		if err := w.build(ctx); err != nil {
			return err
		}
	}
	named := []*string{&w.front, &w.second}
	for _, g := range w.others {
		named = append(named, &g.address)
	}
	for _, address := range named {
		free, err := freeAddress(ctx)
		if err != nil {
			return err
		}
		_, port, err := net.SplitHostPort(free)
		if err != nil {
			return err
		}
		*address = "localhost:" + port
	}
	if w.app, err = start(ctx, roleApp, part{}); err != nil {
		return err
	}
	return w.startProvider(ctx)
}

// releaseProfile is what the compiler is told of a busy Postern (go.dev/doc/pgo). It is no default.pgo: every build would compile all
// packages once more for it, and a release is worth that, a test is not.
//
//go:embed release.pgo
var releaseProfile []byte

// build makes the binary as it is shipped: static, stripped, optimized by the profile, without paths of this machine.
func (w *world) build(ctx context.Context) error {
	w.binary = filepath.Join(w.dir, "postern")
	profile := filepath.Join(w.dir, "release.pgo")
	if err := os.WriteFile(profile, releaseProfile, 0o600); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	args := []string{"build", "-trimpath", "-pgo", profile, "-ldflags", "-s -w", "-o", w.binary, "postern/cmd/postern"}
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // our own program
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
	clients, err := w.writeClients()
	if err != nil {
		return err
	}
	w.idp, err = spawn(ctx, "postern idp", address, nil, nil, w.binary, "idp", "--bind-address="+address, "--admin",
		"--client-id="+clientID, "--client-secret="+clientSecret, "--redirect-uri="+strings.Join(w.callbacks(), ","), "--clients="+clients)
	if err != nil {
		return err
	}
	_, err = w.idp.wait(ctx, w.wellKnown(), 10*time.Millisecond)
	return err
}

// callbacks are where logins may come back to.
func (w *world) callbacks() []string {
	const path = "/oauth2/callback"
	all := []string{w.ingress() + path, "http://" + w.second + path}
	for _, g := range w.others {
		all = append(all, g.origin()+path)
	}
	return all
}

func (w *world) ingress() string { return "http://" + w.front }

func (w *world) wellKnown() string {
	return "http://" + w.idp.address + "/" + devidp.DefaultTenantID + "/v2.0/.well-known/openid-configuration"
}

// startWithLogin runs a Postern for sessions, and says how long it took from exec until it was ready.
func (w *world) startWithLogin(ctx context.Context, more ...string) (*process, time.Duration, error) {
	_, port, err := net.SplitHostPort(w.front)
	if err != nil {
		return nil, 0, err
	}
	return w.startReplica(ctx, "127.0.0.1:"+port, more...)
}

// startReplica runs one more of it at another address. Without a common store it knows nobody.
func (w *world) startReplica(ctx context.Context, address string, more ...string) (*process, time.Duration, error) {
	return w.startPostern(ctx, address, nil, append(w.loginOptions(w.ingress()), more...)...)
}

// loginOptions are those of a Postern that people with browsers log in at.
func (w *world) loginOptions(ingress string) []string {
	return []string{
		"--ingress=" + ingress,
		"--cookie.secure=false", // plain http
		"--openid.provider=azure", "--openid.client-id=" + clientID, "--openid.client-secret=" + clientSecret, "--openid.well-known-url=" + w.wellKnown(),
	}
}

// startPostern runs the sidecar with the options that every one of them has, and more.
func (w *world) startPostern(ctx context.Context, address string, env []string, more ...string) (*process, time.Duration, error) {
	probe, err := freeAddress(ctx)
	if err != nil {
		return nil, 0, err
	}
	metrics, err := freeAddress(ctx)
	if err != nil {
		return nil, 0, err
	}
	args := append([]string{
		"serve", "--bind-address=" + address, "--probe-bind-address=" + probe, "--metrics-bind-address=" + metrics,
		"--upstream-host=" + w.app.address, "--identity.headers=postern",
	}, more...)
	socket, served := w.adminSocket()
	p, err := spawn(ctx, postern, address, slices.Concat(env, served), nil, w.binary, args...)
	if err != nil {
		return nil, 0, err
	}
	p.metrics, p.admin = metrics, socket
	took, err := p.wait(ctx, "http://"+probe+"/readyz", time.Millisecond)
	if err != nil {
		p.stop()
		return nil, 0, err
	}
	return p, took, nil
}

// open starts the targets of these callers: Posterns with one person logged in, with tokens to accept or with tokens to give, and peers that
// send the app, or answer it, the same.
func (w *world) open(ctx context.Context, callers []*caller, progress io.Writer) error {
	var browsers, stored, services, exchanging []*caller
	for _, c := range callers {
		switch {
		case c.tokenAPI:
			if err := w.openTokenAPI(ctx, c); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		case c.exchange:
			exchanging = append(exchanging, c)
		case c.bearer > 0:
			services = append(services, c)
		case c.stored > 0:
			stored = append(stored, c)
		default:
			browsers = append(browsers, c)
		}
	}
	if err := w.openStored(ctx, stored, progress); err != nil {
		return err
	}
	if err := w.openLogin(ctx, browsers); err != nil {
		return err
	}
	if err := w.openBearer(ctx, services, progress); err != nil {
		return err
	}
	if err := w.openExchange(ctx, exchanging); err != nil {
		return fmt.Errorf("%s: %w", exchange, err)
	}
	for _, c := range slices.Concat(browsers, stored, services, exchanging) {
		if err := w.openBare(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// openLogin starts the Postern of people with browsers.
func (w *world) openLogin(ctx context.Context, callers []*caller) error {
	if len(callers) == 0 {
		return nil
	}
	p, _, err := w.startWithLogin(ctx)
	if err != nil {
		return err
	}
	w.targets = append(w.targets, p)
	cookie, err := login(ctx, w.ingress())
	if err != nil {
		return err
	}
	for _, c := range callers {
		cookies := plainCookies
		if c.somebody {
			cookies += "; " + cookie
		}
		c.postern, c.common = p, browserHeaders(w.front, cookies)
	}
	return nil
}

// openBare learns what Postern sends for a caller, starts a bare proxy that sends it too, and makes sure that it does.
func (w *world) openBare(ctx context.Context, c *caller) error {
	want, err := w.headersFor(ctx, c.postern, c.header(0))
	if err != nil {
		return err
	}
	if speaksForSomebody(want) != c.somebody {
		return errors.New("the app is told nobody's name, or is told one and nobody calls")
	}
	alike := sendAlike(w.app.address, c.header(0), want)
	c.peer, err = start(ctx, roleBare, part{Bare: alike}, bareGC)
	if err != nil {
		return err
	}
	w.targets = append(w.targets, c.peer)
	got, err := w.headersFor(ctx, c.peer, c.header(0))
	if err != nil {
		return err
	}
	if !maps.EqualFunc(want, got, slices.Equal) {
		return errUnfair
	}
	if len(c.tokens) == 0 {
		return nil
	}
	// What holds for the first token and the last holds for those between.
	last := c.header(len(c.tokens) - 1)
	if want, err = w.headersFor(ctx, c.postern, last); err != nil {
		return err
	}
	if got, err = w.headersFor(ctx, c.peer, last); err != nil {
		return err
	}
	got["X-Request-Id"] = want["X-Request-Id"] // another one for each request
	if !maps.EqualFunc(want, got, slices.Equal) {
		return errUnfair
	}
	if c.cold {
		return w.openVerifying(ctx, c, alike)
	}
	return nil
}

var errUnfair = errors.New("the bare proxy sends other headers than postern: the comparison would be unfair")

// headersFor are those that the app gets from a target.
func (w *world) headersFor(ctx context.Context, target *process, sent http.Header) (got http.Header, err error) {
	return got, getJSON(ctx, "http://"+target.address+pathHeaders, sent, &got)
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
