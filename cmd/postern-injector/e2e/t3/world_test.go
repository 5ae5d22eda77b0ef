package t3

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"postern/cmd/postern-injector/e2e/cluster"
	"postern/cmd/postern-injector/e2e/kubelet"
	"postern/cmd/postern/e2e"
)

// tenant is that of the test provider at Entra ID.
const tenant = "7d1a4a5e-0b5c-4f0e-9a53-5f1d0c6e2b11"

// world is a namespace with a provider and a Redis, and what the platform would have put there for the app `portal`.
type world struct {
	t    *testing.T
	c    *cluster.Cluster
	k    *kubelet.Kubelet
	ns   string
	jwk  string // of every app
	dev  *e2e.DevProvider
	idp  string // scheme and host of the provider
	apps string // what the provider knows
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c, k := start(t)
	w := &world{t: t, c: c, k: k, ns: c.Namespace(t, nil)}
	w.idp = "http://idp." + w.ns + ".svc"
	w.dev = &e2e.DevProvider{Issuer: w.idp + "/" + tenant + "/v2.0"}
	var public string
	w.jwk, public = newJWK(t)
	w.apps = strings.ReplaceAll(`[
{"id": "portal", "name": "dev:shop:portal", "jwks": JWK, "redirect_uris": ["http://portal.localhost/oauth2/callback"],
 "post_logout_redirect_uris": ["http://portal.localhost/oauth2/logout/callback"], "maskinporten": {"scopes": ["nav:team/orders.read"]}},
{"id": "stranger", "name": "dev:shop:stranger", "jwks": JWK},
{"id": "orders", "name": "dev:shop:orders", "jwks": JWK, "tokenx": {"inbound": ["dev:shop:portal", "dev:shop:stranger"]}}]`, "JWK", public)
	w.apply(`
apiVersion: v1
kind: ConfigMap
metadata: {name: idp}
data: {apps.json: ` + quoted(w.apps) + `}
---
apiVersion: v1
kind: Service
metadata: {name: idp}
spec: {selector: {app: idp}, ports: [{port: 80, targetPort: 7081}]}
---
apiVersion: v1
kind: Service
metadata: {name: redis}
spec: {selector: {app: redis}, ports: [{port: 6379}]}
---
apiVersion: v1
kind: Pod
metadata: {name: redis, labels: {app: redis}}
spec: {containers: [{name: redis, image: "` + redisImage + `", ports: [{containerPort: 6379}], readinessProbe: {tcpSocket: {port: 6379}, periodSeconds: 1}}]}
`)
	for _, name := range []string{"portal", "stranger", "orders"} {
		w.secret(name)
	}
	w.apply(`{apiVersion: v1, kind: Secret, metadata: {name: login}, stringData: {POSTERN_OPENID_RESOURCE_INDICATOR: "https://portal.example"}}`)
	if out, err := w.c.TryKubectl(t, "wait", "--for=condition=Ready", "pod/redis", "--timeout", "60s", "--namespace", w.ns); err != nil {
		t.Fatalf("%s %v\n%s", out, err, w.k.Logs(t, w.ns, "redis", "redis"))
	}
	return w
}

