package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Tokens that are none for this API, whatever their policy would say: one row per deny vector of tokens.md 6.5 and advisory of peers.md 2.6.
func TestTokensThatAreNotAccepted(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, nil)
	app := func(pairs ...any) map[string]any {
		return profile("entra-app", append([]any{"azp", clientA, "roles", []string{"access_as_application"}}, pairs...)...)
	}
	good := a.dev.Mint(t, app())
	if r := a.call(t, "GET", "/x", good); r.StatusCode != 200 {
		t.Fatalf("the token that the others are made of: status %d %s", r.StatusCode, r.Body)
	}
	// The first unknown key id is looked for at once; another one may be held back after it (S-34).
	wantRefusal(t, "key of another provider", a.call(t, "GET", "/x", a.dev.Mint(t, with(app(), "key", "tokenx"))), 401, "invalid_token")
	if a.reached() != 1 {
		t.Error("key of another provider: the app was reached")
	}
	body, signature := good[:strings.LastIndexByte(good, '.')+1], good[strings.LastIndexByte(good, '.')+1:]
	flipped := []byte(signature)
	flipped[10] ^= 1
	for name, token := range map[string]string{
		"id token as access token":                        a.dev.Mint(t, profile("entra-id-token")),
		"id token that calls itself an app's":             a.dev.Mint(t, profile("entra-id-token", "idtyp", "app", "azp", clientA, "roles", []string{"access_as_application"})),
		"neither idtyp nor scp":                           a.dev.Mint(t, app("idtyp", nil)),
		"idtyp app and scp":                               a.dev.Mint(t, app("scp", "defaultaccess")),
		"version 1":                                       a.dev.Mint(t, app("ver", "1.0")),
		"no expiry (GO-2026-5391)":                        a.dev.Mint(t, app("exp", nil)),
		"expired 61 s ago":                                a.dev.Mint(t, with(app(), "exp_in", -61)),
		"not valid for another 70 s":                      a.dev.Mint(t, with(app(), "nbf_in", 70)),
		"issued in the future":                            a.dev.Mint(t, with(app(), "iat_in", 70)),
		"issuer with a slash more":                        a.dev.Mint(t, app("iss", a.dev.Issuer+"/")),
		"issuer that nobody knows":                        a.dev.Mint(t, app("iss", "https://evil.example")),
		"issuer of version 1 (CVE-2025-55241)":            a.dev.Mint(t, app("iss", "https://sts.windows.net/"+devTenant+"/")),
		"another tenant":                                  a.dev.Mint(t, app("tid", "11111111-2222-4333-8444-555555555555")),
		"another audience":                                a.dev.Mint(t, app("aud", "somebody-else")),
		"no audience (GO-2026-5391)":                      a.dev.Mint(t, app("aud", nil)),
		"empty audiences (CVE-2020-26160)":                a.dev.Mint(t, app("aud", []string{})),
		"audience that is a number (CVE-2020-26160)":      a.dev.Mint(t, app("aud", 7)),
		"audience in a list in a list":                    a.dev.Mint(t, app("aud", [][]string{{DevClientID}})),
		"Graph's audience":                                a.dev.Mint(t, app("aud", "00000003-0000-0000-c000-000000000000")),
		"alg none (CVE-2016-9123)":                        a.dev.Mint(t, with(app(), "alg", "none")),
		"HMAC with the public key":                        a.dev.Mint(t, with(app(), "alg", "HS256")),
		"RS384, which nobody configured":                  a.dev.Mint(t, with(app(), "alg", "RS384")),
		"no key id":                                       a.dev.Mint(t, with(app(), "header", map[string]any{"kid": nil})),
		"critical extension":                              a.dev.Mint(t, with(app(), "header", map[string]any{"crit": []string{"x"}, "x": 1})),
		"a logout token":                                  a.dev.Mint(t, with(app(), "header", map[string]any{"typ": "logout+jwt"})),
		"bound to a key (cnf)":                            a.dev.Mint(t, app("cnf", map[string]any{"jkt": "x"})),
		"bad signature":                                   a.dev.Mint(t, with(app(), "bad_signature", true)),
		"a bit of the signature":                          body + string(flipped),
		"no signature":                                    body,
		"truncated (GO-2026-4573)":                        good[:len(good)-20],
		"one part":                                        "abc",
		"two dots and nothing":                            "..",
		"twelve dots (CVE-2025-30204)":                    strings.Repeat("a.", 12) + "a",
		"encrypted (CVE-2026-34986)":                      "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d",
		"17 KiB (CVE-2024-28122)":                         "a." + strings.Repeat("b", 17<<10) + ".c",
		"a claim twice (GO-2026-4569)":                    a.dev.Mint(t, with(app(), "raw_payload", `{"iss":"`+a.dev.Issuer+`","aud":"`+DevClientID+`","aud":"x"}`)),
		"a twin in other letters (GO-2026-4770)":          a.dev.Mint(t, app("AZP", clientA)),
		"claims that are no object":                       a.dev.Mint(t, with(app(), "raw_payload", `[]`)),
		"claims that are no JSON":                         a.dev.Mint(t, with(app(), "raw_payload", `{"iss":`)),
		"Maskinporten token signed by the key of Entra":   a.dev.Mint(t, with(profile("maskinporten"), "key", "entra")),
		"TokenX for another app":                          a.tokenX(t, "aud", "dev:team:other"),
		"ID-porten for another audience":                  a.idporten(t, "aud", "https://other.example"),
		"ID-porten without resource (unspecified)":        a.idporten(t, "aud", "unspecified"),
		"ID-porten id token":                              a.dev.Mint(t, profile("idporten-id-token", "aud", idportenAPI, "client_id", ourIDPorten)),
		"jku that leads elsewhere":                        a.dev.Mint(t, with(with(app(), "key", "unknown"), "header", map[string]any{"jku": "http://evil.example/jwks"})),
		"an assertion of our own kind":                    a.dev.Mint(t, with(app(), "header", map[string]any{"typ": "postern-identity+jwt"})),
		"NUL in a claim's name":                           a.dev.Mint(t, app("azp\x00", clientA)),
		"exp as text":                                     a.dev.Mint(t, app("exp", "9999999999")),
		"scope of a user token as a list of other things": a.dev.Mint(t, profile("entra-user", "azp", clientA, "scp", map[string]any{"a": 1})),
	} {
		before := a.reached()
		r := a.call(t, "GET", "/x", token)
		if r.StatusCode == 503 && strings.Contains(name, "jku") { // an unknown key id may be held back (S-34)
			continue
		}
		wantRefusal(t, name, r, 401, "invalid_token")
		if a.reached() != before {
			t.Errorf("%s: the app was reached", name)
		}
	}
	for name, token := range map[string]string{
		"expired 59 s ago": a.dev.Mint(t, with(app(), "exp_in", -55)), "audiences as a list": a.dev.Mint(t, app("aud", []string{"x", DevClientID})),
		"no nbf": a.dev.Mint(t, app("nbf", nil)), "typ of RFC 9068": a.dev.Mint(t, with(app(), "header", map[string]any{"typ": "at+jwt"})),
	} {
		if r := a.call(t, "GET", "/x", token); r.StatusCode != 200 {
			t.Errorf("%s: status %d %s", name, r.StatusCode, r.Body)
		}
	}
	if hint := a.call(t, "GET", "/x", a.dev.Mint(t, app("aud", "00000003-0000-0000-c000-000000000000"))).Body; !strings.Contains(hint, "Graph") {
		t.Errorf("nothing says what to do about a token for Graph: %s", hint)
	}
}

