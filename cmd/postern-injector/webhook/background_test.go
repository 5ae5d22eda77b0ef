package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/cmd/postern-injector/inject"
	"postern/cmd/postern-injector/kube"
)

func TestDefaultsAreAskedForOnceInTenSecondsByAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		d := NewDefaults(func(_ context.Context, namespace, name string) (*kube.ConfigMap, error) {
			calls.Add(1)
			time.Sleep(time.Second)
			return &kube.ConfigMap{Data: map[string]string{"locale": namespace + "/" + name}}, nil
		}, time.Now)
		ask := func() {
			values, err := d.Of(t.Context(), "team")
			if err != nil || values["locale"] != "team/postern-defaults" {
				t.Errorf("%v, %v", values, err)
			}
		}
		first, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { // whoever asked first goes away: the others are answered all the same
			if _, err := d.Of(first, "team"); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
		synctest.Wait()
		for range 50 {
			wait.Go(ask)
		}
		synctest.Wait()
		cancel()
		wait.Wait()
		time.Sleep(8 * time.Second)
		ask()
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
		time.Sleep(3 * time.Second)
		ask()
		if n := calls.Load(); n != 2 {
			t.Errorf("%d calls after they were stale", n)
		}
	})
}

func TestTroubleWithDefaultsIsNoAbsence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		m   *kube.ConfigMap
		err error
		ok  bool
	}{
		"there is none":  {nil, &kube.Error{Status: http.StatusNotFound, Reason: "NotFound"}, true},
		"a proxy's 404":  {nil, &kube.Error{Status: http.StatusNotFound}, false},
		"forbidden":      {nil, &kube.Error{Status: http.StatusForbidden, Reason: "Forbidden"}, false},
		"no answer":      {nil, &kube.Error{Cause: errors.New("refused")}, false},
		"without data":   {&kube.ConfigMap{}, nil, true},
		"much too large": {&kube.ConfigMap{Data: map[string]string{"a": strings.Repeat("x", maxOneDefaults)}}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			d := NewDefaults(func(context.Context, string, string) (*kube.ConfigMap, error) { calls++; return c.m, c.err }, time.Now)
			for range 2 {
				if values, err := d.Of(t.Context(), "team"); (err == nil) != c.ok || len(values) != 0 {
					t.Errorf("%v, %v", values, err)
				}
			}
			if want := map[bool]int{true: 1, false: 2}[c.ok]; calls != want {
				t.Errorf("%d calls, want %d: trouble is not remembered, an absence is", calls, want)
			}
		})
	}
}

