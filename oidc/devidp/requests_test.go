package devidp_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/oidc/devidp"
)

func TestTokenRequestsAreRemembered(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	w.idp.SetFault(devidp.EndpointToken.Of(devidp.TokenX), devidp.Fault{Status: 503, Body: "{}", Times: 1})
	subject := w.mint(devidp.MintRequest{Profile: devidp.MintIDPorten})
	for range 2 { // the first one is spoiled, and is seen too
		w.exchange(w.exchangeForm(subject))
	}
	got := w.idp.TokenRequests()
	if len(got) != 2 {
		t.Fatalf("%d requests", len(got))
	}
	one, other := got[0].Tokens["client_assertion"], got[1].Tokens["client_assertion"]
	if one.Claims["jti"] == other.Claims["jti"] || one.Claims["iss"] != appName || one.Header["kid"] != "app-key" {
		t.Errorf("assertions %v and %v", one, other)
	}
	if got[1].Tokens["subject_token"].Claims["pid"] != bjornsPID {
		t.Errorf("subject token %v", got[1].Tokens["subject_token"])
	}
	if diff := cmp.Diff(url.Values{
		"grant_type": {exchange}, "audience": {apiName}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}, "client_assertion": {devidp.Hidden}, "subject_token": {devidp.Hidden},
	}, got[1].Form); diff != "" {
		t.Errorf("form:\n%s", diff)
	}
	if got[1].Issuer != devidp.TokenX || got[1].GrantType != exchange || !got[1].At.Equal(w.clock()) || got[1].Header.Get("Content-Type") == "" {
		t.Errorf("request %+v", got[1])
	}
}

func TestRememberedRequestsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	code := w.login("kari")
	first := w.token(codeForm(code, "client_secret", "", "new_parameter", "hush"), basicAuth(clientID, secret), func(r *http.Request) { r.Header.Set("Cookie", "hush=1") })
	w.token(refreshForm(first.text("refresh_token")))
	w.token(onBehalfForm(w.good(first)))
	w.maskinporten(w.grantOf(nil))
	w.token(codeForm("x", "x", strings.Repeat("hush", 20000)))
	all := fmt.Sprintf("%+v", w.idp.TokenRequests())
	for _, hidden := range []string{secret, "hush", code, verifier, first.text("refresh_token"), first.text("access_token"), "Basic"} {
		if strings.Contains(all, hidden) {
			t.Errorf("%q is remembered", hidden)
		}
	}
	if n := len(w.idp.TokenRequests()); n != 5 {
		t.Errorf("%d requests", n)
	}
}

func TestRememberedRequestsAreBounded(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	for i := range 105 {
		w.token(appForm("scope", fmt.Sprint(i)))
	}
	got := w.idp.TokenRequests()
	if len(got) != 100 || got[0].Form.Get("scope") != "5" || got[99].Form.Get("scope") != "104" {
		t.Errorf("%d requests, from %v", len(got), got[0].Form)
	}
	w.idp.ForgetRequests()
	if n, counts := len(w.idp.TokenRequests()), w.idp.Counts(); n != 0 || len(counts) != 0 {
		t.Errorf("forgotten: %d requests, %v", n, counts)
	}
}

func TestRequestsAreCountedByGrant(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	w.token(appForm())
	w.token(appForm("client_secret", "wrong"))
	w.token(onBehalfForm("x"))
	w.token(appForm("grant_type", "password"))
	w.exchange(url.Values{"grant_type": {exchange}})
	w.maskinporten("x")
	w.maskinporten("x", "grant_type", exchange)
	want := map[string]int{
		"token": 4, "token/client_credentials": 2, "token/" + onBehalfOf: 1, "tokenx/token": 1, "tokenx/token/" + exchange: 1,
		"maskinporten/token": 2, "maskinporten/token/" + onBehalfOf: 1,
	}
	if diff := cmp.Diff(want, w.idp.Counts()); diff != "" {
		t.Errorf("counts:\n%s", diff)
	}
}

func TestTokenRequestsOverHTTP(t *testing.T) {
	t.Parallel()
	w := newApps(t, func(c *devidp.Config) { c.Admin = true })
	w.maskinporten(w.grantOf(nil))
	r := w.get(w.srv.URL + "/_dev/token-requests")
	got := body(t, r)
	for _, want := range []string{`"issuer":"maskinporten"`, `"assertion":["(hidden)"]`, `"iss":"` + maskinportner + `"`, `"at":"` + w.clock().Format(time.RFC3339)} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %s: %s", want, got)
		}
	}
	if status, _ := w.knob("token-requests/forget", map[string]any{}); status != 200 || len(w.idp.TokenRequests()) != 0 {
		t.Errorf("forget: %d", status)
	}
	post, err := http.Post(w.srv.URL+"/_dev/token-requests", "application/json", strings.NewReader("{}"))
	must(t, err)
	defer post.Body.Close()
	if post.StatusCode != 405 {
		t.Errorf("POST: %d", post.StatusCode)
	}
}
