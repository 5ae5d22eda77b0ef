package forward

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestS51RefusedTargets sends raw bytes: part of the answers is given by net/http, and the tests hold it to that.
func TestS51RefusedTargets(t *testing.T) {
	t.Parallel()
	app := newRawApp(t, okAnswer)
	server := newFront(t, there{Host: app.address}, Outgoing{})
	const host = "Host: app\r\n"
	for name, test := range map[string]struct {
		request string
		status  int
	}{
		"control character":       {"GET /a\x01b HTTP/1.1\r\n" + host, 400},
		"DEL":                     {"GET /a\x7fb HTTP/1.1\r\n" + host, 400},
		"control in query":        {"GET /a?b\x01 HTTP/1.1\r\n" + host, 400},
		"raw fragment":            {"GET /a#b HTTP/1.1\r\n" + host, 400},
		"fragment in query":       {"GET /a?b#c HTTP/1.1\r\n" + host, 400},
		"escaped NUL":             {"GET /a%00b HTTP/1.1\r\n" + host, 400},
		"escaped line feed":       {"GET /a%0Ab HTTP/1.1\r\n" + host, 400},
		"invalid escape":          {"GET /a%zz HTTP/1.1\r\n" + host, 400},
		"cut escape":              {"GET /a%2 HTTP/1.1\r\n" + host, 400},
		"space in target":         {"GET /a b HTTP/1.1\r\n" + host, 400},
		"no slash":                {"GET a HTTP/1.1\r\n" + host, 400},
		"star with GET":           {"GET * HTTP/1.1\r\n" + host, 400},
		"only slashes":            {"GET // HTTP/1.1\r\n" + host, 400},
		"only slashes, query":     {"GET ///?a HTTP/1.1\r\n" + host, 400},
		"odd bytes behind //":     {"GET //a|b HTTP/1.1\r\n" + host, 400},
		"absolute, other host":    {"GET http://other/admin HTTP/1.1\r\n" + host, 400},
		"absolute, userinfo":      {"GET http://app@other/admin HTTP/1.1\r\n" + host, 400},
		"opaque":                  {"GET mailto:a HTTP/1.1\r\n" + host, 400},
		"no Host":                 {"GET / HTTP/1.1\r\n", 400},
		"empty Host":              {"GET / HTTP/1.1\r\nHost: \r\n", 400},
		"two Hosts":               {"GET / HTTP/1.1\r\n" + host + "Host: other\r\n", 400},
		"the same Host twice":     {"GET / HTTP/1.1\r\n" + host + host, 400},
		"Host with parameter":     {"GET / HTTP/1.1\r\nHost: a;proto=https\r\n", 400},
		"Host with comma":         {"GET / HTTP/1.1\r\nHost: a,b\r\n", 400},
		"Host with quote":         {"GET / HTTP/1.1\r\nHost: \"a\"\r\n", 400},
		"Host with space":         {"GET / HTTP/1.1\r\nHost: a b\r\n", 400},
		"Host with slash":         {"GET / HTTP/1.1\r\nHost: a/b\r\n", 400},
		"Host with userinfo":      {"GET / HTTP/1.1\r\nHost: u@a\r\n", 400},
		"Host with two ports":     {"GET / HTTP/1.1\r\nHost: a:1:2\r\n", 400},
		"Host with letters":       {"GET / HTTP/1.1\r\nHost: a:b\r\n", 400},
		"half an IPv6 address":    {"GET / HTTP/1.1\r\nHost: [::1\r\n", 400},
		"two Authorizations":      {"GET / HTTP/1.1\r\n" + host + "Authorization: Bearer a\r\nauthorization: Bearer b\r\n", 400},
		"the same one twice":      {"GET / HTTP/1.1\r\n" + host + "Authorization: Bearer a\r\nAuthorization: Bearer a\r\n", 400},
		"CONNECT":                 {"CONNECT app:443 HTTP/1.1\r\n" + host, 405},
		"CONNECT with path":       {"CONNECT /a HTTP/1.1\r\n" + host, 405},
		"TRACE":                   {"TRACE / HTTP/1.1\r\n" + host, 405},
		"an unknown host":         {"GET / HTTP/1.1\r\nHost: whoever_is.svc:8080\r\n", 200},
		"an IPv6 host":            {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n", 200},
		"HTTP/1.0 without a Host": {"GET / HTTP/1.0\r\n", 200},
		"bad escape in query":     {"GET /?a=%zz;b HTTP/1.1\r\n" + host, 200},
		"an unknown method":       {"FOO / HTTP/1.1\r\n" + host, 200},
		"lower-case trace":        {"trace / HTTP/1.1\r\n" + host, 200},
		"encoded fragment":        {"GET /a%23b HTTP/1.1\r\n" + host, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if status, _, _ := send(t, server.Server, test.request+"\r\n"); status != test.status {
				t.Errorf("%d; want %d", status, test.status)
			}
		})
	}
	t.Cleanup(func() {
		for _, head := range app.requests() {
			if strings.Contains(head, "Bearer") || strings.Contains(head, "admin") {
				t.Errorf("a refused request reached the app: %q", head)
			}
		}
	})
}

