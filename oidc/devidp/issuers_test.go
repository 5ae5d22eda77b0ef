package devidp_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"postern/oidc/devidp"
)

func issuers() []devidp.Issuer {
	return []devidp.Issuer{devidp.Entra, devidp.TokenX, devidp.Maskinporten, devidp.IDPorten}
}

// discovered is the metadata of an issuer.
func (w *world) discovered(of devidp.Issuer) map[string]any {
	w.Helper()
	r := w.get(w.idp.WellKnown(of, w.srv.URL))
	var m map[string]any
	must(w, json.Unmarshal([]byte(body(w, r)), &m))
	return m
}

func (w *world) keysOf(of devidp.Issuer) jwk.Set {
	w.Helper()
	set, err := jwk.Fetch(w.Context(), w.discovered(of)["jwks_uri"].(string))
	must(w, err)
	return set
}

// believes says whether somebody who trusts an issuer's key set and lets the header choose among real algorithms takes the token.
func (w *world) believes(of devidp.Issuer, raw string) bool {
	w.Helper()
	message, err := jws.Parse([]byte(raw))
	if err != nil {
		return false
	}
	header := message.Signatures()[0].ProtectedHeaders()
	key, found := w.keysOf(of).LookupKeyID(header.KeyID())
	if !found || header.Algorithm() == jwa.NoSignature {
		return false
	}
	if own := key.Algorithm().String(); own != "" && own != header.Algorithm().String() {
		return false
	}
	_, err = jws.Verify([]byte(raw), jws.WithKey(header.Algorithm(), key))
	return err == nil
}

func TestEachIssuerHasItsOwnMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for of, want := range map[devidp.Issuer]struct {
		metadata string
		members  map[string]any
		lacks    []string
	}{
		devidp.Entra: {"/" + devidp.DefaultTenantID + "/v2.0/.well-known/openid-configuration", map[string]any{
			"issuer": w.issuer(), "jwks_uri": w.url("/discovery/v2.0/keys"), "authorization_endpoint": w.url("/oauth2/v2.0/authorize"),
		}, []string{"acr_values_supported"}},
		devidp.TokenX: {"/tokenx/.well-known/oauth-authorization-server", map[string]any{
			"issuer": w.srv.URL + "/tokenx", "jwks_uri": w.srv.URL + "/tokenx/jwks", "token_endpoint": w.srv.URL + "/tokenx/token",
			"authorization_endpoint": w.srv.URL + "/tokenx/authorization",
			"grant_types_supported":  []any{"urn:ietf:params:oauth:grant-type:token-exchange"},
		}, []string{"end_session_endpoint"}},
		devidp.Maskinporten: {"/maskinporten/.well-known/oauth-authorization-server", map[string]any{
			"issuer": w.srv.URL + "/maskinporten/", "jwks_uri": w.srv.URL + "/maskinporten/jwk", "token_endpoint": w.srv.URL + "/maskinporten/token",
			"grant_types_supported": []any{"urn:ietf:params:oauth:grant-type:jwt-bearer"},
		}, []string{"authorization_endpoint", "end_session_endpoint"}},
		devidp.IDPorten: {"/idporten/.well-known/openid-configuration", map[string]any{
			"issuer": w.srv.URL + "/idporten", "jwks_uri": w.srv.URL + "/idporten/jwks", "token_endpoint": w.srv.URL + "/idporten/token",
			"authorization_endpoint": w.srv.URL + "/idporten/authorize", "end_session_endpoint": w.srv.URL + "/idporten/endsession",
			"pushed_authorization_request_endpoint": w.srv.URL + "/idporten/par",
			"acr_values_supported":                  []any{"idporten-loa-low", "idporten-loa-substantial", "idporten-loa-high"},
			"ui_locales_supported":                  []any{"nb", "nn", "en", "se"},
			"code_challenge_methods_supported":      []any{"S256"},
		}, []string{"tenant_region_scope"}},
	} {
		if got := w.idp.WellKnown(of, w.srv.URL); got != w.srv.URL+want.metadata {
			t.Errorf("%s: metadata at %s", of, got)
		}
		got := w.discovered(of)
		for name, value := range want.members {
			if diff := cmp.Diff(value, got[name]); diff != "" {
				t.Errorf("%s: %s:\n%s", of, name, diff)
			}
		}
		for _, name := range want.lacks {
			if _, there := got[name]; there {
				t.Errorf("%s: has %s", of, name)
			}
		}
		if got["issuer"] != w.idp.IssuerURL(of, w.srv.URL) {
			t.Errorf("%s: issuer %v, want %s", of, got["issuer"], w.idp.IssuerURL(of, w.srv.URL))
		}
	}
}

