package main

import (
	"encoding/json"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// health answers the probes. Readiness is about this replica being able to decide and to be trusted.
type health struct {
	draining atomic.Bool
	checks   []need
}

// need is one thing without which no review can be answered.
type need struct {
	name  string
	ready func() bool
}

type readiness struct {
	Status     string   `json:"status"` // "ready", "starting" or "draining"
	WaitingFor []string `json:"waiting_for,omitempty"`
}

func (h *health) readiness() readiness {
	state := readiness{Status: "ready"}
	for _, c := range h.checks {
		if !c.ready() {
			state.Status = "starting"
			state.WaitingFor = append(state.WaitingFor, c.name)
		}
	}
	if h.draining.Load() {
		state.Status = "draining"
	}
	return state
}

// releasing gives up connections while draining, each after an answer. A connection that the API server keeps until the end might be closed just when
// it asks by it again, and that review is lost.
func (h *health) releasing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.draining.Load() {
			w.Header().Set("Connection", "close") // of HTTP/2, too, where it becomes GOAWAY
		}
		next.ServeHTTP(w, r)
	})
}

// probes is the handler of the probe listener: /livez, /readyz, /metrics.
func (h *health) probes(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte("ok"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		state := h.readiness()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if state.Status != "ready" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(state)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	return mux
}
