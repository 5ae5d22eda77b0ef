package devidp_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"

	"postern/oidc/devidp"
)

// A test logs somebody in without a browser: it asks for a login, answers the page, and reads the code from the way back.
func ExampleNew() {
	idp, err := devidp.New(devidp.Config{Clients: []devidp.ClientConfig{{
		ID: "my-app", Secret: "not-so-secret", RedirectURIs: []string{"http://app.localhost/oauth2/callback"},
	}}})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(idp)
	defer server.Close()

	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == "app.localhost" {
			return http.ErrUseLastResponse // the app would take over here
		}
		return nil
	}}
	tenant := server.URL + "/" + devidp.DefaultTenantID
	page, err := browser.Get(tenant + "/oauth2/v2.0/authorize?" + url.Values{
		"client_id": {"my-app"}, "redirect_uri": {"http://app.localhost/oauth2/callback"}, "response_type": {"code"},
		"scope": {"openid api://my-app/.default"}, "state": {"xyz"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}.Encode())
	if err != nil {
		log.Fatal(err)
	}
	back, err := devidp.Answer(browser, page, "kari", `{"department": "4488"}`)
	if err != nil {
		log.Fatal(err)
	}
	defer back.Body.Close()
	answer, _ := back.Location()

	tokens, err := http.PostForm(tenant+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {answer.Query().Get("code")}, "redirect_uri": {"http://app.localhost/oauth2/callback"},
		"code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}, "client_id": {"my-app"}, "client_secret": {"not-so-secret"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer tokens.Body.Close()
	body, _ := io.ReadAll(tokens.Body)
	fmt.Println(answer.Query().Get("state"), tokens.Status, strings.Contains(string(body), `"id_token"`))
	// Output: xyz 200 OK true
}
