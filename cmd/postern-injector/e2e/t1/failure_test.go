package t1

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
)

// What stands in the injector's place answers wrongly, or nobody does. Under Fail, which the chart says, nothing is created; under Ignore all of it
// would be, without the sidecar.
func TestFact01FailurePolicyDecidesWhenNobodyAnswersRightly(t *testing.T) {
	t.Parallel()
	c := suite.Cluster(t)
	reply := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc // nil: nobody listens
		served  string           // DNS name of the certificate; empty: the Service's
		trusted bool             // caBundle holds the CA that is served
		says    string
	}{
		{"nobody listens", nil, "", true, "failed to call webhook"},
		{"it hangs", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then is the client's end noticed
			<-r.Context().Done()
		}, "", true, "context deadline exceeded"},
		{"status 500", reply(http.StatusInternalServerError, "no"), "", true, "failed to call webhook"},
		{"status 503", reply(http.StatusServiceUnavailable, "no"), "", true, "failed to call webhook"},
		{"no JSON", reply(http.StatusOK, "<html>"), "", true, "couldn't get version/kind"},
		{"another uid", reply(http.StatusOK, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"x","allowed":true}}`), "", true, "uid"},
		{"wrong CA", patching(func(asked) []tree { return nil }), "", false, "certificate"},
		{"certificate of another name", patching(func(asked) []tree { return nil }), "else.example.org", true, "certificate is valid for else.example.org"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := apart(t, wish{}, 0)
			name := r.name + ".inject.postern.dev"
			served := tc.served
			if served == "" {
				served = r.name + "." + r.namespace + ".svc"
			}
			certificate, ca := authority(t, served)
			if !tc.trusted {
				_, ca = authority(t, served)
			}
			if tc.handler != nil {
				server := httptest.NewUnstartedServer(tc.handler)
				server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}
				server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are to fail
				server.StartTLS()
				t.Cleanup(func() {
					server.CloseClientConnections()
					server.Close()
				})
				r.balance.targets = func() []string { return []string{server.Listener.Addr().String()} }
			}
			r.setHooks(t, "clientConfig/caBundle", base64.StdEncoding.EncodeToString([]byte(ca)))
			r.setHooks(t, "timeoutSeconds", 1)
			if err := c.Do(t.Context(), http.MethodPatch, hooksPath+r.name, cluster.Patch{Type: "application/json-patch+json", Body: []tree{
				{"op": "add", "path": "/webhooks/0/name", "value": name}, // so that its counters are its own
			}}, nil); err != nil {
				t.Fatal(err)
			}
			space := r.space(t, nil)
			cluster.Eventually(t, "the API server asks", func() error {
				_, err := r.create(space, pod("probe"), "?dryRun=All")
				switch {
				case err == nil:
					return errors.New("the pod is created")
				case strings.Contains(err.Error(), name) && strings.Contains(err.Error(), tc.says):
					return nil
				}
				return err
			})
			before := c.Metric(t, "apiserver_admission_webhook_rejection_count", map[string]string{"name": name, "error_type": "calling_webhook_error"})
			_, err := r.create(space, pod("app"), "")
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("want a failure that says %q: %v", tc.says, err)
			}
			if left := r.pods(t, space); len(left) > 0 {
				t.Errorf("%d pods were created", len(left))
			}
			after := c.Metric(t, "apiserver_admission_webhook_rejection_count", map[string]string{"name": name, "error_type": "calling_webhook_error"})
			if after != before+1 {
				t.Errorf("the counter of rejections went from %v to %v", before, after)
			}
			if _, err := r.create(space, pod("other", unlabelled()), ""); err != nil {
				t.Errorf("a pod that did not ask waits for the webhook: %v", err)
			}
			r.setHooks(t, "failurePolicy", "Ignore")
			cluster.Eventually(t, "the pod comes to be without the sidecar", func() error {
				_, err := r.create(space, pod("app"), "")
				return err
			})
			for _, p := range r.pods(t, space) {
				naked(t, &p)
			}
			if n := c.Metric(t, "apiserver_admission_webhook_fail_open_count", map[string]string{"name": name}); n < 1 {
				t.Errorf("%v failures are counted as passed over", n)
			}
		})
	}
}

// The real injector's own trouble: it is killed, comes again, and nothing was created in between.
func TestInjectorDownStopsLabelledPodsOnly(t *testing.T) {
	t.Parallel()
	r := apart(t, wish{}, 1)
	space := r.space(t, nil)
	r.mustCreate(t, space, pod("before"))
	r.replicas[0].program.Kill()
	if _, err := r.create(space, pod("during"), ""); err == nil {
		t.Error("a labelled pod was created")
	}
	naked(t, r.mustCreate(t, space, pod("other", unlabelled())))
	if got := len(r.pods(t, space)); got != 2 {
		t.Errorf("there are %d pods", got)
	}
	secret := r.secret(t)["tls.crt"]
	r.start(t, 1)
	sidecar(t, r.mustCreate(t, space, pod("after")))
	if r.secret(t)["tls.crt"] != secret {
		t.Error("a restart has made another certificate")
	}
	if !strings.Contains(r.replicas[1].program.Said(), "certificate in service") {
		t.Error(r.replicas[1].program.Said())
	}
}

// Settings that cannot be used: not ready, and whoever asks nevertheless is answered 503.
func TestSettingsNotLoaded(t *testing.T) {
	t.Parallel()
	var good, at string
	r := apart(t, wish{files: func(dir, settings string) {
		good, at = settings, dir+"/settings.yaml"
		write(t, at, "image: registry.example.org/postern:latest\nnonsense: 1\n")
	}}, 0)
	one := r.launch(t, 1)[0]
	r.balance.targets = func() []string { return []string{one.address} } // as if it were ready
	space := r.space(t, nil)
	cluster.Eventually(t, "there is a certificate, and the settings are missed", func() error {
		if code, said := one.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(said, `"waiting_for":["settings"]`) {
			return fmt.Errorf("/readyz: %d %s", code, said)
		}
		return nil
	})
	cluster.Eventually(t, "the API server gets 503", func() error {
		_, err := r.create(space, pod("app"), "")
		if err == nil {
			t.Fatal("a labelled pod was created")
		}
		if !strings.Contains(err.Error(), "the server is currently unable to handle the request") {
			return err
		}
		return nil
	})
	if n := r.metric(t, "postern_injector_admissions_total", map[string]string{"result": "error", "reason": "settings_not_loaded"}); n < 1 {
		t.Errorf("%v reviews are counted as failed for want of settings", n)
	}
	cluster.Eventually(t, "an event at the Service says it", func() error {
		return r.event(t, r.namespace, "Service", r.name, "SettingsRefused", "nonsense")
	})
	lines := one.lines("the settings cannot be used: those in force stay")
	if len(lines) == 0 || !strings.Contains(fmt.Sprint(lines[0]["error"]), "nonsense") {
		t.Errorf("the log says %v", lines)
	}
	write(t, at, good)
	one.await(t)
	sidecar(t, r.mustCreate(t, space, pod("app")))
	write(t, at, "image: [") // what is in force stays
	time.Sleep(1500 * time.Millisecond)
	sidecar(t, r.mustCreate(t, space, pod("later")))
}

// Who asks past the API server gets an answer of HTTP, and the connection is none the worse.
func TestBodiesThatAreNoReview(t *testing.T) {
	t.Parallel()
	r := calm(t)
	for _, tc := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"empty", "application/json", "", http.StatusBadRequest},
		{"no JSON", "application/json", "{", http.StatusBadRequest},
		{"v1beta1", "application/json", `{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"a"}}`, http.StatusBadRequest},
		{"another type", "text/plain", "{}", http.StatusUnsupportedMediaType},
		{"too large", "application/json", strings.Repeat(" ", 8<<20+1), http.StatusRequestEntityTooLarge},
	} {
		if status, said := r.replicas[0].post(t, "/inject/pod", tc.contentType, []byte(tc.body)); status != tc.status || strings.Contains(string(said), "allowed") {
			t.Errorf("%s: %d %s", tc.name, status, said)
		}
	}
}

// event is nil when there is one about an object that says so.
func (r *release) event(t testing.TB, space, kind, name, reason, note string) error {
	t.Helper()
	var list struct {
		Items []struct {
			Reason, Note, ReportingController string
			Regarding                         struct{ Kind, Name string }
		}
	}
	r.c.Get(t, "/apis/events.k8s.io/v1/namespaces/"+space+"/events", &list)
	for _, e := range list.Items {
		if e.Regarding.Kind == kind && e.Regarding.Name == name && e.Reason == reason && strings.Contains(e.Note, note) && e.ReportingController == "postern.dev/injector" {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("no event %s at %s/%s says %q", reason, kind, name, note), fmt.Errorf("there are %+v", list.Items))
}