// RFC 6750 §2 and S-24: what a request may say about itself, and in which place.
func TestS24WhereATokenMayStand(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, map[string]string{"POSTERN_AUTHORIZATION_PASSTHROUGH": "Basic"})
	good := a.appToken(t, clientA)
	for name, authorization := range map[string]string{
		"DPoP": "DPoP " + good, "tab": "Bearer\t" + good, "nothing": "Bearer", "only a space": "Bearer ", "two": "Bearer " + good + " " + good,
		"list": "Bearer " + good + ", Bearer x", "not a token": "Bearer {}", "empty": "",
	} {
		head := "GET %s HTTP/1.1\r\nHost: " + a.Addr + "\r\nConnection: close\r\nAuthorization: " + authorization + "\r\n\r\n"
		wantRefusal(t, name, parseAnswer(t, Raw(t, a.Addr, fmt.Sprintf(head, "/x")), "GET"), 401, "invalid_token")
		r := parseAnswer(t, Raw(t, a.Addr, fmt.Sprintf(head, "/isalive")), "GET")
		if r.StatusCode != 200 || Echoed(t, r).Header.Get("Authorization") != "" {
			t.Errorf("%s on a public path: status %d, or the app was given it", name, r.StatusCode)
		}
	}
	for _, scheme := range []string{"Bearer", "bearer", "BEARER"} {
		if r := a.call(t, "GET", "/x", "", "Authorization", scheme+" "+good); r.StatusCode != 200 {
			t.Errorf("%s: status %d", scheme, r.StatusCode)
		}
	}
	two := "GET /x HTTP/1.1\r\nHost: " + a.Addr + "\r\nConnection: close\r\nAuthorization: Bearer " + good + "\r\nAuthorization: Bearer " + good + "\r\n\r\n"
	wantRefusal(t, "two headers", parseAnswer(t, Raw(t, a.Addr, two), "GET"), 400, "invalid_request")
	for _, query := range []string{"access_token=" + good, "x=1&access_token=" + good, "access%5Ftoken=" + good} {
		wantRefusal(t, "query", a.call(t, "GET", "/x?"+query, ""), 400, "invalid_request")
	}
	if r := a.call(t, "GET", "/x?access_token=1", good); r.StatusCode != 200 {
		t.Errorf("a query beside a header: status %d", r.StatusCode)
	}
	if r := a.call(t, "GET", "/x", "", "Authorization", "Basic eDp5"); r.StatusCode != 401 || strings.Contains(r.Header.Get("Www-Authenticate"), "error=") {
		t.Errorf("Basic, which passes, is nobody: status %d, %s", r.StatusCode, r.Header.Get("Www-Authenticate"))
	}
	if got := Echoed(t, a.call(t, "GET", "/isalive", "", "Authorization", "Basic eDp5")).Header.Get("Authorization"); got != "Basic eDp5" {
		t.Errorf("Basic on a public path: the app was given %q", got)
	}
}

