package meter

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestPhasesShareOneFamily(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	NewPhases(registry).Observe(Store, time.Second)
	NewPhases(registry).Observe(Store, time.Second)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatal(families, err)
	}
	for _, one := range families[0].GetMetric() {
		want := uint64(0)
		if one.GetLabel()[0].GetValue() == "store" {
			want = 2
		}
		if got := one.GetHistogram().GetSampleCount(); got != want {
			t.Errorf("%v: %d", one.GetLabel(), got)
		}
	}
	if got := len(families[0].GetMetric()); got != len(names) {
		t.Errorf("%d phases", got)
	}
}

func TestOneNameForTwoThingsIsAPanic(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "postern_phase_duration_seconds"}))
	defer func() {
		if recover() == nil {
			t.Error("it was accepted")
		}
	}()
	NewPhases(registry)
}

func TestWaitsAreTheRequestsOwn(t *testing.T) {
	t.Parallel()
	w := &Waits{Context: context.WithValue(t.Context(), "a", "b")} //nolint:staticcheck // any key will do
	inner, cancel := context.WithTimeout(w, time.Hour)
	defer cancel()
	Waited(inner, time.Second)
	Waited(context.WithoutCancel(inner), time.Second) // what the request waits for although it may leave
	Waited(t.Context(), time.Minute)
	Waited(Apart(inner), time.Minute)
	Waited(Uncharged(inner), time.Minute)
	if w.Total() != 2*time.Second || inner.Value("a") != "b" {
		t.Error(w.Total(), inner.Value("a"))
	}
}

func TestObservingAllocatesNothing(t *testing.T) { //nolint:paralleltest // it counts allocations
	registry := prometheus.NewRegistry()
	phases, cache, w := NewPhases(registry), NewCache(registry, Sessions, func() int { return 0 }, func() int { return 0 }), &Waits{Context: t.Context()}
	if got := testing.AllocsPerRun(100, func() {
		phases.Observe(Own, time.Millisecond)
		cache.Hit()
		cache.Miss()
		Waited(w, time.Millisecond)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestCachesOfOneNameShareTheirCounters(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	NewCache(registry, Sessions, func() int { return 7 }, func() int { return 3 }).Hit()
	NewCache(registry, Sessions, func() int { return 8 }, func() int { return 4 }).Hit()
	NewCache(registry, NextHopTokens, func() int { return 1 }, func() int { return 1 }).Miss()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, one := range family.GetMetric() {
			name := family.GetName()
			for _, label := range one.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = one.GetCounter().GetValue() + one.GetGauge().GetValue()
		}
	}
	if diff := cmp.Diff(map[string]float64{
		"postern_cache_bytes sessions": 7, "postern_cache_entries sessions": 3,
		"postern_cache_bytes next_hop_tokens": 1, "postern_cache_entries next_hop_tokens": 1,
		"postern_cache_requests_total sessions hit": 2, "postern_cache_requests_total sessions miss": 0,
		"postern_cache_requests_total next_hop_tokens hit": 0, "postern_cache_requests_total next_hop_tokens miss": 1,
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBoundedLabels(t *testing.T) {
	t.Parallel()
	b := NewBounded(3)
	seen := map[string]bool{}
	for i := range 1000 {
		seen[b.Label(strconv.Itoa(i))] = true
	}
	if len(seen) != 4 || !seen[Other] || b.Label("1") != "1" || b.Label("4") != Other {
		t.Error(seen)
	}
	long := NewBounded(9)
	if got := long.Label(strings.Repeat("æ", 100)); got != strings.Repeat("æ", 60) {
		t.Error(len(got))
	}
	if got := long.Label("a\xffb"); got != "a?b" {
		t.Errorf("%q", got)
	}
}
