package t3

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"postern/cmd/postern-injector/e2e/cluster"
	"postern/cmd/postern/e2e"
)

// walk is a person who does what charts/README.md says, block after block.
type walk struct {
	*world
	todo []block
}

// run runs the next block, which must hold the words, and returns what it prints.
func (w *walk) run(words string) string {
	w.t.Helper()
	return person.sh(w.t, w.next(words).text)
}

// done passes over a block that has been run already: that is how this package got its images and its chart.
func (w *walk) done(words string) {
	w.t.Helper()
	if w.next(words) != blockWith(w.t, words) {
		w.t.Errorf("another block of charts/README.md has been run for %q", words)
	}
}

func (w *walk) next(words string) block {
	w.t.Helper()
	for len(w.todo) > 0 && w.todo[0].language != "sh" {
		w.todo = w.todo[1:]
	}
	if len(w.todo) == 0 || !strings.Contains(w.todo[0].text, words) {
		w.t.Fatalf("the next block of charts/README.md has not the words %q", words)
	}
	b := w.todo[0]
	w.todo = w.todo[1:]
	return b
}

// browser is that of the person: it goes where the person's computer gets, by /etc/hosts and the two forwards.
func (w *walk) browser() *e2e.Client {
	return e2e.NewClientThrough(w.t, func(ctx context.Context, _, address string) (net.Conn, error) { return person.Dial(ctx, address) })
}

// neighbour is another pod of the cluster, which asks the Service.
func (w *walk) neighbour() *e2e.Client {
	return e2e.NewClientThrough(w.t, func(ctx context.Context, _, address string) (net.Conn, error) { return w.k.Dial(ctx, address) })
}

const portal = "http://localhost:8080/"

