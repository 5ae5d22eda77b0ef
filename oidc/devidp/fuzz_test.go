package devidp_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"postern/oidc/devidp"
)

func fuzzed(f *testing.F) *devidp.IdP {
	f.Helper()
	idp, err := devidp.New(devidp.Config{KeyFile: keyFile, AutoLogin: "kari", Clients: []devidp.ClientConfig{{
		ID: clientID, Secret: secret, JWKS: encode(f, newKey(f, "client-key", "ES256")),
		RedirectURIs: []string{redirect}, PostLogoutRedirectURIs: []string{signedOut},
	}}})
	must(f, err)
	return idp
}

func serve(idp *devidp.IdP, method, path, query, form string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost/"+devidp.DefaultTenantID+path, strings.NewReader(form))
	r.URL.RawQuery = query
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	idp.ServeHTTP(answer, r)
	return answer
}

// goesOnlyTo fails if an answer leads anywhere but to these addresses.
func goesOnlyTo(t *testing.T, answer *httptest.ResponseRecorder, allowed ...string) {
	t.Helper()
	if answer.Code >= 500 {
		t.Errorf("status %d", answer.Code)
	}
	location := answer.Header().Get("Location")
	if location == "" {
		return
	}
	for _, prefix := range allowed {
		if rest, ok := strings.CutPrefix(location, prefix); ok && (rest == "" || rest[0] == '?') {
			return
		}
	}
	t.Errorf("redirect to %q", location)
}

func FuzzAuthorizeQuery(f *testing.F) {
	f.Add(authorization().Encode())
	f.Add(authorization("redirect_uri", "http://evil.example/").Encode())
	f.Add(authorization("prompt", "none", "claims", `{"id_token":{"acrs":{"values":[1,"x"]}}}`).Encode())
	f.Add("client_id=" + clientID + "&redirect_uri=" + url.QueryEscape(redirect) + "&redirect_uri=//evil.example")
	f.Add("request_uri=urn:ietf:params:oauth:request_uri:&client_id=" + clientID)
	f.Add("%zz;a=b&&=&client_id")
	idp := fuzzed(f)
	login := "http://localhost/" + devidp.DefaultTenantID + "/login"
	f.Fuzz(func(t *testing.T, query string) {
		goesOnlyTo(t, serve(idp, http.MethodGet, "/oauth2/v2.0/authorize", query, ""), redirect, login)
		goesOnlyTo(t, serve(idp, http.MethodPost, "/oauth2/v2.0/authorize", "", query), redirect, login)
		if par := serve(idp, http.MethodPost, "/oauth2/v2.0/par", "", query); par.Code == http.StatusCreated && !strings.Contains(query, "secret") {
			t.Error("pushed without authentication")
		}
	})
}

func FuzzIDPortenAuthorizeQuery(f *testing.F) {
	f.Add(idporten().Encode())
	f.Add(idporten("acr_values", "idporten-loa-high idporten-loa-low", "ui_locales", "nn  se").Encode())
	f.Add(idporten("resource", "https://app.example/%00#").Encode())
	f.Add(idporten("resource", "urn:x", "acr_values", "\xff").Encode())
	f.Add(idporten("redirect_uri", "//evil.example", "scope", "nav:a/b \"").Encode())
	idp := fuzzed(f)
	must(f, idp.SetAutoLogin("bjorn"))
	at := func(method, path, query, form string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://localhost/idporten/"+path, strings.NewReader(form))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer := httptest.NewRecorder()
		idp.ServeHTTP(answer, r)
		return answer
	}
	f.Fuzz(func(t *testing.T, query string) {
		answer := at(http.MethodGet, "authorize", query, "")
		goesOnlyTo(t, answer, redirect, "http://localhost/idporten/login")
		location, err := answer.Result().Location()
		if err != nil || location.Query().Get("code") == "" {
			return
		}
		asked, err := url.ParseQuery(query)
		must(t, err)
		if len(asked["resource"]) > 1 || len(asked["acr_values"]) > 1 {
			t.Error("a doubled parameter was taken")
		}
		redeemed := at(http.MethodPost, "token", "", codeForm(location.Query().Get("code")).Encode())
		if asked.Get("code_challenge") == challenge && redeemed.Code != http.StatusOK {
			t.Errorf("a request that was accepted cannot be answered: %d %s", redeemed.Code, redeemed.Body)
		}
	})
}

func FuzzMint(f *testing.F) {
	f.Add("mint", "", `{"profile":"tokenx","claims":{"aud":["a"],"pid":null},"header":{"kid":1},"exp_in":-9223372036854775808}`)
	f.Add("mint", "", `{"raw_payload":"{\"a\":1,\"a\":2}","alg":"none","bad_signature":true}`)
	f.Add("mint", "", `{"alg":"ES256","key":"withdrawn"}{}`)
	f.Add("token/entra-user", "groups=a&groups=b&NAVident=&exp=1e9&persona=%00", "")
	f.Add("token/idporten", "acr=%ff&&=&;&%zz", "")
	idp, err := devidp.New(devidp.Config{KeyFile: keyFile, Admin: true})
	must(f, err)
	f.Fuzz(func(t *testing.T, path, query, in string) {
		method := http.MethodPost
		if strings.HasPrefix(path, "token/") {
			method = http.MethodGet
		}
		r := httptest.NewRequest(method, "http://localhost/", strings.NewReader(in))
		r.URL.Path, r.URL.RawQuery = "/_dev/"+path, query
		r.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		idp.ServeHTTP(answer, r)
		if answer.Code >= 500 || answer.Header().Get("Location") != "" {
			t.Errorf("status %d", answer.Code)
		}
		if answer.Code == http.StatusOK && method == http.MethodGet && strings.Count(answer.Body.String(), ".") != 2 {
			t.Errorf("no token: %s", answer.Body)
		}
	})
}

