package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// `postern healthcheck` wants nothing of the configuration but whom to ask: what has become unusable since the start, and has not ended the
// sidecar, must not end it by way of its probe.
func TestHealthcheckIgnoresWhatTheSidecarSurvives(t *testing.T) {
	t.Parallel()
	policy := t.TempDir() + "/policy.yaml"
	writeFile(t, policy, auditPolicy("11111111-1111-1111-1111-111111111111"))
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_POLICY_FILE": policy}})
	env := map[string]string{"POSTERN_PROBE_BIND_ADDRESS": w.ProbeAddr, "POSTERN_POLICY_FILE": policy, "POSTERN_OPENID_CLIENT_SECRET_FILE": policy + ".none"}
	check := func(env map[string]string) (int, string) {
		run := LaunchWith(t, env, "healthcheck")
		return run.Wait(t), run.Log.Text()
	}
	if code, text := check(env); code != 0 || text != "ready\n" {
		t.Errorf("exit code %d, %s", code, text)
	}
	writeFile(t, policy, "nonsense")
	if code, text := check(env); code != 0 || text != "ready\n" {
		t.Errorf("with a broken policy: exit code %d, %s", code, text)
	}
	_, port, _ := strings.Cut(w.ProbeAddr, ":")
	env["POSTERN_PROBE_BIND_ADDRESS"] = "0.0.0.0:" + port // any address means this machine
	if code, text := check(env); code != 0 {
		t.Errorf("at any address: exit code %d, %s", code, text)
	}
}

// It says why not by the codes of /readyz, believes nobody else's word, and does not wait for one who hangs.
func TestHealthcheckSaysWhyNot(t *testing.T) {
	t.Parallel()
	starting := prepareWorld(t, worldOptions{})
	starting.dev.Stop(t)
	starting.Process = Launch(t, starting.env)
	starting.WaitURL(t, "http://"+starting.ProbeAddr+"/livez")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
	t.Cleanup(other.Close)
	leaving := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-leaving:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(leaving); hanging.Close() })
	for name, c := range map[string]struct {
		address, says string
		code          int
	}{
		"starting":       {starting.ProbeAddr, `"starting" ("provider login"`, 1},
		"another":        {other.Listener.Addr().String(), "is no postern", 1},
		"hanging":        {hanging.Listener.Addr().String(), "ask for readiness", 1},
		"nobody":         {"127.0.0.1:" + FreePort(t), "refused", 1},
		"switched off":   {"", "probe-bind-address is not set", 1},
		"not an address": {"nonsense", "probe-bind-address: must be", 2},
	} {
		began := time.Now()
		run := LaunchWith(t, map[string]string{"POSTERN_PROBE_BIND_ADDRESS": c.address}, "healthcheck")
		if code := run.Wait(t); code != c.code || !strings.Contains(run.Log.Stderr(), c.says) || time.Since(began) > 15*time.Second {
			t.Errorf("%s: exit code %d after %v, %s", name, code, time.Since(began), run.Log.Text())
		}
	}
	starting.Stop(t)
}
