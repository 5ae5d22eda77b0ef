package guard

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// request is one from this machine, as a client in the app sends it.
func request(change ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/token", http.NoBody)
	r.RemoteAddr, r.Host = "127.0.0.1:41000", "127.0.0.1:3000"
	for _, f := range change {
		f(r)
	}
	return r
}

func peer(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address }
}

func host(host string) func(*http.Request) {
	return func(r *http.Request) { r.Host = host }
}

func with(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = values }
}

func onSocket(r *http.Request) {
	r.RemoteAddr = "@"
	*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Name: "/run/postern.sock", Net: "unix"}))
}

// want checks the verdict; an empty reason lets pass.
func want(t *testing.T, g *Guard, r *http.Request, reason string) {
	t.Helper()
	got := g.Check(r)
	switch {
	case got == nil && reason != "":
		t.Errorf("let pass, want refusal %q", reason)
	case got != nil && got.Reason != reason:
		t.Errorf("refused for %q, want %q", got.Reason, reason)
	case got != nil && (got.Status != http.StatusForbidden && reason != "secret" || got.Code == "" || got.Description == ""):
		t.Errorf("%+v", got)
	}
}

func TestS22OnlyPeersOnThisMachineAreAnswered(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*http.Request)
		reason string
	}{
		"loopback":               {peer("127.0.0.1:1"), ""},
		"all of 127/8":           {peer("127.9.8.7:1"), ""},
		"IPv6 loopback":          {peer("[::1]:1"), ""},
		"IPv4-mapped loopback":   {peer("[::ffff:127.0.0.1]:1"), ""},
		"socket file":            {onSocket, ""},
		"pod network":            {peer("10.1.2.3:1"), "peer"},
		"IPv4-mapped pod":        {peer("[::ffff:10.0.0.1]:1"), "peer"},
		"link local":             {peer("[fe80::1%eth0]:1"), "peer"},
		"unspecified":            {peer("0.0.0.0:1"), "peer"},
		"no address":             {peer(""), "peer"},
		"name":                   {peer("localhost:1"), "peer"},
		"socket name over TCP":   {peer("@"), "peer"},
		"without a port":         {peer("127.0.0.1"), "peer"},
		"path like an address":   {func(r *http.Request) { onSocket(r); r.RemoteAddr = "10.0.0.1:1" }, ""},
		"forwarded for loopback": {func(r *http.Request) { r.RemoteAddr = "10.0.0.1:1"; r.Header.Set("X-Forwarded-For", "127.0.0.1") }, "peer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want(t, New(Config{}), request(tc.change), tc.reason)
			want(t, New(Config{AllowRemote: true}), request(tc.change), "")
		})
	}
}

func TestS22DNSRebindingHostsAreRefused(t *testing.T) {
	t.Parallel()
	g := New(Config{AllowedHosts: []string{"Tokens.Internal", "orders.localhost:3003", "postern.svc"}})
	for given, reason := range map[string]string{
		"127.0.0.1": "", "127.0.0.1:3000": "", "10.1.2.3:7164": "", "[::1]": "", "[::1]:3000": "", "[::ffff:127.0.0.1]:1": "", "localhost": "", "LOCALHOST:3000": "",
		"texas": "", "texas:80": "", "my_app": "", "2130706433": "", "0x7f000001": "", // no public name is one label
		"tokens.internal": "", "TOKENS.internal:3000": "", "orders.localhost": "", "orders.localhost:9": "", "postern.svc": "",

		"": "host", "evil.example": "host", "evil.example:3000": "host", "127.0.0.1.evil.example": "host", "localhost.evil.example": "host",
		"localhost.": "host", "tokens.internal.": "host", "a.tokens.internal": "host", "payments.localhost": "host", ".": "host",
		"127.1": "host", "1.2.3.4.5": "host", "300.1.1.1": "host", "0x7f.1": "host", "127.0.0.01": "host",
		"::1": "host", "[::1": "host", "[::1]x": "host", "[::1]:": "host", "[fe80::1%25eth0]": "host", "[127.0.0.1]": "host", "[localhost]": "host", "[]": "host",
		"localhost:": "host", "localhost:x": "host", "localhost:123456": "host", "localhost:80:80": "host", ":80": "host",
		"user@localhost": "host", "localhost@evil.example": "host", "localhost/evil.example": "host", "localhost evil.example": "host", "localhost,evil.example": "host",
		"local\thost": "host", "localhost\x00.evil.example": "host", "l\u00f6calhost": "host", "\uff4cocalhost": "host", "*": "host",
	} {
		t.Run(given, func(t *testing.T) {
			t.Parallel()
			want(t, g, request(host(given)), reason)
			want(t, g, request(onSocket, host(given)), reason) // a browser may be told to speak to a socket by a proxy of its machine
			want(t, New(Config{AllowRemote: true, AllowedHosts: []string{"tokens.internal", "orders.localhost", "postern.svc"}}), request(peer("10.0.0.1:1"), host(given)), reason)
		})
	}
}

