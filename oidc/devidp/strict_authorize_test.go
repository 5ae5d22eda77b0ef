package devidp_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"postern/oidc/devidp"
)

// What is wrong with the addressee is shown on a page; a redirect would make the provider an open one.
func TestAuthorizeNeverRedirectsToAStranger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		query url.Values
		code  string
	}{
		"no client":                    {authorization("client_id", ""), "AADSTS900144"},
		"unknown client":               {authorization("client_id", "somebody"), "AADSTS700016"},
		"no redirect_uri":              {authorization("redirect_uri", ""), "AADSTS900144"},
		"another client's":             {authorization("redirect_uri", "http://other.localhost/cb"), "AADSTS50011"},
		"slash at the end":             {authorization("redirect_uri", redirect+"/"), "AADSTS50011"},
		"other case":                   {authorization("redirect_uri", strings.Replace(redirect, "app", "App", 1)), "AADSTS50011"},
		"other port":                   {authorization("redirect_uri", strings.Replace(redirect, "8080", "8081", 1)), "AADSTS50011"},
		"other scheme":                 {authorization("redirect_uri", strings.Replace(redirect, "http", "https", 1)), "AADSTS50011"},
		"more query":                   {authorization("redirect_uri", redirect+"?x=2"), "AADSTS50011"},
		"userinfo":                     {authorization("redirect_uri", "http://app.localhost:8080@evil.example/oauth2/callback"), "AADSTS50011"},
		"javascript":                   {authorization("redirect_uri", "javascript:alert(1)"), "AADSTS50011"},
		"dot segments":                 {authorization("redirect_uri", redirect+"/../callback"), "AADSTS50011"},
		"escape":                       {authorization("redirect_uri", strings.Replace(redirect, "callback", "%63allback", 1)), "AADSTS50011"},
		"fragment":                     {authorization("redirect_uri", redirect+"#x"), "AADSTS50011"},
		"line break":                   {authorization("redirect_uri", redirect+"\r\nX: y"), "AADSTS9002313"},
		"no UTF-8":                     {authorization("state", "\xff"), "AADSTS9002313"},
		"too long":                     {authorization("state", strings.Repeat("x", 20000)), "AADSTS9002313"},
		"two redirect_uris":            {url.Values{"client_id": {clientID}, "redirect_uri": {redirect, "http://evil.example/"}}, "AADSTS9000411"},
		"two clients":                  {url.Values{"client_id": {clientID, otherID}, "redirect_uri": {redirect}}, "AADSTS9000411"},
		"unknown request_uri":          {authorization("request_uri", "urn:ietf:params:oauth:request_uri:x"), "AADSTS90013"},
		"request_uri to fetch":         {authorization("request_uri", "https://evil.example/request.jwt"), "AADSTS90013"},
		"stranger with another defect": {authorization("redirect_uri", "http://evil.example/", "response_type", "token"), "AADSTS50011"},
	} {
		r := w.authorize(c.query)
		page := body(t, r)
		if r.StatusCode != http.StatusBadRequest || r.Header.Get("Location") != "" || !strings.Contains(page, c.code) {
			t.Errorf("%s: status %d, Location %q, no %s in the page", name, r.StatusCode, r.Header.Get("Location"), c.code)
		}
		if strings.Contains(page, "evil") || strings.Contains(page, "somebody") {
			t.Errorf("%s: the page echoes the request", name)
		}
	}
}