// Without bearer validation Authorization and queries are the app's business, as with wonderwall (S-51).
func TestBearerValidationOffLeavesTokensAlone(t *testing.T) {
	t.Parallel()
	a := newAPI(t, "", map[string]string{"POSTERN_REQUIRE_AUTH": "", "POSTERN_BEARER_PROVIDERS": "none"})
	for _, authorization := range []string{"Bearer x", "DPoP y", "Basic z"} {
		if got := Echoed(t, a.call(t, "GET", "/x?access_token=1", "", "Authorization", authorization)).Header.Get("Authorization"); got != authorization {
			t.Errorf("%s became %q", authorization, got)
		}
	}
	if r := a.call(t, "GET", "/.well-known/oauth-protected-resource", ""); Echoed(t, r).URI != "/.well-known/oauth-protected-resource" {
		t.Error("the well-known path is not the app's")
	}
}

// Contract 4.3: what the app is told about each kind of bearer.
func TestIdentityHeadersOfBearers(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, map[string]string{
		"POSTERN_IDENTITY_HEADERS": "postern,claims,oauth2-proxy,easyauth", "POSTERN_IDENTITY_CLAIMS": "X-Token-Id=uti",
	})
	user := a.dev.Mint(t, profile("entra-user", "azp", clientB, "groups", []string{devGroup}, "scp", "defaultaccess orders.read", "NAVident", "Z990001", "name", "Kåre, Æ",
		"email", "k@nav.example", "xms_edov", true, "uti", "token-1", "oid", "0a0a0a0a-1111-4222-8333-444444444444"))
	for _, test := range []struct {
		name, token string
		want        map[string]string
	}{
		{"user of Entra ID", user, map[string]string{
			"X-Postern-Auth": "bearer", "X-Postern-Provider": "entra_id", "X-Postern-Kind": "user", "X-Postern-User": "Z990001",
			"X-Postern-Name": "K%C3%A5re, %C3%86", "X-Postern-Email": "k@nav.example", "X-Postern-Tenant": devTenant,
			"X-Postern-Object": "0a0a0a0a-1111-4222-8333-444444444444", "X-Postern-Client": "dev:other:app-b", "X-Postern-Groups": devGroup,
			"X-Postern-Scopes": "defaultaccess,orders.read", "X-Postern-Acr": "", "X-Postern-Organization": "", "X-Token-Id": "token-1",
			"Authorization": "Bearer " + user, "X-Forwarded-Email": "k@nav.example", "X-Forwarded-Access-Token": user, "X-Ms-Client-Principal-Idp": "aad",
		}},
		{"app of Entra ID", a.appToken(t, clientA), map[string]string{
			"X-Postern-Auth": "bearer", "X-Postern-Kind": "app", "X-Postern-Client": "dev:team:app-a", "X-Postern-User": "", "X-Postern-Roles": "access_as_application",
			"X-Forwarded-User": "", "X-Forwarded-Email": "", "X-Forwarded-Access-Token": "", // the set is for users only
		}},
		{"TokenX", a.tokenX(t, "pid", "01817012345"), map[string]string{
			"X-Postern-Provider": "tokenx", "X-Postern-Kind": "user", "X-Postern-User": "01817012345", "X-Postern-Client": "dev:team:app-a",
			"X-Postern-Acr": "idporten-loa-high", "X-Postern-Scopes": "", "X-Postern-Groups": "", "X-Postern-Organization": "",
		}},
		{"Maskinporten", a.maskinporten(t, "client_id", "mp-1"), map[string]string{
			"X-Postern-Provider": "maskinporten", "X-Postern-Kind": "app", "X-Postern-Client": "maskinporten/mp-1", "X-Postern-Organization": listedOrg,
			"X-Postern-Scopes": "nav:team/orders.read", "X-Postern-Subject": "", "X-Postern-User": "",
		}},
		{"ID-porten", a.idporten(t, "pid", "01817012345"), map[string]string{
			"X-Postern-Provider": "idporten", "X-Postern-Kind": "user", "X-Postern-User": "01817012345", "X-Postern-Client": "idporten/" + ourIDPorten,
		}},
	} {
		r := a.call(t, "GET", "/x", test.token, "X-Postern-Organization", "999999999", "X-Forwarded-Email", "evil@x.example", "X-Token-Id", "forged")
		if r.StatusCode != 200 {
			t.Errorf("%s: status %d %s", test.name, r.StatusCode, r.Body)
			continue
		}
		seen := Echoed(t, r).Header
		for header, want := range test.want {
			if got := strings.Join(seen[header], "|"); got != want {
				t.Errorf("%s: %s is %q, want %q", test.name, header, got, want)
			}
		}
		packed, err := base64.RawURLEncoding.DecodeString(seen.Get("X-Postern-Claims"))
		if err != nil || !json.Valid(packed) {
			t.Errorf("%s: X-Postern-Claims: %v", test.name, err)
		}
	}
	if strings.Contains(a.Log.Text(), "01817012345") {
		t.Error("a personal number is in the log (S-37)")
	}
}

