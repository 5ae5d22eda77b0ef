package e2e

import "testing"

// A session whose level is below the configured one is nobody at the app, and the login that follows asks for that level. It brings a new
// session, under a new id, and ends the one before (row 46 of peers.md).
func TestALevelTooLowIsSteppedUpAtProxyTime(t *testing.T) {
	t.Parallel()
	const low, high = "idporten-loa-substantial", "idporten-loa-high"
	w := newWorld(t, worldOptions{
		env: map[string]string{"POSTERN_AUTO_LOGIN": "true", "POSTERN_OPENID_ACR_VALUES": "Level4"},
		idp: func(t testing.TB, redirects, postLogout []string) (identityProvider, map[string]string) {
			dev := DevIDP(t, "", redirects, postLogout, "--par=off")
			return dev, map[string]string{
				"POSTERN_OPENID_PROVIDER": "idporten", "POSTERN_OPENID_CLIENT_ID": DevClientID, "POSTERN_OPENID_CLIENT_SECRET": DevClientSecret,
				"POSTERN_OPENID_WELL_KNOWN_URL": dev.IDPortenWellKnown(),
			}
		},
	})
	c := NewClient(t)
	weak := c.Navigate(w.idp.SignIn(c, c.Navigate(w.ingress+"/oauth2/login?level=Level3&redirect=/deep"), "gunnar").Where().String())
	if weak.StatusCode != 302 {
		t.Fatalf("a login at the level that was asked for: status %d\n%.300s", weak.StatusCode, weak.Body)
	}
	name, before := w.sessionCookie(c)
	if r := c.Get(w.ingress + "/deep"); r.StatusCode != 401 {
		t.Errorf("a script, at %s where %s is wanted: status %d", low, high, r.StatusCode)
	}
	sent := c.Navigate(w.ingress + "/deep")
	if sent.StatusCode != 302 || sent.Where().Path != "/oauth2/login" {
		t.Fatalf("a navigation: status %d to %s", sent.StatusCode, sent.Where())
	}
	asked := c.Navigate(sent.Where().String())
	if got := asked.Where().Query().Get("acr_values"); got != high {
		t.Errorf("the login asks for %q", got)
	}
	done := c.Navigate(w.idp.SignIn(c, asked, "gunnar").Where().String())
	if got := done.Where().Path; got != "/deep" {
		t.Errorf("the step up leads to %s", got)
	}
	if got := w.get(t, c, "/deep").Header.Get("X-Postern-Acr"); got != high {
		t.Errorf("the app sees level %q", got)
	}
	if _, after := w.sessionCookie(c); after == before || after == "" {
		t.Error("the session kept its id")
	}
	if r := NewClient(t).Get(w.ingress+"/oauth2/session", "Cookie", name+"="+before); r.StatusCode != 401 {
		t.Errorf("the weaker session lives on: status %d", r.StatusCode)
	}
	for _, seen := range w.app.Requests() {
		if seen.Header.Get("X-Postern-Acr") == low {
			t.Errorf("the app saw the weaker session: %s", seen.URI)
		}
	}
}
