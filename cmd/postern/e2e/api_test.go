package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"postern/oidc/devidp"
)

// api is a postern in front of an API: callers bring tokens of the four platform providers, and a policy decides.
type api struct {
	*Process
	app    *AppServer
	dev    *DevProvider
	policy string // its file
	env    map[string]string
}

// Client ids of Entra ID, and the apps that they belong to.
const (
	clientA       = "aaaaaaaa-0000-4000-8000-00000000000a" // dev:team:app-a
	clientB       = "bbbbbbbb-0000-4000-8000-00000000000b" // dev:other:app-b
	clientC       = "cccccccc-0000-4000-8000-00000000000c" // dev:team:app-c, in no rule
	clientUnknown = "dddddddd-0000-4000-8000-00000000000d"
	apiName       = "dev:team:api"
	idportenAPI   = "https://api.example.org"
	ourIDPorten   = "our-idporten-client"
	listedOrg     = "889640782"
)

// apiPolicy is the policy of most tests.
const apiPolicy = `
apiVersion: postern/v1
app: {cluster: dev, namespace: team, name: api}
inbound:
  rules:
    - application: app-a
    - application: app-b
      namespace: other
      permissions: {scopes: [orders.read, orders.write], roles: [orders.write]}
users: {groups: [` + devidp.GroupCaseworkers + `, ` + devidp.GroupAdmins + `]}
maskinporten:
  scopes: [{name: "nav:team/orders.read", consumers: ["` + listedOrg + `"]}]
idporten: {level: idporten-loa-high}
paths:
  - {match: "/isalive", public: true}
  - {match: "/public/**", public: true}
  - {match: "/admin/**", methods: [GET, POST], require: {groups: [` + devidp.GroupAdmins + `]}}
  - {match: "/orders/**", methods: [POST], require: {scopes: [orders.write], roles: [orders.write]}}
`

// newAPI starts everything and returns when it is ready. An empty policy is none.
func newAPI(t testing.TB, policy string, env map[string]string) *api {
	t.Helper()
	a := prepareAPI(t, policy, env)
	a.Process = Start(t, a.env)
	return a
}

// prepareAPI starts everything but postern. In env, an empty value takes a variable away.
func prepareAPI(t testing.TB, policy string, env map[string]string) *api {
	t.Helper()
	jwk, _ := newJWK(t)
	a := &api{app: App(t, nil), dev: DevIDP(t, "", nil, nil, "--tokenx-audience="+apiName, "--idporten-audience="+idportenAPI)}
	apps, err := json.Marshal([]map[string]string{
		{"name": "dev:team:app-a", "clientId": clientA},
		{"name": "dev:other:app-b", "clientId": clientB},
		{"name": "dev:team:app-c", "clientId": clientC},
		{"name": apiName, "clientId": DevClientID},
	})
	if err != nil {
		t.Fatal(err)
	}
	a.env = map[string]string{
		"POSTERN_UPSTREAM_HOST": a.app.Addr, "POSTERN_LOG_LEVEL": "debug", "POSTERN_INGRESS": "https://api.example.org", "NAIS_CLUSTER_NAME": "dev",
		"POSTERN_ALLOW_TEST_PROVIDER": "true", "POSTERN_REQUIRE_AUTH": "true",
		"AZURE_ENABLED": "true", "AZURE_APP_CLIENT_ID": DevClientID, "AZURE_APP_CLIENT_SECRET": DevClientSecret, "AZURE_APP_WELL_KNOWN_URL": a.dev.WellKnown(),
		"AZURE_APP_TENANT_ID": devTenant, "AZURE_APP_PRE_AUTHORIZED_APPS": string(apps),
		"TOKEN_X_ENABLED": "true", "TOKEN_X_CLIENT_ID": apiName, "TOKEN_X_PRIVATE_JWK": jwk, "TOKEN_X_WELL_KNOWN_URL": a.dev.TokenXWellKnown(),
		"MASKINPORTEN_ENABLED": "true", "MASKINPORTEN_CLIENT_ID": "mp-client", "MASKINPORTEN_CLIENT_JWK": jwk,
		"MASKINPORTEN_WELL_KNOWN_URL": a.dev.MaskinportenWellKnown(),
		"IDPORTEN_ENABLED":            "true", "IDPORTEN_AUDIENCE": idportenAPI, "IDPORTEN_CLIENT_ID": ourIDPorten, "IDPORTEN_WELL_KNOWN_URL": a.dev.IDPortenWellKnown(),
	}
	if policy != "" {
		a.policy = filepath.Join(t.TempDir(), "policy.yaml")
		writeFile(t, a.policy, policy)
		a.env["POSTERN_POLICY_FILE"] = a.policy
		delete(a.env, "POSTERN_REQUIRE_AUTH")
	}
	maps.Copy(a.env, env)
	for name, value := range a.env {
		if value == "" {
			delete(a.env, name)
		}
	}
	return a
}

