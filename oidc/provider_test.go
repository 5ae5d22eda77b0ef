package oidc

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/config"
)

// down makes a path answer with a status; 0 is a refused connection.
func (p *idp) down(path string, status int) {
	p.set(func() {
		p.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, path) {
				return false
			}
			w.WriteHeader(status)
			return true
		}
	})
}

func (p *idp) up() { p.set(func() { p.intercept = nil }) }

func TestProviderThatIsDownAtStartIsTriedAtLeastEvery5sUntilItIsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		p.down("/", http.StatusServiceUnavailable)
		w := build(t, p)
		go w.provider.Run(t.Context())

		begun := time.Now()
		_, err := w.provider.Metadata(t.Context())
		e := wantTrouble(t, err, "metadata_unreachable")
		if !errors.Is(err, ErrNotReady) || e.RetryAfter <= 0 {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(begun); waited > firstWait {
			t.Errorf("a request waited %v", waited)
		}
		if h := w.provider.Health(); h.Ready || h.Degraded || h.Reason != "metadata_unreachable" || w.provider.Ready() == nil {
			t.Errorf("health %+v", h)
		}
		time.Sleep(10 * time.Second)
		for range 20 {
			before := p.count("/.well-known/openid-configuration")
			time.Sleep(5 * time.Second)
			if after := p.count("/.well-known/openid-configuration"); after-before < 1 || after-before > 2 {
				t.Fatalf("%d attempts in 5 s", after-before)
			}
		}
		begun = time.Now()
		if _, err = w.provider.Metadata(t.Context()); err == nil || time.Since(begun) > 0 {
			t.Errorf("after the first fetches failed nobody waits: %v, %v", err, time.Since(begun))
		}
		p.up()
		time.Sleep(5 * time.Second)
		must(t, w.provider.Ready())
		if h := w.provider.Health(); !h.Ready || h.Degraded || h.Reason != "" {
			t.Errorf("health %+v", h)
		}
		_, err = w.login(AuthorizationRequest{})
		must(t, err)
	})
}

func TestRequestsWaitForTheFirstFetchUpTo2s(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		slow  time.Duration
		ready bool
	}{"fast enough": {1500 * time.Millisecond, true}, "too slow": {4 * time.Second, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newIDP(t)
				p.intercept = func(_ http.ResponseWriter, r *http.Request) bool { pause(r.Context(), tc.slow/2); return false }
				w := build(t, p)
				go w.provider.Run(t.Context())
				begun := time.Now()
				_, err := w.provider.Metadata(t.Context())
				if (err == nil) != tc.ready || time.Since(begun) > firstWait {
					t.Errorf("%v after %v", err, time.Since(begun))
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if _, err := w.provider.Metadata(ctx); !tc.ready && !errors.Is(err, context.Canceled) {
					t.Errorf("a client that went away: %v", err)
				}
			})
		})
	}
}

