package oidc

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/config"
)

func TestLoginYieldsTheVerifiedPersonAndTheTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newIDP(t))
	w.claims = func(c map[string]any) {
		c["auth_time"], c["acr"], c["email"], c["email_verified"] = 1700000000, "x", "k@example", true
	}
	g, err := w.login(AuthorizationRequest{})
	must(t, err)
	id := g.Identity
	got := []any{id.Provider(), id.Kind(), id.Subject(), id.User(), id.Name(), id.Email(), id.SID(), id.ACR(), id.AuthTime()}
	want := []any{"openid", User, "sub-1", "sub-1", "Kari", "k@example", "sid-1", "x", int64(1700000000)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if g.Tokens.Access.Raw() != "opaque-access" || g.Tokens.Refresh.Empty() || g.Tokens.ID.Empty() {
		t.Errorf("tokens are missing: %+v", g.Tokens)
	}
	if left := time.Until(g.Tokens.Expiry); left < 59*time.Minute || left > time.Hour {
		t.Errorf("expires in %v", left)
	}
}

func TestIDTokenOfEachAlgorithmIsVerified(t *testing.T) {
	t.Parallel()
	for alg, key := range map[string]crypto.Signer{
		"RS256": rsaOnce(), "RS384": rsaOnce(), "RS512": rsaOnce(), "PS256": rsaOnce(), "PS384": rsaOnce(), "PS512": rsaOnce(),
		"ES256": ecKey(t, elliptic.P256()), "ES384": ecKey(t, elliptic.P384()), "ES512": ecKey(t, elliptic.P521()), "EdDSA": edKey(t),
	} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			p.setKey("k", alg, key)
			p.metadata["id_token_signing_alg_values_supported"] = []string{"none", "HS256", alg}
			_, err := newWorld(t, p).login(AuthorizationRequest{})
			must(t, err)
		})
	}
}

