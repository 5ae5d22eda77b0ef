package devidp_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"postern/oidc/devidp"
)

var styleElement = regexp.MustCompile(`(?s)<style>(.*?)</style>`)

func TestPagesHaveAStrictPolicyAndNeedNoScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) { c.Clients[0].Origins = []string{"https://sso.localhost"} })
	for name, c := range map[string]struct {
		page  *http.Response
		forms string
	}{
		"login":  {w.authorize(authorization()), "form-action 'self' http://app.localhost:8080 https://sso.localhost;"},
		"error":  {w.authorize(authorization("client_id", "x")), "form-action 'none';"},
		"logout": {w.logout(nil), "form-action 'none';"},
		"front":  {w.get(w.srv.URL + "/"), "form-action 'none';"},
		"404":    {w.get(w.srv.URL + "/x"), "form-action 'none';"},
	} {
		html, policy := body(t, c.page), c.page.Header.Get("Content-Security-Policy")
		style := styleElement.FindStringSubmatch(html)
		if style == nil {
			t.Fatalf("%s: no style", name)
		}
		sum := sha256.Sum256([]byte(style[1]))
		for _, want := range []string{
			"default-src 'none';", "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';",
			c.forms, "frame-ancestors 'none'", "base-uri 'none'",
		} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy lacks %s: %s", name, want, policy)
			}
		}
		for _, unwanted := range []string{"<script", "style=", "onclick", "javascript:", "http-equiv"} {
			if strings.Contains(html, unwanted) {
				t.Errorf("%s: page has %s", name, unwanted)
			}
		}
		for _, want := range []string{`<html lang="en">`, "<main>", "<h1", `name="viewport"`, "<title>"} {
			if !strings.Contains(html, want) {
				t.Errorf("%s: page lacks %s", name, want)
			}
		}
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Frame-Options": "DENY", "Content-Type": "text/html; charset=utf-8",
		} {
			if got := c.page.Header.Get(header); got != want {
				t.Errorf("%s: %s %q", name, header, got)
			}
		}
	}
}

func TestFrontPageShowsNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page := body(t, w.get(w.srv.URL+"/"))
	for _, want := range []string{w.url("/v2.0/.well-known/openid-configuration"), clientID, redirect, "Kari Saksbehandler", "private_key_jwt"} {
		if !strings.Contains(page, want) {
			t.Errorf("page lacks %s", want)
		}
	}
	if strings.Contains(page, "oddity") || strings.Contains(page, "_dev") {
		t.Error("page shows a secret, or knobs that are off")
	}
}

func TestFreeClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claims := func(persona, typed string) map[string]any {
		w.browser = w.newBrowser()
		code := w.choose(w.authorize(authorization()), persona, typed).Get("code")
		return w.verified(w.token(codeForm(code)).text("id_token"))
	}
	got := claims("kari", `{"NAVident": null, "groups": ["x"], "department": {"no": 4488, "big": 12345678901234567890}, "oid": "other"}`)
	if got["NAVident"] != nil || list(got["groups"]) != "x" || got["oid"] != "other" || got["department"] == nil {
		t.Errorf("claims %v", got)
	}
	if got := claims("anna", `{"groups": ["x"]}`); got["_claim_names"] != nil || list(got["groups"]) != "x" {
		t.Errorf("overage overwritten: %v", got)
	}
}

func TestHostileFreeClaimsAreRefusedAndEscaped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page := w.authorize(authorization())
	login := page.Request.URL.String()
	for name, typed := range map[string]string{
		"no JSON":          `</textarea><script>alert(1)</script>`,
		"no object":        `["</textarea><script>alert(1)</script>"]`,
		"two objects":      `{} {}`,
		"bracket behind":   `{}}`,
		"doubled":          `{"a":1,"a":2}`,
		"protocol claim":   `{"iss":"https://evil.example"}`,
		"nonce":            `{"nonce":"</textarea><script>alert(1)</script>"}`,
		"sub is a number":  `{"sub":1}`,
		"too deep":         strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40),
		"too long":         `{"a":"` + strings.Repeat("x", 9000) + `"}`,
		"cut":              `{"a":`,
		"comment":          `{"a":1} // x`,
		"not a number":     `{"a":NaN}`,
		"names unfinished": `{"a"}`,
	} {
		r, err := devidp.Answer(w.browser, w.get(login), "kari", typed)
		must(t, err)
		html := body(t, r)
		if r.StatusCode != http.StatusBadRequest || !strings.Contains(html, `role="alert"`) {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
		if strings.Contains(html, "<script") {
			t.Errorf("%s: the page holds a script", name)
		}
	}
	if got := w.choose(w.get(login), "kari", "").Get("code"); got == "" {
		t.Error("the flow did not survive")
	}
}

func TestS41MetadataCarriesTheMark(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.metadata()["postern_test_provider"]; got != true {
		t.Errorf("mark %v", got)
	}
	w.idp.AlterMetadata(func(m map[string]any) { m["issuer"] = "https://other.example"; m["postern_test_provider"] = false })
	if got := w.metadata(); got["postern_test_provider"] != true || got["issuer"] != "https://other.example" {
		t.Errorf("after a change: %v", got)
	}
	w.idp.AlterMetadata(nil)
	w.idp.HideTestMarker(t)
	if _, there := w.metadata()["postern_test_provider"]; there {
		t.Error("the mark is still there")
	}
}

func TestConfigurationProblemsAreNamedTogether(t *testing.T) {
	t.Parallel()
	_, err := devidp.New(devidp.Config{
		BaseURL: "ftp://x", TenantID: "common", TokenLifetime: -1, RefreshRotation: "x", PAR: "y", AutoLogin: "nobody",
		Personas: []devidp.Persona{{ID: "<b>"}},
		Clients: []devidp.ClientConfig{
			{ID: "a", Secret: "hush", RedirectURIs: []string{"/relative"}},
			{ID: "b"},
			{ID: "c", JWKS: []byte(`{"kty":"oct","k":"aHVzaA"}`)},
			{ID: "d", Secret: "hush", AuthMethods: []devidp.AuthMethod{devidp.PrivateKeyJWT}},
		},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"base URL", "tenant id", "token lifetime", "refresh rotation", "PAR mode", `"nobody"`, "persona id", `"/relative"`, `client "b": no secret`,
		`client "c"`, "no credential for private_key_jwt",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("lacks %s: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "aHVzaA") {
		t.Errorf("a secret is in %v", err)
	}
}
