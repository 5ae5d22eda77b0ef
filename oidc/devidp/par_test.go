package devidp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/oidc/devidp"
)

func push(changes ...string) url.Values {
	return with(authorization("client_secret", secret), changes...)
}

func (w *world) push(form url.Values) answer { return w.post("/oauth2/v2.0/par", form) }

func TestPushedRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.push(withAssertion(push("client_id", ""), w.assertion(map[string]any{"aud": w.url("/oauth2/v2.0/par")})))
	reference := a.text("request_uri")
	if a.status != http.StatusCreated || !strings.HasPrefix(reference, "urn:ietf:params:oauth:request_uri:") || a.body["expires_in"] != 60.0 {
		t.Fatalf("push: %d %v", a.status, a.body)
	}
	if got := w.metadata()["pushed_authorization_request_endpoint"]; got != w.url("/oauth2/v2.0/par") {
		t.Errorf("metadata says %v", got)
	}
	refer := url.Values{"client_id": {clientID}, "request_uri": {reference}}
	if r := w.authorize(with(refer, "client_id", otherID)); r.StatusCode != http.StatusBadRequest || strings.Contains(r.Request.URL.Path, "login") {
		t.Errorf("another client: %d", r.StatusCode)
	}
	// What is beside the reference counts for nothing (RFC 9126 §4).
	page := w.authorize(with(refer, "redirect_uri", "http://evil.example/", "state", "evil", "scope", "x"))
	if r := w.authorize(refer); r.StatusCode != http.StatusBadRequest {
		t.Errorf("used twice: %d", r.StatusCode)
	}
	if r := w.get(page.Request.URL.String()); r.StatusCode != http.StatusOK {
		t.Errorf("reload of the login page: %d", r.StatusCode)
	}
	got := w.choose(page, "kari", "")
	if got.Get("state") != "the-state" || w.token(codeForm(got.Get("code"))).status != http.StatusOK {
		t.Errorf("answer %v", got)
	}
}

func TestPushedRequestExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refer := url.Values{"client_id": {clientID}, "request_uri": {w.push(push()).text("request_uri")}}
	w.pass(time.Minute)
	if r := w.authorize(refer); r.StatusCode != http.StatusBadRequest {
		t.Errorf("after a minute: %d", r.StatusCode)
	}
}

func TestPushRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		form   url.Values
		status int
		code   string
	}{
		"no authentication": {push("client_secret", ""), 401, "invalid_client"},
		"wrong secret":      {push("client_secret", "x"), 401, "invalid_client"},
		"request_uri":       {push("request_uri", "urn:x"), 400, "invalid_request"},
		"redirect_uri":      {push("redirect_uri", "http://evil.example/"), 400, "invalid_request"},
		"no PKCE":           {push("code_challenge", ""), 400, "invalid_request"},
		"response_type":     {push("response_type", "token"), 400, "unsupported_response_type"},
		"scope":             {push("scope", "api://nobody/x"), 400, "invalid_resource"},
	} {
		if a := w.push(c.form); a.status != c.status || a.text("error") != c.code || a.text("request_uri") != "" {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
}

func TestPARModes(t *testing.T) {
	t.Parallel()
	required := newWorld(t, func(c *devidp.Config) { c.PAR = devidp.PARRequired })
	if got := required.sent(required.authorize(authorization())).Get("error"); got != "invalid_request" {
		t.Errorf("required: %q", got)
	}
	if required.metadata()["require_pushed_authorization_requests"] != true {
		t.Error("required: metadata does not say so")
	}
	a := required.push(push())
	refer := url.Values{"client_id": {clientID}, "request_uri": {a.text("request_uri")}}
	if got := required.choose(required.authorize(refer), "kari", ""); got.Get("code") == "" {
		t.Errorf("required, pushed: %v", got)
	}
	off := newWorld(t, func(c *devidp.Config) { c.PAR = devidp.PAROff })
	if _, there := off.metadata()["pushed_authorization_request_endpoint"]; there {
		t.Error("off: metadata offers it")
	}
	if r, err := http.PostForm(off.url("/oauth2/v2.0/par"), push()); err != nil || r.StatusCode != http.StatusNotFound {
		t.Errorf("off: %v %v", r, err)
	}
	if r := off.authorize(refer); r.StatusCode != http.StatusBadRequest {
		t.Errorf("off, request_uri: %d", r.StatusCode)
	}
}
