package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/oidc/devidp"
)

var (
	caseworker = []string{devidp.GroupCaseworkers}
	admin      = []string{devidp.GroupAdmins}
)

// Who is let in by what, through the built binary: one row per kind of caller.
func TestCallersAreAdmittedByThePolicy(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, nil)
	for _, test := range []struct {
		name, token, method, path string
		status                    int
		code, reason              string // of a refusal
	}{
		{"listed app", a.appToken(t, clientA), "GET", "/x", 200, "", ""},
		{"listed app of another namespace", a.appToken(t, clientB), "GET", "/x", 200, "", ""},
		{"the app itself", a.appToken(t, DevClientID), "GET", "/x", 200, "", ""},
		{"app that is in no rule", a.appToken(t, clientC), "GET", "/x", 403, "insufficient_scope", "app_not_listed"},
		{"app that nobody knows", a.appToken(t, clientUnknown), "GET", "/x", 403, "insufficient_scope", "unknown_app"},
		{"azp_name of a listed app", a.dev.Mint(t, profile("entra-app", "azp", clientUnknown, "azp_name", "dev:team:app-a", "roles", []string{"access_as_application"})), "GET", "/x", 403, "insufficient_scope", "unknown_app"},
		{"app without the default role", a.dev.Mint(t, profile("entra-app", "azp", clientA, "roles", nil)), "GET", "/x", 403, "insufficient_scope", "no_default_role"},
		{"caseworker through a listed app", a.userToken(t, clientA, caseworker), "GET", "/x", 200, "", ""},
		{"caseworker through the app itself", a.userToken(t, DevClientID, caseworker), "GET", "/x", 200, "", ""},
		{"caseworker through a stranger", a.userToken(t, clientC, caseworker), "GET", "/x", 403, "insufficient_scope", "app_not_listed"},
		{"user without the default scope", a.dev.Mint(t, profile("entra-user", "azp", clientA, "groups", caseworker, "scp", "other")), "GET", "/x", 403, "insufficient_scope", "no_default_scope"},
		{"user outside the groups", a.userToken(t, clientA, []string{devidp.GroupApprovers}), "GET", "/x", 403, "insufficient_scope", "not_in_group"},
		{"group by name", a.userToken(t, clientA, []string{"caseworkers"}), "GET", "/x", 403, "insufficient_scope", "not_in_group"},
		{"groups in capitals", a.userToken(t, clientA, []string{strings.ToUpper(devidp.GroupCaseworkers)}), "GET", "/x", 200, "", ""},
		{
			"too many groups for the token", a.dev.Mint(t, profile("entra-user", "azp", clientA, "groups", nil, "_claim_names", map[string]any{"groups": "src1"})),
			"GET", "/x", 403, "insufficient_scope", "groups_unknown",
		},
		{"user whose roles hold the app's", a.dev.Mint(t, profile("entra-user", "azp", clientA, "groups", nil, "roles", []string{"access_as_application"})), "GET", "/x", 403, "insufficient_scope", ""},
		{"TokenX of a listed app", a.tokenX(t), "GET", "/x", 200, "", ""},
		{"TokenX with the level's old name", a.tokenX(t, "acr", "Level4"), "GET", "/x", 200, "", ""},
		{"TokenX of the same app elsewhere", a.tokenX(t, "client_id", "prod:team:app-a"), "GET", "/x", 403, "insufficient_scope", "app_not_listed"},
		{"TokenX of the app itself", a.tokenX(t, "client_id", apiName), "GET", "/x", 403, "insufficient_scope", "app_not_listed"},
		{"TokenX, level too low", a.tokenX(t, "acr", "Level3"), "GET", "/x", 401, "insufficient_user_authentication", "level_too_low"},
		{"TokenX of a person who logged in elsewhere", a.tokenX(t, "idp", "https://fake.example"), "GET", "/x", 401, "invalid_token", "foreign_idp"},
		{"Maskinporten consumer", a.maskinporten(t), "GET", "/x", 200, "", ""},
		{"Maskinporten, another organisation", a.maskinporten(t, "consumer", consumer("974760673")), "GET", "/x", 403, "insufficient_scope", "consumer_not_listed"},
		{"Maskinporten, another ICD", a.maskinporten(t, "consumer", map[string]any{"authority": "iso6523-actorid-upis", "ID": "9908:" + listedOrg}), "GET", "/x", 403, "insufficient_scope", ""},
		{"Maskinporten, supplier is the consumer", a.maskinporten(t, "consumer", consumer("974760673"), "supplier", consumer(listedOrg)), "GET", "/x", 403, "insufficient_scope", ""},
		{"Maskinporten, delegated", a.maskinporten(t, "supplier", consumer("974760673"), "delegation_source", "https://altinn"), "GET", "/x", 403, "insufficient_scope", "delegation_refused"},
		{"Maskinporten, a scope that begins alike", a.maskinporten(t, "scope", "nav:team/orders.readonly"), "GET", "/x", 403, "insufficient_scope", "scope_not_offered"},
		{"ID-porten, our client", a.idporten(t), "GET", "/x", 200, "", ""},
		{"ID-porten, low level", a.idporten(t, "acr", "idporten-loa-substantial"), "GET", "/x", 401, "insufficient_user_authentication", "level_too_low"},
		{"grants: role in token and rule", a.appToken(t, clientB, "orders.write"), "POST", "/orders/1", 200, "", ""},
		{"grants: role in the token alone", a.appToken(t, clientA, "orders.write"), "POST", "/orders/1", 403, "insufficient_scope", "role_not_granted"},
		{"grants: role in the rule alone", a.appToken(t, clientB), "POST", "/orders/1", 403, "insufficient_scope", "role_missing"},
		{"grants: scope in token and rule", a.userToken(t, clientB, caseworker, "orders.write"), "POST", "/orders/1", 200, "", ""},
		{"grants: scope in the token alone", a.userToken(t, clientA, caseworker, "orders.write"), "POST", "/orders/1", 403, "insufficient_scope", "scope_not_granted"},
		{"TokenX has no scopes", a.tokenX(t, "scope", "orders.write", "groups", admin, "NAVident", "Z990001"), "POST", "/orders/1", 403, "insufficient_scope", "kind_not_allowed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := a.reached()
			r := a.call(t, test.method, test.path, test.token)
			if test.status == 200 {
				if r.StatusCode != 200 || Echoed(t, r).Header.Get("X-Postern-Auth") != "bearer" {
					t.Errorf("status %d\n%.300s", r.StatusCode, r.Body)
				}
				return
			}
			body := wantRefusal(t, test.name, r, test.status, test.code)
			if a.reached() != before {
				t.Error("the app was reached")
			}
			line := a.Log.WaitFor(t, map[string]any{"msg": "request", "request_id": body.RequestID})
			if got := fmt.Sprint(line["reason"]); test.reason != "" && got != test.reason {
				t.Errorf("logged reason %s, want %s", got, test.reason)
			}
			if rule, _ := line["rule"].(string); rule == "" && test.reason != "" && test.reason != "unknown_app" && test.reason != "foreign_idp" {
				t.Errorf("no rule in the log line %v", line)
			}
			if strings.Contains(r.Body+r.Header.Get("Www-Authenticate"), test.token[:20]) {
				t.Error("the answer echoes the token")
			}
		})
	}
	if strings.Contains(a.Log.Text(), a.appToken(t, clientA)[:40]) {
		t.Error("a token is in the log")
	}
}

