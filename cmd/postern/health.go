package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"postern/oidc"
)

// helperGrace is how long a store, or a provider that is only asked for tokens, holds readiness back at start (S-29).
const helperGrace = 30 * time.Second

// health answers the probes. Readiness is about this process being able to start serving and not yet leaving: later trouble of a
// dependency is shown and keeps the pod ready, since taking every pod out of service helps nobody (S-29). With `upstream-exposed: refuse` an
// app that can be reached beside Postern is the one exception (S-05).
type health struct {
	providers map[string]*oidc.Provider // whose word callers are known by; "login" is that of browser login
	outbound  map[string]*oidc.Provider // those that are only asked for tokens
	policy    *livePolicy
	store     *storeHealth // nil while login is off
	exposure  *exposure    // nil without an app
	audit     *auditStream // nil without audit.file
	started   time.Time
	now       func() time.Time
	draining  atomic.Bool
}

type readiness struct {
	Status   string       `json:"status"` // "ready", "starting", "exposed" or "draining"
	Degraded []dependency `json:"degraded,omitempty"`
	Policy   *policyState `json:"policy,omitempty"`
}

// policyState says which access policy is in force, and whether a newer one could not be used (S-25).
type policyState struct {
	Hash       string `json:"hash"`
	AgeSeconds int64  `json:"age_seconds"`
	Refused    bool   `json:"newer_refused"`
}

// dependency is trouble by its stable code: no addresses, no messages.
type dependency struct {
	Name   string `json:"dependency"`
	Reason string `json:"reason"`
}

func (h *health) readiness() (readiness, bool) {
	state := readiness{Status: "ready"}
	young := h.now().Sub(h.started) < helperGrace
	starting := false
	look := func(all map[string]*oidc.Provider, waits bool) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			p := all[name].Health()
			starting = starting || !p.Ready && waits
			if !p.Ready || p.Degraded {
				state.Degraded = append(state.Degraded, dependency{"provider " + name, p.Reason})
			}
		}
	}
	look(h.providers, true)
	look(h.outbound, young)
	if p := h.policy.health(); p.Hash != "" {
		state.Policy = &policyState{p.Hash, int64(p.Age.Seconds()), p.Refused}
		if p.Refused {
			state.Degraded = append(state.Degraded, dependency{"policy", "policy_refused"})
		}
	}
	if h.store != nil {
		starting = starting || !h.store.seen.Load() && young
		if !h.store.up.Load() {
			state.Degraded = append(state.Degraded, dependency{"store", "store_unavailable"})
		}
	}
	if reason := h.exposure.reason(); reason != "" {
		state.Degraded = append(state.Degraded, dependency{"upstream", reason})
	}
	if reason := h.audit.reason(); reason != "" {
		state.Degraded = append(state.Degraded, dependency{"audit", reason})
	}
	starting = starting || h.exposure.waits()
	switch {
	case h.draining.Load():
		state.Status = "draining"
	case h.exposure.refused():
		state.Status = "exposed"
	case starting:
		state.Status = "starting"
	}
	return state, state.Status == "ready"
}

// probes is the handler of the probe listener: /livez, /readyz; any other path is 200, as wonderwall's /healthz.
func (h *health) probes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		state, ready := h.readiness()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(state)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte("ok"))
	})
	return mux
}

// storePing is how old the readiness of the store may be.
const storePing = time.Second

// informPatience is how long a store that answers holds readiness back while what has ended cannot be read.
const informPatience = 2 * time.Second

// storeHealth asks the store now and then, so that probes never wait for it.
type storeHealth struct {
	up   atomic.Bool
	seen atomic.Bool // it has answered, and has said what had ended before this process began (S-09)
}

// watch pings until ctx ends. informed is closed when it is known what has ended.
func (s *storeHealth) watch(ctx context.Context, store interface{ Ping(context.Context) error }, informed <-chan struct{}) {
	for {
		err := store.Ping(ctx)
		s.up.Store(err == nil)
		if err == nil && !s.seen.Load() {
			select {
			case <-ctx.Done():
			case <-informed:
			case <-time.After(informPatience):
			}
			s.seen.Store(true)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(storePing):
		}
	}
}
