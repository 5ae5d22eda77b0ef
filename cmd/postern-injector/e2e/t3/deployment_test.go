package t3

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"postern/cmd/postern-injector/e2e/cluster"
	"postern/cmd/postern/e2e"
)

// portal is an app with a login at ID-porten, which calls the API orders. more is added to its annotations, and to its container.
func (w *world) portal(kind, annotations, container string) string {
	return strings.NewReplacer("KIND", kind, "NS", w.ns, "IMAGE", appImage, "ANNOTATIONS", annotations, "CONTAINER", container).Replace(`
apiVersion: v1
kind: Service
metadata: {name: portal}
spec: {selector: {app: portal}, ports: [{name: http, port: 80, targetPort: 7564}]}
---
apiVersion: apps/v1
kind: KIND
metadata: {name: portal}
spec:
  replicas: 2
  selector: {matchLabels: {app: portal}}
  template:
    metadata:
      labels: {app: portal, postern.dev/inject: "true"}
      annotations:
        postern.dev/provider: idporten
        postern.dev/ingress: http://portal.localhost
        postern.dev/secrets: portal,login
        postern.dev/tokens: tokenx,idporten
        postern.dev/auto-login: "true"
        postern.dev/identity-headers: postern
        postern.dev/egress-routes: '[{name: orders, url: "http://orders.NS.svc", provider: tokenx, target: "dev:shop:orders"}]'
        ANNOTATIONS
    spec:
      terminationGracePeriodSeconds: 25
      containers:
      - name: app
        image: IMAGE
        ports: [{name: http, containerPort: 8080}]
        env: [{name: ORDERS_URL, value: http://orders.NS.svc}]
        CONTAINER
`)
}

// orders is an API that only the policy's callers reach.
func (w *world) orders() {
	w.t.Helper()
	w.ordersPolicy("portal")
	w.apply(strings.ReplaceAll(`
{apiVersion: v1, kind: Service, metadata: {name: orders}, spec: {selector: {app: orders}, ports: [{port: 80, targetPort: 7564}]}}
---
apiVersion: v1
kind: Pod
metadata:
  name: orders
  labels: {app: orders, postern.dev/inject: "true"}
  annotations: {postern.dev/policy: orders, postern.dev/secrets: orders, postern.dev/tokens: tokenx, postern.dev/identity-headers: postern}
spec: {containers: [{name: app, image: "IMAGE", ports: [{containerPort: 8080}]}]}
`, "IMAGE", appImage))
}

// ordersAnswers waits until the Service leads to the API: its endpoint comes a moment after the pod is ready.
func (w *world) ordersAnswers() {
	w.t.Helper()
	cluster.Eventually(w.t, "the API orders answers", func() error {
		r, err := w.browser("").Try(http.MethodGet, "http://orders."+w.ns+".svc/", "")
		if err == nil && r.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("status %d", r.StatusCode)
		}
		return err
	})
}

func (w *world) ordersPolicy(caller string) {
	w.t.Helper()
	w.apply(`
apiVersion: v1
kind: ConfigMap
metadata: {name: orders}
data:
  policy.yaml: |
    apiVersion: postern/v1
    app: {cluster: dev, namespace: shop, name: orders}
    inbound: {rules: [{application: ` + caller + `}]}
    tokenx: {idps: ["` + w.idp + `/idporten"]}
`)
}

func TestDeploymentLogsInCallsAndLogsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startProvider()
	w.orders()
	w.apply(w.portal("Deployment", "", ""))
	w.rolledOut("portal")
	pods := w.pods("app=portal")
	if len(pods) != 2 {
		t.Fatalf("%d pods", len(pods))
	}
	for _, p := range pods {
		if p.Annotations["postern.dev/status"] == "" || p.Spec.InitContainers[0].Name != "postern" {
			t.Errorf("%s has no sidecar", p.Name)
		}
	}
	w.story("Two replicas are ready, each with its sidecar:", pods[0].Name)

	if r := w.browser("").Get("http://portal.localhost/", "X-Postern-User", "admin", "Accept", "application/json"); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody, with a header that says admin: status %d\n%s", r.StatusCode, r.Body)
	}
	b := w.browser("")
	w.login(b, "gunnar")
	for _, p := range pods {
		r := w.at(p.Name, b).Navigate("http://portal.localhost/who", "X-Postern-User", "admin", "X-Postern-Groups", "admins")
		if r.StatusCode != http.StatusOK || !strings.Contains(r.Body, "Hostname: "+p.Name+"\n") || !strings.Contains(r.Body, "X-Postern-Provider: idporten") ||
			!strings.Contains(r.Body, "Authorization: Bearer ") || strings.Contains(r.Body, "admin") || strings.Contains(r.Body, "Cookie:") {
			t.Errorf("asked directly, %s: status %d\n%s", p.Name, r.StatusCode, hidden(r.Body))
		}
		t.Logf("what the app in %s is told:\n%s", p.Name, hidden(r.Body))
	}
	w.ordersAnswers()
	for _, path := range []string{"/exchange/dev:shop:orders", "/egress/orders/by-egress"} {
		if r := b.Navigate("http://portal.localhost" + path); r.StatusCode != http.StatusOK || !strings.Contains(r.Body, "X-Postern-Client: dev:shop:portal") {
			t.Errorf("%s on behalf of the person: status %d\n%s", path, r.StatusCode, hidden(r.Body))
		}
	}
	w.strangerIsRefused(b)
	w.decisionChanges(b)
	w.logoutIsHeard(b)
	for _, p := range pods {
		if lines := w.logged(p.Name, "postern", `"level":"ERROR"`); len(lines) > 0 {
			t.Errorf("errors in the log: %q", lines)
		}
	}
}

