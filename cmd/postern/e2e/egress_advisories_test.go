package e2e

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Advisories CVE-2023-37918 and CVE-2024-35223 (peers 71): the secret of the app's listeners opens them, and goes no further.
func TestAdvisoryCVE2023_37918OurSecretGoesNoFurther(t *testing.T) {
	t.Parallel()
	const secret = "secret-of-this-pod-6a1e"
	file := filepath.Join(t.TempDir(), "secret")
	writeFile(t, file, secret+"\n")
	x := newOutbound(t, outboundOptions{env: map[string]string{"POSTERN_TOKEN_SECRET_FILE": file}})
	kari, authorization := x.signedIn("kari")
	x.dev.Forget(t)
	body := map[string]any{"identity_provider": "maskinporten", "target": "nav:team/orders.read"}
	for name, headers := range map[string][]string{
		"none": nil, "another": {"X-Postern-Secret", "x"}, "empty": {"X-Postern-Secret", ""}, "in the wrong place": {"Authorization", "Bearer " + secret},
	} {
		noToken(t, x.call("/register/x", "", headers...), 401, "invalid_client", "")
		x.unseen(name)
	}
	noToken(t, x.tokens.ask(tokenPath, body), 401, "invalid_client", "")
	token(t, x.tokens.ask(tokenPath, body, "Authorization", "Bearer "+secret))
	for _, path := range []string{"/register/x", "/orders/x"} {
		if r := x.call(path, authorization, "X-Postern-Secret", secret); r.StatusCode != 200 {
			t.Errorf("%s: %d %s", path, r.StatusCode, r.Body)
		}
	}
	x.get(t, kari, "/x", "X-Postern-Secret", secret) // a browser that guesses how it is carried
	for _, seen := range append(x.target.Requests(), x.app.Requests()...) {
		for name, values := range seen.Header {
			if strings.Contains(strings.Join(values, ","), secret) {
				t.Errorf("%s of %s has the secret", name, seen.URI)
			}
		}
	}
	for _, asked := range x.dev.TokenRequests(t) {
		if asked.Header.Get("X-Postern-Secret") != "" {
			t.Errorf("%s was sent the secret", asked.Issuer)
		}
	}
	x.Log.Without(t, map[string]string{"the secret": secret, "the user's token": strings.TrimPrefix(authorization, "Bearer ")})
}

// Advisories CVE-2023-45289, CVE-2024-45336 and CVE-2025-4673 (peers 72): no client of ours follows a redirect, to a target or of a provider, so
// that no credential comes to where one leads.
func TestAdvisoryCVE2023_45289RedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	trap := App(t, nil)
	status := http.StatusTemporaryRedirect
	away := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, trap.URL+"/trap", status)
	}
	endpoint := App(t, map[string]http.HandlerFunc{"/token": away})
	x := newOutbound(t, outboundOptions{
		target: App(t, map[string]http.HandlerFunc{"/moved": away}),
		setup:  func(x *outbound) { x.env["TOKEN_X_TOKEN_ENDPOINT"] = endpoint.URL + "/token" },
	})
	user, citizen := "Bearer "+x.tokens.entraUser("kari"), "Bearer "+x.dev.Mint(t, profile("idporten", "client_id", ourIDPorten))
	for _, method := range []string{"GET", "POST"} {
		r := x.call(method+" /stock/moved", user)
		if r.StatusCode != status || r.Header.Get("Location") != trap.URL+"/trap" {
			t.Errorf("%s: %d to %q", method, r.StatusCode, r.Header.Get("Location"))
		}
	}
	noToken(t, x.call("/citizens/x", citizen), 503, "server_error", "makes no sense")
	if n := len(endpoint.Requests()); n != 1 {
		t.Errorf("the token endpoint was asked %d times", n)
	}
	if seen := trap.Requests(); len(seen) > 0 {
		t.Errorf("a redirect was followed: %s %s with %v", seen[0].Method, seen[0].URI, seen[0].Header)
	}
}

