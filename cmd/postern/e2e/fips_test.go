package e2e

import "testing"

// With GODEBUG=fips140=only Go refuses every algorithm that FIPS 140-3 has not approved, by an error or a panic: nothing that signs people in, keeps
// their sessions, checks tokens or gets new ones may need such an algorithm.
func TestApprovedAlgorithmsAreEnough(t *testing.T) {
	t.Parallel()
	x := newOutbound(t, outboundOptions{env: map[string]string{
		"GODEBUG": "fips140=only", "POSTERN_REDIS_URI": Redis(t).URI(), "POSTERN_ENCRYPTION_KEY": randomKey(t),
	}})
	kari, authorization := x.signedIn("kari")
	for _, route := range []string{"orders", "ledger", "register"} { // a user token exchanged, a client secret, and an assertion signed by our own key
		var headers []string
		if route == "ledger" {
			headers = []string{"X-Postern-Egress", "1"}
		}
		if r := x.call("/"+route+"/x", authorization, headers...); r.StatusCode != 200 {
			t.Errorf("%s: %d %s", route, r.StatusCode, r.Body)
		}
	}
	for _, when := range []string{"new", "remembered"} {
		if r := NewClient(t).Get(x.ingress+"/x", "Authorization", authorization); r.StatusCode != 200 {
			t.Errorf("a bearer token that is %s: %d %s", when, r.StatusCode, r.Body)
		}
		if got := x.tokens.introspect("entra_id", x.tokens.entraUser("kari")); got["active"] != true {
			t.Errorf("introspected: %v", got)
		}
	}
	kari.Get(x.ingress + "/oauth2/logout/local")
	if r := kari.Get(x.ingress + "/oauth2/session"); r.StatusCode != 401 {
		t.Errorf("after the logout: %d", r.StatusCode)
	}
}
