package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// S-16, S-10, S-11: the request that an ingress controller asks about is decided as if it had come to the front door: here is both.
func TestS16ListenerDecidesAsTheFrontDoor(t *testing.T) {
	t.Parallel()
	f := newForwardWorld(t, forwardPolicy, nil)
	kari, siri, nils := f.cookie(t, "kari"), f.cookie(t, "siri"), f.cookie(t, "nils")
	worker, stranger := f.bearer(t, caseworker...), f.bearer(t)
	for name, test := range map[string]struct {
		method, target string
		headers        []string
		front          int // status of the front door for the same request
	}{
		"session":                          {"GET", "/x?y=%zz;", []string{"Cookie", kari}, 200},
		"session, its group":               {"POST", "/admin/x", []string{"Cookie", siri}, 200},
		"session, another's group":         {"GET", "/admin/x", []string{"Cookie", kari}, 403},
		"HEAD is covered by GET (S-10)":    {"HEAD", "/admin/x", []string{"Cookie", kari}, 403},
		"a method that nobody names":       {"PUT", "/admin/x", []string{"Cookie", siri}, 405},
		"a method of small letters":        {"post", "/admin/x", []string{"Cookie", siri}, 405},
		"traversal":                        {"GET", "/public%2f..%2fadmin/x", []string{"Cookie", kari}, 403},
		"traversal of nobody":              {"GET", "/public/..;/admin/x", nil, 401},
		"other letters (S-11)":             {"GET", "/ADMIN./x", []string{"Cookie", kari}, 403},
		"encoded twice":                    {"GET", "/%2561dmin/x", []string{"Cookie", kari}, 403},
		"GO-2026-4742: a query is no path": {"GET", "/admin/x?/../../public/x", []string{"Cookie", kari}, 403},
		"public":                           {"GET", "/public/x", nil, 200},
		"public, somebody":                 {"GET", "/public/x", []string{"Cookie", kari}, 200},
		"nobody":                           {"GET", "/x", nil, 401},
		"whom the policy does not admit":   {"GET", "/x", []string{"Cookie", nils}, 403},
		"token":                            {"GET", "/x", []string{"Authorization", worker}, 200},
		"token, a path that is not theirs": {"GET", "/admin/x", []string{"Authorization", worker}, 403},
		"token of a stranger":              {"GET", "/x", []string{"Authorization", stranger}, 403},
		"bad token beside a good cookie":   {"GET", "/x", []string{"Cookie", kari, "Authorization", "Bearer a.b.c"}, 401},
		"another scheme (S-24)":            {"GET", "/x", []string{"Cookie", kari, "Authorization", "DPoP x"}, 401},
		"token in the query":               {"GET", "/x?access_token=a.b.c", nil, 400},
		"level":                            {"GET", "/high/x", []string{"Cookie", kari}, 401},
		"two cookies (S-23)":               {"GET", "/x", []string{"Cookie", kari + "; " + siri}, 400},
		"CSRF (S-17)":                      {"POST", "/orders/1", []string{"Cookie", kari, "Sec-Fetch-Site", "cross-site"}, 403},
		"CSRF by origin":                   {"POST", "/orders/1", []string{"Cookie", kari, "Origin", "null"}, 403},
		"a link of another site":           {"GET", "/x", []string{"Cookie", kari, "Sec-Fetch-Site", "cross-site"}, 200},
		"a form of our own":                {"POST", "/orders/1", []string{"Cookie", kari, "Sec-Fetch-Site", "same-origin"}, 200},
		"token from another site":          {"POST", "/orders/1", []string{"Authorization", worker, "Sec-Fetch-Site", "cross-site"}, 200},
		"handshake of another site":        {"GET", "/x", []string{"Cookie", kari, "Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Origin", "https://evil.example"}, 403},
		"NUL":                              {"GET", "/admin%00/x", []string{"Cookie", siri}, 400},
		"invalid escape":                   {"GET", "/x%zz", []string{"Cookie", kari}, 400},
		"fragment":                         {"GET", "/public/x#y", []string{"Cookie", kari}, 400},
		"TRACE":                            {"TRACE", "/x", []string{"Cookie", kari}, 405},
		"too many cookies":                 {"GET", "/x", []string{"Cookie", kari + strings.Repeat("; a=b", 100)}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r := f.ask(t, test.method, test.target, test.headers...); r.StatusCode != test.front {
				t.Errorf("the front door: status %d, want %d", r.StatusCode, test.front)
			}
			want := map[int]int{200: 204, 400: 403, 405: 403}[test.front]
			if want == 0 {
				want = test.front
			}
			for who, about := range map[string][]string{
				"nginx":   f.about(test.method, test.target),
				"Traefik": {"X-Forwarded-Method", test.method, "X-Forwarded-Uri", test.target, "X-Forwarded-Host", f.host()},
			} {
				r := f.question(t, append(about, test.headers...)...)
				if r.StatusCode != want {
					t.Errorf("%s: status %d, want %d\n%.200s", who, r.StatusCode, want, r.Body)
				}
				if want != 204 && len(tells(r.Header)) > 0 {
					t.Errorf("%s: a refusal says %v", who, r.Header)
				}
			}
		})
	}
}