// S-02: ID-porten puts any URI that a client asks for into aud, so the audience binds a token to nobody.
func TestS02IDPortenTokenOfAnotherRelyingParty(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, nil)
	for name, token := range map[string]string{
		"foreign client": a.idporten(t, "client_id", "somebody-else"), "no client": a.idporten(t, "client_id", nil),
	} {
		wantRefusal(t, name, a.call(t, "GET", "/x", token), 401, "invalid_token")
	}
	if a.reached() != 0 {
		t.Error("the app was reached")
	}
	if r := a.call(t, "GET", "/x", a.idporten(t)); r.StatusCode != 200 {
		t.Errorf("our client: status %d", r.StatusCode)
	}
	listed := newAPI(t, strings.Replace(apiPolicy, "idporten: {", "idporten: {clients: [somebody-else], ", 1), nil)
	if r := listed.call(t, "GET", "/x", listed.idporten(t, "client_id", "somebody-else")); r.StatusCode != 200 {
		t.Errorf("listed client: status %d", r.StatusCode)
	}
}

// S-03: without a policy require-auth takes people and no machines.
func TestS03WithoutAPolicyOnlyPeopleAreTaken(t *testing.T) {
	t.Parallel()
	a := newAPI(t, "", nil)
	for name, token := range map[string]string{
		"Maskinporten": a.maskinporten(t, "scope", "skatt:foo"), "app without roles": a.dev.Mint(t, profile("entra-app", "azp", clientA, "roles", []string{})),
		"app with the default role": a.appToken(t, clientA),
	} {
		body := wantRefusal(t, name, a.call(t, "GET", "/x", token), 403, "insufficient_scope")
		if !strings.Contains(body.Description, "policy") {
			t.Errorf("%s: no hint that a policy is needed: %s", name, body.Description)
		}
	}
	for name, token := range map[string]string{
		"user of self": a.userToken(t, DevClientID, nil), "TokenX": a.tokenX(t), "ID-porten": a.idporten(t),
	} {
		if r := a.call(t, "GET", "/x", token); r.StatusCode != 200 {
			t.Errorf("%s: status %d %s", name, r.StatusCode, r.Body)
		}
	}
	wantRefusal(t, "user without the default scope", a.call(t, "GET", "/x", a.dev.Mint(t, profile("entra-user", "azp", clientA, "scp", "x"))), 403, "insufficient_scope")
	if r := a.call(t, "GET", "/x", ""); r.StatusCode != 401 || strings.Contains(r.Header.Get("Www-Authenticate"), "error") {
		t.Errorf("nobody: status %d, %s", r.StatusCode, r.Header.Get("Www-Authenticate"))
	}
}