// startProvider is `postern idp` as a Deployment, which is there when this returns.
func (w *world) startProvider() {
	w.t.Helper()
	w.apply(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: idp}
spec:
  selector: {matchLabels: {app: idp}}
  template:
    metadata: {labels: {app: idp}}
    spec:
      containers:
      - name: idp
        image: ` + sidecarImage + `
        args: [idp, --listen-anywhere, "--bind-address=:7081", "--base-url=` + w.idp + `", --clients=/etc/idp/apps.json]
        ports: [{containerPort: 7081}]
        readinessProbe: {tcpSocket: {port: 7081}, periodSeconds: 1}
        volumeMounts: [{name: apps, mountPath: /etc/idp}]
      volumes: [{name: apps, configMap: {name: idp}}]
`)
	w.rolledOut("idp")
}

// secret is what the platform gives to an app: who it is at each provider, and the key and store of its sessions.
func (w *world) secret(app string) {
	w.t.Helper()
	metadata := func(path string) string { return w.idp + path }
	data, err := json.Marshal(map[string]string{
		"IDPORTEN_CLIENT_ID": app, "IDPORTEN_AUDIENCE": "https://" + app + ".example", "IDPORTEN_CLIENT_JWK": w.jwk, "IDPORTEN_WELL_KNOWN_URL": metadata("/idporten/.well-known/openid-configuration"),
		"TOKEN_X_CLIENT_ID": "dev:shop:" + app, "TOKEN_X_PRIVATE_JWK": w.jwk, "TOKEN_X_WELL_KNOWN_URL": metadata("/tokenx/.well-known/oauth-authorization-server"),
		"MASKINPORTEN_CLIENT_ID": app, "MASKINPORTEN_CLIENT_JWK": w.jwk,
		"MASKINPORTEN_WELL_KNOWN_URL": metadata("/maskinporten/.well-known/oauth-authorization-server"),
		"POSTERN_ENCRYPTION_KEY":      "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=", "POSTERN_REDIS_URI": "redis://redis." + w.ns + ".svc:6379/0",
		"POSTERN_ALLOW_TEST_PROVIDER": "true", "POSTERN_ALLOW_HTTP_PROVIDERS": "true",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.apply(`{apiVersion: v1, kind: Secret, metadata: {name: ` + app + `}, stringData: ` + string(data) + `}`)
}

func (w *world) apply(yaml string) { w.t.Helper(); w.c.Apply(w.t, w.ns, yaml) }

func (w *world) kubectl(args ...string) string {
	w.t.Helper()
	return w.c.Kubectl(w.t, append(args, "--namespace", w.ns)...)
}

func (w *world) rolledOut(deployment string) {
	w.t.Helper()
	w.kubectl("rollout", "status", "deployment/"+deployment, "--timeout", "90s")
}

// pods are those of an app, without those that are ending.
func (w *world) pods(selector string) (live []corev1.Pod) {
	w.t.Helper()
	var list corev1.PodList
	w.c.Get(w.t, "/api/v1/namespaces/"+w.ns+"/pods?labelSelector="+selector, &list)
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			live = append(live, p)
		}
	}
	return live
}

func (w *world) pod(name string) *corev1.Pod {
	w.t.Helper()
	var pod corev1.Pod
	w.c.Get(w.t, "/api/v1/namespaces/"+w.ns+"/pods/"+name, &pod)
	return &pod
}

// browser finds the app's ingress where an ingress controller would: at the Service. A pod's name takes the place of the Service.
func (w *world) browser(pod string) *e2e.Client {
	return e2e.NewClientThrough(w.t, func(ctx context.Context, _, address string) (net.Conn, error) {
		switch {
		case address == "portal.localhost:80" && pod != "":
			return w.k.Dial(ctx, pod+"."+w.ns+".pod:7564")
		case address == "portal.localhost:80":
			return w.k.Dial(ctx, "portal."+w.ns+".svc:80")
		}
		return w.k.Dial(ctx, address)
	})
}

// at gives a browser's cookies to another one, which goes to one pod only.
func (w *world) at(pod string, with *e2e.Client) *e2e.Client {
	other := w.browser(pod)
	for name, value := range with.Cookies("http://portal.localhost/") {
		other.SetCookie("http://portal.localhost/", &http.Cookie{Name: name, Value: value, Secure: true, Path: "/"})
	}
	return other
}

// login is a person who comes to the app, is sent to the provider, and comes back.
func (w *world) login(b *e2e.Client, person string) {
	w.t.Helper()
	atProvider := func(next *url.URL) bool { return next.Hostname() != "portal.localhost" }
	back := w.dev.SignIn(b, b.FollowUntil(b.Navigate("http://portal.localhost/"), atProvider), person)
	if page := b.Follow(back); page.StatusCode != http.StatusOK || !strings.Contains(page.Body, "Hostname: ") {
		w.t.Fatalf("after the login: status %d at %s\n%.500s", page.StatusCode, page.Where().Redacted(), page.Body)
	}
}

// get is one request within the cluster, without cookies.
func (w *world) get(url string, headers ...string) *e2e.Response {
	w.t.Helper()
	return w.browser("").Get(url, headers...)
}

// story writes what a person would look at: pods, events of the containers with their times, lines of the sidecars.
func (w *world) story(title, pod string, lines ...string) {
	w.t.Helper()
	var s strings.Builder
	fmt.Fprintf(&s, "%s\n%s", title, w.kubectl("get", "pods", "-o", "wide"))
	for _, e := range w.k.Events(w.ns, pod) {
		fmt.Fprintf(&s, "%s %-32s %-10s %s %s\n", e.Time.UTC().Format("15:04:05.000"), e.Pod, e.Container, e.Kind, clip(e.Detail))
	}
	for _, line := range lines {
		fmt.Fprintf(&s, "%s\n", clip(line))
	}
	w.t.Log(s.String())
}

func clip(text string) string {
	if len(text) > 240 {
		return text[:240] + "…"
	}
	return text
}

// logged are the lines of a container's log that hold the words.
func (w *world) logged(pod, container, words string) (lines []string) {
	w.t.Helper()
	for line := range strings.Lines(w.k.Logs(w.t, w.ns, pod, container)) {
		if strings.Contains(line, words) {
			lines = append(lines, pod+" "+container+": "+strings.TrimSpace(line))
		}
	}
	return lines
}

func quoted(text string) string {
	out, _ := json.Marshal(text) //nolint:errchkjson // a text
	return string(out)
}

// newJWK is a private key and its public half.
func newJWK(t *testing.T) (private, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	all := map[string]string{"kty": "RSA", "kid": "k", "use": "sig", "alg": "RS256", "n": number(key.N), "e": number(big.NewInt(int64(key.E)))}
	pub, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]*big.Int{
		"d": key.D, "p": key.Primes[0], "q": key.Primes[1], "dp": key.Precomputed.Dp, "dq": key.Precomputed.Dq, "qi": key.Precomputed.Qinv,
	} {
		all[name] = number(n)
	}
	priv, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(priv), string(pub)
}

// eventAt is when something happened to a container for the last time.
func (w *world) eventAt(pod, container string, kind kubelet.Kind) time.Time {
	w.t.Helper()
	var at time.Time
	for _, e := range w.k.Events(w.ns, pod) {
		if e.Container == container && e.Kind == kind {
			at = e.Time
		}
	}
	if at.IsZero() {
		w.t.Errorf("%s of %s was never %s", container, pod, kind)
	}
	return at
}