func TestS51RefusedTargetsOverHTTP2(t *testing.T) {
	t.Parallel()
	app := newRawApp(t, okAnswer)
	server := newFront(t, there{Host: app.address}, Outgoing{})
	client := h2cClient(t)
	for name, test := range map[string]struct {
		edit   func(*http.Request)
		status int
	}{
		"plain":              {func(*http.Request) {}, 200},
		"fragment":           {func(r *http.Request) { r.URL.Opaque = "/a#b" }, 400},
		"escaped NUL":        {func(r *http.Request) { r.URL.Opaque = "/a%00" }, 400},
		"only slashes":       {func(r *http.Request) { r.URL.Path = "///" }, 400},
		"two Authorizations": {func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer a", "Bearer b"} }, 400},
		"odd authority":      {func(r *http.Request) { r.Host = "a;b" }, 400},
		"TRACE":              {func(r *http.Request) { r.Method = "TRACE" }, 405},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/a", nil)
			if err != nil {
				t.Fatal(err)
			}
			test.edit(r)
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			_, _ = io.Copy(io.Discard, res.Body)
			if res.StatusCode != test.status {
				t.Errorf("%d; want %d", res.StatusCode, test.status)
			}
		})
	}
}

func h2cClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func TestS51AbsoluteFormOfAKnownHost(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"http://app.example/a%2Fb?c": "/a%2Fb?c", "http://APP.example": "/", "http://app.example?q=/x": "/?q=/x", "https://app.example//a": "//a",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RequestURI, r.Host = target, "app.example"
		r.URL, _ = url.Parse(target)
		if problem := CheckTarget(r, "other", "app.example"); problem != nil {
			t.Errorf("%s: %s", target, problem.Text)
		}
		if problem := CheckTarget(r, "other"); problem == nil {
			t.Errorf("%s: accepted for another host", target)
		}
		if got := RawTarget(r); got != want {
			t.Errorf("%s: target %q; want %q", target, got, want)
		}
	}
}

func TestS51TwoHostsOverHTTP2(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/", nil) // what net/http leaves of ":authority: a" with "host: b"
	r.Host, r.Header["Host"] = "a", []string{"b"}
	if problem := CheckTarget(r); problem == nil || problem.Code != "invalid_host" {
		t.Errorf("%v", problem)
	}
}

func TestRawPath(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{"/a?b": "/a", "/a": "/a", "/?": "/", "/a%3Fb?c?d": "/a%3Fb", `/a\b|`: `/a\b|`} {
		r := httptest.NewRequest("GET", "/", nil)
		if r.RequestURI = target; RawPath(r) != want {
			t.Errorf("%s: %q", target, RawPath(r))
		}
	}
}

func FuzzCheckTarget(f *testing.F) {
	for _, seed := range []string{"/", "//", "/a?b#c", "/a%", "/%00", "http://x/y", "*", "//a|b", "/\x00", "///?"} {
		f.Add(seed, "app:80")
	}
	f.Add("/", "[::1]:8")
	f.Add("/", "a;b")
	f.Fuzz(func(t *testing.T, target, host string) {
		u, err := url.ParseRequestURI(target) // net/http lets nothing else through
		if err != nil {
			return
		}
		r := &http.Request{Method: "GET", RequestURI: target, URL: u, Host: host, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}
		if CheckTarget(r) != nil {
			return
		}
		sent := r.Clone(t.Context())
		sendTarget(sent, RawTarget(r))
		if got := sent.URL.RequestURI(); got != target {
			t.Fatalf("%q would be sent as %q", target, got)
		}
		if strings.ContainsAny(host, " ;,\"'\\/@#?<>") || host == "" {
			t.Fatalf("host %q passed", host)
		}
	})
}