const devGroup = "5c2a7e0c-7c1f-4d8e-8a0b-1f0f6f1c2a01"

// A refusal of a browser that navigates is a page, with the same status and challenge.
func TestRefusalsOfANavigationArePages(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, nil)
	c := NewClient(t)
	for name, token := range map[string]string{"stranger": a.appToken(t, clientC), "forged": "a.b.c"} {
		r := c.Navigate("http://"+a.Addr+"/x", "Authorization", "Bearer "+token)
		if r.StatusCode < 401 || r.StatusCode > 403 || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") || r.Header.Get("Www-Authenticate") == "" {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.Header)
		}
	}
}

// RFC 9728, and S-35: every absolute URL comes from the ingress.
func TestS35ChallengesNameTheIngressOnly(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, nil)
	c := NewClient(t)
	for _, r := range []*Response{
		c.Get("http://"+a.Addr+"/x", "Host", "evil.example", "X-Forwarded-Host", "evil2.example"),
		c.Get("http://"+a.Addr+"/x", "Host", "evil.example", "Authorization", "Bearer x.y.z"),
	} {
		challenge := r.Header.Get("Www-Authenticate")
		if r.StatusCode != 401 || strings.Contains(fmt.Sprint(r.Header, r.Body), "evil") {
			t.Errorf("status %d, %v %s", r.StatusCode, r.Header, r.Body)
		}
		if strings.Contains(challenge, "resource_metadata") && !strings.Contains(challenge, `resource_metadata="https://api.example.org/.well-known/oauth-protected-resource"`) {
			t.Errorf("challenge %s", challenge)
		}
	}
	named := c.Get("http://"+a.Addr+"/x", "Host", "api.example.org").Header.Get("Www-Authenticate")
	if !strings.Contains(named, `resource_metadata="https://api.example.org/.well-known/oauth-protected-resource"`) {
		t.Errorf("challenge at the ingress: %s", named)
	}
	r := c.Get("http://"+a.Addr+"/.well-known/oauth-protected-resource", "Host", "api.example.org")
	var document struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Methods  []string `json:"bearer_methods_supported"`
	}
	if err := json.Unmarshal([]byte(r.Body), &document); err != nil || document.Resource != "https://api.example.org" && document.Resource != "https://api.example.org/" {
		t.Errorf("%v %s", err, r.Body)
	}
	if len(document.Servers) != 4 || len(document.Methods) != 1 || document.Methods[0] != "header" || a.reached() != 0 {
		t.Errorf("metadata %s", r.Body)
	}
	if r := a.call(t, "GET", "/x", a.appToken(t, clientA), "Host", "api.team.svc"); r.StatusCode != 200 {
		t.Errorf("a call by service name: status %d", r.StatusCode)
	}
}

