package egress

import (
	"bufio"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/config"
	"postern/oidc"
	"postern/proxy/forward"
	"postern/proxy/policy"
)

// FuzzTarget: whatever path comes, what is sent begins with the path of the route's URL in every reading, and holds the rest byte for byte.
func FuzzTarget(f *testing.F) {
	for _, rest := range []string{
		"/a", "", "/..", "/%2e%2e/x", "/..;/x", `/..\x`, "/..%2fx", "/%252e%252e/x", "/a/../../orders/x", "/../api/x", "//evil/x", "/%2fevil", `/\evil`, "/a?../..", "?x", "/@evil",
		"/./..//../x", "/a/..%5c..%5cx", "/%2e%2e;/x", "/\xc0\xae\xc0\xae/x", "/...", "/..a", "/a..",
	} {
		f.Add(rest, false)
		f.Add(rest, true)
	}
	bases := []string{"", "/api", "/api/v1", "/a%20b"}
	handlers := make([]*Handler, len(bases))
	for i, base := range bases {
		h, err := New(Config{Routes: []config.EgressRoute{{
			Name: "orders", URL: "http://orders.example.org" + base, As: "app", Provider: oidc.EntraID, Target: "t", Timeout: time.Second,
		}}}, Deps{Guard: guardFunc(everyone), Tokens: &broker{}})
		if err != nil {
			f.Fatal(err)
		}
		handlers[i] = h
	}
	f.Fuzz(func(t *testing.T, rest string, byHost bool) {
		line, host := "/orders"+rest, "127.0.0.1"
		if byHost {
			line, host = rest, "orders.localhost"
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + line + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")))
		if err != nil || forward.CheckTarget(r) != nil {
			return
		}
		for i, h := range handlers {
			e, left, query, err := h.find(r)
			if err != nil {
				continue
			}
			target, err := e.target(left, query)
			if err != nil {
				continue
			}
			base := bases[i]
			sent, sentQuery, _ := strings.Cut(target, "?")
			_, cameQuery, _ := strings.Cut(r.RequestURI, "?")
			if !strings.HasPrefix(sent, base) || sentQuery != cameQuery || !strings.HasSuffix(target, left+query) || !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") {
				t.Fatalf("%q to %q is sent as %q", line, base, target)
			}
			readings, err := policy.Readings(sent)
			if errors.Is(err, policy.ErrTooOdd) { // by what the base adds to it
				continue
			}
			if err != nil {
				t.Fatalf("%q to %q is sent as %q, which cannot be read: %v", line, base, sent, err)
			}
			plain := strings.ReplaceAll(base, "%20", " ")
			for _, reading := range readings {
				if reading != plain && !strings.HasPrefix(reading, plain+"/") {
					t.Fatalf("%q to %q is sent as %q, which can be read as %q", line, base, sent, reading)
				}
			}
		}
	})
}
