package kube

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// server is an API server that answers by the function, and a client with the token "secret-token" that trusts it.
func server(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewTLSServer(answer)
	t.Cleanup(s.Close)
	c, err := fromKubeconfig([]byte(kubeconfigOf(s, `token: secret-token`)), "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func caOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func kubeconfigOf(s *httptest.Server, user string) string {
	return fmt.Sprintf(`{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}],
clusters: [{name: k, cluster: {server: %q, certificate-authority-data: %s}}], users: [{name: u, user: {%s}}]}`,
		s.URL, base64.StdEncoding.EncodeToString(caOf(s)), user)
}

func TestRequestsAreThoseOfTheKubernetesAPI(t *testing.T) {
	t.Parallel()
	hooks := &WebhookConfiguration{Metadata: Meta{Name: "injector", ResourceVersion: "7"}, Webhooks: make([]Webhook, 2)}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_000, time.UTC)
	for name, c := range map[string]struct {
		do   func(ctx context.Context, c *Client) error
		want string // method, path, content type and body
	}{
		"get a Secret": {func(ctx context.Context, c *Client) error { _, err := c.GetSecret(ctx, "ns", "s"); return err }, `GET /api/v1/namespaces/ns/secrets/s`},
		"create a Secret": {
			func(ctx context.Context, c *Client) error {
				_, err := c.CreateSecret(ctx, "ns", "s", map[string][]byte{"k": []byte("v")})
				return err
			},
			`POST /api/v1/namespaces/ns/secrets application/json {"apiVersion":"v1","data":{"k":"dg=="},"kind":"Secret","metadata":{"labels":` +
				`{"app.kubernetes.io/managed-by":"postern-injector"},"name":"s"},"type":"Opaque"}`,
		},
		"patch a Secret": {
			func(ctx context.Context, c *Client) error {
				_, err := c.PatchSecret(ctx, "ns", "s", "5", map[string][]byte{"k": []byte("v"), "gone": nil})
				return err
			},
			`PATCH /api/v1/namespaces/ns/secrets/s application/merge-patch+json {"data":{"gone":null,"k":"dg=="},"metadata":{"resourceVersion":"5"}}`,
		},
		"get a ConfigMap": {func(ctx context.Context, c *Client) error { _, err := c.GetConfigMap(ctx, "ns", "m"); return err }, `GET /api/v1/namespaces/ns/configmaps/m`},
		"get webhooks": {
			func(ctx context.Context, c *Client) error { _, err := c.GetWebhooks(ctx, Validating, "w"); return err },
			`GET /apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/w`,
		},
		"set caBundle": {
			func(ctx context.Context, c *Client) error {
				_, err := c.SetCABundle(ctx, Mutating, hooks, []byte("x"))
				return err
			},
			`PATCH /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/injector application/json-patch+json ` +
				`[{"op":"replace","path":"/metadata/resourceVersion","value":"7"},{"op":"add","path":"/webhooks/0/clientConfig/caBundle","value":"eA=="},` +
				`{"op":"add","path":"/webhooks/1/clientConfig/caBundle","value":"eA=="}]`,
		},
		"create an event": {
			func(ctx context.Context, c *Client) error {
				return c.CreateEvent(ctx, Event{Regarding: Reference{Kind: "Pod", Namespace: "ns", Name: "p"}, Time: at, Type: "Warning", Reason: "R", Action: "A", Note: "N", Component: "c", Instance: "i"})
			},
			`POST /apis/events.k8s.io/v1/namespaces/ns/events application/json {"action":"A","apiVersion":"events.k8s.io/v1","eventTime":"2026-01-02T03:04:05.678901Z",` +
				`"kind":"Event","metadata":{"generateName":"postern-injector-","namespace":"ns"},"note":"N","reason":"R","regarding":{"kind":"Pod","namespace":"ns","name":"p"},` +
				`"reportingController":"c","reportingInstance":"i","type":"Warning"}`,
		},
		"list": {
			func(ctx context.Context, c *Client) error {
				_, err := c.List(ctx, NetworkPolicies, "ns", "a=b")
				return err
			},
			`GET /apis/networking.k8s.io/v1/namespaces/ns/networkpolicies?labelSelector=a%3Db&limit=500`,
		},
		"a name that would be another path": {func(ctx context.Context, c *Client) error { _, err := c.GetSecret(ctx, "a/b", "x?y"); return err }, `GET /api/v1/namespaces/a%2Fb/secrets/x%3Fy`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			client := server(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + r.Header.Get("Content-Type") + " " + string(body))
				if r.Header.Get("Authorization") != "Bearer secret-token" {
					t.Error("without the token")
				}
				fmt.Fprint(w, `{}`)
			})
			if err := c.do(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestErrorsAreNotFoundConflictOrTrouble(t *testing.T) {
	t.Parallel()
	status := func(code int, reason string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"kind":"Status","reason":%q,"message":%q}`, reason, strings.Repeat("m", 1000))
		}
	}
	for name, c := range map[string]struct {
		answer             http.HandlerFunc
		notFound, conflict bool
	}{
		"not found":       {status(404, "NotFound"), true, false},
		"another version": {status(409, "Conflict"), false, true},
		"there already":   {status(409, "AlreadyExists"), false, true},
		"forbidden":       {status(403, "Forbidden"), false, false},
		"expired token":   {status(401, "Unauthorized"), false, false},
		"too many":        {status(429, "TooManyRequests"), false, false},
		"server error":    {status(500, "NotFound"), false, false},
		"404 of a proxy":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); fmt.Fprint(w, "<html>") }, false, false},
		"409 of a proxy":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(409) }, false, false},
		"no JSON":         {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{") }, false, false},
		"empty":           {func(http.ResponseWriter, *http.Request) {}, false, false},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			fmt.Fprint(w, "{}")
		}, false, false},
		"without end": {func(w http.ResponseWriter, _ *http.Request) {
			for err := error(nil); err == nil; {
				_, err = w.Write(make([]byte, 1<<20))
			}
		}, false, false},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:1/", http.StatusFound)
		}, false, false},
		"the connection ends": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := server(t, c.answer).GetSecret(t.Context(), "ns", "s")
			if err == nil || IsNotFound(err) != c.notFound || IsConflict(err) != c.conflict {
				t.Fatalf("%v: not found %v, conflict %v", err, IsNotFound(err), IsConflict(err))
			}
			if !strings.Contains(err.Error(), "secrets ns/s") || len(err.Error()) > 600 || strings.Contains(err.Error(), "secret-token") {
				t.Errorf("message: %v", err)
			}
		})
	}
}

func TestAListIsWholeOrAnError(t *testing.T) {
	t.Parallel()
	pages := map[string]string{"": `{"metadata":{"continue":"2"},"items":[{"a":1}]}`, "2": `{"metadata":{"continue":"3"},"items":[{"a":2},{"a":3}]}`, "3": `{"items":[]}`}
	var gone atomic.Bool
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		token := r.URL.Query().Get("continue")
		if gone.Load() && token == "3" {
			w.WriteHeader(410)
			return
		}
		fmt.Fprint(w, pages[token])
	})
	items, err := c.List(t.Context(), Pods, "", "")
	if err != nil || len(items) != 3 || string(items[2]) != `{"a":3}` {
		t.Errorf("%s, %v", items, err)
	}
	gone.Store(true)
	if items, err := c.List(t.Context(), Pods, "", ""); err == nil || items != nil {
		t.Errorf("half of a list: %s", items)
	}
}

func TestTheVersionOfTheAPIServer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"major":"1","minor":"36"}`: "1.36", `{"major":"1","minor":"29+"}`: "1.29", `{"major":"1","minor":"9"}`: "1.9",
		`{}`: "", `{"major":"1","minor":"x"}`: "", `{"major":"1","minor":"999999999999999999999"}`: "", `[]`: "",
	} {
		v, err := server(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }).ServerVersion(t.Context())
		if (err == nil) != (want != "") || want != "" && v.String() != want {
			t.Errorf("%s: %s, %v", text, v, err)
		}
	}
	if !(Version{1, 9}).Before(Version{1, 29}) || (Version{2, 0}).Before(Version{1, 29}) || (Version{1, 29}).Before(Version{1, 29}) {
		t.Error("versions are compared as numbers")
	}
}