// Matrix of wonderwall.md 2.5 and appendix B 3 and 13; peers.md 57 and 58.
func TestIDTokenClaimsAreHeldToOIDCCore(t *testing.T) {
	t.Parallel()
	type at int64 // seconds from the moment of issue: a busy machine takes its time until a test's turn comes
	for name, tc := range map[string]struct {
		claims map[string]any
		reason string // empty: accepted
	}{
		"issuer of another":                   {map[string]any{"iss": "https://other.example"}, "issuer"},
		"issuer with a slash more":            {map[string]any{"iss": testIssuer + "/"}, "issuer"},
		"issuer missing":                      {map[string]any{"iss": nil}, "issuer"},
		"issuer a list":                       {map[string]any{"iss": []string{testIssuer}}, "iss"},
		"audience of another":                 {map[string]any{"aud": "client-2"}, "not for this client"},
		"audience missing":                    {map[string]any{"aud": nil}, "not for this client"},
		"audience an empty list":              {map[string]any{"aud": []string{}}, "not for this client"},
		"audience a number":                   {map[string]any{"aud": 7}, "malformed audience"},
		"audience nested":                     {map[string]any{"aud": []any{[]string{testClientID}}}, "malformed audience"},
		"audience list with null":             {map[string]any{"aud": []any{testClientID, nil}}, "malformed audience"},
		"audience a list of one":              {map[string]any{"aud": []string{testClientID}}, ""},
		"audience untrusted beside":           {map[string]any{"aud": []string{testClientID, "evil"}, "azp": testClientID}, "not trusted"},
		"audience trusted beside":             {map[string]any{"aud": []string{testClientID, "friend"}, "azp": testClientID}, ""},
		"audience trusted beside, no azp":     {map[string]any{"aud": []string{testClientID, "friend"}}, "who asked"},
		"trusted audience only":               {map[string]any{"aud": "friend"}, "not for this client"},
		"azp of another":                      {map[string]any{"azp": "client-2"}, "another client"},
		"azp ours":                            {map[string]any{"azp": testClientID}, ""},
		"subject missing":                     {map[string]any{"sub": nil}, "subject"},
		"subject empty":                       {map[string]any{"sub": ""}, "subject"},
		"subject of 256":                      {map[string]any{"sub": strings.Repeat("s", 256)}, "subject"},
		"subject of 255":                      {map[string]any{"sub": strings.Repeat("s", 255)}, ""},
		"subject a number":                    {map[string]any{"sub": 1}, "sub"},
		"expired within the skew":             {map[string]any{"exp": at(-20)}, ""},
		"expired":                             {map[string]any{"exp": at(-31)}, "expired"},
		"expiry missing":                      {map[string]any{"exp": nil}, "expired"},
		"expiry a text":                       {map[string]any{"exp": "9999999999"}, "expired"},
		"expiry beyond all numbers":           {map[string]any{"exp": 1e300}, "expired"},
		"issued within the skew":              {map[string]any{"iat": at(20)}, ""},
		"issued in the future":                {map[string]any{"iat": at(40)}, "time of issue"},
		"issued 5 min back, as by Entra ID":   {map[string]any{"iat": at(-300), "nbf": at(-300)}, ""},
		"issued yesterday":                    {map[string]any{"iat": at(-86400)}, "time of issue"},
		"time of issue missing":               {map[string]any{"iat": nil}, "time of issue"},
		"valid later":                         {map[string]any{"nbf": at(40)}, "not valid yet"},
		"valid within the skew":               {map[string]any{"nbf": at(20)}, ""},
		"nonce of another login":              {map[string]any{"nonce": "other"}, "nonce"},
		"nonce missing":                       {map[string]any{"nonce": nil}, "nonce"},
		"nonce a number":                      {map[string]any{"nonce": 5}, "does not pass"},
		"at_hash wrong":                       {map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"},
		"at_hash empty":                       {map[string]any{"at_hash": ""}, "at_hash"},
		"at_hash right":                       {map[string]any{"at_hash": atHash("opaque-access")}, ""},
		"twin of aud in capitals":             {map[string]any{"AUD": "x"}, "upper and lower case"},
		"twin of groups":                      {map[string]any{"Groups": []string{"admin"}}, "upper and lower case"},
		"twin with a long s":                  {map[string]any{"i\u017fs": "x"}, "upper and lower case"},
		"distributed claims without a source": {map[string]any{"_claim_names": map[string]string{"groups": "src1"}}, "does not pass"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, newIDP(t), withOpenID(func(c *config.OpenID) { c.Audiences = []string{"friend"} }))
			w.claims = func(c map[string]any) {
				for k, v := range tc.claims {
					if seconds, relative := v.(at); relative {
						v = time.Now().Unix() + int64(seconds)
					}
					c[k] = v
				}
			}
			_, err := w.login(AuthorizationRequest{})
			if tc.reason == "" {
				must(t, err)
				return
			}
			wantInvalid(t, err, tc.reason)
		})
	}
}

