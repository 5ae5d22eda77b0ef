package proxy

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/config"
	"postern/oidc"
	"postern/session"
)

// everyClaim makes every header of every set have a value.
const everyClaim = `{"iss":"https://login.example/t/v2.0","aud":"client","sub":"s","oid":"o","tid":"t","name":"n","preferred_username":"p","NAVident":"Z1","acr":"a",` +
	`"email":"e@x.example","xms_edov":true,"email_verified":true,"groups":["g"],"roles":["r"],"scp":"a b","azp":"c","department":"d"}`

// S-16: the list of what an ingress must overwrite, and what is ever written, are one.
func TestS16NamesAreThoseThatAreWritten(t *testing.T) {
	t.Parallel()
	someone := func() *oidc.Identity { // an identity keeps the headers that were made of it first
		id, err := oidc.RestoreIdentity(oidc.EntraID, everyClaim, `{"groups":["g"],"roles":["r"],"scp":"a b","azp":"c"}`)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for _, set := range []string{"postern", "claims", "oauth2-proxy", "easyauth"} {
		w := newIdentityHeaders(config.Identity{Headers: []string{set}})
		names := w.names()
		if len(names) == 0 {
			t.Errorf("%s: no names", set)
		}
		written := http.Header{}
		w.write(written, new(headerTexts), someone(), "session", "token")
		for name := range written {
			if !slices.Contains(names, name) {
				t.Errorf("%s: %s is written and not in the list", set, name)
			}
		}
		for _, name := range names {
			if _, there := written[name]; !there && name != "X-Postern-Organization" && name != "X-Postern-Truncated" && name != "X-Postern-Client" {
				t.Errorf("%s: %s is in the list and not written", set, name)
			}
			if name != http.CanonicalHeaderKey(name) {
				t.Errorf("%s: %s is not canonical", set, name)
			}
		}
	}
	small := newIdentityHeaders(config.Identity{Headers: []string{"postern", "claims", "oauth2-proxy", "easyauth"}, MaxBytes: 10})
	written := http.Header{}
	small.write(written, new(headerTexts), someone(), "session", "token")
	if _, there := written["X-Postern-Truncated"]; !there || !slices.Contains(small.names(), "X-Postern-Truncated") {
		t.Error("X-Postern-Truncated is missing")
	}
	if names := newIdentityHeaders(config.Identity{Headers: []string{"none"}}).names(); len(names) > 0 {
		t.Errorf("none: %q", names)
	}
}

// S-16, S-30: tokens that have run out are renewed as SSO server only; else the person is nobody to an ingress.
func TestS16ForwardAuthRenewsAsSSOServerOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		renews bool
		status int
	}{
		"standalone": {false, http.StatusUnauthorized},
		"SSO server": {true, http.StatusServiceUnavailable}, // the provider of this test cannot be asked, but it is asked
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, "127.0.0.1:1", func(c *Config, _ *Deps) { c.ForwardAuthRenews, c.Session.ForwardAuth = test.renews, true })
			id, err := oidc.RestoreIdentity(oidc.EntraID, benchClaims, "")
			if err != nil {
				t.Fatal(err)
			}
			_, cookie, err := d.sessions.Create(t.Context(), oidc.Grant{Identity: id, Tokens: oidc.Tokens{
				Access: oidc.NewToken("a"), Refresh: oidc.NewToken("r"), ID: oidc.NewToken("i"), Expiry: time.Now().Add(-time.Second),
			}}, session.Login{})
			if err != nil {
				t.Fatal(err)
			}
			for path, h := range map[string]http.Handler{"/oauth2/session/forwardauth": d.Handler, "/": d.ForwardAuth()} {
				r := httptest.NewRequest("GET", path, http.NoBody)
				r.Host = "app.localhost"
				r.Header.Set("Cookie", "postern.session="+cookie)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != test.status {
					t.Errorf("%s: status %d, want %d\n%s", path, w.Code, test.status, w.Body)
				}
			}
		})
	}
}

// S-16: what nobody can guess is not there, and what is wrong is never as good as nothing.
func TestS16SecretNobodyHas(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "127.0.0.1:1", func(c *Config, deps *Deps) {
		c.Session.ForwardAuth, deps.ForwardAuthSecret = true, func() string { return "" } // a file that was emptied
	})
	for _, given := range [][]string{{""}, {"x"}, {}, {"", ""}} {
		r := httptest.NewRequest("GET", "/oauth2/session/forwardauth", http.NoBody)
		r.Host = "app.localhost"
		r.Header.Set("Cookie", d.cookie)
		r.Header["X-Postern-Forward-Auth"] = given
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "unknown_ingress") {
			t.Errorf("%q: status %d %s", given, w.Code, w.Body)
		}
	}
}

// S-16, S-24: an ingress is told nothing that the client says about itself: every header that an app may be told is overwritten, if need be by
// nothing, for nobody as for somebody.
func TestS16IngressIsNotToldWhatTheClientSays(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "127.0.0.1:1", func(c *Config, _ *Deps) {
		c.Identity.Headers = []string{"postern", "claims", "oauth2-proxy", "easyauth"}
		c.Identity.Claims = map[string]string{"X-Department": "department"}
		c.Front.AutoLoginIgnorePaths = []string{"/**"} // else nobody is refused
	})
	if len(d.ingressAuth.names) == 0 {
		t.Fatal("no names")
	}
	for who, cookie := range map[string]string{"nobody": "", "somebody": d.cookie} {
		r := httptest.NewRequest("GET", "/", http.NoBody)
		r.Host = "app.localhost"
		for _, name := range d.ingressAuth.names {
			r.Header[name] = []string{"evil"}
		}
		r.Header["X_postern_user"] = []string{"evil"}
		if r.Header.Del("Authorization"); cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		w := httptest.NewRecorder()
		d.ForwardAuth().ServeHTTP(w, r)
		if w.Code != http.StatusNoContent {
			t.Fatalf("%s: status %d %s", who, w.Code, w.Body)
		}
		if user := w.Header().Get("X-Postern-User"); (user != "") != (cookie != "") {
			t.Errorf("%s: the user is %q", who, user)
		}
		for name, values := range w.Header() {
			if slices.Contains(values, "evil") {
				t.Errorf("%s: %s is what the client says", who, name)
			}
		}
	}
}
