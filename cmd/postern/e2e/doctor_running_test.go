package e2e

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
)

// The doctor is called where the sidecar runs, and most of all while that is in trouble: its own ports are then no finding. Somebody else's are.
func TestDoctorBesideTheSidecar(t *testing.T) {
	t.Parallel()
	nobody := "http://127.0.0.1:" + FreePort(t) + "/.well-known/openid-configuration"
	for name, test := range map[string]struct {
		env     map[string]string // of both
		ready   bool
		problem bool
	}{
		"ready":                          {nil, true, false},
		"without a listener for probes":  {map[string]string{"POSTERN_PROBE_BIND_ADDRESS": ""}, true, false},
		"not ready":                      {map[string]string{"POSTERN_OPENID_WELL_KNOWN_URL": nobody}, false, false},
		"not ready, and without metrics": {map[string]string{"POSTERN_OPENID_WELL_KNOWN_URL": nobody, "POSTERN_METRICS_BIND_ADDRESS": ""}, false, false},
		"nobody can tell":                {map[string]string{"POSTERN_PROBE_BIND_ADDRESS": "", "POSTERN_METRICS_BIND_ADDRESS": ""}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := prepareWorld(t, worldOptions{})
			w.env["POSTERN_PROBE_BIND_ADDRESS"], w.env["POSTERN_METRICS_BIND_ADDRESS"] = "127.0.0.1:"+FreePort(t), "127.0.0.1:"+FreePort(t)
			maps.Copy(w.env, test.env)
			sidecar := LaunchWith(t, w.env)
			Eventually(t, "the sidecar serves", func() error { _, _, err := probe(w.ingress + "/oauth2/ping"); return err })
			if !test.ready && w.env["POSTERN_METRICS_BIND_ADDRESS"] != "" {
				Eventually(t, "its metrics are served", func() error {
					_, _, err := probe("http://" + w.env["POSTERN_METRICS_BIND_ADDRESS"] + "/metrics")
					return err
				})
			}
			d := (&patient{env: w.env}).examine(t)
			if got := d.has("ports", "problem"); got != test.problem {
				t.Errorf("ports are a problem: %v, want %v\n%s", got, test.problem, d)
			}
			sidecar.Stop(t)
		})
	}
}

// Another program on the port of the metrics is not taken for the sidecar, whatever it answers.
func TestDoctorBesideAnotherProgram(t *testing.T) {
	t.Parallel()
	w := prepareWorld(t, worldOptions{})
	for name, answer := range map[string]string{"POSTERN_METRICS_BIND_ADDRESS": "# x\nother_build_info{} 1\n", "POSTERN_PROBE_BIND_ADDRESS": "{}"} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
		t.Cleanup(other.Close)
		w.env[name] = other.Listener.Addr().String()
	}
	if d := (&patient{env: w.env}).examine(t); !d.has("ports", "problem") {
		t.Errorf("the port that is taken is no problem\n%s", d)
	}
}

func (d diagnosis) has(check, status string) bool {
	for _, f := range d.Findings {
		if f.Check == check && f.Status == status {
			return true
		}
	}
	return false
}
