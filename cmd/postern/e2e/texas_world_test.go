package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/session/redistest"
)

// The app of these tests, and the APIs that it calls.
const (
	ownName     = "dev-gcp:team-a:app"
	ownClientID = "11111111-0000-4000-8000-000000000001"
	ordersName  = "dev-gcp:team-b:orders" // has the app among those that may call it
	stockName   = "dev-gcp:team-b:stock"  // as well
	closedName  = "dev-gcp:team-b:closed" // has not
	ownAudience = "https://app.example.org"

	ordersClientID = "22222222-0000-4000-8000-000000000002"
	stockClientID  = "33333333-0000-4000-8000-000000000003"
)

// texas is a Postern that was given nothing but the environment of a Texas, and the app that asks it.
type texas struct {
	*Process
	t   testing.TB
	api string // scheme and host of the token API
	dev *DevProvider
	env map[string]string
}

// newTexas starts everything and returns when it is ready. In env, an empty value takes a variable away.
func newTexas(t testing.TB, env map[string]string) *texas {
	t.Helper()
	x := prepareTexas(t, env)
	x.start(t)
	return x
}

func (x *texas) start(t testing.TB) {
	t.Helper()
	x.Process = LaunchWith(t, x.env)
	x.ProbeAddr = x.env["PROBE_BIND_ADDRESS"]
	x.WaitReady(t)
	t.Cleanup(func() {
		if !x.ended {
			x.Stop(t)
		}
	})
}

// prepareTexas starts the provider only. It knows the app by its keys, as the platform's operators register it.
func prepareTexas(t testing.TB, env map[string]string) *texas {
	t.Helper()
	jwk, public := newJWK(t)
	file := platformApps(t, map[string]any{"jwks": public, "secret": "secret-of-the-app"})
	x := &texas{t: t, dev: DevIDP(t, "", nil, nil, "--clients="+file, "--idporten-audience="+ownAudience, "--tokenx-audience="+ownName)}
	bind := "127.0.0.1:" + FreePort(t)
	x.api = "http://" + bind
	x.env = platformEnv(x.dev, jwk)
	x.env["BIND_ADDRESS"], x.env["PROBE_BIND_ADDRESS"] = bind, "127.0.0.1:"+FreePort(t)
	maps.Copy(x.env, env)
	maps.DeleteFunc(x.env, func(_, value string) bool { return value == "" })
	return x
}

// platformApps is a file of apps for the provider: this one, with what is said of it, and the APIs that it calls.
func platformApps(t testing.TB, own map[string]any) string {
	t.Helper()
	caller := []string{ownName}
	app := map[string]any{
		"id": ownClientID, "name": ownName, "pre_authorized": []string{ordersName}, "tokenx": map[string]any{"inbound": []string{ordersName}},
		"maskinporten": map[string]any{"scopes": []string{"nav:team/orders.read", "nav:team/stock.read"}},
	}
	maps.Copy(app, own)
	all, err := json.Marshal([]map[string]any{
		app,
		{"id": ordersClientID, "name": ordersName, "pre_authorized": caller, "tokenx": map[string]any{"inbound": caller}},
		{"id": stockClientID, "name": stockName, "pre_authorized": caller, "tokenx": map[string]any{"inbound": caller}},
		{"id": "44444444-0000-4000-8000-000000000004", "name": closedName, "require_assignment": true},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "clients.json")
	writeFile(t, file, string(all))
	return file
}

// platformEnv is what the platform tells the app of its providers, with one key for all of them.
func platformEnv(dev *DevProvider, jwk string) map[string]string {
	return map[string]string{
		"AZURE_ENABLED": "true", "AZURE_APP_CLIENT_ID": ownClientID, "AZURE_APP_JWK": jwk, "AZURE_APP_WELL_KNOWN_URL": dev.WellKnown(),
		"TOKEN_X_ENABLED": "true", "TOKEN_X_CLIENT_ID": ownName, "TOKEN_X_PRIVATE_JWK": jwk, "TOKEN_X_WELL_KNOWN_URL": dev.TokenXWellKnown(),
		"MASKINPORTEN_ENABLED": "true", "MASKINPORTEN_CLIENT_ID": ownClientID, "MASKINPORTEN_CLIENT_JWK": jwk,
		"MASKINPORTEN_WELL_KNOWN_URL": dev.MaskinportenWellKnown(),
		"IDPORTEN_ENABLED":            "true", "IDPORTEN_AUDIENCE": ownAudience, "IDPORTEN_WELL_KNOWN_URL": dev.IDPortenWellKnown(),
	}
}

// ask posts JSON to one of the endpoints.
func (x *texas) ask(path string, body map[string]any, headers ...string) *Response {
	x.t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		x.t.Fatal(err)
	}
	return NewClient(x.t).Send(http.MethodPost, x.api+path, string(encoded), append([]string{"Content-Type", "application/json"}, headers...)...)
}