func TestS22RequestsOfWebPagesAreRefused(t *testing.T) {
	t.Parallel()
	form := with("Content-Type", "application/x-www-form-urlencoded")
	for name, tc := range map[string]struct {
		change []func(*http.Request)
		reason string
	}{
		"Origin":                        {[]func(*http.Request){with("Origin", "https://evil.example")}, "origin"},
		"Origin of a page on loopback":  {[]func(*http.Request){with("Origin", "http://localhost:5173")}, "origin"},
		"Origin of our own":             {[]func(*http.Request){with("Origin", "http://127.0.0.1:3000")}, "origin"},
		"Origin null":                   {[]func(*http.Request){with("Origin", "null")}, "origin"},
		"Origin empty":                  {[]func(*http.Request){with("Origin", "")}, "origin"},
		"Origin on a form":              {[]func(*http.Request){form, with("Origin", "null")}, "origin"},
		"preflight":                     {[]func(*http.Request){func(r *http.Request) { r.Method = http.MethodOptions }, with("Origin", "https://a")}, "origin"},
		"image of a foreign page":       {[]func(*http.Request){func(r *http.Request) { r.Method = http.MethodGet }, with("Sec-Fetch-Site", "cross-site")}, "cross_site"},
		"one of two":                    {[]func(*http.Request){with("Sec-Fetch-Site", "none", "Cross-Site")}, "cross_site"},
		"Node.js, which has no Origin":  {[]func(*http.Request){with("Sec-Fetch-Mode", "cors")}, ""},
		"somebody who types an address": {[]func(*http.Request){with("Sec-Fetch-Site", "none"), with("Sec-Fetch-Mode", "navigate")}, ""},
		"a form of the app":             {[]func(*http.Request){form}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want(t, New(Config{AllowRemote: true}), request(tc.change...), tc.reason)
		})
	}
}

