package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// patient is a configuration that the doctor finds nothing wrong with: login, four providers, Redis, an app, a policy, a way out.
type patient struct {
	env     map[string]string
	dev     *DevProvider
	app     *AppServer
	redis   *RedisServer
	dir     string
	secrets map[string]string // never to be seen
}

// patientPassword is that of Redis.
const patientPassword = "redis-password-5d1e"

func newPatient(t testing.TB, idpFlags ...string) *patient {
	t.Helper()
	port, jwk, public := FreePort(t), "", map[string]any(nil)
	jwk, public = newJWK(t)
	ingress := "http://app.localhost:" + port
	own := map[string]any{
		"jwks": public, "redirect_uris": []string{ingress + "/oauth2/callback"}, "post_logout_redirect_uris": []string{ingress + "/oauth2/logout/callback"},
	}
	p := &patient{
		dev: DevIDP(t, "", nil, nil, append(idpFlags, "--clients="+platformApps(t, own), "--idporten-audience="+ownAudience, "--tokenx-audience="+ownName)...),
		app: App(t, nil), redis: Redis(t, "--requirepass", patientPassword, "--appendonly", "yes"), dir: t.TempDir(),
	}
	p.env = platformEnv(p.dev, jwk)
	maps.Copy(p.env, map[string]string{
		"POSTERN_BIND_ADDRESS": "127.0.0.1:" + port, "POSTERN_INGRESS": ingress, "POSTERN_UPSTREAM_HOST": p.app.Addr,
		"POSTERN_OPENID_PROVIDER": "azure", "POSTERN_ENCRYPTION_KEY_FILE": p.file(t, "key", randomKey(t), 0o600),
		"POSTERN_METRICS_BIND_ADDRESS": "127.0.0.1:" + FreePort(t), "POSTERN_PROBE_BIND_ADDRESS": "127.0.0.1:" + FreePort(t),
		"POSTERN_TOKEN_BIND_ADDRESS": "127.0.0.1:" + FreePort(t), "POSTERN_EGRESS_BIND_ADDRESS": "127.0.0.1:" + FreePort(t),
		"POSTERN_EGRESS_ROUTES": p.route("entra_id", ordersName, "app"),
		"POSTERN_REDIS_URI":     "redis://:" + patientPassword + "@" + p.redis.Addr, "NAIS_CLUSTER_NAME": "dev",
		"POSTERN_POLICY_FILE": p.file(t, "policy.yaml", "apiVersion: postern/v1\nusers: {allowAll: true}\n", 0o600),
	})
	key := map[string]string{}
	_ = json.Unmarshal([]byte(jwk), &key)
	p.secrets = map[string]string{"private key": key["d"], "Redis' password": patientPassword, "encryption key": read(t, p.env["POSTERN_ENCRYPTION_KEY_FILE"])}
	return p
}

// route is one way out, to the app itself.
func (p *patient) route(provider, target, as string) string {
	return fmt.Sprintf(`[{name: orders, url: "http://%s", provider: %s, target: %q, as: %s}]`, p.app.Addr, provider, target, as)
}

func (p *patient) file(t testing.TB, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask says
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func randomKey(t testing.TB) string {
	t.Helper()
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(key[:])
}

// infected is another patient in the same world, with an environment and a directory of its own.
func (p *patient) infected(t testing.TB) *patient {
	t.Helper()
	other := *p
	other.env, other.dir = maps.Clone(p.env), t.TempDir()
	return &other
}

// behind puts something between the patient and all its providers, that may change their answers.
func (p *patient) behind(t testing.TB, change func(*http.Response) error) {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: p.dev.Addr}
	middle := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the provider takes its own name from it
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: change,
	})
	t.Cleanup(middle.Close)
	_, port, _ := net.SplitHostPort(middle.Listener.Addr().String())
	for name, value := range p.env {
		p.env[name] = strings.ReplaceAll(value, "idp.localhost:"+p.dev.Port(), "idp.localhost:"+port)
	}
}

// diagnosis is what `postern doctor --output=json` says.
type diagnosis struct {
	Status   string
	Problems int
	Warnings int
	Findings []struct{ Check, Status, Text, Advice string }

	code int
}

// examine runs the built binary.
func (p *patient) examine(t testing.TB, args ...string) diagnosis {
	t.Helper()
	run := LaunchWith(t, p.env, append([]string{"doctor", "--output=json"}, args...)...)
	d := diagnosis{code: run.Wait(t)}
	if err := json.Unmarshal([]byte(run.Log.out.String()), &d); err != nil {
		t.Fatalf("exit code %d, %v\n%s", d.code, err, run.Log.Text())
	}
	run.Log.Without(t, p.secrets)
	return d
}

func (d diagnosis) String() string {
	var b strings.Builder
	for _, f := range d.Findings {
		fmt.Fprintf(&b, "%s %s: %s -> %s\n", f.Status, f.Check, f.Text, f.Advice)
	}
	return b.String()
}

// plantedFault is one thing that is wrong, and the line that must name it.
type plantedFault struct {
	plant  func(t *testing.T, p *patient)
	check  string
	status string
	says   string // part of "text → advice"
	also   string // part of other checks that have the same cause
}

// routed plants a way out, to the app itself.
func routed(provider, target, as string) func(*testing.T, *patient) {
	return func(_ *testing.T, p *patient) { p.env["POSTERN_EGRESS_ROUTES"] = p.route(provider, target, as) }
}

// mustBeFound wants the line, with advice, and no other problem.
func (fault plantedFault) mustBeFound(t *testing.T, healthy *patient) {
	t.Helper()
	p := healthy.infected(t)
	fault.plant(t, p)
	d := p.examine(t)
	found := false
	for _, f := range d.Findings {
		expected := f.Check == fault.check || fault.also != "" && strings.Contains(f.Check, fault.also)
		if f.Check == fault.check && f.Status == fault.status && strings.Contains(f.Text+" → "+f.Advice, fault.says) && f.Advice != "" {
			found = true
		}
		if f.Status == "problem" && !expected {
			t.Errorf("%s is called a problem: %s", f.Check, f.Text)
		}
	}
	if want := map[string]int{"problem": 1, "warning": 0}[fault.status]; !found || d.code != want && fault.also == "" {
		t.Errorf("exit code %d; no %s of %s that says %q\n%s", d.code, fault.status, fault.check, fault.says, d)
	}
}