// askForm posts a form.
func (x *texas) askForm(path string, form url.Values) *Response {
	x.t.Helper()
	return NewClient(x.t).PostForm(x.api+path, form)
}

const (
	tokenPath      = "/api/v1/token"
	exchangePath   = "/api/v1/token/exchange"
	introspectPath = "/api/v1/introspect"
)

// tokenAnswer is what a token endpoint of the app answers.
type tokenAnswer struct {
	Access string `json:"access_token"`
	Type   string `json:"token_type"`
	Life   int    `json:"expires_in"`
}

func token(t testing.TB, r *Response) tokenAnswer {
	t.Helper()
	var got tokenAnswer
	if err := json.Unmarshal([]byte(r.Body), &got); err != nil || r.StatusCode != http.StatusOK || got.Access == "" || got.Type != "Bearer" || got.Life <= 0 {
		t.Fatalf("status %d, %v: %.300s", r.StatusCode, err, r.Body)
	}
	return got
}

// refusal is an answer that holds no token.
type tokenRefusal struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
	Hint        string `json:"hint"`
	Claims      string `json:"claims"`
	Suberror    string `json:"suberror"`
	Codes       []int  `json:"error_codes"`
	Correlation string `json:"correlation_id"`
}

func noToken(t testing.TB, r *Response, status int, code, says string) tokenRefusal {
	t.Helper()
	var got tokenRefusal
	if err := json.Unmarshal([]byte(r.Body), &got); err != nil || r.StatusCode != status || got.Code != code || !strings.Contains(got.Description, says) {
		t.Errorf("status %d, %v: %.400s; want %d %s %q", r.StatusCode, err, r.Body, status, code, says)
	}
	if kind := r.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("content type %q", kind)
	}
	return got
}

// introspect asks about a token, and returns the claims of an active one.
func (x *texas) introspect(provider, raw string) map[string]any {
	x.t.Helper()
	r := x.ask(introspectPath, map[string]any{"identity_provider": provider, "token": raw})
	var got map[string]any
	if err := json.Unmarshal([]byte(r.Body), &got); err != nil || r.StatusCode != http.StatusOK {
		x.t.Fatalf("status %d, %v: %.300s", r.StatusCode, err, r.Body)
	}
	return got
}

// Tokens of people for this app.
func (x *texas) entraUser(persona string) string {
	return x.dev.Mint(x.t, map[string]any{"profile": "entra-user", "persona": persona, "claims": map[string]any{"aud": ownClientID}})
}

func (x *texas) citizen(persona string) string {
	return x.dev.Mint(x.t, map[string]any{"profile": "idporten", "persona": persona})
}

// within says whether something took no longer than it may.
func within(t testing.TB, limit time.Duration, what string, do func()) {
	t.Helper()
	if took := redistest.Took(do); took > limit {
		t.Errorf("%s took %v, at most %v is allowed", what, took, limit)
	}
}