func TestS41MetadataOfEveryIssuerCarriesTheMark(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, of := range issuers() {
		w.idp.AlterMetadata(func(m map[string]any) { m["postern_test_provider"] = false; m["altered"] = string(of) }, of)
		if got := w.discovered(of); got["postern_test_provider"] != true || got["altered"] != string(of) {
			t.Errorf("%s: mark %v, altered %v", of, got["postern_test_provider"], got["altered"])
		}
	}
	w.idp.HideTestMarker(t)
	for _, of := range issuers() {
		if _, there := w.discovered(of)["postern_test_provider"]; there {
			t.Errorf("%s: the mark is still there", of)
		}
	}
}

func TestS41KeysOfEveryIssuerAreRandomAtEachStart(t *testing.T) {
	t.Parallel()
	random := func(c *devidp.Config) { c.KeyFile, c.Rand = "", zeros{} }
	one, two := newWorld(t, random), newWorld(t, random)
	seen := one.idp.KeyIDs(issuers()...)
	seen = append(seen, two.idp.KeyIDs(issuers()...)...)
	slices.Sort(seen)
	if len(slices.Compact(seen)) != 8 {
		t.Errorf("two providers of four issuers sign with %d keys", len(slices.Compact(seen)))
	}
}

func TestKeyOfOneIssuerIsWorthNothingAtAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, signer := range issuers() {
		raw, err := w.idp.Mint(devidp.MintRequest{Key: string(signer)})
		must(t, err)
		for _, reader := range issuers() {
			if got := w.believes(reader, raw); got != (signer == reader) {
				t.Errorf("a token of %s verifies at %s: %v", signer, reader, got)
			}
		}
	}
}

func TestPublishedKeysOfTheOthersArePlain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, of := range issuers()[1:] {
		set := w.keysOf(of)
		key, _ := set.Key(0)
		for _, name := range []string{"d", "x5t", "x5c", "issuer"} {
			if _, there := key.Get(name); there {
				t.Errorf("%s: key shows %s", of, name)
			}
		}
		if set.Len() != 1 || key.Algorithm() != jwa.RS256 || key.KeyUsage() != "sig" || len(key.KeyID()) != 36 || strings.Count(key.KeyID(), "-") != 4 {
			t.Errorf("%s: %d keys, %v", of, set.Len(), key)
		}
	}
}

func TestKeysRotateAtOneIssuerAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := map[devidp.Issuer][]string{}
	for _, of := range issuers() {
		before[of] = w.idp.KeyIDs(of)
	}
	old, err := w.idp.Mint(devidp.MintRequest{Profile: devidp.MintTokenX, Base: w.srv.URL})
	must(t, err)
	must(t, w.idp.RotateKeys(devidp.TokenX))
	if n := len(w.idp.KeyIDs(devidp.TokenX)); n != 2 || !w.believes(devidp.TokenX, old) {
		t.Errorf("after rotation %d keys", n)
	}
	w.idp.WithdrawKeys(devidp.TokenX)
	if n := len(w.idp.KeyIDs(devidp.TokenX)); n != 1 || w.believes(devidp.TokenX, old) {
		t.Errorf("after withdrawal %d keys", n)
	}
	for _, of := range issuers() {
		if same := slices.Equal(before[of], w.idp.KeyIDs(of)); same != (of != devidp.TokenX) {
			t.Errorf("%s: keys are the same: %v", of, same)
		}
	}
}

func TestFaultsOfOneIssuerAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status := func(of devidp.Issuer) int {
		return w.get(w.idp.WellKnown(of, w.srv.URL)).StatusCode
	}
	for _, broken := range issuers() {
		w.idp.SetFault(devidp.EndpointMetadata.Of(broken), devidp.Fault{Status: 502, Body: "<h1>bad gateway</h1>"})
		for _, of := range issuers() {
			want := 200
			if of == broken {
				want = 502
			}
			if got := status(of); got != want {
				t.Errorf("%s broken: %s answers %d", broken, of, got)
			}
		}
		w.idp.ClearFaults()
	}
	want := map[string]int{"metadata": 4, "tokenx/metadata": 4, "maskinporten/metadata": 4, "idporten/metadata": 4}
	if diff := cmp.Diff(want, w.idp.Counts()); diff != "" {
		t.Errorf("counts:\n%s", diff)
	}
}

func TestTruncatedAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys := w.idp.IssuerURL(devidp.Maskinporten, w.srv.URL) + "jwk"
	whole := body(t, w.get(keys))
	w.idp.SetFault(devidp.EndpointKeys.Of(devidp.Maskinporten), devidp.Fault{Truncate: true, Times: 1})
	r := w.get(keys)
	if got := body(t, r); r.StatusCode != 200 || got != whole[:len(whole)/2] || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		t.Errorf("status %d, %d of %d bytes", r.StatusCode, len(got), len(whole))
	}
	if got := body(t, w.get(keys)); got != whole {
		t.Error("the next answer is not whole")
	}
}

// Each token endpoint has its own grants and refuses the others in its own words.
func TestTokenEndpointsTakeTheirOwnGrants(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	for of, want := range map[devidp.Issuer][]string{
		devidp.Entra:        {"authorization_code", "refresh_token", "client_credentials", onBehalfOf},
		devidp.TokenX:       {exchange},
		devidp.Maskinporten: {onBehalfOf},
		devidp.IDPorten:     {"authorization_code", "refresh_token"},
	} {
		metadata := w.discovered(of)
		if got := list(metadata["grant_types_supported"]); got != strings.Join(want, " ") {
			t.Errorf("%s announces %s", of, got)
		}
		endpoint := metadata["token_endpoint"].(string)
		if r := w.get(endpoint); r.StatusCode != 405 {
			t.Errorf("GET %s: %d", endpoint, r.StatusCode)
		}
		wantError := "unsupported_grant_type"
		form := appForm("grant_type", "password")
		if of == devidp.TokenX {
			wantError, form = "access_denied", w.exchangeForm("x", "grant_type", "password")
		}
		if a := w.postTo(endpoint, form); a.text("error") != wantError || a.text("error_description") == "" {
			t.Errorf("%s: %d %v", of, a.status, a.body)
		}
		if a := w.postTo(endpoint, url.Values{}); a.status < 400 || a.text("error") == "" {
			t.Errorf("%s, nothing: %d %v", of, a.status, a.body)
		}
	}
}

// knob turns a knob over HTTP.
func (w *world) knob(name string, in any) (int, map[string]any) {
	w.Helper()
	r, err := http.Post(w.srv.URL+"/_dev/"+name, "application/json", strings.NewReader(string(encode(w, in))))
	must(w, err)
	defer r.Body.Close()
	var out map[string]any
	must(w, json.NewDecoder(r.Body).Decode(&out))
	return r.StatusCode, out
}

func TestKnobsOfEachIssuerOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) { c.Admin = true })
	type object = map[string]any
	for _, of := range issuers() {
		if status, got := w.knob("keys/rotate", object{"issuer": of}); status != 200 || len(got["keys"].([]any)) != 2 {
			t.Errorf("%s: rotate: %d %v", of, status, got)
		}
		if status, got := w.knob("keys/withdraw", object{"issuer": of}); status != 200 || len(got["keys"].([]any)) != 1 {
			t.Errorf("%s: withdraw: %d %v", of, status, got)
		}
		if status, got := w.knob("faults", object{"issuer": of, "endpoint": "metadata", "status": 503, "times": 1}); status != 200 {
			t.Errorf("%s: fault: %d %v", of, status, got)
		}
		if r := w.get(w.idp.WellKnown(of, w.srv.URL)); r.StatusCode != 503 {
			t.Errorf("%s: with a fault: %d", of, r.StatusCode)
		}
	}
	for name, in := range map[string]object{
		"unknown issuer":            {"issuer": "feide", "endpoint": "keys"},
		"endpoint it has not":       {"issuer": "tokenx", "endpoint": "authorize"},
		"front page of another one": {"issuer": "idporten", "endpoint": "front"},
	} {
		if status, got := w.knob("faults", in); status != 400 {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	if status, got := w.knob("keys/rotate", object{"issuer": "feide"}); status != 400 {
		t.Errorf("unknown issuer: %d %v", status, got)
	}
	for _, of := range issuers() {
		if status, got := w.knob("token-error", object{"issuer": of, "error": "invalid_grant"}); status != 200 {
			t.Errorf("token error of %s: %d %v", of, status, got)
		}
		if status, got := w.knob("token-error", object{"issuer": of, "grant_type": "password"}); status != 400 {
			t.Errorf("token error of a grant that %s has not: %d %v", of, status, got)
		}
	}
}

func TestKeyFileWithAKeyForEachIssuer(t *testing.T) {
	t.Parallel()
	one, two := newWorld(t), newWorld(t)
	if a, b := one.idp.KeyIDs(issuers()...), two.idp.KeyIDs(issuers()...); !slices.Equal(a, b) || len(slices.Compact(slices.Sorted(slices.Values(a)))) != 4 {
		t.Errorf("one file gives %v and %v", a, b)
	}
}

// A latency passes for each issuer's keys as for those of Entra ID, and the answer is right after it.
func TestLatencyOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	idp, err := devidp.New(devidp.Config{KeyFile: keyFile})
	must(t, err)
	idp.SetFault(devidp.EndpointKeys.Of(devidp.IDPorten), devidp.Fault{Latency: time.Minute, Times: 1})
	synctest.Test(t, func(t *testing.T) {
		for _, want := range []time.Duration{time.Minute, 0} {
			start, answer := time.Now(), httptest.NewRecorder()
			idp.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost/idporten/jwks", nil))
			if took := time.Since(start); took != want || answer.Code != 200 || !strings.Contains(answer.Body.String(), `"RS256"`) {
				t.Errorf("took %s, status %d", took, answer.Code)
			}
		}
	})
}

// What one issuer has handed out is unknown at another, although both know the client.
func TestNothingOfOneIssuerWorksAtAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.login("bjorn")
	if a := w.postTo(w.srv.URL+"/idporten/token", codeForm(code)); a.text("error") != "invalid_grant" {
		t.Errorf("a code of Entra ID at ID-porten: %v", a.body)
	}
	a := w.token(codeForm(code))
	if a.status != 200 {
		t.Fatalf("the code is spoilt: %v", a.body)
	}
	if b := w.postTo(w.srv.URL+"/idporten/token", refreshForm(a.text("refresh_token"))); b.text("error") != "invalid_grant" {
		t.Errorf("a refresh token of Entra ID at ID-porten: %v", b.body)
	}
	pushed := w.push(push()).text("request_uri")
	if r := w.get(w.srv.URL + "/idporten/authorize?" + url.Values{"client_id": {clientID}, "request_uri": {pushed}}.Encode()); r.StatusCode != 400 {
		t.Errorf("a request that was pushed to Entra ID at ID-porten: %d", r.StatusCode)
	}
	assertion := w.assertion(map[string]any{"aud": w.issuer()})
	if b := w.postTo(w.srv.URL+"/idporten/token", withAssertion(codeForm("x"), assertion)); b.text("error") != "invalid_client" {
		t.Errorf("an assertion for Entra ID at ID-porten: %v", b.body)
	}
	// The cookie is for a path, and counts for nothing if somebody carries it over.
	at, err := url.Parse(w.url("/"))
	must(t, err)
	cookies := w.browser.Jar.Cookies(at)
	if len(cookies) != 1 {
		t.Fatalf("%d cookies", len(cookies))
	}
	request := httptest.NewRequest(http.MethodGet, fmt.Sprintf("%s/idporten/authorize?%s", w.srv.URL, idporten("prompt", "none").Encode()), nil)
	request.AddCookie(cookies[0])
	answer := httptest.NewRecorder()
	w.idp.ServeHTTP(answer, request)
	if got := w.sent(answer.Result()).Get("error"); got != "login_required" {
		t.Errorf("a session of Entra ID at ID-porten: %q", got)
	}
}
