package devidp_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/oidc/devidp"
)

func TestFaultsOfAnEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	metadata := w.url("/v2.0/.well-known/openid-configuration")
	w.idp.SetFault(devidp.EndpointMetadata, devidp.Fault{Status: 503, Body: "<h1>down</h1>", RetryAfter: 7 * time.Second, Times: 2})
	for range 2 {
		r := w.get(metadata)
		if got := body(t, r); r.StatusCode != 503 || got != "<h1>down</h1>" || r.Header.Get("Retry-After") != "7" ||
			!strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
			t.Errorf("fault: %d %q %v", r.StatusCode, got, r.Header)
		}
	}
	if r := w.get(metadata); r.StatusCode != 200 {
		t.Errorf("after two: %d", r.StatusCode)
	}
	w.idp.SetFault(devidp.EndpointMetadata, devidp.Fault{Body: `{"issuer":`, ContentType: "application/json"})
	if r := w.get(metadata); r.StatusCode != 200 || body(t, r) != `{"issuer":` {
		t.Errorf("cut JSON: %d", r.StatusCode)
	}
	if r := w.get(w.url("/discovery/v2.0/keys")); r.StatusCode != 200 {
		t.Errorf("another endpoint: %d", r.StatusCode)
	}
	w.idp.ClearFaults()
	if r := w.get(metadata); r.StatusCode != 200 || !strings.Contains(body(t, r), "authorization_endpoint") {
		t.Errorf("after clearing: %d", r.StatusCode)
	}
	w.idp.SetFault(devidp.EndpointMetadata, devidp.Fault{Drop: true, Times: 1})
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // a dropped idle connection would be retried
	if r, err := fresh.Get(metadata); err == nil {
		t.Errorf("dropped connection answered %d", r.StatusCode)
	}
	if got := w.idp.Counts(); got["metadata"] != 6 || got["keys"] != 1 {
		t.Errorf("counts %v", got)
	}
}

func TestLatencyEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	idp, err := devidp.New(devidp.Config{KeyFile: keyFile})
	must(t, err)
	idp.SetFault(devidp.EndpointKeys, devidp.Fault{Latency: time.Minute})
	synctest.Test(t, func(t *testing.T) {
		request := httptest.NewRequest(http.MethodGet, "http://localhost/"+devidp.DefaultTenantID+"/discovery/v2.0/keys", nil)
		start := time.Now()
		answer := httptest.NewRecorder()
		idp.ServeHTTP(answer, request)
		if took := time.Since(start); took != time.Minute || answer.Code != 200 {
			t.Errorf("took %s, status %d", took, answer.Code)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		idp.ServeHTTP(httptest.NewRecorder(), request.WithContext(ctx))
		if took := time.Since(start); took != time.Second {
			t.Errorf("a caller that left was kept for %s", took)
		}
	})
}

func TestLostAnswerHasDoneItsWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) { c.RefreshRotation = devidp.RotateStrict })
	token := w.tokens("kari").text("refresh_token")
	w.idp.SetFault(devidp.EndpointToken, devidp.Fault{Status: 502, Body: "{}", After: true, Times: 1})
	if a := w.token(refreshForm(token)); a.status != 502 {
		t.Fatalf("fault: %d", a.status)
	}
	if a := w.token(refreshForm(token)); a.code() != 50173 {
		t.Errorf("the lost answer did not rotate: %v", a.body)
	}
}

func TestPlannedTokenErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.tokens("kari").text("refresh_token")
	w.idp.FailToken(devidp.TokenError{GrantType: "refresh_token", AADSTS: 50076, Suberror: "basic_action", Claims: `{"access_token":{}}`})
	w.idp.FailToken(devidp.TokenError{AADSTS: 90033, Times: 2})
	w.idp.FailToken(devidp.TokenError{Error: "login_required", Status: 400})
	a := w.token(refreshForm(token))
	if a.status != 400 || a.text("error") != "interaction_required" || a.text("claims") != `{"access_token":{}}` || a.text("suberror") != "basic_action" {
		t.Errorf("first: %d %v", a.status, a.body)
	}
	for range 2 {
		if a := w.token(refreshForm(token)); a.status != 503 || a.text("error") != "temporarily_unavailable" || a.header.Get("Retry-After") == "" {
			t.Errorf("transient: %d %v", a.status, a.body)
		}
	}
	if a := w.token(refreshForm(token)); a.text("error") != "login_required" {
		t.Errorf("own code: %v", a.body)
	}
	if a := w.token(refreshForm(token, "client_secret", "x")); a.text("error") != "invalid_client" {
		t.Errorf("wrong secret: %v", a.body)
	}
	if a := w.token(refreshForm(token)); a.status != 200 {
		t.Errorf("after all of them: %v", a.body)
	}
	if got := w.idp.Counts()["token/refresh_token"]; got != 6 {
		t.Errorf("%d refreshes counted", got)
	}
}

