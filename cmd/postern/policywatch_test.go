package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
)

// policyOf is a policy with one public path, by which it is told from others.
func policyOf(path string) string {
	return "apiVersion: postern/v1\napp: {cluster: dev, namespace: team, name: app}\npaths:\n  - {match: " + path + ", public: true}\n"
}

// watched is a policy that is being watched in a bubble of synctest.
type watched struct {
	*livePolicy
	t        *testing.T
	log      *output
	registry *prometheus.Registry
	path     string // what policy-file says
}

func watchPolicy(t *testing.T, path string) *watched {
	t.Helper()
	w := &watched{t: t, log: new(output), registry: prometheus.NewRegistry(), path: path}
	cfg := &config.Config{Policy: config.Policy{Files: []string{path}}, Front: config.Front{RequireAuth: true}}
	var err error
	if w.livePolicy, err = newLivePolicy(cfg, slog.New(slog.NewTextHandler(w.log, nil)), slog.New(slog.DiscardHandler), w.registry); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { w.watch(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	return w
}

func (w *watched) write(content string) {
	w.t.Helper()
	if err := os.WriteFile(w.path, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// inForceIs waits for so long and fails unless the policy with this public path is in force then.
func (w *watched) inForceIs(after time.Duration, path string, refused bool) {
	w.t.Helper()
	time.Sleep(after)
	synctest.Wait()
	if diff := cmp.Diff([]string{path}, w.current().PublicPatterns()); diff != "" {
		w.t.Errorf("another policy is in force: %s", diff)
	}
	if h := w.health(); h.Refused != refused || h.Hash == "" {
		w.t.Errorf("health %+v, want refused %v", h, refused)
	}
}

func (w *watched) logged(words string) int { return strings.Count(w.log.String(), words) }

func (w *watched) metrics() string {
	recorder := httptest.NewRecorder()
	metricsHandler(w.registry).ServeHTTP(recorder, httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, "/metrics", nil))
	return recorder.Body.String()
}

func TestPolicyFollowsItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	put(t, filepath.Dir(path), map[string]string{"policy.yaml": policyOf("/one")})
	synctest.Test(t, func(t *testing.T) {
		w := watchPolicy(t, path)
		before := w.health().Hash
		w.inForceIs(time.Minute, "/one", false)
		if age := w.health().Age; age != time.Minute {
			t.Errorf("age %v after a minute", age)
		}
		w.write(policyOf("/two"))
		w.inForceIs(1500*time.Millisecond, "/two", false)
		if h := w.health(); h.Hash == before || h.Age > time.Second {
			t.Errorf("health %+v", h)
		}
		if w.logged(`msg="policy loaded"`) != 2 || !strings.Contains(w.log.String(), "hash_before="+before) {
			t.Errorf("log %s", w.log)
		}
		if m := w.metrics(); !strings.Contains(m, `postern_policy_info{hash="`+w.health().Hash+`"} 1`) || !strings.Contains(m, "\npostern_policy_refused 0\n") ||
			!strings.Contains(m, "\npostern_policy_age_seconds ") || strings.Contains(m, before) {
			t.Errorf("metrics %s", m)
		}
	})
}

func TestPolicyFollowsTheLinkOfAMountedConfigMap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, map[string]string{"..v1/policy.yaml": policyOf("/one"), "..data->": "..v1", "policy.yaml->": "..data/policy.yaml", "..v2/policy.yaml": policyOf("/two")})
	synctest.Test(t, func(t *testing.T) {
		w := watchPolicy(t, dir)
		if err := os.Symlink("..v2", filepath.Join(dir, "..tmp")); err != nil { // as the kubelet does it
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		w.inForceIs(1500*time.Millisecond, "/two", false)
	})
}

func TestS25APolicyThatIsBrokenIsRefusedAndTheOldOneStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	put(t, filepath.Dir(path), map[string]string{"policy.yaml": policyOf("/one")})
	synctest.Test(t, func(t *testing.T) {
		w := watchPolicy(t, path)
		for name, broken := range map[string]string{
			"unknown key": "apiVersion: postern/v1\npaths: [{match: /two, pubic: true}]\n", "empty": "", "no YAML": "{{{", "another kind": "kind: ConfigMap\n",
		} {
			before := w.logged("level=ERROR")
			w.write(broken)
			w.inForceIs(time.Minute, "/one", true)
			if now := w.logged("level=ERROR"); now != before+1 {
				t.Errorf("%s: logged %d times in a minute", name, now-before)
			}
			if m := w.metrics(); !strings.Contains(m, "\npostern_policy_refused 1\n") {
				t.Errorf("%s: metrics %s", name, m)
			}
		}
		w.write(policyOf("/one"))
		w.inForceIs(1500*time.Millisecond, "/one", false)
		w.write("")
		w.inForceIs(1500*time.Millisecond, "/one", true)
		w.write(policyOf("/two"))
		w.inForceIs(1500*time.Millisecond, "/two", false)
	})
}

