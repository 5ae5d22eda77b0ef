package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Scenario 9, S-16: any page of the app can fetch the endpoint, so it says yes or no, whatever else is asked.
func TestS16PublicForwardAuthSaysYesOrNo(t *testing.T) {
	t.Parallel()
	f := newForwardWorld(t, forwardPolicy, nil)
	kari, nils := f.cookie(t, "kari"), f.cookie(t, "nils")
	for name, test := range map[string]struct {
		headers []string
		status  int
	}{
		"somebody":                           {[]string{"Cookie", kari}, 204},
		"somebody with a token":              {[]string{"Authorization", f.bearer(t, caseworker...)}, 204},
		"nobody":                             {nil, 401},
		"nobody who navigates":               {[]string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 401},
		"a cookie that is none":              {[]string{"Cookie", kari[:len(kari)-9]}, 401},
		"two cookies":                        {[]string{"Cookie", kari + "; " + nils}, 401},
		"whom the policy does not admit":     {[]string{"Cookie", nils}, 401},
		"a bad token beside the cookie":      {[]string{"Cookie", kari, "Authorization", "Bearer a.b.c"}, 401},
		"a token of a stranger":              {[]string{"Authorization", f.bearer(t)}, 401},
		"a path that is not hers, claimed":   {append(f.about("GET", "/admin/x"), "Cookie", kari), 204},
		"a path that is public, claimed":     {append(f.about("GET", "/public/x"), "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/public/x"), 401},
		"a host that is not ours":            {[]string{"Cookie", kari, "Host", "evil.example"}, 401},
		"a secret that nobody has":           {[]string{"Cookie", kari, "X-Postern-Forward-Auth", "secret"}, 204},
		"CVE-2026-34457: a probe's agent":    {[]string{"User-Agent", "GoogleHC/1.0"}, 401},
		"CVE-2026-40575: public by a header": {[]string{"X-Forwarded-Uri", "/public/x", "X-Rewrite-Url", "/public/x"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := f.public(t, test.headers...)
			if r.StatusCode != test.status || r.Header.Get("Location") != "" || len(tells(r.Header)) > 0 || r.Header.Get("Set-Cookie") != "" {
				t.Errorf("status %d, want %d; headers %v", r.StatusCode, test.status, r.Header)
			}
			if cache := r.Header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
				t.Errorf("Cache-Control is %q", cache)
			}
		})
	}
	if r := NewClient(t).Send("POST", f.ingress+"/oauth2/session/forwardauth", "", "Cookie", kari); r.StatusCode != 405 {
		t.Errorf("POST: status %d", r.StatusCode)
	}
	off := newForwardWorld(t, "", map[string]string{"POSTERN_SESSION_FORWARD_AUTH": "false"})
	if r := off.public(t, "Cookie", off.cookie(t, "kari")); r.StatusCode != 404 {
		t.Errorf("switched off: status %d", r.StatusCode)
	}
}

// The exception of S-16: wonderwall's header, behind its flag.
func TestS16IDTokenOnThePublicListenerIsAskedFor(t *testing.T) {
	t.Parallel()
	f := newForwardWorld(t, "", map[string]string{"POSTERN_SESSION_FORWARD_AUTH_SET_HEADERS": "true"})
	r := f.public(t, "Cookie", f.cookie(t, "kari"))
	if got := tells(r.Header); r.StatusCode != 204 || !slices.Equal(got, []string{"X-Wonderwall-Forward-Auth-Token"}) {
		t.Fatalf("status %d, headers %q", r.StatusCode, got)
	}
	if name := claims(t, r.Header.Get("X-Wonderwall-Forward-Auth-Token"))["name"]; name != "Kari Saksbehandler" {
		t.Errorf("the id token is that of %v", name)
	}
	if r := f.public(t); r.StatusCode != 401 || len(tells(r.Header)) > 0 {
		t.Errorf("nobody: status %d, headers %v", r.StatusCode, r.Header)
	}
}

