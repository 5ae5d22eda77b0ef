package egress

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"postern/config"
)

func TestRouteIsChosenByPathOrHost(t *testing.T) {
	t.Parallel()
	one, two := newOutside(t, nil), newOutside(t, nil)
	s := newSidecar(t, nil, orders(one.URL), config.EgressRoute{Name: "Pay-2", URL: two.URL + "/v1"})
	for _, test := range []struct {
		name, target, host string
		at                 *outside
		want               string
	}{
		{"path", "/orders/a/b?c=d", "127.0.0.1:3003", one, "/a/b?c=d"},
		{"path without more", "/orders", "127.0.0.1:3003", one, "/"},
		{"path and query", "/orders?c", "localhost", one, "/?c"},
		{"path with a slash", "/orders/", "localhost:3003", one, "/"},
		{"host", "/a/b?c=d", "orders.localhost", one, "/a/b?c=d"},
		{"host and port", "/a", "orders.localhost:3003", one, "/a"},
		{"host in capitals", "/a", "ORDERS.LocalHost", one, "/a"},
		{"host with a dot at its end", "/a", "orders.localhost.", one, "/a"},
		{"host wins over path", "/Pay-2/a", "orders.localhost", one, "/Pay-2/a"},
		{"path of another name", "/Pay-2/a", "127.0.0.1", two, "/v1/a"},
		{"host of another name", "/", "pay-2.localhost", two, "/v1/"},
		{"service of gRPC", "/grpc.health.v1.Health/Check", "pay-2.localhost:3003", two, "/v1/grpc.health.v1.Health/Check"},
		{"path in another case", "/pay-2/a", "127.0.0.1", nil, ""},
		{"no route", "/", "127.0.0.1", nil, ""},
		{"unknown path", "/billing/a", "127.0.0.1", nil, ""},
		{"unknown host", "/orders/a", "billing.localhost", nil, ""},
		{"host below a route's", "/orders/a", "a.orders.localhost", nil, ""},
		{"nothing before localhost", "/orders/a", ".localhost", nil, ""},
		{"escaped name", "/%6frders/a", "127.0.0.1", nil, ""},
		{"name with a parameter", "/orders;v=1/a", "127.0.0.1", nil, ""},
		{"name behind two slashes", "//orders/a", "127.0.0.1", nil, ""},
		{"name that begins like a route's", "/ordersx", "127.0.0.1", nil, ""},
	} {
		res, body := s.call(t, "GET "+test.target, "Host: "+test.host+"\r\n"+asUser)
		if test.at == nil {
			if res.StatusCode != http.StatusNotFound || !strings.Contains(body, `"error":"unknown_route"`) {
				t.Errorf("%s: %d %s", test.name, res.StatusCode, body)
			}
			continue
		}
		if got := test.at.last(); res.StatusCode != http.StatusOK || got == nil || got.RequestURI != test.want {
			t.Errorf("%s: %d %s, the target saw %v; want %s", test.name, res.StatusCode, body, got, test.want)
		} else if got.Host != strings.TrimPrefix(test.at.URL, "http://") {
			t.Errorf("%s: Host %q", test.name, got.Host)
		}
	}
	if n := len(one.requests()) + len(two.requests()); n != 12 {
		t.Errorf("%d calls reached a target; want 12", n)
	}
	if got := Hosts(s.handler.cfg.Routes); !slices.Equal(got, []string{"orders.localhost", "pay-2.localhost"}) {
		t.Errorf("hosts for the guard: %q", got)
	}
}

func TestPathAndQueryAreSentByteForByte(t *testing.T) {
	t.Parallel()
	target := newOutside(t, nil)
	for url, base := range map[string]string{"": "", "/": "", "/api": "/api", "/api/": "/api", "/a%20b/%C3%B8/": "/a%20b/%C3%B8"} {
		s := newSidecar(t, nil, orders(target.URL+url))
		for _, rest := range []string{
			"/a", "/a/", "/a?", "/a??b", "/a?b;c=%zz&d", "/%c3%b8", "/%C3%B8", "/ø", "/a%20b", "/a+b", "/~a!$&'()*+,;=:@-._", "/a|b", "/a/b/../c", "/a/./b", "/a//b",
			"/a%2Fb", "/a%252fb", "/http://evil/", "/@evil", "/a?http://evil/../..", "/evil.example:443",
		} {
			if res, body := s.call(t, "GET /orders"+rest, asUser); res.StatusCode != http.StatusOK {
				t.Errorf("%s%s: %d %s", url, rest, res.StatusCode, body)
			} else if got := target.last().RequestURI; got != base+rest {
				t.Errorf("%s%s was sent as %s", url, rest, got)
			}
		}
		if s.call(t, "GET /orders?a", asUser); target.last().RequestURI != map[bool]string{true: "/", false: url}[url == ""]+"?a" {
			t.Errorf("%s: without a path %s was sent", url, target.last().RequestURI)
		}
	}
}

