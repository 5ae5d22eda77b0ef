package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"postern/config"
)

// authorize returns the parameters of the browser's URL.
func (w *world) authorize(t testing.TB, r AuthorizationRequest) (PendingLogin, url.Values) {
	t.Helper()
	r.RedirectURI = testRedirect
	pending, target, err := w.client.Authorize(t.Context(), r)
	must(t, err)
	u, err := url.Parse(target)
	must(t, err)
	return pending, u.Query()
}

func TestAuthorizationRequestOfEachPreset(t *testing.T) {
	t.Parallel()
	for provider, want := range map[string]map[string]string{
		"openid":   {"scope": "openid extra"},
		"azure":    {"scope": "openid api://client-1/.default offline_access extra"},
		"idporten": {"scope": "openid extra", "acr_values": "idporten-loa-high", "ui_locales": "nb"},
	} {
		p := newIDP(t)
		p.metadata["ui_locales_supported"] = []string{"nb", "en"}
		w := newWorld(t, p, withOpenID(func(c *config.OpenID) { c.Provider, c.Scopes = provider, []string{"extra", "openid"} }))
		pending, query := w.authorize(t, AuthorizationRequest{})
		got := map[string]string{}
		for name := range query {
			if len(query[name]) != 1 {
				t.Errorf("%s: %s is there %d times", provider, name, len(query[name]))
			}
			got[name] = query.Get(name)
		}
		for name, value := range map[string]string{
			"client_id": testClientID, "response_type": "code", "response_mode": "query", "redirect_uri": testRedirect,
			"state": pending.State, "nonce": pending.Nonce,
			"code_challenge": oauth2.S256ChallengeFromVerifier(pending.Verifier), "code_challenge_method": "S256",
		} {
			want[name] = value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", provider, diff)
		}
		for _, secret := range []string{pending.State, pending.Nonce, pending.Verifier} {
			if len(secret) != 43 {
				t.Errorf("%s: %q is not 32 bytes", provider, secret)
			}
		}
		if pending.StartedAt == 0 || pending.RedirectURI != testRedirect || pending.MaxAge {
			t.Errorf("%s: %+v", provider, pending)
		}
	}
	for provider, want := range map[string]string{"openid": OpenID, "azure": EntraID, "idporten": IDPorten, "": OpenID} {
		w := build(t, newIDP(t), withOpenID(func(c *config.OpenID) { c.Provider = provider }))
		if got := w.client.ProviderName(); got != want {
			t.Errorf("%s: %s", provider, got)
		}
	}
}

// wonderwall.md 1.4.
func TestParametersOfALogin(t *testing.T) {
	t.Parallel()
	configured := func(c *config.OpenID) {
		c.ACRValues, c.UILocales, c.DomainHint, c.ResourceIndicator = "Level4", "nn xx nb", "corp.example", "https://api.example"
	}
	defaults := map[string]string{
		"acr_values": loaHigh, "ui_locales": "nn nb", "domain_hint": "corp.example", "resource": "https://api.example", "prompt": "", "max_age": "", "claims": "",
	}
	for name, tc := range map[string]struct {
		request AuthorizationRequest
		want    map[string]string // beside the defaults
		maxAge  bool
	}{
		"nothing":                {AuthorizationRequest{}, nil, false},
		"level known":            {AuthorizationRequest{Level: "urn:strong"}, map[string]string{"acr_values": "urn:strong"}, false},
		"level by its old name":  {AuthorizationRequest{Level: "Level3"}, map[string]string{"acr_values": loaSubstantial}, false},
		"level unknown":          {AuthorizationRequest{Level: "x&y=z"}, nil, false},
		"locale known":           {AuthorizationRequest{Locale: "nb"}, map[string]string{"ui_locales": "nb"}, false},
		"locale unknown":         {AuthorizationRequest{Locale: "tlh"}, nil, false},
		"prompt login":           {AuthorizationRequest{Prompt: "login"}, map[string]string{"prompt": "login", "max_age": "0"}, true},
		"prompt select_account":  {AuthorizationRequest{Prompt: "select_account"}, map[string]string{"prompt": "select_account"}, false},
		"prompt none impossible": {AuthorizationRequest{Prompt: "none"}, map[string]string{"prompt": "login", "max_age": "0"}, true},
		"domain hint":            {AuthorizationRequest{DomainHint: "a&b=c"}, map[string]string{"domain_hint": "a&b=c"}, false},
		"claims":                 {AuthorizationRequest{Claims: `{"id_token":{}}`}, map[string]string{"claims": `{"id_token":{}}`}, false},
		"claims of nonsense":     {AuthorizationRequest{Claims: `{"id_`}, nil, false},
	} {
		p := newIDP(t)
		p.metadata["acr_values_supported"] = []string{loaSubstantial, loaHigh, "urn:strong"}
		p.metadata["ui_locales_supported"] = []string{"nb", "nn"}
		w := newWorld(t, p, withOpenID(configured))
		pending, query := w.authorize(t, tc.request)
		for param, value := range defaults {
			if changed, ok := tc.want[param]; ok {
				value = changed
			}
			if got := query.Get(param); got != value || query.Has(param) != (value != "") {
				t.Errorf("%s: %s is %q, want %q", name, param, got, value)
			}
		}
		if pending.MaxAge != tc.maxAge || pending.ACR != query.Get("acr_values") {
			t.Errorf("%s: %+v", name, pending)
		}
	}
}

func TestAuthorizationEndpointKeepsItsOwnQuery(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.metadata["authorization_endpoint"] = testIssuer + "/authorize?policy=signin"
	w := newWorld(t, p)
	_, target, err := w.client.Authorize(t.Context(), AuthorizationRequest{RedirectURI: testRedirect})
	must(t, err)
	if !strings.HasPrefix(target, testIssuer+"/authorize?policy=signin&") || strings.Count(target, "?") != 1 {
		t.Error(target)
	}
}

func TestEveryLoginHasSecretsOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newIDP(t))
	seen := map[string]bool{}
	for range 100 {
		pending, _ := w.authorize(t, AuthorizationRequest{})
		for _, s := range []string{pending.State, pending.Nonce, pending.Verifier} {
			if seen[s] {
				t.Fatal("a secret came twice")
			}
			seen[s] = true
		}
	}
}

// wonderwall.md appendix B 4.
func TestPushedRequestShowsTheBrowserTwoParametersOnly(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.clientKey = rsaOnce().Public()
	p.metadata["pushed_authorization_request_endpoint"] = testIssuer + "/par"
	w := newWorld(t, p, withJWK(t, rsaOnce(), map[string]any{"alg": "RS256", "kid": "c"}))
	pending, query := w.authorize(t, AuthorizationRequest{Prompt: "login"})
	if diff := cmp.Diff([]string{"client_id", "request_uri"}, sortedKeys(query)); diff != "" {
		t.Error(diff)
	}
	pushed := p.pushed[query.Get("request_uri")]
	want := []string{
		"client_assertion", "client_assertion_type", "client_id", "code_challenge", "code_challenge_method", "max_age", "nonce", "prompt",
		"redirect_uri", "response_mode", "response_type", "scope", "state",
	}
	if diff := cmp.Diff(want, sortedKeys(pushed)); diff != "" || pushed.Get("state") != pending.State {
		t.Error(diff)
	}
	_, err := w.login(AuthorizationRequest{})
	must(t, err)
}

func TestPushIsTriedAgainWithANewAssertionWhileTheProviderIsInTrouble(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status, times int
		body, retry   string
		calls         int
		ok            bool
		within        time.Duration
	}{
		"503 twice":          {503, 2, "", "", 3, true, time.Second},
		"503 for ever":       {503, 1000, "", "", 0, false, 5 * time.Second},
		"503, come back":     {503, 1, "", "2", 2, true, 3 * time.Second},
		"503, come tomorrow": {503, 1, "", "86400", 1, false, time.Second},
		"429":                {429, 1, "", "1", 1, false, time.Second},
		"400":                {400, 1, `{"error":"invalid_request"}`, "", 1, false, time.Second},
		"401":                {401, 1, `{"error":"invalid_client"}`, "", 1, false, time.Second},
		"nonsense":           {200, 1, "<html>", "", 1, false, time.Second},
		"no reference":       {201, 1, `{"request_uri":""}`, "", 1, false, time.Second},
		"hostile reference":  {201, 1, `{"request_uri":"a b\n"}`, "", 1, false, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newIDP(t)
				p.clientKey = rsaOnce().Public()
				p.metadata["pushed_authorization_request_endpoint"] = testIssuer + "/par"
				w := newWorld(t, p, withJWK(t, rsaOnce(), map[string]any{"alg": "RS256", "kid": "c"}))
				seen := map[string]bool{}
				p.intercept = func(rw http.ResponseWriter, r *http.Request) bool {
					must(t, r.ParseForm())
					if a := r.PostForm.Get("client_assertion"); a == "" || seen[a] {
						t.Error("an assertion came twice or not at all")
					} else {
						seen[a] = true
					}
					if p.count("/par") > tc.times {
						return false
					}
					rw.Header().Set("Retry-After", tc.retry)
					rw.WriteHeader(tc.status)
					_, _ = rw.Write([]byte(tc.body))
					return true
				}
				begun := time.Now()
				_, _, err := w.client.Authorize(t.Context(), AuthorizationRequest{RedirectURI: testRedirect})
				if took := time.Since(begun); (err == nil) != tc.ok || took > tc.within || tc.calls > 0 && p.count("/par") != tc.calls {
					t.Errorf("%v after %v and %d calls", err, took, p.count("/par"))
				}
				trouble, refusal := (*TroubleError)(nil), (*RefusalError)(nil)
				if err != nil && !errors.As(err, &trouble) && (!errors.As(err, &refusal) || !refusal.OurFault()) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestEndSessionURL(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	w := newWorld(t, p)
	for name, tc := range map[string]struct {
		hint  string
		login string
		want  []string
	}{
		"with everything":   {"h.e.y", "hint", []string{"client_id", "id_token_hint", "logout_hint", "post_logout_redirect_uri", "state"}},
		"without a session": {"", "", []string{"client_id", "post_logout_redirect_uri", "state"}},
		"a giant token":     {strings.Repeat("x", 7<<10), "", []string{"client_id", "post_logout_redirect_uri", "state"}},
	} {
		got, err := w.client.EndSessionURL(t.Context(), NewToken(tc.hint), tc.login, "https://app.example/out?a=b", "s")
		must(t, err)
		u, err := url.Parse(got)
		must(t, err)
		if diff := cmp.Diff(tc.want, sortedKeys(u.Query())); diff != "" || u.Query().Get("post_logout_redirect_uri") != "https://app.example/out?a=b" {
			t.Errorf("%s: %s %s", name, diff, got)
		}
	}
	delete(p.metadata, "end_session_endpoint")
	must(t, w.provider.refresh(t.Context()))
	if got, err := w.client.EndSessionURL(t.Context(), Token{}, "", "", ""); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	_, err := build(t, newIDP(t), withProvider(func(c *ProviderConfig) { c.Name = "down" })).client.EndSessionURL(canceled(t), Token{}, "", "", "")
	wantTrouble(t, err, "down")
}