// S-50 and S-41: what of metadata is refused, with the code that operators see; peers.md 62 (nothing validates, nothing crashes).
func TestS50MetadataIsHeldToItsAddress(t *testing.T) {
	t.Parallel()
	const wellKnown = "/.well-known/openid-configuration"
	entra := "https://login.example/" + testTenant + "/v2.0"
	type change = map[string]any
	for name, tc := range map[string]struct {
		wellKnown string
		change    change
		config    func(*ProviderConfig)
		reason    string // empty: accepted
	}{
		"as it should be":                     {testIssuer + wellKnown, nil, nil, ""},
		"issuer with one slash more":          {testIssuer + wellKnown, change{"issuer": testIssuer + "/"}, nil, ""},
		"issuer with two slashes more":        {testIssuer + wellKnown, change{"issuer": testIssuer + "//"}, nil, "issuer_mismatch"},
		"another issuer":                      {testIssuer + wellKnown, change{"issuer": "https://evil.example"}, nil, "issuer_mismatch"},
		"no issuer":                           {testIssuer + wellKnown, change{"issuer": nil}, nil, "issuer_mismatch"},
		"query at the address":                {testIssuer + wellKnown + "?appid=x", nil, nil, ""},
		"RFC 8414 suffix":                     {testIssuer + "/.well-known/oauth-authorization-server", nil, nil, ""},
		"RFC 8414 inserted":                   {testIssuer + "/.well-known/oauth-authorization-server/t1", change{"issuer": testIssuer + "/t1"}, nil, ""},
		"configured issuer":                   {testIssuer + wellKnown, nil, func(c *ProviderConfig) { c.Issuer = testIssuer }, ""},
		"configured issuer, another comes":    {testIssuer + wellKnown, nil, func(c *ProviderConfig) { c.Issuer = testIssuer + "/" }, "issuer_mismatch"},
		"tenant in the address and issuer":    {entra + wellKnown, change{"issuer": entra}, nil, ""},
		"domain in the address":               {"https://login.example/corp.example/v2.0" + wellKnown, change{"issuer": entra}, nil, "issuer_mismatch"},
		"many tenants, none allowed":          {"https://login.example/common/v2.0" + wellKnown, change{"issuer": "https://login.example/{tenantid}/v2.0"}, nil, "tenants_missing"},
		"many tenants, some allowed":          {"https://login.example/organizations/v2.0" + wellKnown, change{"issuer": "https://login.example/{tenantid}/v2.0"}, func(c *ProviderConfig) { c.Tenants = []string{testTenant} }, ""},
		"many tenants of another host":        {"https://login.example/common/v2.0" + wellKnown, change{"issuer": "https://evil.example/{tenantid}/v2.0"}, func(c *ProviderConfig) { c.Tenants = []string{testTenant} }, "issuer_mismatch"},
		"keys over http":                      {testIssuer + wellKnown, change{"jwks_uri": "http://idp.example/jwks"}, nil, "endpoint_insecure"},
		"keys on our own loopback":            {testIssuer + wellKnown, change{"jwks_uri": "http://127.0.0.1/jwks"}, nil, "endpoint_insecure"},
		"token endpoint over http":            {testIssuer + wellKnown, change{"token_endpoint": "http://idp.example/token"}, nil, "endpoint_insecure"},
		"authorization endpoint a script":     {testIssuer + wellKnown, change{"authorization_endpoint": "javascript:alert(1)"}, nil, "endpoint_insecure"},
		"end session endpoint over http":      {testIssuer + wellKnown, change{"end_session_endpoint": "http://idp.example/out"}, nil, "endpoint_insecure"},
		"PAR endpoint with a user":            {testIssuer + wellKnown, change{"pushed_authorization_request_endpoint": "https://u:p@idp.example/par"}, nil, "endpoint_insecure"},
		"endpoint with a fragment":            {testIssuer + wellKnown, change{"authorization_endpoint": "https://idp.example/a#b"}, nil, "endpoint_insecure"},
		"http where it is allowed":            {testIssuer + wellKnown, change{"token_endpoint": "http://idp.example/token"}, func(c *ProviderConfig) { c.AllowHTTP = true }, ""},
		"http on loopback":                    {"http://idp.localhost:9" + wellKnown, change{"issuer": "http://idp.localhost:9", "jwks_uri": "http://[::1]:9/jwks", "token_endpoint": "http://127.9.9.9/t"}, nil, ""},
		"explicit keys win":                   {testIssuer + wellKnown, change{"jwks_uri": "http://evil.example/jwks"}, func(c *ProviderConfig) { c.JWKSURI = testIssuer + "/jwks" }, ""},
		"no keys":                             {testIssuer + wellKnown, change{"jwks_uri": nil}, nil, "metadata_invalid"},
		"wrong type":                          {testIssuer + wellKnown, change{"token_endpoint": 5}, nil, "metadata_invalid"},
		"S-41 test provider":                  {testIssuer + wellKnown, change{"postern_test_provider": true}, nil, "test_provider_refused"},
		"S-41 test provider where it may be":  {testIssuer + wellKnown, change{"postern_test_provider": true}, func(c *ProviderConfig) { c.AllowTestProvider = true }, ""},
		"S-41 a provider that says it is not": {testIssuer + wellKnown, change{"postern_test_provider": false}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			for k, v := range tc.change {
				p.metadata[k] = v
				if v == nil {
					delete(p.metadata, k)
				}
			}
			p.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/.well-known/") {
					r.URL.Path = wellKnown // whatever the address, this document
				}
				return false
			}
			w := build(t, p, withProvider(func(c *ProviderConfig) {
				c.WellKnownURL = tc.wellKnown
				if tc.config != nil {
					tc.config(c)
				}
			}))
			err := w.provider.refresh(t.Context())
			w.provider.note(err)
			if h := w.provider.Health(); h.Reason != tc.reason || h.Ready != (tc.reason == "") {
				t.Errorf("health %+v (%v), want reason %q", h, err, tc.reason)
			}
		})
	}
}