func TestS22TheSecretIsAskedForAndGoesNoFurther(t *testing.T) {
	t.Parallel()
	const secret = "s3cret of the pod"
	bearer := func(values ...string) func(*http.Request) { return with("Authorization", values...) }
	for name, tc := range map[string]struct {
		header string
		change func(*http.Request)
		reason string
	}{
		"right":                     {"", bearer("Bearer " + secret), ""},
		"scheme in other letters":   {"", bearer("bEARER " + secret), ""},
		"more space":                {"", bearer("Bearer  " + secret), ""},
		"none":                      {"", func(*http.Request) {}, "secret"},
		"wrong":                     {"", bearer("Bearer " + secret + "x"), "secret"},
		"shorter":                   {"", bearer("Bearer " + secret[:5]), "secret"},
		"empty":                     {"", bearer("Bearer "), "secret"},
		"without a scheme":          {"", bearer(secret), "secret"},
		"another scheme":            {"", bearer("Basic " + secret), "secret"},
		"twice":                     {"", bearer("Bearer "+secret, "Bearer "+secret), "secret"},
		"in the wrong header":       {"", with("X-Postern-Secret", secret), "secret"},
		"right in its own header":   {"x-postern-secret", with("X-Postern-Secret", secret), ""},
		"wrong in its own header":   {"X-Postern-Secret", with("X-Postern-Secret", "x"), "secret"},
		"twice in its own header":   {"X-Postern-Secret", with("X-Postern-Secret", secret, secret), "secret"},
		"in Authorization instead":  {"X-Postern-Secret", bearer("Bearer " + secret), "secret"},
		"as bearer in its own":      {"X-Postern-Secret", with("X-Postern-Secret", "Bearer "+secret), "secret"},
		"right, and from elsewhere": {"", func(r *http.Request) { bearer("Bearer " + secret)(r); r.RemoteAddr = "10.0.0.1:1" }, "peer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := New(Config{Secret: func() string { return secret }, SecretHeader: tc.header})
			r := request(tc.change)
			want(t, g, r, tc.reason)
			if refusal := g.Check(request(tc.change)); tc.reason == "secret" && (refusal.Status != http.StatusUnauthorized || refusal.Challenge != "Bearer") {
				t.Errorf("%+v", refusal)
			}
			if left := r.Header.Values(first(tc.header, "Authorization")); tc.reason == "" && len(left) > 0 { // CVE-2023-37918
				t.Errorf("the secret is still there: %q", left)
			}
		})
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func TestS22ASecretThatCannotBeReadLetsNobodyIn(t *testing.T) {
	t.Parallel()
	g := New(Config{Secret: func() string { return "" }})
	for _, value := range []string{"Bearer ", "Bearer", "", "Bearer x"} {
		want(t, g, request(with("Authorization", value)), "secret")
	}
}

// The egress proxy: Authorization is the user's token and stays, its own header never goes on.
func TestTheUsersTokenPassesAndStraySecretsDoNot(t *testing.T) {
	t.Parallel()
	r := request(with("Authorization", "Bearer user"), with("X-Postern-Secret", "left over"))
	want(t, New(Config{SecretHeader: "X-Postern-Secret"}), r, "")
	if r.Header.Get("Authorization") != "Bearer user" || r.Header.Get("X-Postern-Secret") != "" {
		t.Error(r.Header)
	}
	r = request(with("Authorization", "Bearer whatever"))
	want(t, New(Config{}), r, "")
	if r.Header.Get("Authorization") == "" {
		t.Error("nothing was asked for, and it is gone")
	}
}

// peers.md 70: both are looked at, and either alone is not enough.
func TestAdvisory70LoopbackAndHostAreBothChecked(t *testing.T) {
	t.Parallel()
	g := New(Config{})
	want(t, g, request(), "")
	want(t, g, request(host("evil.example")), "host")
	want(t, g, request(peer("10.0.0.1:1"), host("localhost")), "peer")
}

// A real listener of each kind: what net/http says of the peer is what the guard reads.
func TestRealListeners(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusal := New(Config{}).Check(r); refusal != nil {
			http.Error(w, refusal.Reason, refusal.Status)
		}
	})
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": t.TempDir() + "/s"} {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: handler}
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
			},
		}}
		for name, status := range map[string]int{"localhost": http.StatusOK, "evil.example": http.StatusForbidden} {
			resp, err := client.Get("http://" + name + "/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != status {
				t.Errorf("%s, %s: %d", network, name, resp.StatusCode)
			}
		}
	}
}

// What is read as ours is an IP address, a single label or a host that was named, whatever else is in the text.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{"localhost", "127.0.0.1:80", "[::1]:80", "evil.example", "ok.example:1", "[::1%25a]", "1.2.3", "a..b", ":", "[", "[]:1"} {
		f.Add(seed)
	}
	g := New(Config{AllowedHosts: []string{"ok.example"}})
	f.Fuzz(func(t *testing.T, host string) {
		if !g.knows(host) {
			return
		}
		name, _, err := net.SplitHostPort(host)
		if err != nil {
			name = host
			if len(name) > 1 && name[0] == '[' {
				name = name[1 : len(name)-1]
			}
		}
		isIP := net.ParseIP(name) != nil
		hasDot := false
		for _, c := range []byte(name) {
			hasDot = hasDot || c == '.'
			if c <= ' ' || c >= 0x7f || c == '/' || c == '@' || c == ',' {
				t.Fatalf("%q was taken for ours", host)
			}
		}
		if lower := len(name) == len("ok.example") && http.CanonicalHeaderKey(name) == http.CanonicalHeaderKey("ok.example"); !isIP && hasDot && !lower {
			t.Fatalf("%q was taken for ours", host)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	g, r := New(Config{}), request()
	b.ReportAllocs()
	for b.Loop() {
		if g.Check(r) != nil {
			b.Fatal("refused")
		}
	}
}