// What is wrong otherwise is told to the client.
func TestAuthorizeRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		changes []string
		code    string
		aadsts  string
	}{
		"no response_type":       {[]string{"response_type", ""}, "invalid_request", "900144"},
		"implicit":               {[]string{"response_type", "id_token"}, "unsupported_response_type", "700051"},
		"hybrid":                 {[]string{"response_type", "code id_token"}, "unsupported_response_type", "700051"},
		"form_post":              {[]string{"response_mode", "form_post"}, "invalid_request", "70007"},
		"fragment":               {[]string{"response_mode", "fragment"}, "invalid_request", "70007"},
		"no PKCE":                {[]string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request", "9002325"},
		"PKCE plain":             {[]string{"code_challenge_method", "plain"}, "invalid_request", "501491"},
		"PKCE without method":    {[]string{"code_challenge_method", ""}, "invalid_request", "501491"},
		"PKCE too short":         {[]string{"code_challenge", challenge[:42]}, "invalid_request", "501491"},
		"PKCE padded":            {[]string{"code_challenge", challenge + "="}, "invalid_request", "501491"},
		"PKCE not base64url":     {[]string{"code_challenge", strings.Replace(challenge, "-", "+", 1)}, "invalid_request", "501491"},
		"prompt unknown":         {[]string{"prompt", "please"}, "invalid_request", "90023"},
		"prompt none and more":   {[]string{"prompt", "none login"}, "invalid_request", "90023"},
		"max_age negative":       {[]string{"max_age", "-1"}, "invalid_request", "90013"},
		"max_age no number":      {[]string{"max_age", "1h"}, "invalid_request", "90013"},
		"max_age huge":           {[]string{"max_age", "99999999999999999999"}, "invalid_request", "90013"},
		"claims no JSON":         {[]string{"claims", "{"}, "invalid_request", "90013"},
		"claims no object":       {[]string{"claims", "[]"}, "invalid_request", "90013"},
		"claims doubled":         {[]string{"claims", `{"a":1,"a":2}`}, "invalid_request", "90013"},
		"request object":         {[]string{"request", "a.b.c"}, "request_not_supported", "90013"},
		"no scope":               {[]string{"scope", ""}, "invalid_request", "900144"},
		"scope of no app":        {[]string{"scope", "openid api://nobody/.default"}, "invalid_resource", "500011"},
		"scopes of two apps":     {[]string{"scope", "api://" + clientID + "/.default api://" + otherID + "/.default"}, "invalid_request", "28000"},
		".default and more":      {[]string{"scope", "api://" + clientID + "/.default api://" + clientID + "/orders.read"}, "invalid_scope", "70011"},
		"scope without a name":   {[]string{"scope", "api://" + clientID + "/"}, "invalid_scope", "70011"},
		"scope that is not ours": {[]string{"scope", "api://" + clientID + "/orders.write"}, "consent_required", "65001"},
	} {
		got := w.sent(w.authorize(authorization(c.changes...)))
		if got.Get("error") != c.code || !strings.HasPrefix(got.Get("error_description"), "AADSTS"+c.aadsts+":") {
			t.Errorf("%s: %s (%s)", name, got.Get("error"), got.Get("error_description"))
		}
		if got.Get("state") != "the-state" || got.Get("iss") != w.issuer() || got.Get("code") != "" {
			t.Errorf("%s: answer %v", name, got)
		}
	}
	q := authorization()
	q["nonce"] = []string{"a", "b"}
	if got := w.sent(w.authorize(q)); got.Get("error") != "invalid_request" || !strings.HasPrefix(got.Get("error_description"), "AADSTS9000411") {
		t.Errorf("two nonces: %v", got)
	}
	q = authorization()
	q["state"] = []string{"a", "b"}
	if got := w.sent(w.authorize(q)); got.Get("error") != "invalid_request" || got.Has("state") {
		t.Errorf("two states: %v", got)
	}
}

func TestAuthorizeByPost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.login("kari")
	r, err := w.browser.PostForm(w.url("/oauth2/v2.0/authorize"), authorization())
	must(t, err)
	defer r.Body.Close()
	if r.StatusCode != http.StatusSeeOther || w.sent(r).Get("code") == "" {
		t.Errorf("status %d", r.StatusCode)
	}
}