// Advisory CVE-2026-41181 (peers 73) and S-21: cookies, tokens and identity reach the one whom they are for. The app forwards everything that it
// was given, and the target sees nothing of it but what is the app's own.
func TestAdvisoryCVE2026_41181EachLegGetsItsOwnCredentials(t *testing.T) {
	t.Parallel()
	cookies := App(t, map[string]http.HandlerFunc{"/cookie": func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "of-the-target", Value: "1"})
		w.Header().Set("X-Of-The-Target", "1")
	}})
	x := newOutbound(t, outboundOptions{
		target: cookies,
		routes: `
- {name: with-cookies, url: "http://TARGET", provider: entra_id, target: "` + stockName + `", cookies: true}
`,
		env: map[string]string{
			"POSTERN_UPSTREAM_TOKENS": `[{header: X-Orders-Token, provider: entra_id, target: "` + ordersName + `"}]`, "POSTERN_IDENTITY_CLAIMS": "X-Nav-Ident=NAVident",
			"POSTERN_IDENTITY_HEADERS": "postern,claims,oauth2-proxy,easyauth", "POSTERN_IDENTITY_ASSERTION": "true",
		},
	})
	kari, authorization := x.signedIn("kari")
	r := kari.Send("GET", x.ingress+"/via/stock/x", "", "Cookie", "of-the-app=1", "Forwarded", "for=192.0.2.1", "X-Forwarded-For", "192.0.2.1", "X-Original-URL", "/admin",
		"X-HTTP-Method-Override", "DELETE", "X_Postern_User", "Z990009", "X-Custom", "kept", "Proxy-Authorization", "Basic eDp5")
	app := x.app.Requests()
	given := app[len(app)-1].Header
	for _, name := range []string{"X-Postern-User", "X-Orders-Token", "X-Nav-Ident", "X-Postern-Assertion", "X-Ms-Client-Principal", "Authorization", "Cookie"} {
		if given.Get(name) == "" {
			t.Errorf("the app was not given %s, so that this test shows nothing", name)
		}
	}
	seen := Echoed(t, r).Header
	for name := range seen {
		switch strings.ToLower(name) {
		case "authorization", "x-custom", "x-request-id", "user-agent", "accept-encoding", "traceparent", "tracestate", "accept":
		default:
			t.Errorf("the target saw %s", name)
		}
	}
	name, session := x.sessionCookie(kari)
	for what, secret := range map[string]string{
		"the session cookie": session, "the user's token": strings.TrimPrefix(authorization, "Bearer "), "a downstream token": given.Get("X-Orders-Token"),
	} {
		seen := []http.Header{}
		for _, one := range x.target.Requests() {
			seen = append(seen, one.Header)
		}
		for _, one := range x.dev.TokenRequests(t) {
			seen = append(seen, one.Header)
		}
		for _, headers := range seen {
			for header, values := range headers {
				if secret == "" || strings.Contains(strings.Join(values, ","), secret) {
					t.Errorf("%s is in %s", what, header)
				}
			}
		}
		if what == "the session cookie" && strings.Contains(given.Get("Cookie"), name) {
			t.Error("the app was given the session cookie")
		}
	}
	if r := x.call("/stock/cookie", authorization); r.StatusCode != 200 || r.Header.Get("Set-Cookie") != "" || r.Header.Get("X-Of-The-Target") != "1" {
		t.Errorf("the target's cookie: %d %v", r.StatusCode, r.Header)
	}
	if seen := Echoed(t, x.call("/with-cookies/x", authorization, "Cookie", "a=b")).Header; seen.Get("Cookie") != "a=b" {
		t.Errorf("cookies: true, and the target saw %v", seen)
	}
	if r := x.call("/with-cookies/cookie", authorization); r.Header.Get("Set-Cookie") == "" {
		t.Error("cookies: true, and the target's cookie is gone")
	}
}

// Advisory CVE-2026-26998 (peers 74): of a body nothing is read while there is no token, and of a provider's answer not more than one can be.
func TestAdvisoryCVE2026_26998NothingIsReadForAToken(t *testing.T) {
	t.Parallel()
	x := newOutbound(t, outboundOptions{})
	_, authorization := x.signedIn("kari")
	head := func(path string) string {
		return "PUT " + path + " HTTP/1.1\r\nHost: " + x.egress + "\r\nAuthorization: " + authorization + "\r\nContent-Length: 1073741824\r\n\r\n"
	}
	for path, want := range map[string]string{"/closed/x": "HTTP/1.1 403", "/ledger/x": "HTTP/1.1 403", "/payroll/x": "HTTP/1.1 404"} {
		conn := Dial(t, x.egress)
		if _, err := io.WriteString(conn, head(path)+"the first bytes of a GiB"); err != nil {
			t.Fatal(err)
		}
		if answer := ReadUntilQuiet(conn, 50*time.Millisecond); !strings.HasPrefix(answer, want) {
			t.Errorf("%s: %.200s", path, answer)
		}
	}

	x.dev.Dev(t, "faults", map[string]any{"endpoint": "token", "hang": true})
	conn := Dial(t, x.egress)
	if _, err := io.WriteString(conn, head("/stock/x")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(400 * time.Millisecond))
	sent, block := 0, make([]byte, 1<<16)
	for sent < 64<<20 {
		n, err := conn.Write(block)
		if sent += n; err != nil {
			break
		}
	}
	if sent > 32<<20 { // the kernel's buffers take some
		t.Errorf("%d bytes of the body were read while there was no token", sent)
	}
	conn.Close()
	x.dev.Dev(t, "faults/clear", map[string]any{})

	x.dev.Dev(t, "faults", map[string]any{"endpoint": "token", "pad": 8 << 20})
	noToken(t, x.call("/either/x", "", "X-Postern-Egress", "1"), 503, "server_error", "makes no sense")
	if n := len(x.target.Requests()); n != 0 {
		t.Errorf("the target was called %d times", n)
	}
}