// strangerIsRefused: another app gets a token for the API, which knows it, and does not let it in.
func (w *world) strangerIsRefused(b *e2e.Client) {
	w.t.Helper()
	w.apply(strings.NewReplacer("IMAGE", appImage, "NS", w.ns).Replace(`
apiVersion: v1
kind: Pod
metadata:
  name: stranger
  labels: {postern.dev/inject: "true"}
  annotations: {postern.dev/app-port: none, postern.dev/secrets: stranger, postern.dev/tokens: tokenx}
spec: {containers: [{name: app, image: "IMAGE", env: [{name: ORDERS_URL, value: "http://orders.NS.svc"}]}]}
`))
	w.kubectl("wait", "--for=condition=Ready", "pod/stranger", "--timeout", "60s")
	user := ""
	for line := range strings.Lines(b.Navigate("http://portal.localhost/").Body) {
		if token, ok := strings.CutPrefix(line, "Authorization: Bearer "); ok {
			user = strings.TrimSpace(token)
		}
	}
	r := w.get("http://stranger." + w.ns + ".pod:8080/exchange/dev:shop:orders?user=" + user)
	if r.StatusCode != http.StatusForbidden {
		w.t.Errorf("a stranger with a token for the API: status %d\n%s", r.StatusCode, hidden(r.Body))
	}
	w.t.Logf("the stranger is told: %d %s\n%s", r.StatusCode, r.Body, strings.Join(w.logged("orders", "postern", "stranger"), "\n"))
	if r := w.get("http://orders." + w.ns + ".svc/"); r.StatusCode != http.StatusUnauthorized {
		w.t.Errorf("nobody at the API: status %d", r.StatusCode)
	}
}

// decisionChanges: another ConfigMap is another decision, by the same process.
func (w *world) decisionChanges(b *e2e.Client) {
	w.t.Helper()
	before := w.k.PID(w.t, w.ns, "orders", "postern")
	for _, step := range []struct {
		admits string
		status int
	}{{"stranger", http.StatusForbidden}, {"portal", http.StatusOK}} {
		w.ordersPolicy(step.admits)
		cluster.Eventually(w.t, "the policy that admits "+step.admits+" is in force", func() error {
			if r := b.Navigate("http://portal.localhost/egress/orders/x"); r.StatusCode != step.status {
				return fmt.Errorf("status %d", r.StatusCode)
			}
			return nil
		})
	}
	if after := w.k.PID(w.t, w.ns, "orders", "postern"); after != before {
		w.t.Error("the sidecar was restarted")
	}
	w.t.Log(strings.Join(w.logged("orders", "postern", "polic"), "\n"))
}

// logoutIsHeard: the session is over at both replicas.
func (w *world) logoutIsHeard(b *e2e.Client) {
	w.t.Helper()
	kept := w.at("", b)
	if r := b.Follow(b.Navigate("http://portal.localhost/oauth2/logout")); r.StatusCode >= http.StatusInternalServerError {
		w.t.Errorf("logout ends with status %d", r.StatusCode)
	}
	for _, p := range w.pods("app=portal") {
		cluster.Eventually(w.t, "the logout is heard by "+p.Name, func() error {
			if r := w.at(p.Name, kept).Get("http://portal.localhost/", "Accept", "application/json"); r.StatusCode != http.StatusUnauthorized {
				return fmt.Errorf("status %d", r.StatusCode)
			}
			return nil
		})
		w.t.Logf("%s has heard of the logout", p.Name)
	}
}

// hidden is a page of the app without tokens.
func hidden(body string) string {
	var out strings.Builder
	for line := range strings.Lines(body) {
		if name, _, ok := strings.Cut(line, ": Bearer "); ok {
			line = name + ": Bearer …\n"
		}
		out.WriteString(line)
	}
	return out.String()
}