func TestPolicyFilesThatVanishForAMomentAreNoNews(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	put(t, filepath.Dir(path), map[string]string{"policy.yaml": policyOf("/one")})
	synctest.Test(t, func(t *testing.T) {
		w := watchPolicy(t, path)
		remove := func() {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		remove()
		w.inForceIs(3*time.Second, "/one", false)
		w.write(policyOf("/one"))
		w.inForceIs(10*time.Second, "/one", false)
		if w.logged("level=ERROR") != 0 {
			t.Errorf("log %s", w.log)
		}
		remove()
		w.inForceIs(time.Minute, "/one", true)
		if w.logged("level=ERROR") != 1 {
			t.Errorf("gone for good is one error: %s", w.log)
		}
		w.write(policyOf("/one"))
		w.inForceIs(1500*time.Millisecond, "/one", false)
		if w.logged(`msg="policy loaded"`) != 1 {
			t.Errorf("the same policy was loaded again: %s", w.log)
		}
	})
}

// Half of a file can be a valid policy that lacks the rules at its end. What is still being written is left alone.
func TestPolicyIsNotReadWhileItIsWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	put(t, filepath.Dir(path), map[string]string{"policy.yaml": policyOf("/one")})
	synctest.Test(t, func(t *testing.T) {
		w := watchPolicy(t, path)
		time.Sleep(50 * time.Millisecond) // out of step with the watch
		growing := policyOf("/two")
		for range 30 {
			w.write(growing)
			growing += "  # more\n"
			w.inForceIs(100*time.Millisecond, "/one", false)
		}
		w.write(policyOf("/three"))
		w.inForceIs(1500*time.Millisecond, "/three", false)
		if w.logged(`msg="policy loaded"`) != 2 {
			t.Errorf("log %s", w.log)
		}
	})
}

func TestWithoutPolicyFilesThereIsNothingToWatch(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	l, err := newLivePolicy(&config.Config{}, slog.New(slog.DiscardHandler), slog.New(slog.DiscardHandler), registry)
	if err != nil {
		t.Fatal(err)
	}
	l.watch(t.Context()) // returns at once
	if h := l.health(); h.Hash != "" || h.Refused || l.current() == nil {
		t.Errorf("health %+v", h)
	}
	if families, err := registry.Gather(); err != nil || len(families) > 0 {
		t.Errorf("metrics %v %v", families, err)
	}
}

func TestS25StartTellsAllProblemsOfThePolicy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, map[string]string{"a.yaml": "apiVersion: postern/v1\nusres: {allowAll: true}\npaths: [{match: /x}]\n"})
	_, err := newLivePolicy(&config.Config{Policy: config.Policy{Files: []string{filepath.Join(dir, "a.yaml")}}}, slog.New(slog.DiscardHandler), slog.New(slog.DiscardHandler), nil)
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "usres") || !strings.Contains(lines[1], "paths") {
		t.Errorf("problems %q", lines)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "policy-file: "+dir+"/a.yaml:") {
			t.Errorf("a problem does not say where it is: %q", line)
		}
	}
}