func TestTokenAndCAOfThePodAreReadAgain(t *testing.T) {
	t.Parallel()
	var said atomic.Value
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said.Store(r.Header.Get("Authorization"))
		fmt.Fprint(w, `{}`)
	})
	s := httptest.NewTLSServer(answer)
	defer s.Close()
	dir, now := t.TempDir(), time.Now()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u, _ := url.Parse(s.URL)
	env := func(name string) string {
		return map[string]string{"KUBERNETES_SERVICE_HOST": u.Hostname(), "KUBERNETES_SERVICE_PORT": u.Port()}[name]
	}
	if _, err := InCluster(env, dir, func() time.Time { return now }); err == nil {
		t.Error("a pod without a service account")
	}
	write("token", "one\n")
	write("ca.crt", "garbage")
	if _, err := InCluster(env, dir, func() time.Time { return now }); err == nil {
		t.Error("a CA that is none")
	}
	write("ca.crt", string(caOf(s)))
	c, err := InCluster(env, dir, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		if _, err := c.GetSecret(t.Context(), "ns", "s"); err != nil || said.Load() != want {
			t.Errorf("%v, %v, want %s", said.Load(), err, want)
		}
	}
	expect("Bearer one")
	write("token", "two")
	expect("Bearer one")
	now = now.Add(time.Minute)
	expect("Bearer two")
	write("token", "")
	now = now.Add(time.Minute)
	expect("Bearer two") // half of an exchange
	other := httptest.NewTLSServer(answer)
	defer other.Close()
	write("token", "three")
	write("ca.crt", string(caOf(other))) // httptest has one certificate for all; that it still works shows that the new pool is used
	now = now.Add(time.Minute)
	expect("Bearer three")
	if _, err := InCluster(func(string) string { return "" }, dir, time.Now); err == nil {
		t.Error("outside of a cluster")
	}
}