// S-10, with the very scenarios of its test line.
func TestS10MethodsThatNoRuleNames(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy+`  - {match: "/**", require: {groups: [`+devidp.GroupAdmins+`, `+devidp.GroupCaseworkers+`]}}`, nil)
	outside, inside := a.userToken(t, clientA, caseworker), a.userToken(t, clientA, admin)
	for _, test := range []struct {
		token, path string
		methods     string
		status      int
	}{
		{outside, "/admin/x", "GET HEAD POST", 403},
		{outside, "/admin/x", "PUT PATCH DELETE FOO get", 405},
		{inside, "/admin/x", "GET HEAD POST", 200},
		{inside, "/admin/x", "PUT OPTIONS", 405},
		{outside, "/orders/1", "GET HEAD", 200},
		{outside, "/orders/1", "DELETE PUT", 405},
	} {
		for method := range strings.FieldsSeq(test.methods) {
			r := a.call(t, method, test.path, test.token)
			if r.StatusCode != test.status {
				t.Errorf("%s %s: status %d, want %d", method, test.path, r.StatusCode, test.status)
			}
			if allow := r.Header.Get("Allow"); test.status == 405 && (!strings.Contains(allow, "GET") || !strings.Contains(allow, "POST")) {
				t.Errorf("%s %s: Allow is %q", method, test.path, allow)
			}
		}
	}
}

