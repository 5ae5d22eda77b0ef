package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"postern/cmd/postern/demoapp"
	"postern/config"
	"postern/oidc/devidp"
	"postern/session"
)

// demoPort is the first of the demo's ports: Postern, test provider, web app, metrics, probes, in this order.
const demoPort = 7080

// demoWorld is the addresses of a demo.
type demoWorld struct{ front, idp, app, metrics, probe int }

func newDemoWorld(first int) demoWorld {
	return demoWorld{first, first + 1, first + 2, first + 3, first + 4}
}

func localhost(port int) string { return "http://localhost:" + strconv.Itoa(port) }
func bind(port int) string      { return "127.0.0.1:" + strconv.Itoa(port) }

// demo runs a whole world on loopback: test provider, web app, Postern in front of it.
func demo(ctx context.Context, p program) int {
	flags := flag.NewFlagSet("postern demo", flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	first := flags.Int("port", demoPort, "first of the five ports: Postern, provider, app, metrics, probes")
	verbose := flags.Bool("verbose", false, "print Postern's events")
	if err := flags.Parse(p.args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage
	}
	if err := runDemo(ctx, p, newDemoWorld(*first), *verbose); err != nil {
		_, _ = fmt.Fprintln(p.stderr, "postern demo:", err)
		return exitFailure
	}
	_, _ = fmt.Fprintln(p.stdout, "\nStopped.")
	return exitOK
}

func runDemo(ctx context.Context, p program, world demoWorld, verbose bool) error {
	listeners, err := world.reserve(ctx)
	if err != nil {
		return err
	}
	client := devidp.ClientConfig{
		ID: "5f1d7c1e-8f0a-4d53-9d0c-6a1f0f7f3b10", Secret: "not-a-secret", Name: "demo:postern:web",
		RedirectURIs:           []string{localhost(world.front) + "/oauth2/callback"},
		PostLogoutRedirectURIs: []string{localhost(world.front) + "/oauth2/logout/callback"},
	}
	provider, err := devidp.New(devidp.Config{BaseURL: localhost(world.idp), Clients: []devidp.ClientConfig{client}})
	if err != nil {
		return err
	}
	app, err := demoapp.New(demoapp.Config{IdPBase: localhost(world.idp)})
	if err != nil {
		return err
	}
	sidecar, err := demoSidecar(p, world, client, verbose)
	if err != nil {
		return err
	}
	keepHeapFloor(defaultHeapFloor)
	ctx, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	failed := make(chan error, 3)
	run := func(f func() error) { wait.Go(func() { failed <- f(); stop() }) }
	run(func() error { return serveUntil(ctx, listeners[0], provider) })
	run(func() error {
		return serveUntil(ctx, listeners[1], app)
	})
	run(func() error { return sidecar.run(ctx) })
	world.describe(p)
	wait.Wait()
	return errors.Join(<-failed, <-failed, <-failed)
}

// demoSidecar configures Postern in the way that a platform engineer would: by its options.
func demoSidecar(p program, world demoWorld, client devidp.ClientConfig, verbose bool) (*sidecar, error) {
	key, err := session.RandomKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	loaded, err := config.Load(config.Source{Args: []string{
		"--bind-address=" + bind(world.front),
		"--metrics-bind-address=" + bind(world.metrics),
		"--probe-bind-address=" + bind(world.probe),
		"--ingress=" + localhost(world.front),
		"--upstream-host=" + bind(world.app),
		"--openid.provider=azure",
		"--openid.client-id=" + client.ID,
		"--openid.client-secret=" + client.Secret,
		"--openid.well-known-url=" + localhost(world.idp) + "/" + devidp.DefaultTenantID + "/v2.0/.well-known/openid-configuration",
		"--cookie.secure=false", // plain http on localhost
		"--encryption-key=" + key.Reveal(),
		"--auto-login=true",
		"--auto-login-ignore-paths=/,/static/**,/whoami,/stream,/echo",
		"--identity.headers=postern,claims",
		"--shutdown-graceful-period=2s",
		"--log-format=text",
		"--log-level=" + map[bool]string{true: "debug", false: "warn"}[verbose],
	}})
	if err != nil {
		return nil, err
	}
	return newSidecar(loaded, newLogger(loaded.Config.Log, p.stdout))
}

// reserve opens the ports of provider and app, and makes sure that the others are free: one clear error beats half a world.
func (world demoWorld) reserve(ctx context.Context) ([]net.Listener, error) {
	var open []net.Listener
	for _, port := range []int{world.idp, world.app, world.front, world.metrics, world.probe} {
		l, err := listen(ctx, bind(port))
		if err != nil {
			for _, l := range open {
				_ = l.Close()
			}
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("port %d is taken; --port moves all five ports, e.g. --port %d", port, world.front+100)
			}
			return nil, err
		}
		open = append(open, l)
	}
	for _, l := range open[2:] {
		_ = l.Close() // the sidecar opens these itself, as in production
	}
	return open[:2], nil
}

func (world demoWorld) describe(p program) {
	lines := []string{
		"",
		"  Postern is in front of a small web app:",
		"",
		"    the app, through Postern    " + localhost(world.front) + "/",
		"    a page that needs a login   " + localhost(world.front) + "/cases/42?tab=notes",
		"    the test provider           " + localhost(world.idp) + "/",
		"    metrics, readiness          " + localhost(world.metrics) + "/metrics  " + localhost(world.probe) + "/readyz",
		"",
		"  Try: open the app, log in as one of the people, read what the app was told about you,",
		"  let the countdown run, switch to somebody else, log out.",
		"  The app has no line of login code: it reads the headers that Postern sets.",
		"",
		"  Ctrl-C stops everything.",
		"",
	}
	_, _ = fmt.Fprintln(p.stdout, strings.Join(lines, "\n"))
}