func TestS21PathThatLeavesTheRouteIsRefused(t *testing.T) {
	t.Parallel()
	target := newOutside(t, nil)
	for _, base := range []string{"", "/api", "/api/v1/"} {
		s := newSidecar(t, nil, orders(target.URL+base))
		for _, rest := range []string{
			"/..", "/../", "/../x", "/a/../../x", "/%2e%2e/%2e%2e/admin", "/%2E./x", "/.%2e/x", "/..;/x", "/..;a=b/x", "/..%3b/x", `/..\x`, `/..%5cx`, `/\..\x`, `/%5c..%5cx`,
			"/..%2fx", "/..%2Fx", "/%2e%2e%2fx", "/%252e%252e/x", "/%25252e%25252e/x", "/..%252fx", "/a/..//../x", "/a//../../x", "/./../x", "/a/b/../../../x",
			"/../api/x", "/../api/v1/x", "/../orders/x", "/../../orders/x", "/a/%2e%2e/%2e%2e/api/v1/x",
		} {
			if res, body := s.call(t, "GET /orders"+rest, asUser); res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s%s: %d %s", base, rest, res.StatusCode, body)
			}
			if res, body := s.call(t, "GET "+rest, "Host: orders.localhost\r\n"+asUser); res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s%s by host: %d %s", base, rest, res.StatusCode, body)
			}
		}
		if asked := s.broker.requests(); len(asked) > 0 {
			t.Errorf("tokens were asked for: %v", asked)
		}
	}
	if seen := target.requests(); len(seen) > 0 {
		t.Errorf("the target saw %s", seen[0].RequestURI)
	}
}

// TestS21NothingIsSentAnywhereElse: no part of a call names where it goes.
func TestS21NothingIsSentAnywhereElse(t *testing.T) {
	t.Parallel()
	target, evil := newOutside(t, nil), newOutside(t, nil)
	at := strings.TrimPrefix(evil.URL, "http://")
	s := newSidecar(t, nil, orders(target.URL))
	for name, test := range map[string]struct {
		line, host string
		status     int
	}{
		"host":                            {"GET /orders/x", at, 200},
		"host of the other, and no route": {"GET /x", at, 404},
		"absolute form":                   {"GET " + evil.URL + "/orders/x", at, 400},
		"absolute form to ourselves":      {"GET http://127.0.0.1:3003/orders/x", "127.0.0.1:3003", 400},
		"absolute form by route":          {"GET http://orders.localhost/x", "orders.localhost", 400},
		"two slashes":                     {"GET //" + at + "/x", "127.0.0.1", 404},
		"two slashes by host":             {"GET //" + at + "/x", "orders.localhost", 400},
		"two slashes behind the route":    {"GET /orders//" + at + "/x", "127.0.0.1", 400},
		"slash and backslash":             {`GET /orders/\` + at + "/x", "127.0.0.1", 400},
		"slash and escaped slash":         {"GET /orders/%2f" + at + "/x", "127.0.0.1", 400},
		"user":                            {"GET /orders@" + at + "/x", "127.0.0.1", 404},
		"user behind the route":           {"GET /orders/@" + at + "/x", "127.0.0.1", 200},
		"user without a slash":            {"GET @" + at + "/x", "127.0.0.1", 400},
		"address as path":                 {"GET /orders/" + evil.URL + "/x", "127.0.0.1", 200},
		"address as query":                {"GET /orders?url=" + evil.URL, "127.0.0.1", 200},
		"CONNECT":                         {"CONNECT " + at, at, 405},
		"TRACE":                           {"TRACE /orders", "127.0.0.1", 405},
		"star, which net/http answers":    {"OPTIONS *", "orders.localhost", 200},
		"host with a user":                {"GET /orders/x", "a@" + at, 400},
	} {
		if res, body := s.call(t, test.line, "Host: "+test.host+"\r\nX-Forwarded-Host: "+at+"\r\nX-Original-URL: "+evil.URL+"\r\n"+asUser); res.StatusCode != test.status {
			t.Errorf("%s: %d %s; want %d", name, res.StatusCode, body, test.status)
		}
	}
	if n := len(target.requests()); n != 4 {
		t.Errorf("the target saw %d calls; want 4", n)
	}
	if seen := evil.requests(); len(seen) > 0 {
		t.Errorf("somebody else saw %s %v", seen[0].RequestURI, seen[0].Header)
	}
}

// TestAdvisoryCVE2023_45289RedirectsAreTheApps: peers.md row 72. Whoever a target sends the app to never sees the token.
func TestAdvisoryCVE2023_45289RedirectsAreTheApps(t *testing.T) {
	t.Parallel()
	evil := newOutside(t, nil)
	for _, status := range []int{301, 302, 303, 307, 308} {
		target := newOutside(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", evil.URL+"/steal")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "there")
		})
		s := newSidecar(t, nil, orders(target.URL))
		if res, body := s.call(t, "GET /orders/x", asUser); res.StatusCode != status || res.Header.Get("Location") != evil.URL+"/steal" || body != "there" {
			t.Errorf("%d %s %s", res.StatusCode, res.Header.Get("Location"), body)
		}
	}
	if seen := evil.requests(); len(seen) > 0 {
		t.Errorf("it was followed with %v", seen[0].Header)
	}
}