// S-11: a narrowing rule holds in every spelling that some app folds; a public path is public in one only.
func TestS11NarrowingRulesHoldInEverySpelling(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, nil)
	outside := "Bearer " + a.userToken(t, clientA, caseworker)
	for _, path := range []string{
		"/ADMIN/x", "/admin%2fx", "/%2561dmin/x", "/admin./x", "/admin%20/x", "/admin;a=b/x", "/x/../Admin/x", "/admin%00/x", "/admin//x", "/./admin/x",
		"//admin/x", "/admin\\x", "/public/..;/admin/x", "/public/%2e%2e/admin/x",
	} {
		head := "GET " + path + " HTTP/1.1\r\nHost: " + a.Addr + "\r\nConnection: close\r\nAuthorization: " + outside + "\r\n\r\n"
		if r := parseAnswer(t, Raw(t, a.Addr, head), "GET"); r.StatusCode != 403 && r.StatusCode != 400 {
			t.Errorf("%s: status %d", path, r.StatusCode)
		}
	}
	for path, want := range map[string]int{
		"/public/a": 200, "/PUBLIC/a": 401, "/isalive": 200, "/isalive/": 200, "/ISALIVE": 401, "/public%2f..%2fadmin": 401, "/public/../x": 401,
	} {
		head := "GET " + path + " HTTP/1.1\r\nHost: " + a.Addr + "\r\nConnection: close\r\n\r\n"
		if r := parseAnswer(t, Raw(t, a.Addr, head), "GET"); r.StatusCode != want {
			t.Errorf("nobody at %s: status %d, want %d", path, r.StatusCode, want)
		}
	}
}

// S-14: with a policy, ignored paths of the old proxy are closed.
func TestS14IgnoredPathsAreClosedByAPolicy(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, map[string]string{"POSTERN_AUTO_LOGIN_IGNORE_PATHS": "/api/**"})
	if r := a.call(t, "GET", "/api/x", ""); r.StatusCode != 401 || a.reached() != 0 {
		t.Errorf("status %d", r.StatusCode)
	}
	if !strings.Contains(a.Log.Text(), "/api/**") {
		t.Error("no warning at start names the paths that are closed now")
	}
	open := newAPI(t, "", map[string]string{"POSTERN_AUTO_LOGIN_IGNORE_PATHS": "/api/**", "POSTERN_REQUIRE_AUTH": "", "POSTERN_BEARER_PROVIDERS": "none"})
	if r := open.call(t, "GET", "/api/x", ""); r.StatusCode != 200 {
		t.Errorf("without a policy: status %d", r.StatusCode)
	}
}

// S-15: only who is admitted is introduced to the app.
func TestS15NobodyIsIntroducedWhoWasNotAdmitted(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, nil)
	forged := a.dev.Mint(t, with(profile("entra-app", "azp", clientA), "bad_signature", true))
	for name, token := range map[string]string{"stranger": a.appToken(t, clientC), "forged": forged, "nobody": ""} {
		r := a.call(t, "GET", "/isalive", token, "X-Postern-User", "Z999999")
		if r.StatusCode != 200 {
			t.Fatalf("%s on a public path: status %d", name, r.StatusCode)
		}
		for header := range Echoed(t, r).Header {
			if strings.HasPrefix(header, "X-Postern") || header == "Authorization" {
				t.Errorf("%s: the app was given %s", name, header)
			}
		}
	}
	if got := Echoed(t, a.call(t, "GET", "/isalive", a.appToken(t, clientA))).Header.Get("X-Postern-Client"); got != "dev:team:app-a" {
		t.Errorf("an admitted caller on a public path is introduced as %q", got)
	}
}