func TestTokenLifetime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.idp.SetTokenLifetime(7 * time.Second)
	a := w.tokens("kari")
	claims := w.verified(a.text("access_token"))
	if a.body["expires_in"] != 7.0 || claims["exp"].(float64)-claims["iat"].(float64) != 7 {
		t.Errorf("expires_in %v, claims %v", a.body["expires_in"], claims)
	}
}

func TestAdminSurface(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) { c.Admin = true })
	call := func(method, knob, in string, header ...string) (int, string) {
		r, err := http.NewRequest(method, w.srv.URL+"/_dev/"+knob, strings.NewReader(in))
		must(t, err)
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
				r.Host = header[i+1]
			}
		}
		answer, err := http.DefaultClient.Do(r)
		must(t, err)
		defer answer.Body.Close()
		raw, err := io.ReadAll(answer.Body)
		must(t, err)
		return answer.StatusCode, string(raw)
	}
	for name, c := range map[string]struct {
		knob, in string
		header   []string
		want     int
	}{
		"cross-site":       {"keys/rotate", "{}", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"same-site":        {"keys/rotate", "{}", []string{"Sec-Fetch-Site", "same-site"}, 403},
		"foreign origin":   {"keys/rotate", "{}", []string{"Origin", "http://evil.example"}, 403},
		"opaque origin":    {"keys/rotate", "{}", []string{"Origin", "null"}, 403},
		"rebinding":        {"keys/rotate", "{}", []string{"Host", "evil.example"}, 421},
		"form":             {"keys/rotate", "{}", []string{"Content-Type", "text/plain"}, 415},
		"no JSON":          {"keys/rotate", "", nil, 400},
		"unknown member":   {"faults", `{"endpoint":"token","stauts":500}`, nil, 400},
		"unknown endpoint": {"faults", `{"endpoint":"admin"}`, nil, 400},
		"odd status":       {"faults", `{"endpoint":"token","status":99}`, nil, 400},
		"unknown knob":     {"nothing", `{}`, nil, 404},
		"unknown persona":  {"auto-login", `{"user":"nobody"}`, nil, 400},
	} {
		if status, got := call(http.MethodPost, c.knob, c.in, c.header...); status != c.want {
			t.Errorf("%s: %d %s", name, status, got)
		}
	}
	if n := len(w.idp.KeyIDs()); n != 1 {
		t.Fatalf("a refused call rotated: %d keys", n)
	}
	if status, _ := call(http.MethodGet, "keys/rotate", ""); status != 405 {
		t.Errorf("GET turned a knob: %d", status)
	}
	for knob, in := range map[string]string{
		"faults": `{"endpoint":"keys","status":503,"retry_after":3,"times":1}`, "token-error": `{"aadsts":50173,"times":1}`,
		"token-lifetime": `{"seconds":30}`, "refresh-tokens/revoke": `{"user":"kari"}`, "auto-login": `{"user":"kari"}`,
	} {
		if status, got := call(http.MethodPost, knob, in, "Origin", w.srv.URL, "Sec-Fetch-Site", "same-origin"); status != 200 {
			t.Errorf("%s: %d %s", knob, status, got)
		}
	}
	if r := w.get(w.url("/discovery/v2.0/keys")); r.StatusCode != 503 || r.Header.Get("Retry-After") != "3" {
		t.Errorf("fault by HTTP: %d", r.StatusCode)
	}
	code := w.sent(w.authorize(authorization())).Get("code")
	if a := w.token(codeForm(code)); a.code() != 50173 {
		t.Errorf("token error by HTTP: %v", a.body)
	}
	if a := w.token(codeForm(code)); a.body["expires_in"] != 30.0 {
		t.Errorf("token lifetime by HTTP: %v", a.body)
	}
	if status, got := call(http.MethodPost, "keys/rotate", "{}"); status != 200 || len(w.idp.KeyIDs()) != 2 {
		t.Errorf("rotate: %d %s", status, got)
	}
	if status, got := call(http.MethodPost, "keys/withdraw", "{}"); status != 200 || len(w.idp.KeyIDs()) != 1 {
		t.Errorf("withdraw: %d %s", status, got)
	}
	if status, got := call(http.MethodGet, "counts", ""); status != 200 || !strings.Contains(got, `"token":2`) {
		t.Errorf("counts: %d %s", status, got)
	}
	closed := newWorld(t)
	r, err := http.Post(closed.srv.URL+"/_dev/keys/rotate", "application/json", strings.NewReader("{}"))
	must(t, err)
	defer r.Body.Close()
	if r.StatusCode != 404 || len(closed.idp.KeyIDs()) != 1 {
		t.Errorf("the knobs are on by default: %d", r.StatusCode)
	}
}
