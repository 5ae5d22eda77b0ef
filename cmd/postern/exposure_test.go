package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
)

// watchedApp is an app whose exposure changes while it is being watched, in a bubble of synctest.
type watchedApp struct {
	t        *testing.T
	health   *health
	registry *prometheus.Registry
	log      *output

	mu    sync.Mutex
	next  sighting
	err   error
	looks int
}

func watchApp(t *testing.T, mode string, first sighting, err error) *watchedApp {
	t.Helper()
	a := &watchedApp{t: t, registry: prometheus.NewRegistry(), log: new(output), next: first, err: err}
	policy, policyErr := newLivePolicy(&config.Config{}, slog.New(slog.DiscardHandler), slog.New(slog.DiscardHandler), nil)
	if policyErr != nil {
		t.Fatal(policyErr)
	}
	e, registerErr := newExposure(a.look, mode == "refuse", slog.New(slog.NewTextHandler(a.log, nil)), a.registry)
	if registerErr != nil {
		t.Fatal(registerErr)
	}
	a.health = &health{policy: policy, exposure: e, now: time.Now, started: time.Now()}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { e.watch(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	return a
}

func (a *watchedApp) look(context.Context) (sighting, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks++
	return a.next, a.err
}

func (a *watchedApp) becomes(next sighting, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next, a.err = next, err
}

// after waits for so long and fails unless probes and metrics say this then. body is part of what /readyz says; "" means no trouble.
func (a *watchedApp) after(wait time.Duration, status int, body, gauge string) {
	a.t.Helper()
	time.Sleep(wait)
	synctest.Wait()
	ask := func(handler http.Handler, path string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(a.t.Context(), http.MethodGet, path, nil))
		return answer
	}
	answer := ask(a.health.probes(), "/readyz")
	text := answer.Body.String()
	if answer.Code != status || !strings.Contains(text, body) || body == "" && strings.Contains(text, "degraded") {
		a.t.Errorf("/readyz: status %d %s; want %d and %q", answer.Code, text, status, body)
	}
	if strings.ContainsAny(text, "0123456789.") { // S-29: codes, no addresses
		a.t.Errorf("/readyz shows an address: %s", text)
	}
	if live := ask(a.health.probes(), "/livez"); live.Code != http.StatusOK {
		a.t.Errorf("/livez: status %d", live.Code)
	}
	metrics := ask(metricsHandler(a.registry), "/metrics").Body.String()
	if !strings.Contains(metrics, "\npostern_upstream_exposed "+gauge+"\n") {
		a.t.Errorf("metrics, want %s:\n%s", gauge, metrics)
	}
}

func (a *watchedApp) logged(words string, times int) {
	a.t.Helper()
	if got := strings.Count(a.log.String(), words); got != times {
		a.t.Errorf("%q was logged %d times, want %d:\n%s", words, got, times, a.log.String())
	}
}

var (
	closedApp = sighting{}
	openApp   = sighting{exposed: []netip.Addr{netip.MustParseAddr("10.244.1.10")}}
	absentApp = sighting{pending: true}
)

const (
	opened = "listens beyond loopback: "
	closed = "no longer listens beyond loopback"
)

func TestS05ExposedAppIsNamedAndKeepsThePodReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := watchApp(t, "warn", openApp, nil)
		a.after(0, 200, `"degraded":[{"dependency":"upstream","reason":"upstream_exposed"}]`, "1")
		a.after(10*time.Minute, 200, "upstream_exposed", "1")
		a.logged(opened, 1)
		if a.looks != 11 {
			t.Errorf("%d looks in ten minutes", a.looks)
		}
	})
}

func TestS05RefuseIsNotReadyWhileExposed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := watchApp(t, "refuse", openApp, nil)
		a.after(0, 503, `{"status":"exposed","degraded":[{"dependency":"upstream","reason":"upstream_exposed"}]`, "1")
		a.becomes(closedApp, nil)
		a.after(59*time.Second, 503, "upstream_exposed", "1")
		a.after(2*time.Second, 200, "", "0")
		a.becomes(openApp, nil)
		a.after(time.Minute, 503, "upstream_exposed", "1")
		a.logged(opened, 2)
		a.logged(closed, 1)
	})
}

// The sidecar of a pod starts before its app: nobody waits a minute for the first word about it.
func TestS05AppThatStartsLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := watchApp(t, "refuse", absentApp, nil)
		a.after(3*time.Second, 200, "", "0")
		a.becomes(openApp, nil)
		a.after(time.Second, 503, "upstream_exposed", "1")
		a.becomes(absentApp, nil) // it restarts
		a.after(time.Minute, 200, "", "0")
		a.becomes(closedApp, nil)
		a.after(time.Second, 200, "", "0")
		a.logged(opened, 1)
		a.logged(closed, 1)
	})
}

// Trouble is never a yes, and never the end of what is known.
func TestS05TroubleWithTheLook(t *testing.T) {
	t.Parallel()
	trouble := errors.New("no table")
	const unknown = "cannot be told"
	t.Run("before anything is known", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a := watchApp(t, "refuse", closedApp, trouble)
			a.after(30*time.Second, 503, `"starting","degraded":[{"dependency":"upstream","reason":"upstream_unknown"}]`, "0")
			a.logged(unknown, 1)
			a.becomes(closedApp, nil)
			a.after(time.Second, 200, "", "0")
		})
	})
	t.Run("when it only warns", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a := watchApp(t, "warn", closedApp, trouble)
			a.after(30*time.Second, 200, "upstream_unknown", "0")
			a.logged(unknown, 1)
		})
	})
	t.Run("later", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a := watchApp(t, "refuse", openApp, nil)
			a.after(0, 503, "upstream_exposed", "1")
			a.becomes(closedApp, trouble)
			a.after(10*time.Minute, 503, "upstream_exposed", "1")
			a.logged(unknown, 1)
			a.becomes(closedApp, nil)
			a.after(time.Minute, 200, "", "0")
			a.becomes(openApp, trouble)
			a.after(10*time.Minute, 200, "", "0")
			a.logged(unknown, 2)
		})
	})
}

// A look that takes its time holds up nobody: with "warn" the pod is ready, with "refuse" it has not been ready yet.
func TestS05SlowLook(t *testing.T) {
	t.Parallel()
	for mode, ready := range map[string]bool{"warn": true, "refuse": false} {
		policy, err := newLivePolicy(&config.Config{}, slog.New(slog.DiscardHandler), slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatal(err)
		}
		never := func(ctx context.Context) (sighting, error) { <-ctx.Done(); return sighting{}, ctx.Err() }
		e, err := newExposure(never, mode == "refuse", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { e.watch(ctx); close(ended) }()
		h := &health{policy: policy, exposure: e, now: time.Now, started: time.Now()}
		if state, got := h.readiness(); got != ready {
			t.Errorf("%s: %+v", mode, state)
		}
		h.draining.Store(true)
		if state, got := h.readiness(); got || state.Status != "draining" {
			t.Errorf("%s, draining: %+v", mode, state)
		}
		stop()
		<-ended
	}
}

func TestS05NoPortIsNoExposure(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	e, err := newExposure(nil, true, slog.New(slog.DiscardHandler), registry)
	if err != nil {
		t.Fatal(err)
	}
	e.watch(t.Context()) // returns at once
	if e.reason() != "" || e.refused() || e.waits() {
		t.Errorf("state %d", e.state.Load())
	}
	var none *exposure // as a Texas, and as SSO server
	if none.reason() != "" || none.refused() || none.waits() {
		t.Error("no app is exposed")
	}
}