// S-15: report mode refuses nothing of the policy, tells the app nothing, and says what it would have done.
func TestS15ReportMode(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, map[string]string{"POSTERN_POLICY_MODE": "report"})
	for name, token := range map[string]string{
		"stranger": a.appToken(t, clientC), "nobody": "", "forged": a.dev.Mint(t, with(profile("entra-app", "azp", clientA), "bad_signature", true)),
	} {
		r := a.call(t, "GET", "/x", token, "X-Postern-User", "Z999999", "X-Request-Id", "report-"+name)
		if r.StatusCode != 200 {
			t.Errorf("%s: status %d", name, r.StatusCode)
			continue
		}
		seen := Echoed(t, r).Header
		for header := range seen {
			if strings.HasPrefix(header, "X-Postern") {
				t.Errorf("%s: the app was given %s", name, header)
			}
		}
		if want := token != ""; (seen.Get("Authorization") == "Bearer "+token) != want {
			t.Errorf("%s: Authorization did not stay as it was", name)
		}
		if line := a.Log.WaitFor(t, map[string]any{"msg": "request", "request_id": "report-" + name}); line["would_refuse"] == nil {
			t.Errorf("%s: not logged as would_refuse: %v", name, line)
		}
	}
	if r := a.call(t, "GET", "/x", a.appToken(t, clientA)); Echoed(t, r).Header.Get("X-Postern-Client") != "dev:team:app-a" {
		t.Error("an admitted caller is not introduced")
	}
	if got := metric(t, a.Process, `postern_would_refuse_total{reason="app_not_listed"}`); got != 1 {
		t.Errorf("counted %v times", got)
	}
	if r := a.call(t, "GET", "/x?access_token=a", ""); r.StatusCode != 200 {
		t.Errorf("a token in the query, which the app may take: status %d", r.StatusCode)
	}
	named := newAPI(t, apiPolicy, map[string]string{"POSTERN_POLICY_MODE": "report", "POSTERN_BEARER_PROVIDERS": "entra_id,idporten"})
	wantRefusal(t, "another relying party's, validation asked for by name", named.call(t, "GET", "/x", named.idporten(t, "client_id", "other")), 401, "invalid_token")
	wantRefusal(t, "forged, validation asked for by name", named.call(t, "GET", "/x", named.dev.Mint(t, with(profile("entra-app"), "bad_signature", true))), 401, "invalid_token")
}

// S-19: what TokenX copied from the login token, and what a further provider calls itself, means nothing.
func TestS19ClaimsCountForTheirProviderOnly(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, map[string]string{"POSTERN_IDENTITY_CLAIMS": "X-Nav=NAVident,X-Grp=groups,X-Level=acr"})
	seen := Echoed(t, a.call(t, "GET", "/x", a.tokenX(t, "NAVident", "Z990001", "groups", admin, "scope", "orders.write", "consumer", consumer(listedOrg), "roles", []string{"r"}))).Header
	for _, header := range []string{"X-Postern-Groups", "X-Postern-Scopes", "X-Postern-Roles", "X-Postern-Organization", "X-Nav", "X-Grp"} {
		if seen.Get(header) != "" {
			t.Errorf("%s is %q", header, seen.Get(header))
		}
	}
	if seen.Get("X-Postern-User") == "Z990001" {
		t.Error("a citizen is introduced as an employee")
	}
	if seen.Get("X-Level") != "idporten-loa-high" {
		t.Error("a claim of TokenX' own is missing")
	}
	employee := Echoed(t, a.call(t, "GET", "/x", a.dev.Mint(t, profile("entra-user", "azp", clientA, "groups", caseworker, "scp", "defaultaccess", "NAVident", "Z990001")))).Header
	if employee.Get("X-Nav") != "Z990001" {
		t.Error("a claim of Entra ID is missing")
	}
	email := Echoed(t, a.call(t, "GET", "/x", a.dev.Mint(t, profile("entra-user", "azp", clientA, "groups", caseworker, "scp", "defaultaccess", "email", "a@b.example")))).Header
	if email.Get("X-Postern-Email") != "" {
		t.Error("an e-mail address that nobody vouches for")
	}
}

