package e2e

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nodeResult is one call of the app on Node.js (.ci/oidc-provider/app.mjs).
type nodeResult struct {
	Status int            `json:"status"`
	Type   string         `json:"type"`
	Body   string         `json:"body"`
	OK     bool           `json:"ok"`
	Error  string         `json:"error"`
	Claims map[string]any `json:"claims"`
}

// node runs the app's steps in the environment that the platform gives to it.
func (x *texas) node(steps ...map[string]any) [][]nodeResult {
	x.t.Helper()
	path := nodePath(x.t)
	dir := filepath.Join(moduleRoot(x.t), ".ci", "oidc-provider")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "jose")); err != nil {
		missing(x.t, "npm's jose", installProvider)
	}
	input, err := json.Marshal(steps)
	if err != nil {
		x.t.Fatal(err)
	}
	// The app runs elsewhere than on this machine's resolver, which may not know names below .localhost.
	local := func(address string) string { return strings.Replace(address, "idp.localhost", "127.0.0.1", 1) }
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "NAIS_TOKEN_ENDPOINT": x.api + tokenPath, "NAIS_TOKEN_EXCHANGE_ENDPOINT": x.api + exchangePath,
		"NAIS_TOKEN_INTROSPECTION_ENDPOINT": x.api + introspectPath,
		"AZURE_APP_CLIENT_ID":               ownClientID, "AZURE_OPENID_CONFIG_ISSUER": x.dev.Issuer,
		"AZURE_OPENID_CONFIG_JWKS_URI": local(strings.TrimSuffix(x.dev.Issuer, "/v2.0") + "/discovery/v2.0/keys"),
		"IDPORTEN_ISSUER":              x.dev.IDPortenIssuer(), "IDPORTEN_AUDIENCE": ownAudience, "IDPORTEN_JWKS_URI": local(x.dev.IDPortenIssuer() + "/jwks"),
		"TOKEN_X_ISSUER": x.dev.TokenXIssuer(), "TOKEN_X_CLIENT_ID": ownName, "TOKEN_X_JWKS_URI": local(x.dev.TokenXIssuer() + "/jwks"),
	}
	cmd := exec.CommandContext(x.t.Context(), path, "app.mjs")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(input)
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var results [][]nodeResult
	if err == nil {
		err = json.Unmarshal(out, &results)
	}
	if err != nil {
		x.t.Fatalf("the app on Node.js: %v\n%s%s", err, out, errs.String())
	}
	return results
}

// An app on Node.js with the library of the platform: its requests as they were recorded, and its own validation of what it gets.
func TestAnAppOnNodeWorksUnchanged(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	kari, gunnar := x.entraUser("kari"), x.citizen("gunnar")
	tokenX := x.dev.Mint(t, map[string]any{"profile": "tokenx"})
	wrong := x.dev.Mint(t, map[string]any{"profile": "tokenx", "claims": map[string]any{"aud": ordersName}})
	expired := x.dev.Mint(t, map[string]any{"profile": "tokenx", "exp_in": -1})
	got := x.node(
		map[string]any{"do": "exchange", "provider": "azuread", "token": kari, "target": "api://dev-gcp.team-b.orders/.default", "times": 5},
		map[string]any{"do": "exchange", "provider": "tokenx", "token": gunnar, "target": ordersName, "times": 5},
		map[string]any{"do": "token", "provider": "azuread", "target": "api://dev-gcp.team-b.orders/.default", "times": 5},
		map[string]any{"do": "exchange", "provider": "azuread", "token": kari, "target": closedName},
		map[string]any{"do": "introspect", "provider": "tokenx", "token": tokenX},
		map[string]any{"do": "validate", "provider": "azure", "token": kari},
		map[string]any{"do": "validate", "provider": "idporten", "token": gunnar},
		map[string]any{"do": "validate", "provider": "tokenx", "token": tokenX, "times": 3},
		map[string]any{"do": "validate", "provider": "tokenx", "token": wrong},
		map[string]any{"do": "validate", "provider": "tokenx", "token": expired},
		map[string]any{"do": "validate", "provider": "tokenx", "token": gunnar},
	)
	var bought []string
	for i, what := range []string{"Entra ID, on behalf of", "TokenX", "Entra ID, machine"} {
		for _, r := range got[i] {
			var answer tokenAnswer
			if err := json.Unmarshal([]byte(r.Body), &answer); err != nil || r.Status != 200 || r.Type != "application/json" {
				t.Fatalf("%s: %+v", what, r)
			}
			if _, isNumber := claims(t, answer.Access)["exp"].(float64); !isNumber {
				t.Errorf("%s: the app cannot keep a token without exp", what)
			}
			bought = append(bought, answer.Access)
		}
	}
	for i, one := range bought {
		if one != bought[i/5*5] {
			t.Error("five who asked at once got different tokens")
		}
	}
	counts := x.dev.Counts(t)
	if n := counts["token/urn:ietf:params:oauth:grant-type:jwt-bearer"]; n != 2 || counts["tokenx/token"] != 1 || counts["token/client_credentials"] != 1 {
		t.Errorf("calls of the provider: %v", counts)
	}
	// The library shows the description only for these statuses, and only for this content type to the letter.
	if r := got[3][0]; r.Status != 400 || r.Type != "application/json" || !strings.Contains(r.Body, "AADSTS65001") {
		t.Errorf("a refusal: %+v", r)
	}
	if r := got[4][0]; r.Type != "application/json" || !strings.Contains(r.Body, `"active":true`) {
		t.Errorf("introspection: %+v", r)
	}
	for _, i := range []int{5, 6, 7} {
		for _, r := range got[i] {
			if !r.OK {
				t.Errorf("validation %d: %+v", i, r)
			}
		}
	}
	entra := got[5][0].Claims
	groups, _ := entra["groups"].([]any)
	for _, name := range []string{"oid", "preferred_username", "name", "NAVident"} {
		if text, _ := entra[name].(string); text == "" {
			t.Errorf("the app misses %s", name)
		}
	}
	if pid, _ := got[6][0].Claims["pid"].(string); len(groups) == 0 || len(pid) != 11 {
		t.Errorf("groups %v, pid of %d digits", groups, len(pid))
	}
	for i, says := range map[int]string{8: "aud", 9: "token expired", 10: ""} {
		if r := got[i][0]; r.OK || !strings.Contains(r.Error, says) {
			t.Errorf("validation %d: %+v", i, r)
		}
	}
	if n := counts["tokenx/keys"]; n != 2 { // Postern's and the app's own
		t.Errorf("the keys of TokenX were read %d times", n)
	}
}

// A token that lives for seconds is another one a moment later.
func TestAShortTokenIsRenewedForTheAppOnNode(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	x.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 7})
	step := map[string]any{"do": "token", "provider": "azuread", "target": ordersName}
	again := maps.Clone(step)
	got := x.node(step, map[string]any{"do": "wait", "seconds": 4}, again)
	if first, second := got[0][0], got[2][0]; first.Status != 200 || second.Status != 200 || first.Body == second.Body {
		t.Errorf("%+v, then %+v", first, second)
	}
}
