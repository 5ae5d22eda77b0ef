package proxy

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"postern/config"
)

const domainHome = "https://www.example.org/start"

func exampleDomain(t testing.TB) *domain {
	t.Helper()
	own := newIngresses([]*url.URL{{Scheme: "https", Host: "login.example.org"}})
	d, err := newDomain(config.SSO{Enabled: true, Domain: "example.org", ServerDefaultRedirectURL: domainHome}, "Lax", own)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// S-52: https only, no user, no other port, hosts of the domain by whole labels, no endpoint of ours.
func TestS52DomainTargets(t *testing.T) {
	t.Parallel()
	d := exampleDomain(t)
	for raw, want := range map[string]string{
		"https://app.example.org/a?b=c#d":      "https://app.example.org/a?b=c#d",
		"https://example.org":                  "https://example.org/",
		"https://a.b.example.org:443/":         "https://a.b.example.org/",
		"https://app.example.org:/":            "https://app.example.org/",
		"HTTPS://APP.Example.ORG/X":            "https://app.example.org/X",
		"https://app.example.org//x":           "https://app.example.org//x",
		"https://app.example.org/?":            "https://app.example.org/?",
		"https://app.example.org/docs/oauth2/": "https://app.example.org/docs/oauth2/",
		"https://app.example.org/?u=//evil/":   "https://app.example.org/?u=//evil/",
		"":                                     "", "/x": "", "x": "", "//app.example.org/": "", "https:/app.example.org/": "", "https:app.example.org": "",
		"http://app.example.org/": "", "ftp://app.example.org/": "", "javascript://app.example.org/%0aalert(1)": "", "data:text/html,x": "",
		"https://user@app.example.org/": "", "https://@app.example.org/": "", "https://app.example.org:8443/": "", "https://app.example.org:80/": "",
		"https://evilexample.org/": "", "https://example.org.evil.example/": "", "https://.example.org/": "", "https://a..example.org/": "",
		"https://app.example.org./": "", "https://[::1].example.org/": "", "https://a%2f.example.org/": "", "https://a%00.example.org/": "",
		"https://\u00e6.example.org/": "", "https://evil.example\u3002example.org/": "", "https://app.example.org\\@evil.example/": "", "https://app.example.org/\\evil": "",
		"https://app.example.org/\tx": "", " https://app.example.org/": "", "https://app.example.org/%zz": "",
		"https://login.example.org/": "", "https://LOGIN.example.org:443/x": "",
		"https://app.example.org/oauth2/logout": "", "https://app.example.org/oauth2": "", "https://app.example.org/%6Fauth2/x": "", "https://app.example.org/a/..;/oauth2/x": "",
		"https://app.example.org/a%2f..%2foauth2/x": "", "https://app.example.org/" + strings.Repeat("x", 2000): "",
	} {
		if want == "" {
			want = domainHome
		}
		got := d.allowed(raw, nil, domainHome)
		if got != want {
			t.Errorf("%q leads to %q, want %q", raw, got, want)
		}
		if again := d.allowed(got, nil, domainHome); again != got {
			t.Errorf("%q is taken for %q the second time", got, again)
		}
	}
}

func FuzzDomainTarget(f *testing.F) {
	for _, seed := range []string{"https://app.example.org/a?b#c", "https://x@example.org", "https://evil.example/", "//example.org", `https:\\example.org`} {
		f.Add(seed)
	}
	d := exampleDomain(f)
	f.Fuzz(func(t *testing.T, raw string) {
		got := d.allowed(raw, nil, "")
		if got == "" {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme != "https" || u.User != nil || u.Port() != "" || u.Host != "example.org" && !strings.HasSuffix(u.Host, ".example.org") {
			t.Errorf("%q leads to %q", raw, got)
		}
		if authority, _, _ := strings.Cut(strings.TrimPrefix(got, "https://"), "/"); strings.Trim(authority, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Errorf("%q leads to %q, whose host another reader may read in another way", raw, got)
		}
		if strings.ContainsFunc(got, unsafeInLocation) || d.allowed(got, nil, "") != got {
			t.Errorf("%q leads to %q", raw, got)
		}
	})
}

// Exactly https://<domain> and what is below it.
func TestCrossOriginOfADomain(t *testing.T) {
	t.Parallel()
	d := exampleDomain(t)
	for origin, want := range map[string]bool{
		"https://example.org": true, "https://app.example.org": true, "https://a.b.example.org": true,
		"http://app.example.org": false, "https://app.example.org:8443": false, "https://app.example.org:443": false, "https://evilexample.org": false,
		"https://example.org.evil": false, "null": false, "": false, "https://app.example.org/": false, "https://APP.example.org": false, "https://x@example.org": false,
		"https://app.example.org?": false, "https://app.example.org#": false, "https://*.example.org": false,
	} {
		r := httptest.NewRequest(http.MethodOptions, "/oauth2/session", nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "GET")
		r.Header.Set("Access-Control-Request-Headers", "x\r\nSet-Cookie: a=b")
		header := http.Header{}
		preflight := d.crossOrigin(header, r, pathSession)
		if got := header.Get("Access-Control-Allow-Origin"); got != "" != want || want && got != origin || preflight != (origin != "") {
			t.Errorf("origin %q: %v, preflight %v", origin, header, preflight)
		}
		if header.Get("Access-Control-Allow-Headers") != "" {
			t.Error("names of headers that are none were repeated")
		}
	}
	two := httptest.NewRequest(http.MethodGet, "/oauth2/session", nil)
	two.Header["Origin"] = []string{"https://app.example.org", "https://evil.example"}
	if header := (http.Header{}); d.crossOrigin(header, two, pathSession) || header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("two origins: %v", header)
	}
}

// S-23 where a domain is shared: no "__Host-", which would not be shared; and beside ours the name that a wonderwall server uses.
func TestS23SharedCookieNames(t *testing.T) {
	t.Parallel()
	sso := config.SSO{Enabled: true, SessionCookieName: "sso"}
	names := namesFor(ingressAt("https://a.example.org"), config.Cookie{Prefix: "p", Secure: true}, sso)
	if names.session != "__Secure-sso" || names.login != "__Secure-sso.callback." || names.logout != "__Secure-sso.logout" || strings.Join(names.sessions(), " ") != "__Secure-sso sso" {
		t.Errorf("names %+v", names)
	}
	if plain := namesFor(ingressAt("http://a.localhost"), config.Cookie{Prefix: "p"}, sso); strings.Join(plain.sessions(), " ") != "sso" {
		t.Errorf("without Secure: %v", plain.sessions())
	}
	own := ownCookies("p", "sso")
	for name, want := range map[string]bool{
		"sso": true, "SSO": true, "__Secure-sso": true, "__Host-sso": true, "sso.callback": true, "__Secure-sso.logincount": true, "p.session": true,
		"ssox": false, "xsso": false, "p": false, "__Secure-": false,
	} {
		if own(name) != want {
			t.Errorf("cookie %q: own %v", name, !want)
		}
	}
	header := http.Header{"Cookie": {`app=1; __Secure-sso=a;sso.callback=b`, ` "sso"=c; other; x="; sso=d`}}
	onlyOwnCookies(header, own)
	if got := strings.Join(header["Cookie"], "|"); got != `__Secure-sso=a; sso.callback=b; "sso"=c; sso=d` {
		t.Errorf("kept %q", got)
	}
	header = http.Header{"Cookie": {"app=1"}}
	if onlyOwnCookies(header, own); len(header) != 0 {
		t.Errorf("kept %v", header)
	}
}