func TestLoginFormWorksOnceAndFromItsOwnPageOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page := w.authorize(authorization())
	flow := page.Request.URL.Query().Get("flow")
	post := func(form url.Values, header ...string) *http.Response {
		r, err := http.NewRequest(http.MethodPost, w.url("/login"), strings.NewReader(form.Encode()))
		must(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		answer, err := w.browser.Do(r)
		must(t, err)
		t.Cleanup(func() { _ = answer.Body.Close() })
		return answer
	}
	good := url.Values{"flow": {flow}, "persona": {"kari"}}
	for name, c := range map[string]struct {
		r    *http.Response
		want int
	}{
		"cross-site":      {post(good, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		"foreign origin":  {post(good, "Origin", "http://evil.example"), http.StatusForbidden},
		"unknown flow":    {post(with(good, "flow", "x")), http.StatusBadRequest},
		"no flow":         {post(with(good, "flow", "")), http.StatusBadRequest},
		"unknown persona": {post(with(good, "persona", "nobody")), http.StatusBadRequest},
		"no persona":      {post(with(good, "persona", "")), http.StatusBadRequest},
		"two personas":    {post(url.Values{"flow": {flow}, "persona": {"kari", "ola"}}), http.StatusBadRequest},
	} {
		if c.r.StatusCode != c.want || c.r.Header.Get("Location") != "" {
			t.Errorf("%s: status %d", name, c.r.StatusCode)
		}
	}
	if got := w.sent(post(good, "Sec-Fetch-Site", "same-origin")).Get("code"); got == "" {
		t.Error("the flow did not survive the bad attempts")
	}
	if r := post(good); r.StatusCode != http.StatusBadRequest || r.Header.Get("Location") != "" {
		t.Errorf("the flow was answered twice: status %d", r.StatusCode)
	}
}

func TestFlowsAndSessionsExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page := w.authorize(authorization())
	w.pass(2 * 60 * 60 * 1e9)
	if r, err := devidp.Answer(w.browser, page, "kari", ""); err != nil || r.StatusCode != http.StatusBadRequest {
		t.Errorf("an old page was answered: %v, %v", r, err)
	}
	w.login("kari")
	w.pass(25 * 60 * 60 * 1e9)
	if got := w.sent(w.authorize(authorization("prompt", "none"))).Get("error"); got != "login_required" {
		t.Errorf("an old session is used: %q", got)
	}
}

func TestMethodsAndAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, allowed := range map[string][]string{
		"/v2.0/.well-known/openid-configuration": {"GET", "HEAD"}, "/discovery/v2.0/keys": {"GET", "HEAD"},
		"/oauth2/v2.0/authorize": {"GET", "HEAD", "POST"}, "/oauth2/v2.0/token": {"POST"}, "/oauth2/v2.0/par": {"POST"},
		"/oauth2/v2.0/logout": {"GET", "HEAD", "POST"}, "/login": {"GET", "HEAD", "POST"},
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"} {
			r, err := http.NewRequest(method, w.url(path), nil)
			must(t, err)
			answer, err := w.browser.Do(r)
			must(t, err)
			_ = answer.Body.Close()
			if is405 := answer.StatusCode == http.StatusMethodNotAllowed; is405 == slices.Contains(allowed, method) {
				t.Errorf("%s %s: status %d", method, path, answer.StatusCode)
			}
			if got := answer.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("%s %s: Cache-Control %q", method, path, got)
			}
		}
	}
	foreign := w.get(w.srv.URL + "/11111111-2222-3333-4444-555555555555/v2.0/.well-known/openid-configuration")
	if got := body(t, foreign); foreign.StatusCode != http.StatusBadRequest || !strings.Contains(got, "AADSTS90002") {
		t.Errorf("another tenant: %d %s", foreign.StatusCode, got)
	}
	if r := w.get(w.url("/oauth2/v2.0/devicecode")); r.StatusCode != http.StatusNotFound {
		t.Errorf("unknown address: %d", r.StatusCode)
	}
}

func TestHostMustBeLoopbackWithoutABaseURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issuer := func(w *world, host string) (int, string) {
		r, err := http.NewRequest(http.MethodGet, w.url("/v2.0/.well-known/openid-configuration"), nil)
		must(t, err)
		r.Host = host
		answer, err := http.DefaultClient.Do(r)
		must(t, err)
		defer answer.Body.Close()
		return answer.StatusCode, body(t, answer)
	}
	for _, host := range []string{"localhost", "localhost:8090", "idp.localhost:8090", "127.0.0.1:1", "127.9.9.9", "[::1]:8090"} {
		if status, got := issuer(w, host); status != http.StatusOK || !strings.Contains(got, `"issuer":"http://`+host+"/"+devidp.DefaultTenantID+`/v2.0"`) {
			t.Errorf("%s: %d %s", host, status, got)
		}
	}
	for _, host := range []string{"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "localhost@evil.example", "xlocalhost"} {
		if status, got := issuer(w, host); status == http.StatusOK || strings.Contains(got, "evil") {
			t.Errorf("%s: %d %s", host, status, got)
		}
	}
	fixed := newWorld(t, func(c *devidp.Config) { c.BaseURL = "https://idp.example/" })
	if status, got := issuer(fixed, "evil.example"); status != http.StatusOK || !strings.Contains(got, `"issuer":"https://idp.example/`) || strings.Contains(got, "evil") {
		t.Errorf("fixed base URL: %d %s", status, got)
	}
}