func TestS50RedirectOfMetadataIsRefused(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/elsewhere" {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "https://evil.example/elsewhere", http.StatusFound)
		return true
	}
	w := build(t, p)
	if err := w.provider.refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "redirects are refused") {
		t.Errorf("got %v", err)
	}
}

func TestMetadataOfNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "null", "[]", "<html>", `"x"`, `{"issuer":[]}`, strings.Repeat("[", 1<<19), strings.Repeat(" ", maxBody+1) + "{}"} {
		p := newIDP(t)
		p.intercept = func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write([]byte(body)); return true }
		w := build(t, p)
		err := w.provider.refresh(t.Context())
		w.provider.note(err)
		if h := w.provider.Health(); err == nil || h.Ready || !strings.HasPrefix(h.Reason, "metadata_") {
			t.Errorf("%.10q: %v, %+v", body, err, h)
		}
	}
}

func TestProviderByExplicitEndpointsNeedsNoMetadata(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	w := newWorld(t, p, withProvider(func(c *ProviderConfig) {
		c.WellKnownURL, c.Issuer, c.JWKSURI, c.TokenEndpoint = "", testIssuer, testIssuer+"/jwks", testIssuer+"/token"
	}))
	must(t, w.provider.Ready())
	_, _, err := w.client.Authorize(t.Context(), AuthorizationRequest{RedirectURI: testRedirect})
	wantTrouble(t, err, "no authorization endpoint")
}

func TestConfigurationThatCannotWorkIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  ProviderConfig
		want string
	}{
		"nothing":                  {ProviderConfig{}, "name is missing"},
		"no address":               {ProviderConfig{Name: "x"}, "well-known URL is missing"},
		"address of another shape": {ProviderConfig{Name: "x", WellKnownURL: "https://idp.example/metadata"}, ".well-known"},
		"http":                     {ProviderConfig{Name: "x", WellKnownURL: "http://idp.example/.well-known/openid-configuration"}, "not https"},
		"keys over http":           {ProviderConfig{Name: "x", Issuer: "i", JWKSURI: "http://idp.example/jwks"}, "JWKS URI is not https"},
		"tenant by name":           {ProviderConfig{Name: "x", Issuer: "i", JWKSURI: "https://idp.example/jwks", Tenants: []string{"corp"}}, "not a GUID"},
		"many tenants, none named": {ProviderConfig{Name: "x", Issuer: "https://l/{tenantid}", JWKSURI: "https://idp.example/jwks"}, "many tenants"},
		"fallback of no signature": {ProviderConfig{Name: "x", Issuer: "i", JWKSURI: "https://idp.example/jwks", FallbackAlg: "HS256"}, "fallback algorithm"},
	} {
		if _, err := NewProvider(tc.cfg, Deps{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

func TestRefreshKeepsTheLastGoodSetOnFailureAndRecoversSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		w := build(t, p)
		go w.provider.Run(t.Context())
		synctest.Wait()
		must(t, w.provider.Ready())
		for _, path := range []string{"/jwks", "/.well-known", "/"} {
			p.down(path, http.StatusInternalServerError)
			time.Sleep(19 * time.Minute)
			h := w.provider.Health()
			if !h.Ready || !h.Degraded || !strings.HasSuffix(h.Reason, "_unreachable") {
				t.Errorf("%s down: health %+v", path, h)
			}
			must(t, w.provider.Ready())
			if path != "/" {
				_, err := w.login(AuthorizationRequest{})
				must(t, err)
			}
			p.up()
			time.Sleep(2 * time.Minute)
			if h := w.provider.Health(); h.Degraded {
				t.Errorf("%s up again: health %+v", path, h)
			}
		}
	})
}

func TestNewMetadataTakeEffectWithoutRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		w := build(t, p)
		go w.provider.Run(t.Context())
		synctest.Wait()
		p.set(func() { p.metadata["end_session_endpoint"] = testIssuer + "/new-logout" })
		time.Sleep(18 * time.Minute)
		got, err := w.client.EndSessionURL(t.Context(), Token{}, "", "", "")
		must(t, err)
		if !strings.HasPrefix(got, testIssuer+"/new-logout?") {
			t.Error(got)
		}
	})
}

func TestMultiTenantProviderAcceptsNamedTenantsOnly(t *testing.T) {
	t.Parallel()
	const other = "11111111-1ec3-4962-8869-9b5535279d0b"
	template := testIssuer + "/{tenantid}/v2.0"
	for name, tc := range map[string]struct {
		iss, tid, keyIssuer string
		reason              string
	}{
		"an allowed tenant":             {testIssuer + "/" + testTenant + "/v2.0", testTenant, template, ""},
		"a tenant that is not allowed":  {testIssuer + "/" + other + "/v2.0", other, template, "issuer"},
		"tid of one, iss of another":    {testIssuer + "/" + other + "/v2.0", testTenant, template, "issuer"},
		"tid that is no GUID":           {testIssuer + "/x/v2.0", "x", template, "issuer"},
		"the template itself":           {template, "{tenantid}", template, "issuer"},
		"no tid":                        {testIssuer + "/" + testTenant + "/v2.0", "", template, "issuer"},
		"S-34 key of another issuer":    {testIssuer + "/" + testTenant + "/v2.0", testTenant, "https://other.example/{tenantid}/v2.0", "its key belongs"},
		"S-34 key of this tenant":       {testIssuer + "/" + testTenant + "/v2.0", testTenant, testIssuer + "/" + testTenant + "/v2.0", ""},
		"S-34 key of another tenant":    {testIssuer + "/" + testTenant + "/v2.0", testTenant, testIssuer + "/" + other + "/v2.0", "its key belongs"},
		"S-34 key that names no issuer": {testIssuer + "/" + testTenant + "/v2.0", testTenant, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			p.metadata["issuer"] = template
			members := map[string]any{"kid": "k1", "use": "sig", "issuer": tc.keyIssuer}
			if tc.keyIssuer == "" {
				delete(members, "issuer")
			}
			p.published = []string{jwkJSON(t, rsaOnce().Public(), members)}
			p.claims = func(c map[string]any) { c["iss"], c["tid"], c["oid"] = tc.iss, tc.tid, "o" }
			p.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
				r.URL.Path = strings.TrimPrefix(r.URL.Path, "/common/v2.0")
				return false
			}
			w := newWorld(t, p, withProvider(func(c *ProviderConfig) {
				c.WellKnownURL, c.Tenants = testIssuer+"/common/v2.0/.well-known/openid-configuration", []string{strings.ToUpper(testTenant), testTenant}
			}), withOpenID(func(c *config.OpenID) { c.Provider = "azure" }))
			g, err := w.login(AuthorizationRequest{})
			if tc.reason != "" {
				wantInvalid(t, err, tc.reason)
				return
			}
			must(t, err)
			if g.Identity.Tenant() != testTenant || g.Identity.User() != "o" {
				t.Errorf("tenant %q, user %q", g.Identity.Tenant(), g.Identity.User())
			}
		})
	}
}

// peers.md 63: the tenant in the issuer is that of the token.
func TestAdvisoryCVE2025_55241TenantMustBeTheIssuers(t *testing.T) {
	t.Parallel()
	issuer := testIssuer + "/" + testTenant + "/v2.0"
	p := newIDP(t)
	p.metadata["issuer"] = issuer
	p.claims = func(c map[string]any) { c["iss"], c["tid"] = issuer, "11111111-1ec3-4962-8869-9b5535279d0b" }
	w := newWorld(t, p, withProvider(func(c *ProviderConfig) { c.Issuer = issuer }), withOpenID(func(c *config.OpenID) { c.Provider = "azure" }))
	_, err := w.login(AuthorizationRequest{})
	wantInvalid(t, err, "tenant")
}
