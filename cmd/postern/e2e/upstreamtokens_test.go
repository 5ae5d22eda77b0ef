package e2e

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/oidc/devidp"
)

// downstreamPolicy admits two kinds of people and one app, and has a public path.
const downstreamPolicy = `
apiVersion: postern/v1
app: {cluster: dev-gcp, namespace: team-a, name: app}
inbound: {rules: [{application: orders, namespace: team-b}]}
users: {groups: [` + devidp.GroupCaseworkers + `]}
idporten: {level: idporten-loa-high}
paths: [{match: "/open/**", public: true}]
`

// newDownstream is an outbound world whose app is given tokens, behind a policy.
func newDownstream(t testing.TB, tokens string) *outbound {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	writeFile(t, file, downstreamPolicy)
	apps, err := json.Marshal([]map[string]string{{"name": ordersName, "clientId": ordersClientID}, {"name": ownName, "clientId": ownClientID}})
	if err != nil {
		t.Fatal(err)
	}
	return newOutbound(t, outboundOptions{env: map[string]string{
		"POSTERN_UPSTREAM_TOKENS": tokens, "POSTERN_POLICY_FILE": file, "AZURE_APP_PRE_AUTHORIZED_APPS": string(apps), "POSTERN_EGRESS_ROUTES": "",
		"POSTERN_EGRESS_BIND_ADDRESS": "",
	}})
}

// scopes are what the provider was asked for since it was told to forget.
func (x *outbound) scopes() []string {
	x.t.Helper()
	var all []string
	for _, one := range x.dev.TokenRequests(x.t) {
		all = append(all, one.Form.Get("scope")+one.Form.Get("audience"))
	}
	return all
}

// S-43: who gets tokens for other APIs, and where. What a client says under the name of such a header is never what the app reads.
func TestS43TokensForOtherAPIsAreForAdmittedUsers(t *testing.T) {
	t.Parallel()
	x := newDownstream(t, `
- {header: X-Orders-Token, provider: entra_id, target: "`+ordersName+`", required: true, paths: ["/orders/**", "/open/**"]}
- {header: X-Stock-Token, provider: entra_id, target: "`+stockName+`", paths: ["/orders/**", "/stock", "/open/**"]}
- {header: X-Citizen-Token, provider: tokenx, target: "`+ordersName+`", paths: ["/orders/**", "/citizens/**", "/open/**"]}
`)
	all := []string{"X-Orders-Token", "X-Stock-Token", "X-Citizen-Token"}
	forged := []string{"X-Orders-Token", "forged-7f3a", "X_Stock_Token", "forged-7f3a", "x-citizen-token", "forged-7f3a"}
	kari, nils := NewClient(t), NewClient(t)
	x.login(t, kari, "kari", "")
	x.login(t, nils, "nils", "") // member of no group: the policy does not admit him
	user := "Bearer " + x.dev.Mint(t, profile("entra-user", "aud", ownClientID, "azp", ordersClientID, "groups", []string{devidp.GroupCaseworkers}, "NAVident", "Z990007"))
	app := "Bearer " + x.dev.Mint(t, profile("entra-app", "aud", ownClientID, "azp", ordersClientID, "roles", []string{"access_as_application"}))
	citizen := "Bearer " + x.dev.Mint(t, profile("tokenx", "client_id", ordersName, "acr", "idporten-loa-high", "pid", "01817012345"))
	x.dev.Forget(t)

	type want map[string]string // NAVident or pid in the token of a header
	for _, test := range []struct {
		name, path, authorization string
		client                    *Client
		status                    int
		want                      want
	}{
		{"a session", "/orders/17", "", kari, 200, want{"X-Orders-Token": "Z990001", "X-Stock-Token": "Z990001"}},
		{"a session elsewhere", "/stock", "", kari, 200, want{"X-Stock-Token": "Z990001"}},
		{"outside of all paths", "/x", "", kari, 200, nil},
		{"a path of two readings: the required one", "/orders/..%2fx", "", kari, 200, want{"X-Orders-Token": "Z990001"}},
		{"a session that is admitted, on a public path", "/open/x", "", kari, 200, want{"X-Orders-Token": "Z990001", "X-Stock-Token": "Z990001"}},
		{"a bearer", "/orders/17", user, NewClient(t), 200, want{"X-Orders-Token": "Z990007", "X-Stock-Token": "Z990007"}},
		{"a bearer beside a session", "/orders/17", user, kari, 200, want{"X-Orders-Token": "Z990007", "X-Stock-Token": "Z990007"}},
		{"an app", "/orders/17", app, NewClient(t), 200, nil},
		{"a citizen", "/citizens/17", citizen, NewClient(t), 200, want{"X-Citizen-Token": "01817012345"}},
		{"nobody on a public path", "/open/x", "", NewClient(t), 200, nil},
		{"nobody", "/orders/17", "", NewClient(t), 401, nil},
		{"somebody who is not admitted", "/orders/17", "", nils, 403, nil},
		{"the same on a public path", "/open/x", "", nils, 200, nil},
	} {
		headers := slices.Clone(forged)
		if test.authorization != "" {
			headers = append(headers, "Authorization", test.authorization)
		}
		before := len(x.app.Requests())
		r := test.client.Get(x.ingress+test.path, headers...)
		seen := x.app.Requests()[before:]
		if r.StatusCode != test.status || len(seen) != map[bool]int{true: 1, false: 0}[test.status == 200] {
			t.Errorf("%s: %d %.200s, the app saw %d requests", test.name, r.StatusCode, r.Body, len(seen))
			continue
		}
		if len(seen) == 0 {
			continue
		}
		for name, values := range seen[0].Header {
			if strings.Contains(strings.Join(values, ","), "forged-7f3a") {
				t.Errorf("%s: %s was forged", test.name, name)
			}
		}
		for _, header := range all {
			values := seen[0].Header[header]
			if (len(values) == 1) != (test.want[header] != "") {
				t.Errorf("%s: %d values of %s", test.name, len(values), header)
			} else if len(values) == 1 {
				got := claims(t, values[0])
				if aud := got["aud"]; got["NAVident"] != test.want[header] && got["pid"] != test.want[header] || aud != ordersClientID && aud != stockClientID && aud != ordersName {
					t.Errorf("%s: %s is for %v about %v, %v", test.name, header, aud, got["NAVident"], got["pid"])
				}
			}
		}
	}
	if got := x.scopes(); len(got) != 5 { // two for the session, two for the bearer, one for the citizen
		t.Errorf("the providers were asked for %q", got)
	}
	if r := NewClient(t).Get(x.ingress+"/orders/17", "Authorization", citizen); r.StatusCode != 403 { // Entra ID takes no token of TokenX
		t.Errorf("a required token for which this user has the wrong provider: %d %s", r.StatusCode, r.Body)
	}
}