// S-25: a policy that does not parse as meant does not load; on reload the old one stays.
func TestS25BrokenPolicyDoesNotLoad(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"unknown key":       strings.Replace(apiPolicy, "require:", "reqire:", 1),
		"method":            strings.Replace(apiPolicy, "methods:", "method:", 1),
		"group":             strings.Replace(apiPolicy, "require: {groups:", "require: {group:", 1),
		"empty":             "",
		"comment":           "# nothing\n",
		"another kind":      "apiVersion: v1\nkind: ConfigMap\n",
		"neither":           apiPolicy + "  - {match: \"/x\"}\n",
		"both":              apiPolicy + "  - {match: \"/x\", public: true, require: {kind: app}}\n",
		"twice":             apiPolicy + "---\napiVersion: postern/v1\nusers: {allowAll: true}\n",
		"another app's":     strings.Replace(apiPolicy, "name: api", "name: other", 1),
		"not YAML":          "a: [b\n",
		"two documents bad": apiPolicy + "---\napiVersion: postern/v1\npathss: []\n",
	} {
		a := prepareAPI(t, apiPolicy, nil)
		writeFile(t, a.policy, text)
		p := Launch(t, a.env)
		if code := p.Wait(t); code != 2 {
			t.Errorf("%s: exit status %d\n%s", name, code, p.Log.Text())
		}
	}
	a := newAPI(t, apiPolicy, nil)
	stranger := a.appToken(t, clientC)
	writeFile(t, a.policy, strings.Replace(apiPolicy, "require:", "reqire:", 1)+"\n# and changed\n")
	Eventually(t, "waiting for the refused policy to be seen", func() error {
		if metric(t, a.Process, "postern_policy_refused") != 1 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	wantRefusal(t, "stranger", a.call(t, "GET", "/x", stranger), 403, "insufficient_scope")
	if r := a.call(t, "GET", "/x", a.appToken(t, clientA)); r.StatusCode != 200 {
		t.Errorf("listed app under the old policy: status %d", r.StatusCode)
	}
	if ready := NewClient(t).Get("http://" + a.ProbeAddr + "/readyz"); ready.StatusCode != 200 || !strings.Contains(ready.Body, "policy") {
		t.Errorf("/readyz: %d %s", ready.StatusCode, ready.Body)
	}
	writeFile(t, a.policy, strings.Replace(apiPolicy, "- application: app-a", "- application: app-a\n    - application: app-c", 1))
	Eventually(t, "waiting for the new policy", func() error {
		if r := a.call(t, "GET", "/x", stranger); r.StatusCode != 200 {
			return fmt.Errorf("status %d", r.StatusCode)
		}
		return nil
	})
	if metric(t, a.Process, "postern_policy_refused") != 0 {
		t.Error("the metric still says that a policy is refused")
	}
}

// A policy needs nobody to vouch for callers: its public paths are open, and nothing else is.
func TestPolicyAloneOpensItsPublicPathsOnly(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/policy.yaml"
	writeFile(t, file, "apiVersion: postern/v1\npaths:\n  - {match: /open/**, methods: [GET], public: true}\n")
	p := Start(t, map[string]string{"POSTERN_UPSTREAM_HOST": App(t, nil).Addr, "POSTERN_POLICY_FILE": file})
	for target, want := range map[string]int{"GET /open/a": 200, "GET /x": 401, "POST /open/a": 405} {
		method, path, _ := strings.Cut(target, " ")
		if r := NewClient(t).Send(method, p.URL()+path, ""); r.StatusCode != want {
			t.Errorf("%s: status %d, want %d", target, r.StatusCode, want)
		}
	}
}

// S-46: an Entra ID of many tenants brings the tokens of those that the policy names.
func TestS46TenantsOfThePolicy(t *testing.T) {
	t.Parallel()
	const other = "11111111-2222-4333-8444-555555555555"
	a := prepareAPI(t, strings.Replace(apiPolicy, "users:", "entra: {tenants: ["+devTenant+"]}\nusers:", 1), map[string]string{"AZURE_APP_TENANT_ID": "", "AZURE_APP_WELL_KNOWN_URL": ""})
	issuer := strings.Replace(a.dev.Issuer, devTenant, "{tenantid}", 1)
	a.env["AZURE_OPENID_CONFIG_ISSUER"] = issuer
	a.env["AZURE_OPENID_CONFIG_JWKS_URI"] = strings.Replace(a.dev.Issuer, "/v2.0", "/discovery/v2.0/keys", 1)
	a.env["AZURE_OPENID_CONFIG_TOKEN_ENDPOINT"] = strings.Replace(a.dev.Issuer, "/v2.0", "/oauth2/v2.0/token", 1)
	a.Process = Start(t, a.env)
	if r := a.call(t, "GET", "/x", a.appToken(t, clientA)); r.StatusCode != 200 {
		t.Errorf("a tenant of the policy: status %d %s", r.StatusCode, r.Body)
	}
	foreign := a.dev.Mint(t, profile("entra-app", "azp", clientA, "roles", []string{"access_as_application"}, "tid", other, "iss", strings.Replace(issuer, "{tenantid}", other, 1)))
	wantRefusal(t, "another tenant", a.call(t, "GET", "/x", foreign), 401, "invalid_token")
}

// A file of two documents: the rule of the second applies.
func TestS25EveryDocumentOfAFileIsRead(t *testing.T) {
	t.Parallel()
	head, paths, _ := strings.Cut(apiPolicy, "paths:")
	a := newAPI(t, head+"---\napiVersion: postern/v1\npaths:"+paths, nil)
	wantRefusal(t, "admin", a.call(t, "GET", "/admin/x", a.userToken(t, clientA, caseworker)), 403, "insufficient_scope")
}

// S-40: a preflight and nothing else passes, without anything that says who asks.
func TestS40PreflightsPassWhereTheyMay(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, map[string]string{"POSTERN_AUTH_SKIP_PREFLIGHT": "true"})
	preflight := []string{"Origin", "https://front.example", "Access-Control-Request-Method", "POST", "Cookie", "a=b", "Authorization", "Bearer x"}
	r := a.call(t, "OPTIONS", "/orders/1", "", preflight...)
	if r.StatusCode != 200 {
		t.Fatalf("preflight: status %d", r.StatusCode)
	}
	if seen := Echoed(t, r).Header; seen.Get("Authorization")+seen.Get("Cookie") != "" {
		t.Errorf("the app was given %v", seen)
	}
	for name, headers := range map[string][]string{"no origin": preflight[2:4], "no method": preflight[:2]} {
		if r := a.call(t, "OPTIONS", "/x", "", headers...); r.StatusCode != 401 {
			t.Errorf("%s: status %d", name, r.StatusCode)
		}
	}
	off := newAPI(t, apiPolicy, nil)
	if r := off.call(t, "OPTIONS", "/x", "", preflight[:4]...); r.StatusCode != 401 {
		t.Errorf("preflight where they do not pass: status %d", r.StatusCode)
	}
}

