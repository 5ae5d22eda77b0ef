package devidp_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/oidc/devidp"
)

func TestAppTokenSaysWhatARealOneDoes(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	a := w.token(withAssertion(appForm(), w.assertion(nil)))
	now := float64(w.clock().Unix())
	claims := w.verified(w.good(a))
	if claims["sub"] != claims["oid"] || len(claims["oid"].(string)) != 36 {
		t.Errorf("service principal: oid %v, sub %v", claims["oid"], claims["sub"])
	}
	if diff := cmp.Diff(map[string]any{
		"iss": w.issuer(), "aud": apiID, "tid": devidp.DefaultTenantID, "ver": "2.0", "iat": now, "nbf": now, "exp": now + 4500, "idtyp": "app",
		"azp": clientID, "azp_name": appName, "azpacr": "2", "roles": []any{"access_as_application", "orders.write"},
	}, dropped(t, claims, "sub", "oid", "uti", "rh", "aio")); diff != "" {
		t.Errorf("claims:\n%s", diff)
	}
	delete(a.body, "access_token")
	if diff := cmp.Diff(map[string]any{"token_type": "Bearer", "expires_in": 4500.0, "ext_expires_in": 4500.0}, a.body); diff != "" {
		t.Errorf("answer:\n%s", diff)
	}
	if got := w.verified(w.good(w.token(appForm()))); got["azpacr"] != "1" {
		t.Errorf("by secret: azpacr %v", got["azpacr"])
	}
}

func TestAppNamesItsTargetInAnyForm(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	for _, scope := range []string{apiID + "/.default", "api://" + apiID + "/.default", "api://dev-gcp.team-c.api/.default"} {
		if got := w.verified(w.good(w.token(appForm("scope", scope)))); got["aud"] != apiID {
			t.Errorf("%s: aud %v", scope, got["aud"])
		}
	}
	graph := part(t, w.good(w.token(appForm("scope", "https://graph.microsoft.com/.default"))), 1)
	if graph["idtyp"] != "app" || graph["roles"] != nil || graph["aud"] != "00000003-0000-0000-c000-000000000000" {
		t.Errorf("Graph: %v", graph)
	}
}

func TestRolesAreForPreAuthorizedApps(t *testing.T) {
	t.Parallel()
	stranger := []string{"client_id", otherID, "client_secret", secret + "2"}
	itself := []string{"client_id", apiID, "client_secret", secret + "3"}
	for name, c := range map[string]struct {
		change func(*devidp.ClientConfig)
		caller []string
		roles  string
		aadsts int
	}{
		"by name":                     {func(*devidp.ClientConfig) {}, nil, "access_as_application orders.write", 0},
		"by id":                       {func(c *devidp.ClientConfig) { c.PreAuthorized = []string{otherID} }, stranger, "access_as_application orders.write", 0},
		"the app itself":              {func(*devidp.ClientConfig) {}, itself, "access_as_application orders.write", 0},
		"a stranger":                  {func(*devidp.ClientConfig) {}, stranger, "<nil>", 0},
		"nobody is named":             {func(c *devidp.ClientConfig) { c.PreAuthorized = nil }, nil, "<nil>", 0},
		"assignment, pre-authorised":  {func(c *devidp.ClientConfig) { c.RequireAssignment = true }, nil, "access_as_application orders.write", 0},
		"assignment, a stranger":      {func(c *devidp.ClientConfig) { c.RequireAssignment = true }, stranger, "", 501051},
		"assignment, the app itself":  {func(c *devidp.ClientConfig) { c.RequireAssignment = true }, itself, "access_as_application orders.write", 0},
		"no roles of its own":         {func(c *devidp.ClientConfig) { c.Roles = nil }, nil, "access_as_application", 0},
		"the default role named also": {func(c *devidp.ClientConfig) { c.Roles = []string{"access_as_application"} }, nil, "access_as_application", 0},
	} {
		w := newApps(t, api(c.change))
		a := w.token(appForm(c.caller...))
		if a.code() != c.aadsts {
			t.Errorf("%s: %d %v", name, a.status, a.body)
			continue
		}
		if c.aadsts != 0 {
			if a.status != http.StatusBadRequest || a.text("error") != "invalid_grant" {
				t.Errorf("%s: %d %v", name, a.status, a.body)
			}
			continue
		}
		if got := list(w.verified(w.good(a))["roles"]); got != c.roles {
			t.Errorf("%s: roles %v", name, got)
		}
	}
}

func TestAppTokenRefusals(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	for name, c := range map[string]struct {
		form   url.Values
		status int
		code   string
		aadsts int
	}{
		"no scope":              {appForm("scope", ""), 400, "invalid_request", 900144},
		"a permission":          {appForm("scope", "api://"+apiID+"/orders.read"), 400, "invalid_scope", 1002012},
		"a bare word":           {appForm("scope", "default"), 400, "invalid_scope", 1002012},
		"an OpenID word":        {appForm("scope", "openid api://"+apiID+"/.default"), 400, "invalid_scope", 1002012},
		".default of nothing":   {appForm("scope", "/.default"), 400, "invalid_scope", 1002012},
		"two resources":         {appForm("scope", apiID+"/.default "+clientID+"/.default"), 400, "invalid_request", 28000},
		"an unknown app":        {appForm("scope", "api://nobody/.default"), 400, "invalid_resource", 500011},
		"an unknown name":       {appForm("scope", "api://dev-gcp.team-c.app/.default"), 400, "invalid_resource", 500011},
		"a name without api://": {appForm("scope", "dev-gcp.team-c.api/.default"), 400, "invalid_resource", 500011},
		"a name with colons":    {appForm("scope", apiName+"/.default"), 400, "invalid_resource", 500011},
		"forbidden characters":  {appForm("scope", `api://"/.default`), 400, "invalid_scope", 70011},
		"wrong secret":          {appForm("client_secret", "wrong"), 401, "invalid_client", 7000215},
		"an unknown client":     {appForm("client_id", "nobody"), 400, "unauthorized_client", 700016},
	} {
		a := w.token(c.form)
		if a.status != c.status || a.text("error") != c.code || a.code() != c.aadsts {
			t.Errorf("%s: %d %s %d, want %d %s %d", name, a.status, a.text("error"), a.code(), c.status, c.code, c.aadsts)
		}
		for _, member := range []string{"error_description", "timestamp", "trace_id", "correlation_id"} {
			if a.text(member) == "" {
				t.Errorf("%s: no %s", name, member)
			}
		}
	}
	fromPage := func(r *http.Request) { r.Header.Set("Origin", "http://app.localhost") }
	if a := w.token(appForm(), fromPage); a.code() != 9002326 {
		t.Errorf("from a web page: %v", a.body)
	}
	if a := w.postTo(w.srv.URL+"/idporten/token", appForm()); a.text("error") != "unsupported_grant_type" {
		t.Errorf("at ID-porten: %v", a.body)
	}
}
