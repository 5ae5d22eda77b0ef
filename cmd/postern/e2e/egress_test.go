package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// A request of somebody who is signed in, through the app and out again: the target is called as that person, by a token that is for it.
func TestEgressCallsAsTheUserWhoCalledTheApp(t *testing.T) {
	t.Parallel()
	x := newOutbound(t, outboundOptions{})
	kari, authorization := x.signedIn("kari")
	own := bearer(t, http.Header{"Authorization": {authorization}})
	x.dev.Forget(t)
	for range 3 {
		r := kari.Send("POST", x.ingress+"/via/orders/17%20a/lines?page=2&page=%32", "two lines", "Content-Type", "text/plain", "X-Trace", "t")
		seen := Echoed(t, r)
		if r.StatusCode != 200 || seen.Method != "POST" || seen.URI != "/api/17%20a/lines?page=2&page=%32" || seen.Host != x.target.Addr || seen.Body != "two lines" {
			t.Fatalf("status %d, the target saw %+v", r.StatusCode, seen)
		}
		got := bearer(t, seen.Header)
		if got["aud"] != ordersClientID || got["azp"] != ownClientID || got["oid"] != own["oid"] || got["NAVident"] != "Z990001" || seen.Header.Get("X-Trace") != "t" {
			t.Errorf("the target was told %v by %v", got, seen.Header)
		}
	}
	ola, _ := x.signedIn("ola")
	if got := bearer(t, Echoed(t, ola.Get(x.ingress+"/via/orders/17")).Header); got["NAVident"] != "Z990002" {
		t.Errorf("another user is %v", got["NAVident"])
	}
	if n := x.dev.Counts(t)["token/urn:ietf:params:oauth:grant-type:jwt-bearer"]; n != 2 {
		t.Errorf("%d exchanges for four calls of two users", n)
	}
	if nobody := NewClient(t).Get(x.ingress + "/via/orders/17"); nobody.StatusCode != 401 {
		t.Errorf("nobody: status %d", nobody.StatusCode)
	}
	x.Log.Without(t, map[string]string{"the user's token": strings.TrimPrefix(authorization, "Bearer ")})
}

// Each provider by the kinds of call that it has tokens for.
func TestEgressGetsTokensOfEachProvider(t *testing.T) {
	t.Parallel()
	x := newOutbound(t, outboundOptions{})
	citizen := "Bearer " + x.dev.Mint(t, profile("idporten", "client_id", ourIDPorten, "pid", "01817012345"))
	exchanged := "Bearer " + x.dev.Mint(t, profile("tokenx", "pid", "01817012345"))
	_, employee := x.signedIn("kari")
	const app = "X-Postern-Egress"
	for name, test := range map[string]struct {
		path, authorization, header string
		want                        map[string]any
	}{
		"Entra ID, a user":                    {"/stock/x", employee, "", map[string]any{"aud": stockClientID, "NAVident": "Z990001"}},
		"Entra ID, the app":                   {"/ledger/x", "", app, map[string]any{"aud": ordersClientID, "idtyp": "app", "azp": ownClientID}},
		"the app, whatever token it forwards": {"/ledger/x", employee, app, map[string]any{"idtyp": "app", "NAVident": nil}},
		"either, a user":                      {"/either/x", employee, app, map[string]any{"aud": stockClientID, "NAVident": "Z990001"}},
		"either, nobody":                      {"/either/x", "", app, map[string]any{"aud": stockClientID, "idtyp": "app"}},
		"Maskinporten":                        {"/register/x", "", "", map[string]any{"scope": "nav:team/orders.read", "client_id": ownClientID}},
		"TokenX, of ID-porten":                {"/citizens/x", citizen, "", map[string]any{"aud": ordersName, "client_id": ownName, "pid": "01817012345"}},
		"TokenX, of TokenX":                   {"/citizens/x", exchanged, "", map[string]any{"aud": ordersName, "pid": "01817012345"}},
	} {
		var headers []string
		if test.header != "" {
			headers = []string{test.header, "1"}
		}
		r := x.call(test.path, test.authorization, headers...)
		if r.StatusCode != 200 {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.Body)
			continue
		}
		seen := Echoed(t, r).Header
		got := bearer(t, seen)
		for claim, want := range test.want {
			if got[claim] != want {
				t.Errorf("%s: %s is %v, want %v", name, claim, got[claim], want)
			}
		}
		if seen.Get(app) != "" {
			t.Errorf("%s: the target saw %s", name, app)
		}
	}
	byName := x.call("/17?x", employee, "Host", "Orders.localhost:3003")
	if seen := Echoed(t, byName); seen.URI != "/api/17?x" || bearer(t, seen.Header)["aud"] != ordersClientID {
		t.Errorf("by its name the route leads to %s", seen.URI)
	}
}

// What a provider says no to is 403 in its own words; while it cannot be asked it is 503, but for what is known already.
func TestEgressSaysWhyThereIsNoToken(t *testing.T) {
	t.Parallel()
	x := newOutbound(t, outboundOptions{})
	_, authorization := x.signedIn("kari")
	refused := noToken(t, x.call("/closed/x", authorization), 403, "invalid_grant", "AADSTS65001")
	if refused.Hint == "" || refused.Suberror != "consent_required" || len(refused.Codes) != 1 || refused.Correlation == "" {
		t.Errorf("refusal %+v", refused)
	}
	if n := len(x.target.Requests()); n != 0 {
		t.Errorf("the target was called %d times without a token", n)
	}
	if r := x.call("/orders/x", authorization); r.StatusCode != 200 {
		t.Fatalf("status %d %s", r.StatusCode, r.Body)
	}

	x.dev.Dev(t, "faults", map[string]any{"endpoint": "token", "status": 503, "retry_after": 1, "times": 1})
	if r := x.call("/either/x", authorization, "X-Postern-Egress", "1"); r.StatusCode != 200 {
		t.Errorf("a moment's trouble: %d %s", r.StatusCode, r.Body)
	}
	x.dev.Kill(t)
	for _, known := range []string{"/orders/x", "/either/x", "/stock/x"} { // the last two have one target, and so one token
		if r := x.call(known, authorization, "X-Postern-Egress", "1"); r.StatusCode != 200 {
			t.Errorf("%s, a cached token in the outage: %d %s", known, r.StatusCode, r.Body)
		}
	}
	r := x.call("/ledger/x", "", "X-Postern-Egress", "1")
	noToken(t, r, 503, "server_error", "'entra_id' cannot be reached")
	if r.Header.Get("Retry-After") == "" || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("503 with %v", r.Header)
	}
}
