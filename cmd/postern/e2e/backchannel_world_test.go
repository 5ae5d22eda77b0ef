package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// logoutWorld is a world whose app is told the provider's name for the session, in X-Sid, and whose provider tells it of logouts.
func logoutWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	env := map[string]string{"POSTERN_IDENTITY_CLAIMS": "X-Sid=sid"}
	for name, value := range o.env {
		env[name] = value
	}
	o.env = env
	w := newWorld(t, o)
	w.hears(t, map[string]any{"back_channel_logout_uri": "http://" + w.Addr + w.path() + "/oauth2/logout/backchannel"})
	return w
}

// hears registers the app once more at its provider, with these members.
func (w *world) hears(t testing.TB, members map[string]any) {
	t.Helper()
	client := map[string]any{
		"id": DevClientID, "secret": DevClientSecret, "redirect_uris": []string{w.ingress + "/oauth2/callback"},
		"post_logout_redirect_uris": []string{w.ingress + "/oauth2/logout/callback"},
	}
	for name, value := range members {
		client[name] = value
	}
	w.dev.Dev(t, "clients", client)
}

// names are what the provider calls a signed-in person and their session.
func (w *world) names(t testing.TB, c *Client) (sub, sid string) {
	t.Helper()
	seen := w.get(t, c, "/")
	sub, sid = seen.Header.Get("X-Postern-Subject"), seen.Header.Get("X-Sid")
	if sub == "" || sid == "" {
		t.Fatalf("the app was told: %v", seen.Header)
	}
	return sub, sid
}

// logoutToken is one of the provider, with changes to its request (see [DevProvider.Mint]).
func (w *world) logoutToken(t testing.TB, claims map[string]any, changes ...map[string]any) string {
	t.Helper()
	request := map[string]any{"profile": "entra-logout-token", "claims": claims}
	for _, change := range changes {
		for name, value := range change {
			request[name] = value
		}
	}
	return w.dev.Mint(t, request)
}

// tell sends a logout token as a provider does: another host, no cookie.
func (w *world) tell(t testing.TB, token string, headers ...string) *Response {
	t.Helper()
	return NewClient(t).PostForm("http://"+w.Addr+w.path()+"/oauth2/logout/backchannel", url.Values{"logout_token": {token}}, headers...)
}

// wantLogout checks an answer of the back channel.
func wantLogout(t testing.TB, what string, r *Response, status int) {
	t.Helper()
	if r.StatusCode != status || r.Header.Get("Cache-Control") != "no-store" || len(r.Cookies()) > 0 {
		t.Errorf("%s: status %d, want %d; Cache-Control %q\n%.300s", what, r.StatusCode, status, r.Header.Get("Cache-Control"), r.Body)
	}
	switch status {
	case http.StatusOK:
		if r.Body != "" {
			t.Errorf("%s: body %q", what, r.Body)
		}
	case http.StatusBadRequest:
		if !strings.HasPrefix(r.Body, `{"error":"invalid_request","error_description":"`) || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: body %q", what, r.Body)
		}
	case http.StatusServiceUnavailable:
		if r.Header.Get("Retry-After") == "" || !strings.HasPrefix(r.Body, `{"error":"`) {
			t.Errorf("%s: Retry-After %q, body %q", what, r.Header.Get("Retry-After"), r.Body)
		}
	}
}

// wantAlive says whether a browser's session lives, as Postern and as the app see it.
func (w *world) wantAlive(t testing.TB, what string, c *Client, lives bool) {
	t.Helper()
	status := c.Get(w.ingress + "/oauth2/session").StatusCode
	told := w.get(t, c, "/").Header.Get("X-Postern-Subject") != ""
	if told != lives || (status == http.StatusOK) != lives {
		t.Errorf("%s: session %d, the app was told %v, want %v", what, status, told, lives)
	}
}