func atHash(access string) string {
	sum := sha256.Sum256([]byte(access))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Shapes that must be refused before anything is believed: peers.md 59, 60 and 65.
func TestAdvisoryCVE2025_30204MalformedTokensAreRefusedEarly(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	good := signJWT(t, p.key, "JWT", p.idClaims("n"))
	parts := strings.Split(good, ".")
	claims := `{"iss":"` + testIssuer + `","sub":"s"}`
	hs, none := `{"alg":"HS256","kid":"k1"}`, `{"alg":"none","kid":"k1"}`
	for name, tc := range map[string]struct{ token, reason string }{
		"empty parts":              {"..", "base64url"},
		"one dot":                  {parts[0] + "." + parts[1], "compact form"},
		"encrypted, five parts":    {good + ".x.y", "compact form"},
		"thousands of dots":        {strings.Repeat(".", 50000), "compact form"},
		"over 64 KiB":              {good + strings.Repeat("A", 64<<10), "64 KiB"},
		"white space before":       {" " + good, "base64url"},
		"line break inside":        {parts[0] + "\n." + parts[1] + "." + parts[2], "base64url"},
		"padding":                  {parts[0] + "." + parts[1] + "." + parts[2] + "==", "base64url"},
		"JSON serialisation":       {`{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`, "compact form"},
		"header no object":         {b64(`"x"`) + "." + parts[1] + "." + parts[2], "not a JSON object"},
		"header with alg twice":    {b64(`{"alg":"none","alg":"RS256"}`) + "." + parts[1] + "." + parts[2], "twice"},
		"alg none with a kid":      {b64(none) + "." + parts[1] + "." + parts[2], "algorithm"},
		"alg HS256 (key confused)": {b64(hs) + "." + parts[1] + "." + parts[2], "algorithm"},
		"critical extension":       {testToken(t, p.key, `{"alg":"RS256","kid":"k1","crit":["x"],"x":1}`, claims), "critical"},
		"unencoded payload":        {testToken(t, p.key, `{"alg":"RS256","kid":"k1","b64":false}`, claims), "critical"},
		"access token by its typ":  {testToken(t, p.key, `{"alg":"RS256","kid":"k1","typ":"at+jwt"}`, claims), "another type"},
		"logout token by its typ":  {testToken(t, p.key, `{"alg":"RS256","kid":"k1","typ":"logout+jwt"}`, claims), "another type"},
		"iss twice":                {testToken(t, p.key, `{"alg":"RS256","kid":"k1"}`, `{"iss":"`+testIssuer+`","iss":"x"}`), "twice"},
		"claims no object":         {testToken(t, p.key, `{"alg":"RS256","kid":"k1"}`, `[]`), "not a JSON object"},
		"claims with a rest":       {testToken(t, p.key, `{"alg":"RS256","kid":"k1"}`, `{}{}`), "not a JSON object"},
		"kid of 600 bytes":         {testToken(t, p.key, `{"alg":"RS256","kid":"`+strings.Repeat("k", 600)+`"}`, claims), "key id"},
		"payload of another":       {parts[0] + "." + b64(claims) + "." + parts[2], "signature"},
		"key in the header":        {testToken(t, &signingKey{private: rsaTwoOnce()}, `{"alg":"RS256","kid":"k1","jwk":`+jwkJSON(t, rsaTwoOnce().Public(), nil)+`}`, claims), "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, newIDP(t))
			w.answer = func(a map[string]any) { a["id_token"] = tc.token }
			_, err := w.login(AuthorizationRequest{})
			if strings.ContainsAny(tc.token, " \n") || len(tc.token) > 64<<10 {
				wantTrouble(t, err, "forbidden characters") // not even a token (RFC 6749 A.12)
				return
			}
			wantInvalid(t, err, tc.reason)
			for _, part := range strings.Split(tc.token, ".") {
				if len(part) > 10 && strings.Contains(err.Error(), part) {
					t.Errorf("the error quotes the token: %v", err)
				}
			}
		})
	}
}

// peers.md 60: the key's type and algorithm must be the token's.
func TestAdvisoryCVE2026_5430KeyOfAnotherAlgorithmDoesNotVerify(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.metadata["id_token_signing_alg_values_supported"] = []string{"RS256", "PS256", "ES256"}
	w := newWorld(t, p)
	p.set(func() { p.key = &signingKey{alg: "PS256", kid: "k1", private: rsaOnce()} }) // published as RS256
	_, err := w.login(AuthorizationRequest{})
	wantInvalid(t, err, "key is not one of the provider's")
}

func TestIDTokenIsRequiredAtLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newIDP(t))
	w.answer = func(a map[string]any) { delete(a, "id_token") }
	_, err := w.login(AuthorizationRequest{})
	wantInvalid(t, err, "no id token")
}

func TestSessionIDIsRequiredWhereTheProviderPromisesItForLogout(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.metadata["frontchannel_logout_supported"], p.metadata["frontchannel_logout_session_supported"] = true, true
	w := newWorld(t, p)
	_, err := w.login(AuthorizationRequest{})
	must(t, err)
	p.set(func() { p.claims = func(c map[string]any) { delete(c, "sid") } })
	_, err = w.login(AuthorizationRequest{})
	wantInvalid(t, err, "session id")
}