func FuzzTokenForm(f *testing.F) {
	f.Add(codeForm("x").Encode(), "")
	f.Add(refreshForm("x").Encode(), "")
	f.Add(codeForm("x", "client_secret", "").Encode(), "Basic eDp5")
	f.Add(withAssertion(codeForm("x"), "e30.e30.").Encode(), "")
	f.Add(withAssertion(codeForm("x"), "eyJhbGciOiJub25lIn0.eyJpc3MiOjF9.AAAA").Encode(), "")
	f.Add("grant_type=refresh_token&scope=%00", "Bearer x")
	idp := fuzzed(f)
	f.Fuzz(func(t *testing.T, form, authorization string) {
		answer := serve(idp, http.MethodPost, "/oauth2/v2.0/token", "", form, "Authorization", authorization)
		if answer.Code != http.StatusBadRequest && answer.Code != http.StatusUnauthorized {
			t.Errorf("status %d", answer.Code)
		}
		if strings.Contains(answer.Body.String(), "access_token") {
			t.Error("a token for nothing")
		}
	})
}

// FuzzAppGrants sends assertions and subject tokens that are nobody's to the grants for apps.
func FuzzAppGrants(f *testing.F) {
	f.Add(0, "e30.e30.e30", "e30.e30.", "scope")
	f.Add(1, "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJjOm46YSIsImlzcyI6ImM6bjphIiwiYXVkIjpbXX0.AAAA", "a.b.c", "c:n:a")
	f.Add(2, "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJjbGllbnQiLCJleHAiOjFlOTl9.AAAA", "", "")
	f.Add(0, "", "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJvaWQiOjF9.AAAA", "x/.default")
	f.Add(1, "{}", "\x00", "%zz")
	idp, err := devidp.New(devidp.Config{KeyFile: keyFile, Clients: []devidp.ClientConfig{
		{ID: "client", Name: "c:n:a", Secret: secret, JWKS: encode(f, appKeys()[0]), TokenX: devidp.TokenXClient{Inbound: []string{"c:n:a"}}},
	}})
	must(f, err)
	f.Fuzz(func(t *testing.T, which int, assertion, token, target string) {
		form := url.Values{"scope": {target}, "audience": {target}, "subject_token": {token}}
		path := "/" + devidp.DefaultTenantID + "/oauth2/v2.0/token"
		switch which % 3 {
		case 0:
			form = with(onBehalfForm(token, "client_id", "client", "scope", target))
		case 1:
			path = "/tokenx/token"
			form = with(withAssertion(form, assertion), "grant_type", exchange, "subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
		case 2:
			path = "/maskinporten/token"
			form = with(form, "grant_type", onBehalfOf, "assertion", assertion)
		}
		r := httptest.NewRequest(http.MethodPost, "http://localhost"+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer := httptest.NewRecorder()
		idp.ServeHTTP(answer, r)
		if answer.Code < 400 || answer.Code >= 500 || strings.Contains(answer.Body.String(), "access_token") {
			t.Errorf("status %d: %s", answer.Code, answer.Body)
		}
	})
}

func FuzzIDTokenHint(f *testing.F) {
	idp := fuzzed(f)
	good, err := idp.Mint(devidp.MintRequest{Claims: map[string]any{
		"iss": "http://localhost/" + devidp.DefaultTenantID + "/v2.0", "aud": clientID, "sid": "s",
	}})
	must(f, err)
	f.Add(good, signedOut)
	f.Add("e30.e30.", "http://evil.example/")
	f.Add("a.b.c", "//evil.example")
	f.Add("", signedOut+"#")
	f.Fuzz(func(t *testing.T, hint, to string) {
		query := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {to}}.Encode()
		answer := serve(idp, http.MethodGet, "/oauth2/v2.0/logout", query, "")
		goesOnlyTo(t, answer, signedOut)
		if hint != "" && hint != good && answer.Header().Get("Location") != "" {
			t.Errorf("hint %q was believed", hint)
		}
	})
}

func FuzzLoginForm(f *testing.F) {
	f.Add(`{"a":[{"b":null}]}`, "kari", false)
	f.Add(`</textarea><script>alert(1)</script>`, "ola", true)
	f.Add("{\"\u2028\":\"\\ud800\"}", "\"><b>", false)
	idp := fuzzed(f)
	must(f, idp.SetAutoLogin(""))
	f.Fuzz(func(t *testing.T, claims, persona string, cancel bool) {
		to, err := serve(idp, http.MethodGet, "/oauth2/v2.0/authorize", authorization().Encode(), "").Result().Location()
		must(t, err)
		form := url.Values{"flow": {to.Query().Get("flow")}, "claims": {claims}, "persona": {persona}}
		if cancel {
			form.Set("cancel", "x")
		}
		answer := serve(idp, http.MethodPost, "/login", "", form.Encode())
		goesOnlyTo(t, answer, redirect)
		if page := answer.Body.String(); strings.Contains(page, "<script") || strings.Count(page, "</textarea>") > 1 {
			t.Errorf("unescaped: %s", page)
		}
		location, err := answer.Result().Location()
		if err != nil || location.Query().Get("code") == "" {
			return
		}
		redeemed := serve(idp, http.MethodPost, "/oauth2/v2.0/token", "", codeForm(location.Query().Get("code")).Encode())
		if redeemed.Code != http.StatusOK {
			t.Errorf("claims that were accepted cannot be issued: %d %s", redeemed.Code, redeemed.Body)
		}
	})
}