// call sends a request with a token, or without one if it is empty.
func (a *api) call(t testing.TB, method, path, token string, headers ...string) *Response {
	t.Helper()
	if token != "" {
		headers = append([]string{"Authorization", "Bearer " + token}, headers...)
	}
	return NewClient(t).Send(method, "http://"+a.Addr+path, "", headers...)
}

// profile is a mint request of a profile with claims on top of its own; nil takes one away.
func profile(name string, pairs ...any) map[string]any {
	set := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		set[pairs[i].(string)] = pairs[i+1]
	}
	return map[string]any{"profile": name, "claims": set}
}

// with adds a member to a mint request.
func with(request map[string]any, name string, value any) map[string]any {
	request[name] = value
	return request
}

// The usual callers.
func (a *api) appToken(t testing.TB, client string, roles ...string) string {
	t.Helper()
	return a.dev.Mint(t, profile("entra-app", "azp", client, "roles", append([]string{"access_as_application"}, roles...)))
}

func (a *api) userToken(t testing.TB, client string, groups []string, scopes ...string) string {
	t.Helper()
	return a.dev.Mint(t, profile("entra-user", "azp", client, "groups", groups, "scp", strings.Join(append([]string{"defaultaccess"}, scopes...), " ")))
}

func (a *api) tokenX(t testing.TB, pairs ...any) string {
	t.Helper()
	return a.dev.Mint(t, profile("tokenx", append([]any{"client_id", "dev:team:app-a", "acr", "idporten-loa-high"}, pairs...)...))
}

func (a *api) maskinporten(t testing.TB, pairs ...any) string {
	t.Helper()
	return a.dev.Mint(t, profile("maskinporten", append([]any{"scope", "nav:team/orders.read", "consumer", consumer(listedOrg)}, pairs...)...))
}

func (a *api) idporten(t testing.TB, pairs ...any) string {
	t.Helper()
	return a.dev.Mint(t, profile("idporten", append([]any{"aud", idportenAPI, "client_id", ourIDPorten, "acr", "idporten-loa-high"}, pairs...)...))
}

func consumer(org string) map[string]any {
	return map[string]any{"authority": "iso6523-actorid-upis", "ID": "0192:" + org}
}

// refusal is the body of a refusal.
type refusal struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	RequestID   string `json:"request_id"`
}

// wantRefusal holds an answer to contract 4.2, and returns its body.
func wantRefusal(t testing.TB, what string, r *Response, status int, code string) refusal {
	t.Helper()
	var body refusal
	if r.StatusCode != status {
		t.Errorf("%s: status %d, want %d\n%.300s", what, r.StatusCode, status, r.Body)
		return body
	}
	if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
		t.Errorf("%s: body %.200q: %v", what, r.Body, err)
	}
	challenge := r.Header.Get("Www-Authenticate")
	if body.Error != code || body.Description == "" || body.RequestID == "" || body.RequestID != r.Header.Get("X-Request-Id") {
		t.Errorf("%s: body %s (X-Request-Id %s), want error %s", what, r.Body, r.Header.Get("X-Request-Id"), code)
	}
	if status != 503 && (!strings.HasPrefix(challenge, `Bearer realm="`) || !strings.Contains(challenge, fmt.Sprintf(`error=%q`, code))) {
		t.Errorf("%s: WWW-Authenticate is %s", what, challenge)
	}
	return body
}

// reached says how many requests the app has had.
func (a *api) reached() int { return len(a.app.Requests()) }

// metric is the value of a series in the metrics, 0 if it is not there. A series without labels is found with any.
func metric(t testing.TB, p *Process, series string) float64 {
	t.Helper()
	for line := range strings.Lines(p.Metrics(t)) {
		rest, found := strings.CutPrefix(strings.TrimSpace(line), series)
		if !found || rest == "" || rest[0] != ' ' {
			continue
		}
		value, err := strconv.ParseFloat(rest[1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	return 0
}

// configMap is a directory as the kubelet mounts a ConfigMap: files are links into a hidden directory, which one rename exchanges.
type configMap struct {
	dir     string
	version int
}

func newConfigMap(t testing.TB, name, text string) *configMap {
	t.Helper()
	m := &configMap{dir: t.TempDir()}
	m.swap(t, name, text)
	if err := os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *configMap) swap(t testing.TB, name, text string) {
	t.Helper()
	m.version++
	hidden := fmt.Sprintf("..v%d", m.version)
	if err := os.Mkdir(filepath.Join(m.dir, hidden), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(m.dir, hidden, name), text)
	link := filepath.Join(m.dir, "..data_tmp")
	if err := os.Symlink(hidden, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(m.dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

var errNotYet = errors.New("not yet")

// ecJWK is a new private key for ES256.
func ecJWK(t testing.TB, kid string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","alg":"ES256","kid":%q,"x":%q,"y":%q,"d":%q}`, kid, encode(public[1:33]), encode(public[33:]), encode(private))
}