func TestTokenWithoutKeyIDNeedsTheOnlyKey(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.setKey("", "RS256", rsaOnce())
	w := newWorld(t, p)
	_, err := w.login(AuthorizationRequest{})
	must(t, err)

	p.set(func() {
		p.published = append(p.published, jwkJSON(t, rsaTwoOnce().Public(), map[string]any{"kid": "k2", "alg": "RS256"}))
	})
	must(t, w.provider.refresh(context.Background()))
	_, err = w.login(AuthorizationRequest{})
	wantInvalid(t, err, "names no key")
}

func TestNewKeyUnderAnOldIDIsFoundAtLogin(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	w := newWorld(t, p)
	p.setKey("k1", "RS256", rsaTwoOnce())
	_, err := w.login(AuthorizationRequest{})
	must(t, err)
}

func TestLevelMustBeWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		configured, level, got string
		ok                     bool
	}{
		"high asked, high given":              {"idporten-loa-high", "", "idporten-loa-high", true},
		"high asked, substantial given":       {"idporten-loa-high", "", "idporten-loa-substantial", false},
		"substantial asked, high given":       {"idporten-loa-substantial", "", "idporten-loa-high", true},
		"old name asked, new given":           {"Level4", "", "idporten-loa-high", true},
		"nothing given":                       {"idporten-loa-high", "", "", false},
		"another vocabulary, equal":           {"urn:x", "", "urn:x", true},
		"another vocabulary, other":           {"urn:x", "", "urn:y", false},
		"one of two":                          {"urn:x urn:y", "", "urn:y", true},
		"nothing asked, anything given":       {"", "", "whatever", true},
		"step up by parameter, not done":      {"", "Level4", "idporten-loa-substantial", false},
		"step up by parameter, done":          {"", "idporten-loa-high", "idporten-loa-high", true},
		"parameter that the provider ignores": {"", "urn:unknown", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			p.metadata["acr_values_supported"] = []string{"idporten-loa-substantial", "idporten-loa-high"}
			w := newWorld(t, p, withOpenID(func(c *config.OpenID) { c.ACRValues = tc.configured }))
			w.claims = func(c map[string]any) { c["acr"] = tc.got }
			_, err := w.login(AuthorizationRequest{Level: tc.level})
			if tc.ok {
				must(t, err)
				return
			}
			wantInvalid(t, err, "level")
		})
	}
}

func TestAuthenticationMustBeNewWhenAskedFor(t *testing.T) {
	t.Parallel()
	now := time.Now().Unix()
	for name, tc := range map[string]struct {
		provider string
		authTime any
		ok       bool
	}{
		"new":                       {"openid", now, true},
		"of this morning":           {"openid", now - 7200, false},
		"not said":                  {"openid", nil, false},
		"of no type":                {"openid", "now", false},
		"not said by Entra ID":      {"azure", nil, true}, // an optional claim there
		"of this morning, Entra ID": {"azure", now - 7200, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, newIDP(t), withOpenID(func(c *config.OpenID) { c.Provider = tc.provider }))
			w.claims = func(c map[string]any) {
				c["auth_time"] = tc.authTime
				if tc.authTime == now { // of the moment of issue: a busy machine takes its time until a test's turn comes
					c["auth_time"] = time.Now().Unix()
				}
			}
			_, err := w.login(AuthorizationRequest{Prompt: "login"})
			if tc.ok {
				must(t, err)
			} else {
				wantInvalid(t, err, "auth")
			}
			_, err = w.login(AuthorizationRequest{}) // nobody asked: no claim
			if tc.authTime != "now" {
				must(t, err)
			}
		})
	}
}