// S-43: an optional token that is refused is left out, and not asked for again within the minute; without a required one the app is not called.
func TestS43RefusedTokensForOtherAPIs(t *testing.T) {
	t.Parallel()
	x := newDownstream(t, `
- {header: X-Closed-Token, provider: entra_id, target: "`+closedName+`", paths: ["/optional"]}
- {header: X-Required-Token, provider: entra_id, target: "`+closedName+`", required: true, paths: ["/required"]}
`)
	kari := NewClient(t)
	x.login(t, kari, "kari", "")
	x.dev.Forget(t)
	for begin := time.Now(); time.Since(begin) < 6*time.Second; time.Sleep(500 * time.Millisecond) { // the token API remembers for 5 s
		if seen := x.get(t, kari, "/optional").Header; seen.Get("X-Closed-Token") != "" || seen.Get("X-Postern-User") != "Z990001" {
			t.Fatalf("the app was given %v", seen)
		}
	}
	if n := len(x.dev.TokenRequests(t)); n != 1 {
		t.Errorf("a refusal was asked for %d times", n)
	}
	before := len(x.app.Requests())
	r := kari.Get(x.ingress + "/required")
	if r.StatusCode != 403 || !strings.Contains(r.Body, `"downstream_refused"`) || len(x.app.Requests()) != before {
		t.Errorf("required: %d %s", r.StatusCode, r.Body)
	}
	if n := len(x.dev.TokenRequests(t)); n != 1 {
		t.Errorf("the same user and target were asked for %d times", n)
	}
	if page := kari.Navigate(x.ingress + "/required"); page.StatusCode != 403 || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
		t.Errorf("a browser: %d %s", page.StatusCode, page.Header.Get("Content-Type"))
	}
}

// S-43: in trouble a required token is 503, and an optional one is left out; those of one request are asked for at once.
func TestS43TokensForOtherAPIsInTrouble(t *testing.T) {
	t.Parallel()
	x := newDownstream(t, `
- {header: X-Orders-Token, provider: entra_id, target: "`+ordersName+`", required: true, paths: ["/both", "/required"]}
- {header: X-Stock-Token, provider: entra_id, target: "`+stockName+`", required: true, paths: ["/both"]}
- {header: X-Optional-Token, provider: entra_id, target: "`+ordersName+`", paths: ["/optional"]}
`)
	kari, ola := NewClient(t), NewClient(t)
	x.login(t, kari, "kari", "")
	x.login(t, ola, "ola", "")

	x.dev.Dev(t, "faults", map[string]any{"endpoint": "token", "hang": true})
	x.dev.Forget(t)
	done := make(chan *Response, 1)
	go func() {
		r, _ := kari.Try(http.MethodGet, x.ingress+"/both", "")
		done <- r
	}()
	Eventually(t, "both tokens are asked for while neither is there", func() error {
		if n := len(x.scopes()); n < 2 {
			return errorf("%d are", n)
		}
		return nil
	})
	if got := x.scopes(); len(got) != 2 || got[0] == got[1] { // one after the other, the second attempt for the first would have come before
		t.Errorf("asked for %q", got)
	}
	x.dev.Dev(t, "faults/clear", map[string]any{}) // their connections are closed, and the next attempt succeeds
	if r := <-done; r == nil || r.StatusCode != 200 || Echoed(t, r).Header.Get("X-Orders-Token") == "" || Echoed(t, r).Header.Get("X-Stock-Token") == "" {
		t.Errorf("after that: %v", r)
	}

	x.dev.Dev(t, "faults", map[string]any{"endpoint": "token", "status": 503, "body": "down"})
	before := len(x.app.Requests())
	r := ola.Get(x.ingress + "/required")
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || !strings.Contains(r.Body, `"downstream_unavailable"`) || len(x.app.Requests()) != before {
		t.Errorf("required: %d %v %s", r.StatusCode, r.Header, r.Body)
	}
	within(t, 4*time.Second, "an optional one", func() {
		if seen := x.get(t, ola, "/optional").Header; seen.Get("X-Optional-Token") != "" || seen.Get("X-Postern-User") != "Z990002" {
			t.Errorf("optional: the app was given %v", seen)
		}
	})
	if seen := x.get(t, kari, "/both").Header; seen.Get("X-Orders-Token") == "" || seen.Get("X-Stock-Token") == "" {
		t.Error("tokens that are known already were not handed out in the outage")
	}
	if r := ola.Get(x.ingress + "/oauth2/session"); r.StatusCode != 200 {
		t.Errorf("trouble with a downstream token ended a session: %d", r.StatusCode)
	}
}