// S-46: what only the own document can say.
func TestS46VocabularyOfTheOwnDocument(t *testing.T) {
	t.Parallel()
	a := newAPI(t, `
apiVersion: postern/v1
app: {cluster: dev, namespace: team, name: api}
inbound: {rules: [{application: app-a}]}
users: {allowAll: true}
entra: {defaultScope: user_impersonation, defaultRole: Call.All}
tokenx: {idps: ["https://fake.example"]}
maskinporten:
  audience: https://api.example.org
  scopes:
    - {name: "nav:a", consumers: ["`+listedOrg+`"]}
    - {name: "nav:open", accessibleForAll: true, delegationSource: "https://altinn"}
`, nil)
	other := consumer("974760673")
	for name, test := range map[string]struct {
		token  string
		status int
	}{
		"default scope of their own":        {a.dev.Mint(t, profile("entra-user", "azp", clientA, "scp", "user_impersonation")), 200},
		"Nais' default scope":               {a.userToken(t, clientA, nil), 403},
		"default role of their own":         {a.dev.Mint(t, profile("entra-app", "azp", clientA, "roles", []string{"Call.All"})), 200},
		"another idp":                       {a.tokenX(t, "idp", "https://fake.example"), 200},
		"an idp that is not listed":         {a.tokenX(t, "idp", "https://third.example"), 401},
		"audience":                          {a.maskinporten(t, "scope", "nav:a", "aud", "https://api.example.org"), 200},
		"no audience":                       {a.maskinporten(t, "scope", "nav:a", "aud", nil), 401},
		"audience unspecified":              {a.maskinporten(t, "scope", "nav:a", "aud", "unspecified"), 401},
		"open to all":                       {a.maskinporten(t, "scope", "nav:open", "aud", "https://api.example.org", "consumer", other), 200},
		"scope and consumer of two entries": {a.maskinporten(t, "scope", "nav:a", "aud", "https://api.example.org", "consumer", other), 403},
		"delegated":                         {a.maskinporten(t, "scope", "nav:open", "aud", "https://api.example.org", "supplier", other, "delegation_source", "https://altinn"), 200},
		"delegated elsewhere":               {a.maskinporten(t, "scope", "nav:open", "aud", "https://api.example.org", "supplier", other, "delegation_source", "https://x"), 403},
		"no idporten part":                  {a.idporten(t), 403},
	} {
		if r := a.call(t, "GET", "/x", test.token); r.StatusCode != test.status {
			t.Errorf("%s: status %d, want %d %s", name, r.StatusCode, test.status, r.Body)
		}
	}
}

