package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// guide is a page that translates the configuration of another proxy: its first block of YAML is our configuration, its second the policy.
func guide(t *testing.T, page string) (configuration, policy string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", page))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")
	if len(blocks) != 3 {
		t.Fatalf("%s: %d blocks of YAML, want a configuration and a policy", page, len(blocks)-1)
	}
	configuration, _, _ = strings.Cut(blocks[1], "```")
	policy, _, _ = strings.Cut(blocks[2], "```")
	return configuration, policy
}

// translated starts Postern with the configuration of a page as it stands, but for the addresses: each of them must be there to be replaced.
func translated(t *testing.T, page string, local map[string]string) *world {
	t.Helper()
	configuration, policy := guide(t, page)
	dir := t.TempDir()
	w := prepareWorld(t, worldOptions{})
	for name, text := range map[string]string{"policy.yaml": policy, "client-secret": DevClientSecret, "encryption-key": testKey} {
		writeFile(t, filepath.Join(dir, name), text)
	}
	replaced := map[string]string{
		"127.0.0.1:8080": w.app.Addr, "https://my-app.example.org": w.ingress, "policy-file: policy.yaml": "policy-file: " + filepath.Join(dir, "policy.yaml"),
		"/run/secrets": dir,
	}
	for from, to := range local {
		replaced[from] = strings.ReplaceAll(to, "<well-known>", w.dev.WellKnown())
	}
	for from, to := range replaced {
		if !strings.Contains(configuration, from) {
			t.Fatalf("%s: the configuration has no %s", page, from)
		}
		configuration = strings.ReplaceAll(configuration, from, to)
	}
	writeFile(t, filepath.Join(dir, "postern.yaml"), configuration)
	w.env = map[string]string{"POSTERN_CONFIG": filepath.Join(dir, "postern.yaml"), "POSTERN_BIND_ADDRESS": w.env["POSTERN_BIND_ADDRESS"]}
	w.Process = Start(t, w.env)
	return w
}

// signInAs signs kari in with these claims, and returns the browser.
func (w *world) signInAs(t *testing.T, claims string) *Client {
	t.Helper()
	c := NewClient(t)
	back := w.dev.SignInWith(c, c.Navigate(w.ingress+"/oauth2/login"), "kari", claims)
	if r := c.Navigate(back.Where().String()); r.StatusCode != http.StatusFound {
		t.Fatalf("callback: status %d %.300s", r.StatusCode, r.Body)
	}
	return c
}