func TestRememberedDefaultsAreBounded(t *testing.T) {
	t.Parallel()
	d := NewDefaults(func(context.Context, string, string) (*kube.ConfigMap, error) {
		return &kube.ConfigMap{Data: map[string]string{"a": strings.Repeat("x", 10_000)}}, nil
	}, time.Now)
	for i := range 3 * maxNamespaces {
		if _, err := d.Of(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		if len(d.known) > maxNamespaces || d.bytes > maxCachedBytes || d.bytes < 0 {
			t.Fatalf("%d namespaces, %d bytes", len(d.known), d.bytes)
		}
	}
}

// mounted is a directory as the kubelet mounts a ConfigMap: the file is a link into a directory that a link is turned to at once.
type mounted struct {
	t   *testing.T
	dir string
	n   int
}

func (m *mounted) write(text string) {
	m.t.Helper()
	m.n++
	data := fmt.Sprintf("..%d", m.n)
	must := func(err error) {
		m.t.Helper()
		if err != nil {
			m.t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(m.dir, data), 0o700))
	must(os.WriteFile(filepath.Join(m.dir, data, "settings.yaml"), []byte(text), 0o600))
	must(os.Symlink(data, filepath.Join(m.dir, "..data_tmp")))
	must(os.Rename(filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")))
	if m.n == 1 {
		must(os.Symlink("..data/settings.yaml", filepath.Join(m.dir, "settings.yaml")))
	}
}

func TestSettingsFollowTheirFileAndStayWhenItIsBroken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &mounted{t: t, dir: t.TempDir()}
		var mu sync.Mutex
		var refused []string
		log := newWorld(t) // a place for lines
		registry := prometheus.NewRegistry()
		parse := func(text []byte) (*inject.Settings, error) {
			if strings.HasPrefix(string(text), "broken") {
				return nil, errors.New("first\nsecond")
			}
			return &inject.Settings{Image: string(text)}, nil
		}
		s, err := NewSettings(filepath.Join(m.dir, "settings.yaml"), parse, slog.New(slog.NewJSONHandler(log, nil)),
			func(text string) { mu.Lock(); defer mu.Unlock(); refused = append(refused, text) }, registry)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		later := func(image string, complaints int) {
			t.Helper()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			got := ""
			if current := s.Current(); current != nil {
				got = current.Image
			}
			if got != image || len(refused) != complaints {
				t.Errorf("settings %q, want %q; complaints %q", got, image, refused)
			}
		}
		later("", 1) // the file is not there yet
		m.write("broken")
		later("", 2)
		m.write("one")
		later("one", 2)
		m.write("broken again")
		later("one", 3)
		time.Sleep(time.Hour)
		later("one", 3) // said once
		if !strings.Contains(log.logged(), `"error":"first; second"`) || !strings.Contains(log.logged(), "those in force stay") {
			t.Errorf("log: %s", log.logged())
		}
		if !s.broken.Load() {
			t.Error("the metric does not show it")
		}
		m.write("two")
		later("two", 3)
		if err := os.Remove(filepath.Join(m.dir, "settings.yaml")); err != nil {
			t.Fatal(err)
		}
		later("two", 4)
		families, err := registry.Gather()
		if err != nil || len(families) != 2 {
			t.Errorf("%d metrics, %v", len(families), err)
		}
	})
}

func TestEventsAreBoundedAndNeverWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		var sent []kube.Event
		var fail bool
		e := NewEvents(func(_ context.Context, event kube.Event) error {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, event)
			if fail {
				return errors.New("forbidden")
			}
			return nil
		}, "replica-1", time.Now, slog.New(slog.DiscardHandler), w.handler.cfg.Metrics)
		outcome := func(name string) int { return int(w.counted(t, "postern_injector_events_total", "outcome="+name)) }
		happening := func(n int) Happening {
			return Happening{Regarding: kube.Reference{Kind: "Pod", Namespace: "team", Name: fmt.Sprint(n)}, Reason: "SidecarRefused", Note: strings.Repeat("æ", 2000)}
		}
		for n := range maxQueued + 10 { // nobody takes them yet
			e.Record(happening(n))
		}
		if outcome(eventDropped) != 10 {
			t.Errorf("%d dropped", outcome(eventDropped))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { e.Run(ctx); close(done) }()
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		if n := outcome(eventCreated); n != eventBurst+eventsPerSec {
			t.Errorf("%d in the first second", n)
		}
		time.Sleep(time.Minute)
		e.Record(happening(1))
		synctest.Wait()
		if outcome(eventCreated) != maxQueued || outcome(eventRepeated) != 1 {
			t.Errorf("%d created, %d repeated", outcome(eventCreated), outcome(eventRepeated))
		}
		mu.Lock()
		fail = true
		mu.Unlock()
		time.Sleep(repeatAfter)
		e.Record(happening(1))
		synctest.Wait()
		if outcome(eventFailed) != 1 {
			t.Errorf("%d failed", outcome(eventFailed))
		}
		cancel()
		<-done
		for n := range 3 * maxRemembered {
			e.repeated(happening(n))
			if len(e.told) > maxRemembered {
				t.Fatal("more is remembered than there is room for")
			}
		}
		if last := sent[0]; len(last.Note) > 1000 || last.Instance != "replica-1" || last.Type != "Warning" || last.Component != eventComponent {
			t.Errorf("%+v", last)
		}
	})
}
