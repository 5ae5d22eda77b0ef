package proxy

import (
	"net/url"
	"strings"
	"testing"

	"postern/config"
)

func ingressAt(raw string) *ingress {
	u, err := url.Parse(raw)
	if err != nil {
		panic(err)
	}
	return newIngresses([]*url.URL{u})[0]
}

func TestLocalTarget(t *testing.T) {
	t.Parallel()
	root, sub := ingressAt("https://app.example"), ingressAt("https://app.example/app")
	for raw, want := range map[string]string{
		"":                                     "/fallback",
		"/":                                    "/",
		"/a/b?c=d#e":                           "/a/b?c=d#e",
		"/a?":                                  "/a?",
		"/share?u=https://x/y//z":              "/share?u=https://x/y//z",
		"/a//b":                                "/a//b",
		"/a?b=%zz;c":                           "/a?b=%zz;c",
		"/s%C3%B8k":                            "/s%C3%B8k",
		"/søk":                                 "/s%C3%B8k",
		"https://app.example/x?y":              "/x?y",
		"https://evil.example/x":               "/x",
		"https://evil.example":                 "/",
		"//evil.example/x":                     "/x",
		"///evil.example":                      "/fallback",
		"/\\evil.example":                      "/fallback",
		"/\t/evil.example":                     "/fallback",
		"/%2fevil.example":                     "/fallback",
		"/%252fevil.example":                   "/fallback",
		"/%09/evil.example":                    "/fallback",
		"https://u:p@app.example/x":            "/fallback",
		"https:evil.example":                   "/fallback",
		"javascript:alert(1)":                  "/fallback",
		"relative":                             "/fallback",
		"/oauth2/logout":                       "/fallback",
		"/oauth2":                              "/fallback",
		"/x/../oauth2/logout":                  "/fallback",
		"/%6fauth2/logout":                     "/fallback",
		"/oauth2x":                             "/oauth2x",
		"/" + strings.Repeat("a", maxDeepLink): "/fallback",
	} {
		if got := localTarget(raw, root, "/fallback"); got != want {
			t.Errorf("localTarget(%q) = %q, want %q", raw, got, want)
		}
	}
	if got := localTarget("/app/oauth2/login", sub, "/fallback"); got != "/fallback" {
		t.Errorf("S-52: own endpoint below an ingress path: %q", got)
	}
	if got := localTarget("/oauth2/login", sub, "/fallback"); got != "/oauth2/login" {
		t.Errorf("another app's endpoint: %q", got)
	}
}

// FuzzLocalTarget holds every outcome to what makes it safe as a Location.
func FuzzLocalTarget(f *testing.F) {
	for _, seed := range []string{"/a?b#c", "//evil", `/\evil`, "https://evil", "/%2f%2fevil", "/a/../oauth2", "/\x00", "http:evil"} {
		f.Add(seed)
	}
	in := ingressAt("https://app.example/app")
	f.Fuzz(func(t *testing.T, raw string) {
		got := localTarget(raw, in, "/fallback")
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsFunc(got, unsafeInLocation) {
			t.Errorf("localTarget(%q) = %q", raw, got)
		}
		if again := localTarget(got, in, "/fallback"); again != got {
			t.Errorf("localTarget is not stable: %q became %q", got, again)
		}
	})
}

// S-53: an ingress path owns whole segments.
func TestS53IngressPathsAreComparedBySegments(t *testing.T) {
	t.Parallel()
	var all ingresses
	for _, raw := range []string{"https://app.example/app", "https://app.example/app/inner", "http://app.example:8080", "https://Other.example:443"} {
		all = append(all, ingressAt(raw))
	}
	all = newIngressesSorted(all)
	for _, test := range []struct{ host, forwarded, path, want string }{
		{"app.example", "", "/app", "https://app.example/app"},
		{"APP.example", "", "/app/x", "https://app.example/app"},
		{"app.example:443", "", "/app/x", "https://app.example/app"},
		{"app.example", "", "/app/inner/x", "https://app.example/app/inner"},
		{"app.example", "", "/application", ""},
		{"app.example", "", "/", ""},
		{"app.example:8080", "", "/application", "http://app.example:8080"},
		{"app.example:8081", "", "/app", ""},
		{"other.example", "", "/", "https://other.example"},
		{"other.example:80", "", "/", ""},
		{"10.0.0.1:7564", "app.example", "/app", "https://app.example/app"},
		{"10.0.0.1:7564", "evil.example", "/app", ""},
		{"other.example", "app.example", "/app", "https://other.example"},
	} {
		got := ""
		if in := all.match(test.host, test.forwarded, test.path); in != nil {
			got = in.url("")
		}
		if got != test.want {
			t.Errorf("%s (%s) %s: %q, want %q", test.host, test.forwarded, test.path, got, test.want)
		}
	}
}

func newIngressesSorted(all ingresses) ingresses {
	var urls []*url.URL
	for _, in := range all {
		u, _ := url.Parse(in.url(""))
		urls = append(urls, u)
	}
	return newIngresses(urls)
}

func TestOwnCookiesAreAFamily(t *testing.T) {
	t.Parallel()
	own := ownCookies("postern", "")
	for name, want := range map[string]bool{
		"postern.session": true, "__Host-postern.session": true, "__Secure-postern.callback.abc": true, "POSTERN.session": true,
		"postern.future": true, "postern": false, "postern.": false, "posternx.session": false, "my.postern.session": false, "session": false,
	} {
		if own(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	names := namesFor(ingressAt("https://a.example/app"), config.Cookie{Prefix: "p", Secure: true}, config.SSO{})
	if names.session != "__Secure-p.session" {
		t.Errorf("below a path: %s", names.session)
	}
}