func TestKubeconfigsThatCannotBeMeantAreRefused(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	good := kubeconfigOf(s, "token: secret-token")
	for name, c := range map[string]struct{ text, word string }{
		"not YAML":            {"token: secret-token: x", "not YAML"},
		"empty":               {"", "not YAML"},
		"no such context":     {strings.Replace(good, "current-context: c", "current-context: d", 1), `"d"`},
		"no such user":        {strings.Replace(good, "user: u", "user: v", 1), "not there"},
		"a program":           {kubeconfigOf(s, "exec: {command: x}"), "exec"},
		"impersonation":       {kubeconfigOf(s, "token: x, as: admin"), "as is not"},
		"a password":          {kubeconfigOf(s, "username: x, password: y"), "username"},
		"no check of the CA":  {strings.Replace(good, "server:", "insecure-skip-tls-verify: true, server:", 1), "insecure-skip-tls-verify"},
		"a proxy":             {strings.Replace(good, "server:", "proxy-url: http://x, server:", 1), "proxy-url"},
		"plain HTTP":          {strings.Replace(good, "https://", "http://", 1), "https"},
		"no CA":               {strings.Replace(good, "certificate-authority-data", "x", 1), "certificate-authority"},
		"a CA that is none":   {strings.Replace(good, "certificate-authority-data: ", "certificate-authority-data: AAAA", 1), "certificate-authority"},
		"a key without cert":  {kubeconfigOf(s, "client-key-data: AAAA"), "client-certificate"},
		"a token of two":      {kubeconfigOf(s, `token: "a\nb"`), "one line"},
		"a tokenFile missing": {kubeconfigOf(s, "tokenFile: missing"), "tokenFile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := fromKubeconfig([]byte(c.text), t.TempDir())
			if err == nil || !strings.Contains(err.Error(), c.word) || strings.Contains(err.Error(), "secret-token") {
				t.Errorf("%v", err)
			}
		})
	}
}
