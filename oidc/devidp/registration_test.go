package devidp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/oidc/devidp"
)

func TestClientsAreReadStrictly(t *testing.T) {
	t.Parallel()
	good := `[{"id":"a","name":"c:n:a","secret":"hush","jwks":{"kty":"RSA"},"pre_authorized":["c:n:b"],"roles":["r"],"require_assignment":true,"groups":["g"],
		"tokenx":{"id":"x:y:z","inbound":["c:n:b"]},"maskinporten":{"scopes":["s"],"keys_until":"2030-01-02T03:04:05Z"}}]`
	got, err := devidp.ReadClients(strings.NewReader(good))
	must(t, err)
	c := got[0]
	if len(got) != 1 || c.ID != "a" || c.Name != "c:n:a" || c.Secret != "hush" || list(c.PreAuthorized) != "c:n:b" || !c.RequireAssignment ||
		c.TokenX.ID != "x:y:z" || list(c.TokenX.Inbound) != "c:n:b" || list(c.Maskinporten.Scopes) != "s" || c.Maskinporten.KeysUntil.Year() != 2030 {
		t.Errorf("read %#v", got)
	}
	for name, in := range map[string]string{
		"unknown member":        `[{"id":"a","secrets":"hush"}]`,
		"unknown member within": `[{"id":"a","tokenx":{"outbound":["hush"]}}]`,
		"doubled member":        `[{"id":"a","secret":"hush","secret":"b"}]`,
		"an object":             `{"id":"hush"}`,
		"something behind it":   `[] "hush"`,
		"wrong type":            `[{"id":"a","groups":"hush"}]`,
		"nothing":               ``,
		"cut off":               `[{"id":"hush"`,
	} {
		if _, err := devidp.ReadClients(strings.NewReader(in)); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClientsOfOneNameAreRefused(t *testing.T) {
	t.Parallel()
	for name, clients := range map[string][]devidp.ClientConfig{
		"at TokenX":          {{ID: "a", Name: "c:n:a"}, {ID: "b", Name: "c:n:b", TokenX: devidp.TokenXClient{ID: "c:n:a"}}},
		"at Maskinporten":    {{ID: "a", Secret: "x"}, {ID: "b", Secret: "x", Maskinporten: devidp.MaskinportenClient{ID: "a"}}},
		"bad organisation":   {{ID: "a", Secret: "x", Maskinporten: devidp.MaskinportenClient{Organisation: "987654321"}}},
		"bad consumer":       {{ID: "a", Secret: "x", Maskinporten: devidp.MaskinportenClient{Consumers: []string{"x"}}}},
		"bad key for TokenX": {{ID: "a", Secret: "x", TokenX: devidp.TokenXClient{JWKS: json.RawMessage(`{"kty":"oct","k":"aHVzaA"}`)}}},
	} {
		if _, err := devidp.New(devidp.Config{KeyFile: keyFile, Clients: clients}); err == nil || strings.Contains(err.Error(), "aHVzaA") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An API that asks for no tokens needs no credential; a client that logs people in does.
func TestWhoNeedsACredential(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		client devidp.ClientConfig
		good   bool
	}{
		"an API":               {devidp.ClientConfig{ID: "a", Name: "c:n:a"}, true},
		"known at TokenX":      {devidp.ClientConfig{ID: "a", TokenX: devidp.TokenXClient{JWKS: encode(t, appKeys()[0])}}, true},
		"an API that logs in":  {devidp.ClientConfig{ID: "a", Name: "c:n:a", RedirectURIs: []string{redirect}}, false},
		"nothing but an id":    {devidp.ClientConfig{ID: "a"}, false},
		"a name of other form": {devidp.ClientConfig{ID: "a", Name: "My app"}, false},
	} {
		if _, err := devidp.New(devidp.Config{KeyFile: keyFile, Clients: []devidp.ClientConfig{c.client}}); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := newApps(t)
	must(t, w.idp.SetClient(devidp.ClientConfig{ID: "keyless", Name: "c:n:keyless", PreAuthorized: []string{appName}}))
	w.good(w.token(appForm("scope", "api://c.n.keyless/.default")))
	if a := w.token(appForm("client_id", "keyless")); a.code() != 7000215 {
		t.Errorf("a client without a secret: %v", a.body)
	}
	if a := w.token(withAssertion(appForm("client_id", "keyless"), w.assertion(map[string]any{"iss": "keyless", "sub": "keyless"}))); a.code() != 700027 {
		t.Errorf("a client without a key: %v", a.body)
	}
	unsigned := w.tokenXAssertion(map[string]any{"iss": "c:n:keyless", "sub": "c:n:keyless"})
	if a := w.exchange(w.exchangeForm("x", "client_assertion", unsigned)); !strings.Contains(a.text("error_description"), "no+matching+key") {
		t.Errorf("a client without a key at TokenX: %v", a.body)
	}
}

func TestClientFromTheEnvironmentOfAPod(t *testing.T) {
	t.Parallel()
	key := string(encode(t, appKeys()[0]))
	env := map[string]string{
		"AZURE_APP_CLIENT_ID": clientID, "AZURE_APP_JWK": key, "AZURE_APP_PRE_AUTHORIZED_APPS": `[{"name":"c:n:b","clientId":"` + otherID + `"}]`,
		"TOKEN_X_CLIENT_ID": appName, "TOKEN_X_PRIVATE_JWK": key,
		"MASKINPORTEN_CLIENT_ID": maskinportner, "MASKINPORTEN_CLIENT_JWK": key, "MASKINPORTEN_SCOPES": "nav:test/read nav:test/write",
	}
	got, err := devidp.ClientFromEnv(func(name string) string { return env[name] })
	must(t, err)
	if diff := cmp.Diff(devidp.ClientConfig{
		ID: clientID, Name: appName, JWKS: []byte(key), PreAuthorized: []string{otherID},
		TokenX:       devidp.TokenXClient{ID: appName, JWKS: []byte(key)},
		Maskinporten: devidp.MaskinportenClient{ID: maskinportner, JWKS: []byte(key), Scopes: []string{"nav:test/read", "nav:test/write"}},
	}, got); diff != "" {
		t.Errorf("client:\n%s", diff)
	}
	w := newApps(t, func(c *devidp.Config) { c.Clients[0] = got })
	w.good(w.maskinporten(w.grantOf(nil)))
	w.good(w.exchange(w.exchangeForm(w.mint(devidp.MintRequest{Profile: devidp.MintIDPorten}))))
	for name, env := range map[string]map[string]string{
		"nothing": {}, "no list": {"AZURE_APP_CLIENT_ID": "a", "AZURE_APP_PRE_AUTHORIZED_APPS": "x"},
	} {
		if _, err := devidp.ClientFromEnv(func(name string) string { return env[name] }); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestPublicHalfOfAPrivateKey(t *testing.T) {
	t.Parallel()
	public, err := devidp.PublicJWKS(string(encode(t, appKeys()[0])))
	must(t, err)
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	must(t, json.Unmarshal(public, &set))
	if len(set.Keys) != 1 || set.Keys[0]["kid"] != "app-key" || set.Keys[0]["n"] == nil || set.Keys[0]["d"] != nil {
		t.Errorf("public %s", public)
	}
	if _, err := devidp.PublicJWKS(`{"kty":"oct","k":"aHVzaA"}`); err == nil || strings.Contains(err.Error(), "aHVzaA") {
		t.Errorf("a symmetric key: %v", err)
	}
}

func TestClientsAreRegisteredOverHTTP(t *testing.T) {
	t.Parallel()
	w := newApps(t, func(c *devidp.Config) { c.Admin = true })
	type object = map[string]any
	late := object{"id": "late", "name": "c:n:late", "tokenx": object{"inbound": []string{appName}}}
	if status, got := w.knob("clients", late); status != 200 {
		t.Fatalf("%d %v", status, got)
	}
	w.good(w.exchange(w.exchangeForm(w.mint(devidp.MintRequest{Profile: devidp.MintIDPorten}), "audience", "c:n:late")))
	if status, got := w.knob("clients", devidp.ClientConfig{ID: "later", Name: "c:n:later"}); status != 200 { // as Go writes it
		t.Errorf("%d %v", status, got)
	}
	for name, in := range map[string]any{
		"unknown member": object{"id": "x", "secret": "hush", "inbound": []string{}}, "no credential": object{"id": "x"}, "a list": []any{late},
		"a name that is taken": object{"id": "x", "name": "c:n:late"},
	} {
		if status, got := w.knob("clients", in); status != 400 || strings.Contains(list(got), "hush") {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
}

func TestKeysOfClientsStayOutOfPrints(t *testing.T) {
	t.Parallel()
	for _, c := range []any{devidp.TokenXClient{JWKS: []byte("hush")}, devidp.MaskinportenClient{JWKS: []byte("hush")}} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(format, c); strings.Contains(got, "hush") || strings.Contains(got, "104") || strings.Contains(got, "0x68") {
				t.Errorf("%s prints %s", format, got)
			}
		}
	}
}
