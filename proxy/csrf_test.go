package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Row 50 of peers.md (CVE-2025-47910, GO-2025-3607, GO-2025-3884): the table of origins and fetch metadata.
func TestS17CrossSiteRequestsAreRefused(t *testing.T) {
	t.Parallel()
	crossSiteMode := newCrossSite("cross-site", []string{"https://app.example"}, []string{"https://Partner.example:443/", "http://dev.example:8080"})
	sameOrigin := newCrossSite("same-origin", []string{"https://app.example"}, nil)
	off := newCrossSite("off", nil, nil)
	const upgrade, handshake, none = "upgrade", "handshake that an ingress asks about", "-"
	for name, test := range map[string]struct {
		method, site, origin string
		cross, same          bool
	}{
		"link":                              {"GET", "cross-site", none, false, false},
		"head":                              {"HEAD", "cross-site", "https://evil.example", false, false},
		"preflight":                         {"OPTIONS", "cross-site", "https://evil.example", false, false},
		"form of another site":              {"POST", "cross-site", "https://evil.example", true, true},
		"without Origin":                    {"POST", "cross-site", none, true, true},
		"opaque origin":                     {"POST", "cross-site", "null", true, true},
		"sibling":                           {"POST", "same-site", "https://other.example", false, true},
		"own page":                          {"POST", "same-origin", "https://app.example", false, false},
		"own page at an unknown host":       {"POST", "same-origin", "https://whoever", false, false},
		"typed by the user":                 {"POST", "none", none, false, false},
		"site nobody knows":                 {"POST", "near-site", none, true, true},
		"own ingress from another site":     {"POST", "cross-site", "https://app.example", false, false},
		"trusted":                           {"PUT", "cross-site", "https://partner.example", false, true},
		"trusted with port":                 {"DELETE", "cross-site", "http://dev.example:8080", false, true},
		"trusted host, another scheme":      {"POST", "cross-site", "http://partner.example", true, true},
		"trusted host, another port":        {"POST", "cross-site", "http://dev.example", true, true},
		"suffix of a trusted one":           {"POST", "cross-site", "https://evil-partner.example", true, true},
		"no metadata, evil origin":          {"POST", none, "https://evil.example", true, true},
		"no metadata, null origin":          {"POST", none, "null", true, true},
		"no metadata, own origin":           {"POST", none, "https://app.example", false, false},
		"no metadata, empty origin":         {"POST", none, "", true, true},
		"a program":                         {"POST", none, none, false, false},
		"unknown method":                    {"FOO", "cross-site", none, true, true},
		"lower-case get is another method":  {"get", "cross-site", none, true, true},
		"WebSocket of another site":         {upgrade, "cross-site", "https://evil.example", true, true},
		"WebSocket, no metadata":            {upgrade, none, "https://evil.example", true, true},
		"WebSocket, null":                   {upgrade, none, "null", true, true},
		"WebSocket of a sibling":            {upgrade, "same-site", "https://other.example", false, true},
		"WebSocket of the own page":         {upgrade, "same-origin", "https://app.example", false, false},
		"WebSocket of a program":            {upgrade, none, none, false, false},
		"asked about, of another site":      {handshake, none, "https://evil.example", true, true},
		"asked about, of the own page":      {handshake, "same-origin", "https://app.example", false, false},
		"empty Sec-Fetch-Site is not known": {"POST", "", none, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/", nil)
			if r.Method = test.method; test.method == upgrade {
				r.Method = "GET"
				r.Header["Upgrade"], r.Header["Connection"] = []string{"websocket"}, []string{"Upgrade"}
			}
			if test.method == handshake { // nginx takes Upgrade out of what it passes on
				r.Method = "GET"
				r.Header["Sec-Websocket-Key"] = []string{"dGhlIHNhbXBsZSBub25jZQ=="}
			}
			if test.site != none {
				r.Header["Sec-Fetch-Site"] = []string{test.site}
			}
			if test.origin != none {
				r.Header["Origin"] = []string{test.origin}
			}
			if got := crossSiteMode.refuses(r); got != test.cross {
				t.Errorf("cross-site: %v", got)
			}
			if got := sameOrigin.refuses(r); got != test.same {
				t.Errorf("same-origin: %v", got)
			}
			if off.refuses(r) {
				t.Error("off refuses")
			}
		})
	}
}

func TestS17DoubledHeadersDoNotHelp(t *testing.T) {
	t.Parallel()
	c := newCrossSite("cross-site", []string{"https://app.example", "null"}, []string{"null", "", "not an origin", "%"})
	r := httptest.NewRequest("POST", "/", nil)
	for _, h := range []http.Header{
		{"Sec-Fetch-Site": {"same-origin", "cross-site"}},
		{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://app.example", "https://evil.example"}},
		{"Origin": {"null"}},
		{"Origin": {""}},
	} {
		if r.Header = h; !c.refuses(r) {
			t.Errorf("%v passes", h)
		}
	}
}

func TestUnknownCSRFModeIsStrict(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Sec-Fetch-Site", "same-site")
	if !newCrossSite("", nil, nil).refuses(r) {
		t.Error("a mode that was never set lets siblings in")
	}
}