// peers.md 37: mix-up. The code must not be shown to a provider before its issuer was compared.
func TestAdvisoryRFC9207ForeignIssuerIsRefusedBeforeTheCodeIsRedeemed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		announced bool
		iss       string
		ok        bool
	}{
		"announced and right":      {true, testIssuer, true},
		"announced and missing":    {true, "", false},
		"announced and foreign":    {true, "https://evil.example", false},
		"unannounced and missing":  {false, "", true},
		"unannounced and foreign":  {false, "https://evil.example", false},
		"a prefix of the right":    {true, testIssuer + ".evil.example", false},
		"with a slash too many":    {true, testIssuer + "/", false},
		"unannounced, but correct": {false, testIssuer, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			p.metadata["authorization_response_iss_parameter_supported"] = tc.announced
			w := newWorld(t, p)
			pending, target, err := w.client.Authorize(t.Context(), AuthorizationRequest{RedirectURI: testRedirect})
			must(t, err)
			_, err = w.client.Redeem(t.Context(), pending, AuthorizationResponse{Code: p.follow(target), State: pending.State, Iss: tc.iss})
			refused := w.client.RefusedResponse(t.Context(), pending, tc.iss, "access_denied", "")
			if tc.ok {
				must(t, err)
				if r := (*RefusalError)(nil); !errors.As(refused, &r) {
					t.Errorf("error response: %v", refused)
				}
				return
			}
			wantInvalid(t, err, "issuer")
			wantInvalid(t, refused, "issuer")
			if n := p.count("/token"); n != 0 {
				t.Errorf("the token endpoint was called %d times", n)
			}
		})
	}
}

func TestResponseOfAnotherLoginCostsNoCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newIDP(t))
	pending, _, err := w.client.Authorize(t.Context(), AuthorizationRequest{RedirectURI: testRedirect})
	must(t, err)
	for name, r := range map[string]AuthorizationResponse{
		"state of another": {Code: "c", State: "x"}, "no state": {Code: "c"}, "no code": {State: pending.State},
	} {
		_, err := w.client.Redeem(t.Context(), pending, r)
		wantInvalid(t, err, "the response")
		_, err = w.client.Redeem(t.Context(), PendingLogin{}, r)
		wantInvalid(t, err, "the response")
		if n := w.count("/token"); n != 0 {
			t.Errorf("%s: the token endpoint was called", name)
		}
	}
}

func TestCodeIsBoundToVerifierAndRedirectURI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newIDP(t))
	for _, bend := range []func(*PendingLogin){
		func(p *PendingLogin) { p.Verifier = "other" }, func(p *PendingLogin) { p.RedirectURI = "https://app.example/other" },
	} {
		pending, target, err := w.client.Authorize(t.Context(), AuthorizationRequest{RedirectURI: testRedirect})
		must(t, err)
		bend(&pending)
		_, err = w.client.Redeem(t.Context(), pending, AuthorizationResponse{Code: w.follow(target), State: pending.State})
		r := (*RefusalError)(nil)
		if !errors.As(err, &r) || r.Code != "invalid_grant" || r.OurFault() {
			t.Errorf("got %v", err)
		}
	}
}

func TestErrorResponseIsReadWithCare(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newIDP(t))
	pending := PendingLogin{State: "st4te-of-this-login"}
	err := w.client.RefusedResponse(t.Context(), pending, "", "access_denied", "no\r\n<b> st4te-of-this-login 01017012345 \u00e5"+strings.Repeat("x", 1000))
	r := (*RefusalError)(nil)
	if !errors.As(err, &r) || r.Code != "access_denied" || r.OurFault() || len(r.Description) > maxDescription {
		t.Fatalf("got %+v", err)
	}
	for _, secret := range []string{"\r", "\n", "st4te", "01017012345", "\u00e5"} {
		if strings.Contains(r.Description, secret) {
			t.Errorf("%q is in %q", secret, r.Description)
		}
	}
	for code, want := range map[string]string{"inva\nlid": "unknown", "": "unknown", strings.Repeat("e", 65): "unknown", "login_required": "login_required"} {
		err := w.client.RefusedResponse(t.Context(), pending, "", code, "")
		if !errors.As(err, &r) || r.Code != want {
			t.Errorf("%q: got %v", code, err)
		}
	}
	wantTrouble(t, w.client.RefusedResponse(t.Context(), pending, "", "temporarily_unavailable", ""), "temporarily_unavailable")
}

func TestKeysThatCannotBeReadAreTroubleAndNoFaultOfTheToken(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	w := newWorld(t, p)
	p.setKey("k2", "RS256", rsaTwoOnce())
	p.set(func() {
		p.intercept = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/jwks" {
				rw.WriteHeader(http.StatusBadGateway)
			}
			return r.URL.Path == "/jwks"
		}
	})
	_, err := w.login(AuthorizationRequest{})
	wantTrouble(t, err, "502")
}