// proxy/from-oauth2-proxy.md: the translated set-up starts, asks the provider for the same callback, and does as the original.
func TestMigrationOAuth2Proxy(t *testing.T) {
	t.Parallel()
	w := translated(t, "proxy/from-oauth2-proxy.md", map[string]string{
		"https://login.example.org/.well-known/openid-configuration": "<well-known>", "client-id: my-app": "client-id: " + DevClientID,
		"redis://redis:6379": Redis(t).URI(),
		"scopes: [profile, email, groups, offline_access]": "scopes: [profile, email, offline_access]", // Entra ID, which plays the provider, knows no scope groups
	})
	nobody := NewClient(t)
	if r := nobody.Navigate(w.ingress + "/x"); r.StatusCode != 302 { // --skip-provider-button
		t.Errorf("a browser: status %d, want a login", r.StatusCode)
	}
	if r := nobody.Get(w.ingress + "/api/x"); r.StatusCode != 401 || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") { // --api-route
		t.Errorf("a program: status %d %s", r.StatusCode, r.Header.Get("Content-Type"))
	}
	if r := nobody.Get(w.ingress+"/public/a/b", "X-Forwarded-User", "made-up"); r.StatusCode != 200 || Echoed(t, r).Header.Get("X-Forwarded-User") != "" { // --skip-auth-route
		t.Errorf("a public path: status %d %v", r.StatusCode, r.Body)
	}
	if r := nobody.Send("POST", w.ingress+"/public/a", ""); r.StatusCode != 405 {
		t.Errorf("another method of a public path: status %d", r.StatusCode)
	}
	const person = `{"groups": ["staff", "other"], "email": "kari@example.org", "email_verified": true, "preferred_username": "kari@example.org"}`
	got := w.get(t, w.signInAs(t, person), "/x", "X_Forwarded_User", "made-up").Header
	want := map[string]string{"X-Forwarded-Email": "kari@example.org", "X-Forwarded-Preferred-Username": "kari@example.org", "X-Forwarded-Groups": "staff,other"}
	for name, value := range want {
		if diff := cmp.Diff([]string{value}, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got.Get("X-Forwarded-User") == "" || got.Get("X-Forwarded-User") == "made-up" || len(got["X-Forwarded-User"]) != 1 {
		t.Errorf("X-Forwarded-User: %q", got["X-Forwarded-User"])
	}
	if token := got.Get("X-Forwarded-Access-Token"); token == "" || got.Get("Authorization") != "Bearer "+token {
		t.Errorf("Authorization and X-Forwarded-Access-Token are not the same token")
	}
	if unverified := w.get(t, w.signInAs(t, `{"groups": ["staff"], "email": "kari@example.org", "xms_edov": null}`), "/x").Header; unverified.Get("X-Forwarded-Email") != "" {
		t.Errorf("an address that nobody vouches for: %q", unverified.Get("X-Forwarded-Email"))
	}
	if r := w.signInAs(t, `{"groups": ["other"]}`).Get(w.ingress + "/x"); r.StatusCode != 403 { // --allowed-group
		t.Errorf("somebody of another group: status %d", r.StatusCode)
	}
	w.Stop(t)
}

// proxy/from-easyauth.md: the same of App Service's settings.
func TestMigrationEasyAuth(t *testing.T) {
	t.Parallel()
	w := translated(t, "proxy/from-easyauth.md", map[string]string{
		"https://login.microsoftonline.com/7d1a4a5e-0b5c-4f0e-9a53-5f1d0c6e2b11/v2.0/.well-known/openid-configuration": "<well-known>",
		"client-id: 0a5e1c52-0000-4000-8000-00000000000a":                                                              "client-id: " + DevClientID,
	})
	nobody := NewClient(t)
	if r := nobody.Navigate(w.ingress + "/x"); r.StatusCode != 302 { // RedirectToLoginPage
		t.Errorf("a browser: status %d, want a login", r.StatusCode)
	}
	for _, path := range []string{"/public", "/public/a", "/health"} { // excludedPaths
		if r := nobody.Get(w.ingress+path, "X-MS-CLIENT-PRINCIPAL-ID", "made-up"); r.StatusCode != 200 || Echoed(t, r).Header.Get("X-Ms-Client-Principal-Id") != "" {
			t.Errorf("%s: status %d %s", path, r.StatusCode, r.Body)
		}
	}
	got := w.get(t, w.signInAs(t, `{"roles": ["reader"]}`), "/x").Header
	document, err := base64.StdEncoding.DecodeString(got.Get("X-Ms-Client-Principal"))
	if err != nil {
		t.Fatal(err)
	}
	var principal struct {
		AuthType string                      `json:"auth_typ"`
		NameType string                      `json:"name_typ"`
		RoleType string                      `json:"role_typ"`
		Claims   []struct{ Typ, Val string } `json:"claims"`
	}
	if err := json.Unmarshal(document, &principal); err != nil || principal.AuthType != "aad" || principal.NameType == "" || principal.RoleType == "" {
		t.Errorf("X-MS-CLIENT-PRINCIPAL: %v %s", err, document)
	}
	claims := map[string]string{}
	for _, c := range principal.Claims {
		claims[c.Typ] = c.Val
	}
	if claims["http://schemas.microsoft.com/identity/claims/objectidentifier"] != got.Get("X-Ms-Client-Principal-Id") || claims["preferred_username"] == "" {
		t.Errorf("claims %v, id %q", claims, got.Get("X-Ms-Client-Principal-Id"))
	}
	if got.Get("X-Ms-Client-Principal-Name") != claims["preferred_username"] || got.Get("X-Ms-Client-Principal-Idp") != "aad" {
		t.Errorf("name %q, provider %q", got.Get("X-Ms-Client-Principal-Name"), got.Get("X-Ms-Client-Principal-Idp"))
	}
	if token := got.Get("X-Ms-Token-Aad-Access-Token"); token == "" || got.Get("Authorization") != "Bearer "+token {
		t.Error("X-MS-TOKEN-AAD-ACCESS-TOKEN is not the access token")
	}
	w.Stop(t)
}

// proxy/from-wonderwall.md: the pod's own variables are enough, and the two kinds of pods leave each other's cookies and store alone, so that a
// rollout may mix them and the way back is open.
func TestMigrationWonderwall(t *testing.T) {
	t.Parallel()
	w, redis := prepareWorld(t, worldOptions{}), Redis(t)
	_, bind, _ := strings.Cut(w.env["POSTERN_BIND_ADDRESS"], ":")
	ip, port, _ := strings.Cut(w.app.Addr, ":")
	w.env = map[string]string{
		"WONDERWALL_OPENID_PROVIDER": "azure", "WONDERWALL_INGRESS": w.ingress, "WONDERWALL_AUTO_LOGIN": "true", "WONDERWALL_AUTO_LOGIN_IGNORE_PATHS": "/internal/isalive",
		"WONDERWALL_UPSTREAM_IP": ip, "WONDERWALL_UPSTREAM_PORT": port, "WONDERWALL_ENCRYPTION_KEY": testKey, "WONDERWALL_REDIS_URI": redis.URI(),
		"AZURE_APP_CLIENT_ID": DevClientID, "AZURE_APP_CLIENT_SECRET": DevClientSecret, "AZURE_APP_WELL_KNOWN_URL": w.dev.WellKnown(),
		"POSTERN_BIND_ADDRESS": "127.0.0.1:" + bind, // the tests' own way to say where it listens
	}
	w.Process = Start(t, w.env)
	client := redis.Client(t)
	const former, theirKey = "io.nais.wonderwall.session", "azure:client:83c1"
	if err := client.Set(t.Context(), theirKey, "sealed", 0).Err(); err != nil {
		t.Fatal(err)
	}
	c := NewClient(t)
	c.SetCookie(w.ingress, &http.Cookie{Name: former, Value: "of-wonderwall"})
	if r := c.Get(w.ingress + "/internal/isalive"); r.StatusCode != 200 {
		t.Errorf("an ignored path: status %d", r.StatusCode)
	}
	if r := c.Get(w.ingress + "/api"); r.StatusCode != 401 || r.Header.Get("Location") == "" || r.Body != `{"error":"unauthenticated, please log in"}` {
		t.Errorf("a script: status %d to %q: %s", r.StatusCode, r.Header.Get("Location"), r.Body)
	}
	if r := c.Navigate(w.ingress + "/x"); r.StatusCode != 302 {
		t.Errorf("a browser: status %d, want a login", r.StatusCode)
	}
	w.login(t, c, "kari", "")
	if got := w.get(t, c, "/x").Header; !strings.HasPrefix(got.Get("Authorization"), "Bearer ") {
		t.Error("the app got no token")
	}
	if c.Cookies(w.ingress + "/")[former] != "of-wonderwall" {
		t.Error("wonderwall's cookie did not stay as it was")
	}
	if r := c.Get(w.ingress + "/oauth2/session"); r.StatusCode != 200 || !strings.Contains(r.Body, `"next_auto_refresh_in_seconds"`) {
		t.Errorf("session: status %d %s", r.StatusCode, r.Body)
	}
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) < 2 {
		t.Fatalf("keys %q: %v", keys, err)
	}
	for _, key := range keys {
		if key != theirKey && !strings.HasPrefix(key, "postern:") {
			t.Errorf("a key that is not ours by its name: %q", key)
		}
	}
	if status, _, err := probe("http://" + w.ProbeAddr + "/healthz"); err != nil || status != 200 {
		t.Errorf("/healthz: %d %v", status, err)
	}
	w.Stop(t)
}