// S-16: which request is meant is said by one pair of headers, and by nobody else.
func TestS16WhichRequestIsMeant(t *testing.T) {
	t.Parallel()
	f, open := newForwardWorld(t, forwardPolicy, nil), newForwardWorld(t, "", nil)
	kari, other := f.cookie(t, "kari"), open.cookie(t, "kari")
	for name, test := range map[string]struct {
		headers []string
		status  int
		open    int // where no policy looks at requests
	}{
		"not said":              {nil, 403, 204},
		"without a method":      {[]string{"X-Original-Url", "/x"}, 403, 403},
		"without a target":      {[]string{"X-Forwarded-Method", "GET"}, 403, 403},
		"halves of two pairs":   {[]string{"X-Forwarded-Method", "GET", "X-Original-Url", "/x"}, 403, 403},
		"two that agree":        {[]string{"X-Original-Method", "GET", "X-Original-Url", "/x", "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/x"}, 204, 204},
		"other target":          {[]string{"X-Original-Method", "GET", "X-Original-Url", "/public/x", "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/admin/x"}, 403, 403},
		"other method":          {[]string{"X-Original-Method", "GET", "X-Original-Url", "/x", "X-Forwarded-Method", "POST", "X-Forwarded-Uri", "/x"}, 403, 403},
		"one and a half":        {[]string{"X-Original-Method", "GET", "X-Original-Url", "/x", "X-Forwarded-Uri", "/x"}, 403, 403},
		"a method that is none": {[]string{"X-Original-Method", "GET, POST", "X-Original-Url", "/x"}, 403, 403},
		"an empty method":       {[]string{"X-Original-Method", "", "X-Original-Url", "/x"}, 403, 403},
		"an empty target":       {[]string{"X-Original-Method", "GET", "X-Original-Url", ""}, 403, 403},
		"a target that is none": {[]string{"X-Original-Method", "GET", "X-Original-Url", "x"}, 403, 403},
		"another scheme":        {[]string{"X-Original-Method", "GET", "X-Original-Url", "file:///x"}, 403, 403},
		"a user in the address": {[]string{"X-Original-Method", "GET", "X-Original-Url", "http://a@app.localhost/x"}, 403, 403},
		"nothing after it":      {[]string{"X-Original-Method", "GET", "X-Original-Url", "http://app.localhost"}, 204, 204},
		"routing headers":       {[]string{"X-Original-Method", "GET", "X-Original-Url", "/admin/x", "X-Rewrite-Url", "/public/x", "X-Original-Uri", "/public/x"}, 403, 204},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r := f.question(t, append([]string{"X-Forwarded-Host", f.host(), "Cookie", kari}, test.headers...)...); r.StatusCode != test.status {
				t.Errorf("status %d, want %d\n%s", r.StatusCode, test.status, r.Body)
			}
			if r := open.question(t, append([]string{"X-Forwarded-Host", open.host(), "Cookie", other}, test.headers...)...); r.StatusCode != test.open {
				t.Errorf("without a policy: status %d, want %d\n%s", r.StatusCode, test.open, r.Body)
			}
		})
	}
	twice := rawRequest("GET", "/", f.listener, append(f.about("GET", "/public/x"), "Cookie", kari, "X-Original-Url", "/admin/x")...)
	if r := RawResponse(t, f.listener, twice); r.StatusCode != 403 {
		t.Errorf("one header twice: status %d", r.StatusCode)
	}
	if r := open.question(t, open.about("GET", "/x")...); r.StatusCode != 401 {
		t.Errorf("nobody, without a policy: status %d: an ingress asks because somebody is required", r.StatusCode)
	}
	unknown := []string{"X-Original-Method", "GET", "X-Original-Url", "http://evil.example/x", "Cookie", kari}
	if r := f.question(t, unknown...); r.StatusCode != 401 {
		t.Errorf("a host that is no ingress (S-35): status %d", r.StatusCode)
	}
	if r := open.question(t, "X-Forwarded-Host", open.host(), "Cookie", other, "Sec-Fetch-Site", "cross-site"); r.StatusCode != 403 {
		t.Errorf("from another site, by who knows which method (S-17): status %d", r.StatusCode)
	}
}

