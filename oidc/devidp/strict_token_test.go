package devidp_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"

	"postern/oidc/devidp"
)

func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.login("kari")
	otherCode := w.login("kari")
	other := []string{"client_id", otherID, "client_secret", secret + "2"}
	doubled := codeForm(code)
	doubled["code"] = []string{code, code}
	none := func(*http.Request) {}
	for name, c := range map[string]struct {
		form   url.Values
		change func(*http.Request)
		status int
		code   string
		aadsts int
	}{
		"no grant_type":         {codeForm(code, "grant_type", ""), none, 400, "invalid_request", 900144},
		"unknown grant_type":    {codeForm(code, "grant_type", "password"), none, 400, "unsupported_grant_type", 70003},
		"no code":               {codeForm(""), none, 400, "invalid_request", 900144},
		"unknown code":          {codeForm("nonsense"), none, 400, "invalid_grant", 70000},
		"another client's code": {codeForm(code, other...), none, 400, "invalid_grant", 70000},
		"no redirect_uri":       {codeForm(code, "redirect_uri", ""), none, 400, "invalid_grant", 500112},
		"other redirect_uri":    {codeForm(code, "redirect_uri", redirect+"?x=1"), none, 400, "invalid_grant", 500112},
		"no verifier":           {codeForm(code, "code_verifier", ""), none, 400, "invalid_grant", 501481},
		"other verifier":        {codeForm(code, "code_verifier", strings.Repeat("x", 43)), none, 400, "invalid_grant", 501481},
		"challenge as verifier": {codeForm(code, "code_verifier", challenge), none, 400, "invalid_grant", 501481},
		"verifier too long":     {codeForm(code, "code_verifier", strings.Repeat("x", 129)), none, 400, "invalid_grant", 501481},
		"parameter twice":       {doubled, none, 400, "invalid_request", 9000411},
		"no refresh_token":      {refreshForm(""), none, 400, "invalid_request", 900144},
		"unknown refresh_token": {refreshForm("nonsense"), none, 400, "invalid_grant", 70008},
		"code as refresh_token": {refreshForm(code), none, 400, "invalid_grant", 70008},
		"from a web page":       {codeForm(code), func(r *http.Request) { r.Header.Set("Origin", "http://app.localhost") }, 400, "invalid_request", 9002326},
		"JSON":                  {codeForm(code), func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 400, "invalid_request", 9002313},
		"too large":             {codeForm(code, "x", strings.Repeat("x", 70000)), none, 400, "invalid_request", 9002313},
		"parameters in the query": {url.Values{}, func(r *http.Request) {
			r.URL.RawQuery = codeForm(code).Encode()
		}, 401, "invalid_client", 7000218},

		"no authentication":     {codeForm(code, "client_secret", ""), none, 401, "invalid_client", 7000218},
		"wrong secret":          {codeForm(code, "client_secret", "wrong"), none, 401, "invalid_client", 7000215},
		"another's secret":      {codeForm(code, "client_secret", secret+"2"), none, 401, "invalid_client", 7000215},
		"unknown client":        {codeForm(code, "client_id", "nobody"), none, 400, "unauthorized_client", 700016},
		"secret without client": {codeForm(code, "client_id", ""), none, 400, "invalid_request", 900144},
		"two ways":              {codeForm(code), basicAuth(clientID, secret), 400, "invalid_request", 90013},
		"basic, wrong":          {codeForm(code, "client_secret", ""), basicAuth(clientID, "wrong"), 401, "invalid_client", 7000215},
		"basic, two clients":    {codeForm(code, "client_secret", "", "client_id", otherID), basicAuth(clientID, secret), 401, "invalid_client", 7000215},
		"bearer":                {codeForm(code, "client_secret", ""), func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401, "invalid_client", 7000215},
	} {
		a := w.token(c.form, c.change)
		if a.status != c.status || a.text("error") != c.code || a.code() != c.aadsts {
			t.Errorf("%s: %d %s %d, want %d %s %d", name, a.status, a.text("error"), a.code(), c.status, c.code, c.aadsts)
		}
		for _, member := range []string{"error_description", "timestamp", "trace_id", "correlation_id"} {
			if a.text(member) == "" {
				t.Errorf("%s: no %s", name, member)
			}
		}
		if a.header.Get("Cache-Control") != "no-store" || strings.Contains(a.text("error_description"), "nonsense") {
			t.Errorf("%s: %v %v", name, a.header, a.body)
		}
		if _, basic := a.header["Www-Authenticate"]; basic != (a.status == 401 && strings.HasPrefix(name, "b")) {
			t.Errorf("%s: WWW-Authenticate is %v", name, basic)
		}
	}
	if a := w.token(codeForm(code)); a.status != http.StatusOK {
		t.Errorf("the refused attempts spoilt the code: %v", a.body)
	}
	w.pass(61 * time.Second)
	if a := w.token(codeForm(otherCode)); a.code() != 70008 {
		t.Errorf("an old code: %d %v", a.status, a.body)
	}
}

func TestClientAssertionRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.login("kari")
	now := w.clock().Unix()
	stranger := newKey(t, "client-key", jwa.ES256)
	good := map[string]any{"iss": clientID, "sub": clientID, "aud": w.issuer(), "exp": now + 60, "jti": "stranger"}
	for name, c := range map[string]struct {
		assertion string
		aadsts    int
	}{
		"no JWT":                {"nonsense", 50027},
		"two parts":             {"e30.e30", 50027},
		"JSON form":             {`{"payload":"e30","signatures":[]}`, 50027},
		"alg none":              {"eyJhbGciOiJub25lIiwia2lkIjoiY2xpZW50LWtleSJ9.e30.", 700027},
		"somebody else's key":   {sign(t, stranger, jwa.ES256, good), 700027},
		"unknown kid":           {sign(t, named(t, w.key, "other"), jwa.ES256, good), 700027},
		"no kid":                {sign(t, named(t, w.key, ""), jwa.ES256, good), 700027},
		"strange typ":           {w.assertion(nil, "typ", "at+jwt"), 50027},
		"other iss":             {w.assertion(map[string]any{"iss": otherID}), 700021},
		"other sub":             {w.assertion(map[string]any{"sub": otherID}), 700021},
		"no iss":                {w.assertion(map[string]any{"iss": nil}), 700021},
		"aud of another":        {w.assertion(map[string]any{"aud": "https://login.microsoftonline.com/x/v2.0"}), 700023},
		"aud with a slash":      {w.assertion(map[string]any{"aud": w.issuer() + "/"}), 700023},
		"aud is a list":         {w.assertion(map[string]any{"aud": []string{w.issuer()}}), 50027},
		"aud of PAR":            {w.assertion(map[string]any{"aud": w.url("/oauth2/v2.0/par")}), 700023},
		"no aud":                {w.assertion(map[string]any{"aud": nil}), 50027},
		"expired":               {w.assertion(map[string]any{"exp": now, "iat": now - 60}), 700024},
		"no exp":                {w.assertion(map[string]any{"exp": nil}), 700024},
		"exp is a text":         {w.assertion(map[string]any{"exp": "2999"}), 700024},
		"valid too long":        {w.assertion(map[string]any{"exp": now + 301}), 700024},
		"too long without iat":  {w.assertion(map[string]any{"exp": now + 600, "iat": nil, "nbf": nil}), 700024},
		"issued in the future":  {w.assertion(map[string]any{"iat": now + 30}), 700024},
		"not valid yet":         {w.assertion(map[string]any{"nbf": now + 30}), 700024},
		"no jti":                {w.assertion(map[string]any{"jti": nil}), 50012},
		"jti is no text":        {w.assertion(map[string]any{"jti": 7}), 50012},
		"asks for an extension": {"eyJhbGciOiJFUzI1NiIsImtpZCI6ImNsaWVudC1rZXkiLCJjcml0IjpbIngiXX0.e30.e30", 700027},
	} {
		a := w.token(withAssertion(codeForm(code), c.assertion))
		if a.status != http.StatusUnauthorized || a.text("error") != "invalid_client" || a.code() != c.aadsts {
			t.Errorf("%s: %d %s %d, want %d", name, a.status, a.text("error"), a.code(), c.aadsts)
		}
	}
	if a := w.token(with(withAssertion(codeForm(code), w.assertion(nil)), "client_assertion_type", "")); a.code() != 90013 {
		t.Errorf("no client_assertion_type: %v", a.body)
	}
	if a := w.token(withAssertion(codeForm(code, "client_id", otherID), w.assertion(nil))); a.status != http.StatusUnauthorized {
		t.Errorf("assertion of one client for another: %v", a.body)
	}
	once := w.assertion(nil)
	if a := w.token(withAssertion(codeForm(code), once)); a.status != http.StatusOK {
		t.Fatalf("a good assertion: %v", a.body)
	}
	if a := w.token(withAssertion(codeForm(w.login("kari")), once)); a.status != http.StatusUnauthorized || a.code() != 50012 {
		t.Errorf("an assertion was taken twice: %v", a.body)
	}
}

func TestOnlyRegisteredMethodsAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) { c.Clients[0].AuthMethods = []devidp.AuthMethod{devidp.PrivateKeyJWT} })
	code := w.login("kari")
	if a := w.token(codeForm(code)); a.status != http.StatusUnauthorized || a.code() != 7000215 {
		t.Errorf("secret: %v", a.body)
	}
	if a := w.token(codeForm(code, "client_secret", "", "client_id", ""), basicAuth(clientID, secret)); a.status != http.StatusUnauthorized {
		t.Errorf("basic: %v", a.body)
	}
	if a := w.token(withAssertion(codeForm(code), w.assertion(nil))); a.status != http.StatusOK {
		t.Errorf("private key: %v", a.body)
	}
	w = newWorld(t, func(c *devidp.Config) { c.Clients[0].AuthMethods = []devidp.AuthMethod{devidp.ClientSecretPost} })
	code = w.login("kari")
	if a := w.token(withAssertion(codeForm(code), w.assertion(nil))); a.status != http.StatusUnauthorized || a.code() != 700027 {
		t.Errorf("private key: %v", a.body)
	}
}

func TestFederatedCredential(t *testing.T) {
	t.Parallel()
	const issuer, subject = "https://cluster.example", "system:serviceaccount:team-a:app"
	cluster := newRSAKey(t, "cluster-key")
	w := newWorld(t, func(c *devidp.Config) {
		c.Clients[0].Federated = []devidp.FederatedCredential{{Issuer: issuer, Subject: subject, JWKS: encode(t, cluster)}}
	})
	now := w.clock().Unix()
	token := func(changes map[string]any) string {
		return sign(t, cluster, jwa.RS256, lay(map[string]any{
			"iss": issuer, "sub": subject, "aud": []string{devidp.DefaultFederatedAudience}, "iat": now, "exp": now + 3600,
		}, changes))
	}
	for range 2 { // a token in a file is used again
		a := w.token(withAssertion(codeForm(w.login("kari")), token(nil)))
		if a.status != http.StatusOK || w.verified(a.text("access_token"))["azpacr"] != "2" {
			t.Fatalf("federated token: %v", a.body)
		}
	}
	code := w.login("kari")
	for name, c := range map[string]struct {
		assertion string
		aadsts    int
	}{
		"other issuer":   {token(map[string]any{"iss": "https://other.example"}), 700211},
		"other audience": {token(map[string]any{"aud": "nais"}), 700212},
		"two audiences":  {token(map[string]any{"aud": []string{devidp.DefaultFederatedAudience, "nais"}}), 700212},
		"other subject":  {token(map[string]any{"sub": subject + "2"}), 700213},
		"expired":        {token(map[string]any{"exp": now}), 700024},
		"not yet":        {token(map[string]any{"nbf": now + 60}), 700024},
		"other key": {sign(t, newRSAKey(t, "cluster-key"), jwa.RS256, map[string]any{
			"iss": issuer, "sub": subject, "aud": devidp.DefaultFederatedAudience, "exp": now + 60,
		}), 700027},
	} {
		if a := w.token(withAssertion(codeForm(code), c.assertion)); a.status != http.StatusUnauthorized || a.code() != c.aadsts {
			t.Errorf("%s: %d %d, want %d", name, a.status, a.code(), c.aadsts)
		}
	}
	if a := w.token(withAssertion(codeForm(code), w.assertion(map[string]any{"jti": rand.Text()}))); a.status != http.StatusOK {
		t.Errorf("the client's own key beside it: %v", a.body)
	}
}
