package e2e

import (
	"net/url"
	"strings"
	"testing"
)

// Row 81 (GO-2026-4861, CVE-2023-52430): what a provider, or whoever makes a browser come to the callback, writes into error, error_description,
// error_uri or error_hint is on no page, in no header and in no JSON, with a login under way or without one.
func TestRow81ErrorsOfTheProviderAreNotRendered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	const mark = "zq7mark"
	for _, text := range []string{mark, "<script>" + mark + "</script>", "{{" + mark + "}}", "javascript:" + mark, "'\"><img src=x onerror=" + mark + ">", "\u202e" + mark} {
		for _, code := range []string{"access_denied", "server_error", "login_required", "consent_required", text} {
			for _, underWay := range []bool{true, false} {
				c, query := NewClient(t), url.Values{"error": {code}, "error_description": {text}, "error_uri": {text}, "error_hint": {text}, "state": {text}}
				if underWay {
					query.Set("state", c.Navigate(w.ingress+"/oauth2/login").Where().Query().Get("state"))
				}
				for _, accept := range []string{"text/html", "application/json"} {
					r := c.Navigate(w.ingress+"/oauth2/callback?"+query.Encode(), "Accept", accept)
					if strings.Contains(links.ReplaceAllString(r.Body, ""), mark) {
						t.Errorf("error %q: %.400s", code, r.Body)
					}
					for name, values := range r.Header {
						if name != "Location" && strings.Contains(strings.Join(values, ""), mark) {
							t.Errorf("error %q: %s %q", code, name, values)
						}
					}
					if policy := r.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
						t.Errorf("Content-Security-Policy %q", policy)
					}
				}
			}
		}
	}
	if strings.Contains(w.Log.Text(), "<script>") {
		t.Error("the log has the script as it came")
	}
}