func TestWorkedExample(t *testing.T) {
	t.Parallel()
	c, k := start(t)
	w := &walk{world: &world{t: t, c: c, k: k, ns: "demo"}, todo: blocks(t)}
	w.dev = &e2e.DevProvider{Issuer: "http://idp.demo.svc:7081/" + tenant + "/v2.0"}
	t.Cleanup(func() { _, _ = c.TryKubectl(t, "delete", "namespace", "demo", "--ignore-not-found", "--wait=false") })

	w.run("kubectl create namespace demo")
	cluster.Eventually(t, "the unprotected app believes everybody", func() error {
		r, err := w.neighbour().Try(http.MethodGet, "http://portal.demo.svc/", "", "X-Postern-User", "admin")
		if err == nil && (r.StatusCode != http.StatusOK || !strings.Contains(r.Body, "X-Postern-User: admin")) {
			t.Errorf("status %d\n%s", r.StatusCode, r.Body)
		}
		return err
	})
	w.done("-push")
	w.done("helm install")
	if got := c.Kubectl(t, "get", "pods", "--namespace", "postern-system"); strings.Count(got, "1/1") != 2 {
		t.Errorf("two injectors ought to be ready:\n%s", got)
	}
	w.run("kind: Service\nmetadata: {name: idp}")
	w.run("kubectl create secret")
	w.run("users: {allowAll: true}")
	w.run("postern.dev/inject")
	cluster.Eventually(t, "the pods are 2/2", func() error {
		if got := c.Kubectl(t, "get", "pods", "--namespace", "demo", "--selector", "app=portal,postern.dev/injected=true"); strings.Count(got, "2/2") != 2 {
			return errorText(got)
		}
		return nil
	})
	if found := w.run("postern-injector check"); !strings.Contains(found, "service_port") || !strings.Contains(found, "no_policy") {
		t.Errorf("check ought to find the Service and the open port:\n%s", found)
	}
	w.run("networkpolicy.yaml")
	w.run("port-forward")
	b := w.browser()
	cluster.Eventually(t, "the forwards listen", func() error {
		_, err := b.Try(http.MethodGet, portal, "")
		_, other := b.Try(http.MethodGet, "http://idp.demo.svc:7081/", "")
		return errors.Join(err, other)
	})
	if r := b.Get(portal, "Accept", "*/*"); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("curl without a token: status %d", r.StatusCode)
	}
	atProvider := func(next *url.URL) bool { return next.Host == "idp.demo.svc:7081" }
	page := b.Follow(w.dev.SignIn(b, b.FollowUntil(b.Navigate(portal), atProvider), "kari"))
	for _, want := range []string{"Authorization: Bearer ", "X-Postern-User: ", "X-Postern-Name: "} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("after the login the app is not told %q: status %d\n%s", want, page.StatusCode, hidden(page.Body))
		}
	}
	t.Logf("the browser shows:\n%s", hidden(page.Body))
	if r := b.Navigate(portal, "X-Postern-User", "admin"); r.StatusCode != http.StatusOK || strings.Contains(r.Body, "admin") {
		t.Errorf("a forged header: status %d\n%s", r.StatusCode, hidden(r.Body))
	}
	w.podIsKilled(b)

	w.run("users: {groups:")
	cluster.Eventually(t, "the new policy lets nobody in", func() error {
		if r := b.Navigate(portal); r.StatusCode != http.StatusForbidden {
			return errorText(r.Status)
		}
		return nil
	})
	if r := b.Follow(b.Navigate(portal + "oauth2/logout")); r.StatusCode >= http.StatusBadRequest {
		t.Errorf("logout: status %d at %s", r.StatusCode, r.Where().Redacted())
	}
	cluster.Eventually(t, "the session is over", func() error {
		if r := b.Get(portal, "Accept", "*/*"); r.StatusCode != http.StatusUnauthorized {
			return errorText(r.Status)
		}
		return nil
	})
	if got := w.run("kubectl get events"); !strings.Contains(got, sidecarImage) {
		t.Errorf("the status of the pods: %s", got)
	}
	if got := w.run("kubectl logs"); !strings.Contains(got, `"msg":`) || strings.Contains(got, "not-a-secret") {
		t.Errorf("the log of a sidecar:\n%s", got)
	}
	w.run("inject=required")
	w.nakedPodIsRefusedASidecarlessLife()
	w.run("kubectl delete namespace")
	for _, b := range w.todo {
		if b.language == "sh" {
			t.Errorf("not walked through:\n%s", b.text)
		}
	}
}

// podIsKilled: the forward that led to the pod ends with it, and is started again; the session has not ended.
func (w *walk) podIsKilled(b *e2e.Client) {
	w.t.Helper()
	for _, p := range w.pods("app=portal") { // one of them is the forward's
		w.c.Kubectl(w.t, "delete", "pod", p.Name, "--namespace", "demo")
		w.rolledOut("portal")
	}
	forward := ""
	for line := range strings.Lines(blockWith(w.t, "port-forward").text) {
		if strings.Contains(line, "service/portal") {
			forward = line
		}
	}
	cluster.Eventually(w.t, "the person is still logged in", func() error {
		r, err := b.Try(http.MethodGet, portal, "", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
		if err != nil {
			return errors.Join(err, errorText(person.sh(w.t, forward)))
		}
		if r.StatusCode != http.StatusOK {
			w.t.Errorf("after the pods were killed: status %d", r.StatusCode)
		}
		return nil
	})
}

// nakedPodIsRefusedASidecarlessLife: where the namespace requires the sidecar, a pod that says no is not created.
func (w *walk) nakedPodIsRefusedASidecarlessLife() {
	w.t.Helper()
	out, err := w.c.TryApply(w.t, "demo", `{apiVersion: v1, kind: Pod, metadata: {name: naked, labels: {postern.dev/inject: "false"}},
spec: {containers: [{name: app, image: "`+appImage+`", ports: [{containerPort: 8080}]}]}}`)
	if err == nil {
		w.t.Errorf("a pod without a sidecar was created: %s", out)
		return
	}
	w.t.Logf("a pod that wants none is told: %v", err)
}

type errorText string

func (e errorText) Error() string { return string(e) }