// S-16: what the app would have been told is in the answer, and every header of the enabled sets, so that the ingress overwrites what the
// client wrote. The listener answers on every path; the login is where a browser is to be sent.
func TestS16AnswerHoldsEveryHeader(t *testing.T) {
	t.Parallel()
	f := newForwardWorld(t, forwardPolicy, map[string]string{
		"POSTERN_IDENTITY_CLAIMS": "X-Department=department", "POSTERN_IDENTITY_ASSERTION": "true", "POSTERN_UPSTREAM_INCLUDE_ID_TOKEN": "true",
	})
	kari := f.cookie(t, "kari")
	f.ask(t, "GET", "/x", "Cookie", kari)
	requests := f.app.Requests()
	seen := requests[len(requests)-1].Header
	spoof := []string{"X-Postern-User", "evil", "X-Postern-Organization", "evil", "X-Forwarded-Email", "evil", "X-Department", "evil", "Remote-User", "evil"}
	r := f.question(t, append(append(f.about("GET", "/x"), "Cookie", kari), spoof...)...)
	if r.StatusCode != 204 || r.Header.Get("X-Postern-User") != "Z990001" || r.Header.Get("X-Postern-Assertion") == "" {
		t.Fatalf("status %d, %v", r.StatusCode, r.Header)
	}
	for name := range seen {
		if got := r.Header[name]; name != "X-Postern-Assertion" && slices.Contains(append(tells(seen), "X-Department"), name) &&
			!strings.HasSuffix(name, "-For") && !strings.HasSuffix(name, "-Host") && !strings.HasSuffix(name, "-Proto") && !slices.Equal(got, seen[name]) {
			t.Errorf("%s is %q, the app was told %q", name, got, seen[name])
		}
	}
	nobody := f.question(t, append(f.about("GET", "/public/x"), spoof...)...)
	if nobody.StatusCode != 204 {
		t.Fatalf("public path: status %d", nobody.StatusCode)
	}
	all := []string{
		"Authorization", "X-Department", "X-Postern-Assertion", "X-Wonderwall-Id-Token", "X-Postern-Auth", "X-Postern-Organization", "X-Postern-Claims", "X-Postern-Truncated",
		"X-Forwarded-Email", "X-Forwarded-Access-Token", "X-Ms-Client-Principal", "X-Ms-Token-Aad-Access-Token",
	}
	for _, name := range append(all, tells(r.Header)...) {
		if got, there := nobody.Header[name]; !there || !slices.Equal(got, []string{""}) {
			t.Errorf("nobody: %s is %q, want it empty", name, got)
		}
		if _, there := r.Header[name]; !there {
			t.Errorf("somebody: %s is missing", name)
		}
	}
	for _, path := range []string{"/oauth2/session/forwardauth", "/verify", "/oauth2/login", "/%2e%2e/x?y"} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			r := parseAnswer(t, Raw(t, f.listener, rawRequest(method, path, "auth.internal", append(f.about("GET", "/x"), "Cookie", kari)...)), method)
			if r.StatusCode != 204 {
				t.Errorf("%s %s: status %d", method, path, r.StatusCode)
			}
		}
	}
	navigation := []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	login := f.question(t, append(f.about("GET", "/deep?x=1&y=2"), navigation...)...)
	want := f.origin() + "/oauth2/login?redirect=%2Fdeep%3Fx%3D1%26y%3D2"
	if login.StatusCode != 401 || login.Header.Get("Location") != want || login.Header.Get("Www-Authenticate") == "" {
		t.Errorf("status %d, Location %q, want %q", login.StatusCode, login.Header.Get("Location"), want)
	}
	step := f.question(t, append(append(f.about("GET", "/high/x"), navigation...), "Cookie", kari)...)
	if to := step.Header.Get("Location"); step.StatusCode != http.StatusUnauthorized || !strings.HasSuffix(to, "&level=idporten-loa-high") {
		t.Errorf("level: status %d, Location %q", step.StatusCode, to)
	}
	f.Log.WaitFor(t, map[string]any{"msg": "request", "route": "forward_auth", "path": "/high/x", "reason": "level_too_low"})
}
