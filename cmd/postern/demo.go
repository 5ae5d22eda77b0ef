package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"postern/cmd/postern/demoapi"
	"postern/cmd/postern/demoapp"
	"postern/oidc/devidp"
)

// demoPort is the first of the demo's ports.
const demoPort = 7080

// demoWorld is the addresses of a demo: the web app through Postern, the test provider, the web app itself, metrics and probes of its Postern;
// then the API through a Postern of its own, the API itself, metrics and probes of that Postern; then what each Postern has for its app alone: the
// token API and the egress proxy of the web app, and the token API of the API, which it does not use.
type demoWorld struct {
	front, idp, app, metrics, probe     int
	apiFront, api, apiMetrics, apiProbe int
	tokens, egress, apiTokens           int
}

func newDemoWorld(first int) demoWorld {
	return demoWorld{
		first, first + 1, first + 2, first + 3, first + 4, first + 5, first + 6, first + 7, first + 8, first + 9, first + 10, first + 11,
	}
}

func localhost(port int) string { return "http://localhost:" + strconv.Itoa(port) }
func bind(port int) string      { return "127.0.0.1:" + strconv.Itoa(port) }

// demo runs a whole world on loopback: a test provider, a web app and an API, and Postern in front of both.
func demo(ctx context.Context, p program) int {
	flags := flag.NewFlagSet("postern demo", flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	first := flags.Int("port", demoPort, "first of the twelve ports: Postern, provider, app, metrics, probes; the API's Postern, the API, metrics, probes; "+
		"token API and egress for the app, token API for the API")
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

func runDemo(ctx context.Context, p program, world demoWorld, verbose bool) (err error) {
	listeners, err := world.reserve(ctx)
	if err != nil {
		return err
	}
	web := demoClient(world)
	provider, err := devidp.New(devidp.Config{BaseURL: localhost(world.idp), Clients: demoClients(web)})
	if err != nil {
		return err
	}
	policyFile, remove, err := writeDemoPolicy()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	webSidecar, err := demoWebSidecar(p, world, provider, web, verbose)
	if err != nil {
		return err
	}
	apiSidecar, err := demoAPISidecar(p, world, provider, policyFile, verbose)
	if err != nil {
		return err
	}
	judge, err := newDemoJudge(apiSidecar)
	if err != nil {
		return err
	}
	tap := newDemoTap(demoapi.New())
	app, err := demoapp.New(demoapp.Config{
		IdPBase: localhost(world.idp), Trier: newDemoTrier(provider, judge, tap, localhost(world.apiFront), policyFile), OnBehalf: demoOnBehalf(world),
	})
	if err != nil {
		return err
	}
	keepHeapRoom(defaultHeapRoom)
	world.describe(p, policyFile)
	return runTogether(ctx,
		func(ctx context.Context) error { return serveUntil(ctx, listeners[world.idp], provider) },
		func(ctx context.Context) error { return serveUntil(ctx, listeners[world.app], app) },
		func(ctx context.Context) error { return serveUntil(ctx, listeners[world.api], tap) },
		webSidecar.run,
		apiSidecar.run,
	)
}

// runTogether runs all of them until ctx or the first of them ends, and returns when all have ended.
func runTogether(ctx context.Context, all ...func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wait sync.WaitGroup
	errs := make([]error, len(all))
	for i, f := range all {
		wait.Go(func() {
			defer stop()
			errs[i] = f(ctx)
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// reserve opens the ports of what is served here, and makes sure that the others are free: one clear error beats half a world.
func (world demoWorld) reserve(ctx context.Context) (map[int]net.Listener, error) {
	open := map[int]net.Listener{}
	for port := world.front; port <= world.apiTokens; port++ {
		l, err := listen(ctx, bind(port))
		if err != nil {
			for _, l := range open {
				_ = l.Close()
			}
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("port %d is taken; --port moves all twelve ports, e.g. --port %d", port, world.front+100)
			}
			return nil, err
		}
		open[port] = l
	}
	for _, port := range []int{
		world.front, world.metrics, world.probe, world.apiFront, world.apiMetrics, world.apiProbe, world.tokens, world.egress, world.apiTokens,
	} {
		_ = open[port].Close() // the sidecars open these themselves, as in production
		delete(open, port)
	}
	return open, nil
}

func (world demoWorld) describe(p program, policyFile string) {
	lines := []string{
		"",
		"  Postern is in front of a small web app, and another one in front of an API:",
		"",
		"    the app, through Postern    " + localhost(world.front) + "/",
		"    a page that needs a login   " + localhost(world.front) + "/cases/42?tab=notes",
		"    call the API as anybody     " + localhost(world.front) + "/try",
		"    call it on behalf of you    " + localhost(world.front) + "/onbehalf",
		"    the API, through Postern    " + localhost(world.apiFront) + "/orders",
		"    the API's policy            " + policyFile,
		"    the app's own token API     " + localhost(world.tokens) + "/openapi.json",
		"    the test provider           " + localhost(world.idp) + "/",
		"    metrics, readiness          " + localhost(world.metrics) + "/metrics  " + localhost(world.probe) + "/readyz",
		"    the same of the API's       " + localhost(world.apiMetrics) + "/metrics  " + localhost(world.apiProbe) + "/readyz",
		"",
		"  Try: open the app, log in as one of the people, read what the app was told about you,",
		"  let the countdown run, switch to somebody else, log out.",
		"  Then call the API as a program, a citizen or a forger, and read why it was let in or not;",
		"  change the policy file and call again.",
		"  Have the app call it on your behalf, through the token API and through egress, and compare the tokens.",
		"  Neither has a line of login or security code: they read the headers that Postern sets.",
		"",
		"  Ctrl-C stops everything.",
		"",
	}
	_, _ = fmt.Fprintln(p.stdout, strings.Join(lines, "\n"))
}