// S-16: with forward-auth.secret-file the endpoint of the public listener answers an ingress controller in full. Without the secret nobody else
// gets more than before, and with a wrong one nobody is told yes.
func TestS16SecretOfTheIngress(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	writeFile(t, file, "first-secret-of-the-ingress\n")
	f := newForwardWorld(t, forwardPolicy, map[string]string{"POSTERN_FORWARD_AUTH_SECRET_FILE": file})
	kari := f.cookie(t, "kari")
	asked := func(secret, target string) []string {
		return append(f.about("GET", target), "Cookie", kari, "X-Postern-Forward-Auth", secret)
	}
	const secret = "first-secret-of-the-ingress"
	if r := f.public(t, asked(secret, "/x")...); r.StatusCode != 204 || r.Header.Get("X-Postern-User") != "Z990001" {
		t.Errorf("with the secret: status %d, %v", r.StatusCode, r.Header)
	}
	if r := f.public(t, asked(secret, "/admin/x")...); r.StatusCode != 403 {
		t.Errorf("with the secret, a path that is not hers: status %d", r.StatusCode)
	}
	for _, wrong := range []string{"", "first-secret-of-the-ingresS", secret + " and more", "Bearer " + secret} {
		if r := f.public(t, asked(wrong, "/x")...); r.StatusCode != 403 || len(tells(r.Header)) > 0 {
			t.Errorf("secret %q: status %d, %v", wrong, r.StatusCode, r.Header)
		}
	}
	if r := f.public(t, append(f.about("GET", "/admin/x"), "Cookie", kari)...); r.StatusCode != 204 || len(tells(r.Header)) > 0 {
		t.Errorf("without the secret: status %d, %v", r.StatusCode, r.Header)
	}
	if r := f.question(t, append(f.about("GET", "/x"), "Cookie", kari)...); r.StatusCode != 403 {
		t.Errorf("own listener without the secret: status %d", r.StatusCode)
	}
	if r := f.question(t, asked(secret, "/x")...); r.StatusCode != 204 {
		t.Errorf("own listener with the secret: status %d", r.StatusCode)
	}
	writeFile(t, file, "second-secret-of-the-ingress\n")
	Eventually(t, "waiting for the new secret", func() error {
		if r := f.public(t, asked("second-secret-of-the-ingress", "/x")...); r.StatusCode != 204 {
			return errorf("status %d", r.StatusCode)
		}
		return nil
	})
	if r := f.public(t, asked(secret, "/x")...); r.StatusCode != 403 {
		t.Errorf("the old secret: status %d", r.StatusCode)
	}
	f.Log.Without(t, map[string]string{"first": secret, "second": "second-secret-of-the-ingress", "cookie": kari})
}

// S-30, S-16: looking at a session from an ingress neither keeps it alive nor renews it, so that an access token that has run out is 401.
func TestS30ForwardAuthKeepsNobodySignedIn(t *testing.T) {
	t.Parallel()
	f := newForwardWorld(t, "", map[string]string{"POSTERN_SESSION_INACTIVITY": "true", "POSTERN_SESSION_INACTIVITY_TIMEOUT": "2s"})
	kari := f.cookie(t, "kari")
	f.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 2})
	ola := f.cookie(t, "ola")
	grants := f.dev.Counts(t)["token"]
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		f.public(t, "Cookie", kari)
		f.question(t, append(f.about("GET", "/"), "Cookie", kari)...)
	}
	for name, cookie := range map[string]string{"idle": kari, "expired token": ola} {
		if r := f.public(t, "Cookie", cookie); r.StatusCode != 401 {
			t.Errorf("%s: status %d on the public listener", name, r.StatusCode)
		}
		if r := f.question(t, append(f.about("GET", "/"), "Cookie", cookie)...); r.StatusCode != 401 || len(tells(r.Header)) > 0 {
			t.Errorf("%s: status %d, headers %v", name, r.StatusCode, r.Header)
		}
	}
	if more := f.dev.Counts(t)["token"] - grants; more != 0 {
		t.Errorf("%d refreshes", more)
	}
}

// S-16, contract 3.4: a store that cannot be asked is trouble, and nobody's logout; also where a policy calls everything public.
func TestForwardAuthWithoutAStore(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	f := newForwardWorld(t, forwardPolicy, map[string]string{"POSTERN_REDIS_URI": redis.URI()})
	kari := f.cookie(t, "kari")
	redis.Stop(t)
	ask := func() []*Response {
		return []*Response{f.public(t, "Cookie", kari), f.question(t, append(f.about("GET", "/x"), "Cookie", kari)...)}
	}
	Eventually(t, "waiting for the end of what is in memory", func() error {
		for _, r := range ask() {
			if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || len(tells(r.Header)) > 0 {
				return errorf("status %d, %v", r.StatusCode, r.Header)
			}
		}
		return nil
	})
	if r := f.question(t, append(f.about("GET", "/public/x"), "Cookie", kari)...); r.StatusCode != 204 || r.Header.Get("X-Postern-User") != "" {
		t.Errorf("public path: status %d", r.StatusCode)
	}
	redis.Start(t)
}