// A signed-in user outside the groups gets a page that says so and offers another account; the same policy decides for sessions.
func TestPolicyDecidesForSessionsToo(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/policy.yaml"
	writeFile(t, file, `
apiVersion: postern/v1
app: {cluster: dev, namespace: team, name: api}
users: {groups: [`+devidp.GroupCaseworkers+`]}
paths:
  - {match: "/isalive", public: true}
  - {match: "/approve/**", require: {groups: [`+devidp.GroupApprovers+`]}}
`)
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_POLICY_FILE": file, "POSTERN_AUTO_LOGIN": "true"}})
	kari, siri := NewClient(t), NewClient(t)
	w.login(t, siri, "siri", "")
	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 3})
	w.login(t, kari, "kari", "")
	if got := w.get(t, kari, "/x").Header.Get("X-Postern-User"); got != "Z990001" {
		t.Errorf("caseworker is introduced as %q", got)
	}
	page := siri.Navigate(w.ingress + "/x?y=1")
	if page.StatusCode != 403 || !strings.Contains(page.Body, "prompt=select_account") || !strings.Contains(page.Body, "redirect=%2Fx%3Fy%3D1") {
		t.Errorf("user outside the groups: %d\n%s", page.StatusCode, page.Body)
	}
	wantRefusal(t, "the same by a script", siri.Get(w.ingress+"/x"), 403, "insufficient_scope")
	if seen := w.get(t, siri, "/isalive").Header; seen.Get("X-Postern-User")+seen.Get("Authorization") != "" {
		t.Error("somebody who is not admitted is introduced on a public path")
	}
	wantRefusal(t, "caseworker who may not approve", kari.Get(w.ingress+"/approve/1"), 403, "insufficient_scope")
	if r := NewClient(t).Navigate(w.ingress + "/x"); r.StatusCode != 302 {
		t.Errorf("nobody: status %d", r.StatusCode)
	}
	w.dev.Dev(t, "groups", map[string]any{"user": "kari", "groups": []string{}}) // known here with the next refresh
	Eventually(t, "waiting for a refresh", func() error {
		if r := kari.Get(w.ingress + "/x"); r.StatusCode != 403 {
			return fmt.Errorf("status %d", r.StatusCode)
		}
		return nil
	})
}

// Hot reload follows a symlink swap, as ConfigMaps are updated.
func TestPolicyReloadsThroughASymlinkSwap(t *testing.T) {
	t.Parallel()
	m := newConfigMap(t, "policy.yaml", strings.Replace(apiPolicy, "- application: app-a", "- application: app-z", 1))
	a := prepareAPI(t, apiPolicy, nil)
	a.env["POSTERN_POLICY_FILE"] = m.dir
	a.Process = Start(t, a.env)
	token := a.appToken(t, clientA)
	wantRefusal(t, "before", a.call(t, "GET", "/x", token), 403, "insufficient_scope")
	m.swap(t, "policy.yaml", apiPolicy)
	began := time.Now()
	Eventually(t, "waiting for the new policy", func() error {
		if r := a.call(t, "GET", "/x", token); r.StatusCode != 200 {
			return fmt.Errorf("status %d after %s", r.StatusCode, time.Since(began))
		}
		return nil
	})
}
