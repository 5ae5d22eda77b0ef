package egress

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"postern/config"
)

// TestS21WhatTheAppReceivedGoesNoFurther: apps forward all headers of a request, and the target may be anybody's.
func TestS21WhatTheAppReceivedGoesNoFurther(t *testing.T) {
	t.Parallel()
	target := newOutside(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Set-Cookie"] = []string{"a=b"}
		w.Header().Set("X-Postern-Of-The-Target", "1")
	})
	s := newSidecar(t, func(c *Config, _ *Deps) {
		c.Identity = config.Identity{
			Claims:         map[string]string{"X-Employee": "NAVident"},
			UpstreamTokens: []config.UpstreamToken{{Header: "X-Orders-Token"}, {Header: "x-billing-token"}},
		}
	}, orders(target.URL), config.EgressRoute{Name: "jar", URL: target.URL, Cookies: true})
	private := []string{
		"X-Postern-User", "X-Postern-Anything-Newer", "X-Postern-Egress", "X-Postern-Assertion", "X-Wonderwall-Id-Token", "X-MS-CLIENT-PRINCIPAL", "X-MS-TOKEN-AAD-ACCESS-TOKEN",
		"X-Auth-Request-User", "X-Forwarded-Access-Token", "Remote-User", "X-Employee", "X-Orders-Token", "X-Billing-Token", "Forwarded", "X-Real-IP", "True-Client-IP", "X-Forwarded-For", "X-Forwarded-Host",
		"X-Forwarded-Proto", "X-Forwarded-Anything", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Method-Override", "Proxy-Authorization", "Keep-Alive",
		"X-Hop",
	}
	var sent strings.Builder
	for _, name := range private {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "~")} {
			if spelling == name || !slices.Contains([]string{"Proxy-Authorization", "Keep-Alive", "X-Hop"}, name) { // hop by hop in one spelling
				fmt.Fprintf(&sent, "%s: private\r\n", spelling)
			}
		}
	}
	for _, route := range []string{"orders", "jar"} {
		res, body := s.call(t, "GET /"+route+"/x", asUser+sent.String()+"Connection: X-Hop, Authorization, X-Request-Id\r\nCookie: session=1\r\nCookie: b=2\r\n"+
			"X-Request-Id: id-1\r\nTraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nAccept: text/plain\r\nTE: trailers\r\n")
		if res.StatusCode != 200 {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
		got := target.last().Header
		for name, values := range got {
			if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "private") }) {
				t.Errorf("%s: the target saw %s", route, name)
			}
		}
		for name, want := range map[string]string{
			"Authorization": "Bearer exchanged-entra_id", "X-Request-Id": "id-1", "Accept": "text/plain", "Te": "trailers",
			"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		} {
			if values := got[name]; !slices.Equal(values, []string{want}) {
				t.Errorf("%s: %s is %q; want %q", route, name, values, want)
			}
		}
		if jar := route == "jar"; (len(got["Cookie"]) == 2) != jar || (len(res.Header["Set-Cookie"]) == 1) != jar {
			t.Errorf("%s: the target saw the cookies %q, and the app %q", route, got["Cookie"], res.Header["Set-Cookie"])
		}
		if got["User-Agent"] != nil || got["Accept-Encoding"] != nil {
			t.Errorf("%s: something was added: %v", route, got)
		}
	}
}

// TestAdvisoryCVE2026_41181TokensStayOnTheirWay: peers.md row 73. The user's own token goes to the provider and nowhere else; that of the target goes
// to the target and never back to the app.
func TestAdvisoryCVE2026_41181TokensStayOnTheirWay(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 401, 500, 502} {
		target := newOutside(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(status)
		})
		s := newSidecar(t, nil, orders(target.URL))
		res, body := s.call(t, "GET /orders/x", asUser)
		if res.StatusCode != status { // a 401 of the target is the target's, and so is its challenge
			t.Errorf("%d; want %d", res.StatusCode, status)
		}
		if status == 401 && res.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("challenge %q", res.Header.Get("WWW-Authenticate"))
		}
		if all := fmt.Sprint(res.Header, body, s.log); strings.Contains(all, "exchanged-") || strings.Contains(all, "Bearer entra_id") {
			t.Errorf("%d: a token shows in %s", status, all)
		}
		if seen := fmt.Sprint(target.last().Header); strings.Contains(seen, "Bearer entra_id") || len(target.requests()) != 1 {
			t.Errorf("the target saw %s, %d times", seen, len(target.requests()))
		}
		s.Close()
		target.Close()
		gone, _ := newSidecar(t, nil, orders(target.URL)).call(t, "GET /orders/x", asUser)
		if strings.Contains(fmt.Sprint(gone.Header), "exchanged-") || gone.StatusCode != 502 {
			t.Errorf("%d %v", gone.StatusCode, gone.Header)
		}
	}
}
