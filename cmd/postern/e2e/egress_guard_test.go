package e2e

import (
	"context"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// S-21: whoever only makes the app fetch an address gets nothing with the app's own rights, and no web page gets anything.
func TestS21EgressIsNoWayToTheAppsOwnRights(t *testing.T) {
	t.Parallel()
	x := newOutbound(t, outboundOptions{})
	kari, authorization := x.signedIn("kari")
	x.mark()
	for name, test := range map[string]struct {
		path    string
		headers []string
		status  int
		code    string
	}{
		"the app's token, fetched":       {"/ledger/all", nil, 403, "egress_header_missing"},
		"the same by POST":               {"POST /ledger/all", nil, 403, "egress_header_missing"},
		"the same by its name":           {"/all", []string{"Host", "ledger.localhost"}, 403, "egress_header_missing"},
		"either, nobody":                 {"/either/all", nil, 403, "egress_header_missing"},
		"either, a user":                 {"/either/all", []string{"Authorization", authorization}, 403, "egress_header_missing"},
		"another value":                  {"/ledger/all", []string{"X-Postern-Egress", "true"}, 403, "egress_header_missing"},
		"an empty value":                 {"/ledger/all", []string{"X-Postern-Egress", ""}, 403, "egress_header_missing"},
		"either, a broken token":         {"/either/all", []string{"Authorization", "Bearer x", "X-Postern-Egress", "1"}, 401, "invalid_token"},
		"either, another scheme":         {"/either/all", []string{"Authorization", "Basic eDp5", "X-Postern-Egress", "1"}, 401, "invalid_token"},
		"either, an empty Authorization": {"/either/all", []string{"Authorization", "", "X-Postern-Egress", "1"}, 401, "invalid_token"},
		"a user's route, nobody":         {"/orders/all", []string{"X-Postern-Egress", "1"}, 401, "unauthenticated"},
		"no such route":                  {"/payroll/all", []string{"X-Postern-Egress", "1"}, 404, "unknown_route"},
		"no such route by its name":      {"/all", []string{"Host", "payroll.localhost", "X-Postern-Egress", "1"}, 403, "access_denied"},
		"other letters":                  {"/Orders/all", []string{"Authorization", authorization}, 404, "unknown_route"},
		"no route":                       {"/", []string{"Authorization", authorization}, 404, "unknown_route"},
		"a rebound name":                 {"/orders/all", []string{"Authorization", authorization, "Host", "evil.example"}, 403, "access_denied"},
		"a name that looks alike":        {"/orders/all", []string{"Authorization", authorization, "Host", "orders.localhost.evil.example"}, 403, "access_denied"},
		"a web page":                     {"/register/all", []string{"Origin", "http://localhost:5173"}, 403, "access_denied"},
		"a page of no origin":            {"/register/all", []string{"Origin", "null"}, 403, "access_denied"},
		"a page's image":                 {"/register/all", []string{"Sec-Fetch-Site", "cross-site"}, 403, "access_denied"},
	} {
		r := x.call(test.path, "", test.headers...)
		noToken(t, r, test.status, test.code, "")
		if r.StatusCode != test.status || (r.Header.Get("Www-Authenticate") != "") != (test.status == 401) {
			t.Errorf("%s: %d with the challenge %q", name, r.StatusCode, r.Header.Get("Www-Authenticate"))
		}
		x.unseen(name)
	}
	if r := kari.Get(x.ingress + "/via/ledger/all"); r.StatusCode != 403 { // a browser cannot make the app's call mean it
		t.Errorf("through the app: %d %s", r.StatusCode, r.Body)
	}
	if r := kari.Get(x.ingress+"/via/ledger/all", "X-Postern-Egress", "1"); r.StatusCode != 403 {
		t.Errorf("through the app, with the header: %d %s", r.StatusCode, r.Body)
	}
	x.unseen("a browser")
}

// S-21: a call goes below the route's URL or nowhere, however its path is read.
func TestS21PathsStayBelowTheRoute(t *testing.T) {
	t.Parallel()
	x := newOutbound(t, outboundOptions{})
	_, authorization := x.signedIn("kari")
	x.mark()
	for _, target := range []string{
		"/orders/%2e%2e/%2e%2e/admin", "/orders/../admin", "/orders/..;/x", "/orders/..;a=b/x", "/orders/a/..%2f..%2fadmin", "/orders/%252e%252e/admin",
		`/orders/..\admin`, "/orders/..%5cadmin", "/orders/a/../../b", "/orders/./../api", "/orders/../api/x", "/orders//../../x", "/orders/%2e%2e%3b/x",
		"/stock//evil", "/stock/%2fevil", `/stock/\evil`, "/stock/.//evil", "/orders/%25252525252e%25252525252e/x",
		"/orders/%zz", "/orders/%00", "/orders/x#y",
	} {
		r := parseAnswer(t, Raw(t, x.egress, rawRequest("GET", target, x.egress, "Authorization", authorization)), "GET")
		if r.StatusCode != 400 || !strings.Contains(r.Body, `"error"`) && !strings.Contains(r.Body, "Bad Request") {
			t.Errorf("%s: %d %s", target, r.StatusCode, r.Body)
		}
		x.unseen(target)
	}
	for target, statuses := range map[string][]int{
		"//evil.example/orders/x": {400, 404}, "///orders/x": {400, 404}, "*": {400}, "orders/x": {400},
		"http://evil.example/orders/x": {400, 403}, "http://" + x.egress + "/orders/x": {400}, "http://" + x.target.Addr + "/orders/x": {400},
		"https://orders.localhost/x": {400}, "/%6frders/x": {404}, "/orders%2fx": {404}, "/orders;/x": {404},
	} {
		r := parseAnswer(t, Raw(t, x.egress, rawRequest("GET", target, x.egress, "Authorization", authorization)), "GET")
		if !slices.Contains(statuses, r.StatusCode) {
			t.Errorf("%s: %d %s", target, r.StatusCode, r.Body)
		}
		x.unseen(target)
	}
	two := "GET /orders/x HTTP/1.1\r\nHost: " + x.egress + "\r\nConnection: close\r\nAuthorization: " + authorization + "\r\nAuthorization: Bearer x\r\n\r\n"
	if r := parseAnswer(t, Raw(t, x.egress, two), "GET"); r.StatusCode != 400 {
		t.Errorf("two users: %d %s", r.StatusCode, r.Body)
	}
	x.unseen("two users")
	for target, want := range map[string]string{
		"/orders": "/api", "/orders?x": "/api?x", "/orders/": "/api/", "/orders/a/../b": "/api/a/../b", "/orders/a%2Fb;v=1": "/api/a%2Fb;v=1", "/stock": "/",
		"/orders/x?next=/../..;http://evil.example": "/api/x?next=/../..;http://evil.example",
	} {
		r := parseAnswer(t, Raw(t, x.egress, rawRequest("GET", target, x.egress, "Authorization", authorization)), "GET")
		if r.StatusCode != 200 || Echoed(t, r).URI != want {
			t.Errorf("%s: %d %s, want %s", target, r.StatusCode, r.Body, want)
		}
	}
}

// S-21, S-02, S-18: only a valid token of a user for this app is exchanged. Any other is sent to nobody.
func TestS21OnlyAUsersTokenIsExchanged(t *testing.T) {
	t.Parallel()
	x := newOutbound(t, outboundOptions{})
	entra := func(pairs ...any) map[string]any {
		return profile("entra-user", append([]any{"aud", ownClientID}, pairs...)...)
	}
	citizen := func(pairs ...any) map[string]any {
		return profile("idporten", append([]any{"client_id", ourIDPorten}, pairs...)...)
	}
	good := map[string]string{"/stock/x": x.dev.Mint(t, entra()), "/citizens/x": x.dev.Mint(t, citizen())}
	for path, token := range good {
		if r := x.call(path, "Bearer "+token); r.StatusCode != 200 {
			t.Fatalf("the tokens that the others are made of: %s: %d %s", path, r.StatusCode, r.Body)
		}
	}
	x.mark()
	for name, test := range map[string]struct {
		path  string
		token map[string]any
	}{
		"an app's, of Entra ID":               {"/stock/x", profile("entra-app", "aud", ownClientID)},
		"an app's with a user's claims":       {"/stock/x", profile("entra-app", "aud", ownClientID, "NAVident", "Z990001", "oid", "x")},
		"of another app":                      {"/stock/x", entra("aud", ordersClientID)},
		"for Graph":                           {"/stock/x", entra("aud", "00000003-0000-0000-c000-000000000000")},
		"expired":                             {"/stock/x", with(entra(), "exp_in", -600)},
		"not valid yet":                       {"/stock/x", with(entra(), "nbf_in", 600)},
		"of another tenant":                   {"/stock/x", entra("tid", "11111111-2222-4333-8444-555555555555")},
		"an id token":                         {"/stock/x", profile("entra-id-token", "aud", ownClientID)},
		"by a key that nobody published":      {"/stock/x", with(entra(), "key", "tokenx")},
		"unsigned":                            {"/stock/x", with(entra(), "alg", "none")},
		"bad signature":                       {"/stock/x", with(entra(), "bad_signature", true)},
		"Maskinporten's, at Entra ID":         {"/stock/x", profile("maskinporten")},
		"Maskinporten's, at TokenX":           {"/citizens/x", profile("maskinporten")},
		"ID-porten's of a foreign client":     {"/citizens/x", citizen("client_id", "somebody-else")},
		"ID-porten's without a client":        {"/citizens/x", citizen("client_id", nil)},
		"ID-porten's for another API":         {"/citizens/x", citizen("aud", "https://other.example")},
		"ID-porten's id token":                {"/citizens/x", profile("idporten-id-token", "client_id", ourIDPorten, "aud", ownAudience)},
		"ID-porten's, expired":                {"/citizens/x", with(citizen(), "exp_in", -600)},
		"ID-porten's, at Entra ID":            {"/stock/x", citizen()},
		"Entra ID's, at TokenX":               {"/citizens/x", entra()},
		"TokenX' for another app":             {"/citizens/x", profile("tokenx", "aud", ordersName)},
		"TokenX', expired, on a route of two": {"/either/x", with(profile("tokenx"), "exp_in", -600)},
		"an app's, on a route of two":         {"/either/x", profile("entra-app", "aud", ownClientID)},
	} {
		r := x.call(test.path, "Bearer "+x.dev.Mint(t, test.token), "X-Postern-Egress", "1")
		noToken(t, r, 401, "invalid_token", "")
		if challenge := r.Header.Get("Www-Authenticate"); !strings.HasPrefix(challenge, `Bearer realm=`) || !strings.Contains(challenge, `error="invalid_token"`) {
			t.Errorf("%s: challenge %s", name, challenge)
		}
		x.unseen(name)
	}
}

// S-22: the way out is for this machine, by TCP or by a socket file.
func TestS22EgressListensOnThisMachine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "egress.sock")
	x := newOutbound(t, outboundOptions{env: map[string]string{"POSTERN_EGRESS_BIND_ADDRESS": "unix:" + path}})
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/register/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || len(x.target.Requests()) != 1 {
		t.Errorf("by the socket: status %d", resp.StatusCode)
	}

	env := maps.Clone(x.env)
	refused := func(what, says string) {
		t.Helper()
		p := Launch(t, env)
		if code := p.Wait(t); code != 2 || !strings.Contains(p.Log.Text(), says) {
			t.Errorf("%s: exit %d\n%s", what, code, p.Log.Text())
		}
	}
	env["POSTERN_EGRESS_BIND_ADDRESS"] = "0.0.0.0:" + FreePort(t)
	refused("every address", "egress.bind-address")
	env["POSTERN_EGRESS_BIND_ADDRESS"] = "127.0.0.1:" + FreePort(t)
	for route, says := range map[string]string{
		`{name: a, url: "http://127.0.0.1:1", provider: openid, target: t}`:        "provider openid is not there",
		`{name: a, url: "http://127.0.0.1:1", provider: maskinporten, target: t}`:  "gives tokens to the app itself only",
		`{name: a, url: "http://127.0.0.1:1/../a", provider: entra_id, target: t}`: "can be read in several ways",
		`{name: "a/b", url: "http://127.0.0.1:1", provider: entra_id, target: t}`:  "name must consist of",
	} {
		env["POSTERN_EGRESS_ROUTES"] = "[" + route + "]"
		refused(route, says)
	}
}
