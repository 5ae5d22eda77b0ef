package t3

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
	"postern/cmd/postern-injector/e2e/kubelet"
)

// What a person does first goes wrong in this order: the Secret is not there, then the provider is not, then the provider goes away.
func TestMissingSecretAndProviderHealByThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kubectl("delete", "secret", "portal")
	w.apply(w.portal("Deployment", "", ""))
	var pod string
	cluster.Eventually(t, "the pod says which Secret is missing", func() error {
		pods := w.pods("app=portal")
		if len(pods) != 2 || len(pods[0].Status.InitContainerStatuses) == 0 {
			return fmt.Errorf("%d pods", len(pods))
		}
		pod = pods[0].Name
		waiting := pods[0].Status.InitContainerStatuses[0].State.Waiting
		if waiting == nil || waiting.Reason != "CreateContainerConfigError" || !strings.Contains(waiting.Message, `secret "portal" not found`) {
			return fmt.Errorf("%+v", waiting)
		}
		return nil
	})
	w.story("The Secret is missing:", pod)
	w.secret("portal")
	cluster.Eventually(t, "the app runs, as its sidecar has started", func() error {
		if w.pod(pod).Status.ContainerStatuses[0].State.Running == nil {
			return errors.New("not yet")
		}
		return nil
	})
	w.inOrder(pod, "postern waiting", "postern started", "app started")
	status, said := w.readyz(pod)
	if status != http.StatusServiceUnavailable || w.isReady(pod) {
		t.Errorf("without a provider: ready %v, /readyz %d %+v", w.isReady(pod), status, said)
	}
	w.startProvider()
	w.rolledOut("portal")
	w.ready(pod, true)
	b := w.browser("")
	w.login(b, "gunnar")
	w.story("The Secret and the provider came:", pod)

	w.kubectl("scale", "deployment/idp", "--replicas=0")
	cluster.Eventually(t, "the provider is gone", func() error {
		if _, err := w.browser("").Try(http.MethodGet, w.idp+"/", ""); err == nil {
			return errors.New("it answers")
		}
		return nil
	})
	for range 3 { // a period of the readiness probe is 5 s, and two of them fail before the pod is unready
		time.Sleep(4 * time.Second)
		if r := w.at(pod, b).Navigate("http://portal.localhost/"); r.StatusCode != http.StatusOK {
			t.Errorf("a session while the provider is away: status %d", r.StatusCode)
		}
	}
	if status, said := w.readyz(pod); status != http.StatusOK {
		t.Errorf("while the provider is away /readyz is %d %+v", status, said)
	}
	if p := w.pod(pod); !w.isReady(pod) || p.Status.InitContainerStatuses[0].RestartCount != 0 {
		t.Errorf("an outage of the provider: ready %v, %d restarts", w.isReady(pod), p.Status.InitContainerStatuses[0].RestartCount)
	}
	for _, e := range w.k.Events(w.ns, pod) {
		if e.Kind == kubelet.Unready {
			t.Errorf("%s was unready: %+v", pod, e)
		}
	}
	w.story("The provider is away, and nobody notices:", pod)
}

// The probe port is open to the cluster, and profiles hold keys and tokens.
func TestS42ProbePortServesNoProfiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startProvider()
	w.apply(`{apiVersion: v1, kind: Secret, metadata: {name: more}, stringData: {POSTERN_PPROF_ENABLED: "true", WONDERWALL_PPROF_ENABLED: "true"}}`)
	w.apply(strings.Replace(w.portal("Deployment", "", ""), "postern.dev/secrets: portal", "postern.dev/secrets: more,portal", 1))
	w.rolledOut("portal")
	pod := w.pods("app=portal")[0].Name
	if got, err := w.k.Exec(t.Context(), w.ns, pod, "postern", "/usr/bin/postern", "config"); err != nil || !strings.Contains(got, "pprof-enabled") {
		t.Fatalf("the option has not reached the sidecar: %v\n%s", err, got)
	}
	for _, port := range []string{"7564", "7565", "7566"} {
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2", "/debug/pprof/profile?seconds=1", "/debug/pprof/cmdline"} {
			r := w.get("http://" + pod + "." + w.ns + ".pod:" + port + path)
			if strings.Contains(r.Body, "goroutine profile:") || strings.Contains(r.Body, "goroutine 1 [") || strings.Contains(r.Body, "heap profile") || strings.HasPrefix(r.Body, "\x1f\x8b") || strings.Contains(r.Body, "/usr/bin/postern\x00") || port == "7566" && len(r.Body) > 1<<10 {
				t.Errorf("port %s serves %s: status %d, %d bytes", port, path, r.StatusCode, len(r.Body))
			}
		}
	}
}

// An app that listens on every address is reachable beside its sidecar; the sidecar says so, and of one on loopback the opposite.
func TestS05SidecarSaysWhetherTheAppIsReachableBesideIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startProvider()
	for _, test := range []struct {
		name, annotation, address, metric string
		exposed                           bool
	}{
		{"everywhere", "", ":8080", "postern_upstream_exposed 1", true},
		{"loopback", "postern.dev/app-address: loopback", "127.0.0.1:8080", "postern_upstream_exposed 0", false},
	} {
		manifest := strings.ReplaceAll(w.portal("Deployment", test.annotation, ""), "name: portal}", "name: "+test.name+"}")
		manifest = strings.ReplaceAll(manifest, "app: portal", "app: "+test.name)
		manifest = strings.Replace(manifest, "env: [", `env: [{name: ADDRESS, value: "`+test.address+`"}, `, 1)
		w.apply(manifest)
		w.rolledOut(test.name)
		pod := w.pods("app=" + test.name)[0].Name
		cluster.Eventually(t, "the sidecar of "+test.name+" has looked", func() error {
			status, said := w.readyz(pod)
			found := false
			for _, d := range said.Degraded {
				found = found || d.Dependency == "upstream" && d.Reason == "upstream_exposed"
			}
			if metrics := w.get("http://" + pod + "." + w.ns + ".pod:7565/metrics").Body; status != http.StatusOK || found != test.exposed || !strings.Contains(metrics, test.metric) {
				return fmt.Errorf("/readyz %d %+v", status, said)
			}
			return nil
		})
		_, err := w.browser("").Try(http.MethodGet, "http://"+pod+"."+w.ns+".pod:8080/", "", "X-Postern-User", "admin")
		if reached := err == nil; reached != test.exposed {
			t.Errorf("%s: reached beside the sidecar: %v", test.name, reached)
		}
		t.Log(strings.Join(w.logged(pod, "postern", "pstream"), "\n"))
	}
}