// Advisories CVE-2026-40575 and CVE-2025-54576: the decision is on the target that is sent, whatever headers and query say.
func TestAdvisoryCVE2026_40575HeadersAndQueryDecideNothing(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, nil)
	for _, header := range []string{
		"X-Forwarded-Uri", "X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-Path", "X-Envoy-Original-Path", "X-Forwarded-Prefix", "Forwarded",
		"User-Agent", "X-Forwarded-Method", "X-HTTP-Method-Override",
	} {
		if r := a.call(t, "GET", "/x", "", header, "/isalive"); r.StatusCode != 401 {
			t.Errorf("%s: status %d", header, r.StatusCode)
		}
	}
	for _, target := range []string{"/x?y=/isalive", "/x?/isalive", "/x?a=/public/b", "/x%3f/isalive", "/x%23/isalive"} {
		if r := a.call(t, "GET", target, ""); r.StatusCode != 401 {
			t.Errorf("%s: status %d", target, r.StatusCode)
		}
	}
	if a.reached() != 0 {
		t.Error("the app was reached")
	}
}

// A bearer token wins over a cookie, and a bad one never falls back to it.
func TestBadTokenDoesNotFallBackToTheCookie(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_BEARER_PROVIDERS": "all", "POSTERN_REQUIRE_AUTH": "true"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	if got := w.get(t, c, "/x").Header.Get("X-Postern-Auth"); got != "session" {
		t.Fatalf("with the cookie: %q", got)
	}
	wantRefusal(t, "bad token and a cookie", c.Get(w.ingress+"/x", "Authorization", "Bearer a.b.c"), 401, "invalid_token")
	token := w.dev.Mint(t, profile("entra-user", "azp", DevClientID, "scp", "defaultaccess", "NAVident", "Z990002"))
	if seen := w.get(t, c, "/x", "Authorization", "Bearer "+token).Header; seen.Get("X-Postern-User") != "Z990002" || seen.Get("X-Postern-Auth") != "bearer" {
		t.Errorf("good token and a cookie: the app was told %v", seen)
	}
	post := c.Send(http.MethodPost, w.ingress+"/x", "", "Authorization", "Bearer "+token, "Sec-Fetch-Site", "cross-site")
	if post.StatusCode != 200 {
		t.Errorf("S-17 asks bearers too: status %d", post.StatusCode)
	}
}

// S-09: the access token that the app was handed does not outlive the logout, on the replica that answered it.
func TestS09LogoutEndsTheAccessTokenAsABearerToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_BEARER_PROVIDERS": "all", "POSTERN_REQUIRE_AUTH": "true"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	handed := w.get(t, c, "/x").Header.Get("Authorization")
	if r := NewClient(t).Get(w.ingress+"/x", "Authorization", handed); r.StatusCode != 200 {
		t.Fatalf("the token before the logout: status %d %s", r.StatusCode, r.Body)
	}
	if r := c.Get(w.ingress + "/oauth2/logout/local"); r.StatusCode != 204 {
		t.Fatalf("logout: status %d", r.StatusCode)
	}
	wantRefusal(t, "the token after the logout", NewClient(t).Get(w.ingress+"/x", "Authorization", handed), 401, "invalid_token")
}
