package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

func TestRedisStopsFreezesAndComesBack(t *testing.T) {
	t.Parallel()
	server := Redis(t)
	client := server.Client(t)
	ctx := t.Context()
	if err := client.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}

	server.Freeze()
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if err := client.Get(short, "k").Err(); err == nil {
		t.Error("frozen: a command was answered")
	}
	server.Resume()
	if got, err := client.Get(ctx, "k").Result(); err != nil || got != "v" {
		t.Errorf("resumed: %q, %v", got, err)
	}

	server.Stop(t)
	if err := client.Ping(ctx).Err(); err == nil {
		t.Error("stopped: a command was answered")
	}
	server.Start(t)
	if n, err := client.DBSize(ctx).Result(); err != nil || n != 0 {
		t.Errorf("started again: %d keys, %v; want an empty store", n, err)
	}
}

func TestRedisKeepsItsDataWhenAskedTo(t *testing.T) {
	t.Parallel()
	server := Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	client := server.Client(t)
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	server.Kill(t)
	server.Start(t)
	if got, err := client.Get(t.Context(), "k").Result(); err != nil || got != "v" {
		t.Errorf("after a restart: %q, %v", got, err)
	}
}

func TestBrowserOpensPages(t *testing.T) {
	t.Parallel()
	app := App(t, map[string]http.HandlerFunc{
		"/page": func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "__Host-c", Value: "1", Path: "/", Secure: true, HttpOnly: true})
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; style-src 'unsafe-inline'")
			fmt.Fprintf(w, `<title>Hei</title><style>@media (prefers-color-scheme: dark) { body { background: black } }</style>
				<p id=lang>%s</p><script>document.title = "ran"</script><form action="/page2"><input id=name name=name><button>Go</button></form>`,
				r.Header.Get("Accept-Language"))
		},
		"/page2": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, "<p id=hello>hello %s", r.FormValue("name"))
		},
	})
	_, port, _ := strings.Cut(app.Addr, ":")
	page := "http://app.localhost:" + port + "/page"
	tab := Browser(t)
	tab.Language("nn-NO")
	tab.ColorScheme("dark")
	tab.Viewport(390, 844)
	if status := tab.Navigate(page); status != http.StatusOK || tab.Title() != "Hei" || tab.URL() != page {
		t.Errorf("status %d, title %q at %s", status, tab.Title(), tab.URL())
	}
	if lang := tab.Text("#lang"); !strings.HasPrefix(lang, "nn-NO") {
		t.Errorf("Accept-Language: %q", lang)
	}
	if got := Eval[string](tab, "getComputedStyle(document.body).backgroundColor + ' ' + innerWidth"); got != "rgb(0, 0, 0) 390" {
		t.Errorf("dark and narrow: %q", got)
	}
	if cookies := tab.Cookies(page); len(cookies) != 1 || cookies[0].Name != "__Host-c" || !cookies[0].Secure {
		t.Errorf("cookies: %v", cookies)
	}
	Eventually(t, "the blocked script in the console", func() error {
		if text := strings.Join(tab.Console(), "\n"); !strings.Contains(text, "Content Security Policy") {
			return fmt.Errorf("console: %q", text)
		}
		return nil
	})
	if info, err := os.Stat(tab.Screenshot("browser-opens-pages")); err != nil || info.Size() < 1000 {
		t.Errorf("screenshot: %v, %v", info, err)
	}
	tab.Type("#name", "Kari")
	if status := tab.Press("button"); status != http.StatusTeapot || tab.Text("#hello") != "hello Kari" {
		t.Errorf("status %d, %q", status, tab.Text("#hello"))
	}
	other := tab.Open()
	other.Navigate(page)
	if tab.URL() == other.URL() || len(other.Cookies(page)) != 1 {
		t.Errorf("a second tab shares cookies and nothing else: %s, %s", tab.URL(), other.URL())
	}
}

// The whole code flow by hand, so that a failing login test of postern is known to be postern's.
func TestOIDCProviderCodeFlow(t *testing.T) {
	t.Parallel()
	callback := "http://app.localhost:1/oauth2/callback"
	provider := OIDCProvider(t, ProviderOptions{
		RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{callback + "/out"},
		People: map[string]map[string]any{"kari": {"name": "Kari Nordmann", "groups": []string{"g1"}}}, Resource: "https://api.example",
	})
	c := NewClient(t)
	var metadata struct {
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		PAR           string `json:"pushed_authorization_request_endpoint"`
		EndSession    string `json:"end_session_endpoint"`
	}
	decode(t, c.Get(provider.WellKnown()), &metadata)

	verifier := strings.Repeat("v", 43)
	digest := sha256.Sum256([]byte(verifier))
	request := url.Values{
		"client_id": {SecretClient}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile"}, "state": {"s"}, "nonce": {"n"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(digest[:])}, "code_challenge_method": {"S256"},
	}
	secret := "Basic " + base64.StdEncoding.EncodeToString([]byte(SecretClient+":"+provider.ClientSecret))
	var pushed struct {
		RequestURI string `json:"request_uri"`
	}
	decode(t, c.PostForm(metadata.PAR, request, "Authorization", secret), &pushed)
	start := c.Navigate(metadata.Authorization + "?" + url.Values{"client_id": {SecretClient}, "request_uri": {pushed.RequestURI}}.Encode())
	back := provider.SignIn(c, start, "kari").Where()
	if q := back.Query(); q.Get("state") != "s" || q.Get("iss") != provider.Issuer || !strings.HasPrefix(back.String(), callback) {
		t.Fatalf("callback: %s", back.Redacted())
	}

	redeem := func(form url.Values) (tokens struct {
		Access  string `json:"access_token"`
		ID      string `json:"id_token"`
		Refresh string `json:"refresh_token"`
	},
	) {
		decode(t, c.PostForm(metadata.Token, form, "Authorization", secret), &tokens)
		return tokens
	}
	first := redeem(url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier},
	})
	if got := claims(t, first.ID); got["name"] != "Kari Nordmann" || got["sub"] != "kari" || got["nonce"] != "n" || fmt.Sprint(got["groups"]) != "[g1]" {
		t.Errorf("id token: %v", got)
	}
	if got := claims(t, first.Access); got["aud"] != "https://api.example" {
		t.Errorf("access token: %v", got)
	}
	second := redeem(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.Refresh}})
	if second.Refresh == "" || second.Refresh == first.Refresh {
		t.Error("the refresh token was not rotated")
	}

	out := c.Navigate(metadata.EndSession + "?" + url.Values{
		"id_token_hint": {first.ID}, "post_logout_redirect_uri": {callback + "/out"}, "state": {"bye"},
	}.Encode())
	gone := c.Submit(out, map[string]string{"logout": "yes"}).Where()
	if gone.Path != "/oauth2/callback/out" || gone.Query().Get("state") != "bye" {
		t.Errorf("after logout: %s", gone)
	}

	request.Set("prompt", "login")
	refused := provider.Cancel(c, c.Navigate(metadata.Authorization+"?"+request.Encode())).Where()
	if refused.Query().Get("error") != "access_denied" {
		t.Errorf("cancelled: %s", refused.Redacted())
	}
}

func decode(t *testing.T, r *Response, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.Body), into); err != nil || r.StatusCode >= 300 {
		t.Fatalf("status %d, %v: %.300s", r.StatusCode, err, r.Body)
	}
}

func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}
