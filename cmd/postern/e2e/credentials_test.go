package e2e

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Entra ID with a client secret in place of a key: login, tokens of the app's own, and those on behalf of its users.
func TestEntraWithASecret(t *testing.T) {
	t.Parallel()
	const secret = "secret-of-the-app-6b0d"
	x := newOutbound(t, outboundOptions{
		own: map[string]any{"secret": secret, "auth_methods": []string{"client_secret_post", "client_secret_basic"}},
		env: map[string]string{"AZURE_APP_JWK": "", "AZURE_APP_CLIENT_SECRET": secret},
	})
	everyGrant(t, x)
	for _, one := range x.dev.TokenRequests(t) {
		if one.Issuer == "entra" && one.Tokens["client_assertion"].Claims != nil {
			t.Errorf("%s came with an assertion", one.GrantType)
		}
	}
	x.Log.Without(t, map[string]string{"the client's secret": secret})
}

// Workload identity: the token in the file is what the client shows, and the one that is there when it is needed.
func TestEntraWithAFederatedToken(t *testing.T) {
	t.Parallel()
	const cluster, account = "https://cluster.example", "system:serviceaccount:team-a:app"
	key, public := newSigner(t)
	file := filepath.Join(t.TempDir(), "azure-identity-token")
	put := func(id string, lives time.Duration) {
		writeFile(t, file, key.sign(t, map[string]any{
			"iss": cluster, "sub": account, "aud": []string{"api://AzureADTokenExchange"}, "jti": id, "exp": time.Now().Add(lives).Unix(),
		})+"\n")
	}
	put("first", time.Hour)
	x := newOutbound(t, outboundOptions{
		own: map[string]any{
			"federated":    []map[string]any{{"issuer": cluster, "subject": account, "jwks": public}},
			"auth_methods": []string{"federated"},
		},
		env: map[string]string{"AZURE_APP_JWK": "", "AZURE_FEDERATED_TOKEN_FILE": file},
	})
	shown := func() string {
		t.Helper()
		last := ""
		for _, one := range x.dev.TokenRequests(t) {
			if one.Issuer == "entra" {
				last, _ = one.Tokens["client_assertion"].Claims["jti"].(string)
			}
		}
		return last
	}
	everyGrant(t, x)
	if got := shown(); got != "first" {
		t.Errorf("the client showed %q", got)
	}
	fresh := map[string]any{"identity_provider": "entra_id", "target": stockName, "skip_cache": true}
	put("second", time.Hour)
	token(t, x.tokens.ask(tokenPath, fresh))
	if got := shown(); got != "second" {
		t.Errorf("after the file was replaced the client showed %q", got)
	}
	put("third", -time.Hour)
	noToken(t, x.tokens.ask(tokenPath, fresh), 401, "invalid_client", "AADSTS700024")
	writeFile(t, file, "")
	noToken(t, x.tokens.ask(tokenPath, fresh), 500, "server_error", "")
	if r := x.call("/ledger/x", "", "X-Postern-Egress", "1"); r.StatusCode != 200 {
		t.Errorf("a token that is known already: %d %s", r.StatusCode, r.Body)
	}
	put("fourth", time.Hour)
	Eventually(t, "a token by the next file", func() error {
		if r := x.tokens.ask(tokenPath, fresh); r.StatusCode != 200 {
			return errorf("status %d %s", r.StatusCode, r.Body)
		}
		return nil
	})
	if got := shown(); got != "fourth" {
		t.Errorf("in the end the client showed %q", got)
	}
}

// everyGrant logs in, and has a token of the app's own and one on behalf of its user, by the token API and by egress.
func everyGrant(t *testing.T, x *outbound) {
	t.Helper()
	_, authorization := x.signedIn("kari")
	for path, headers := range map[string][]string{
		"/orders/x": {"Authorization", authorization}, "/ledger/x": {"X-Postern-Egress", "1"},
	} {
		if r := x.call(path, "", headers...); r.StatusCode != 200 || bearer(t, Echoed(t, r).Header)["aud"] != ordersClientID {
			t.Errorf("%s: %d %s", path, r.StatusCode, r.Body)
		}
	}
	token(t, x.tokens.ask(tokenPath, map[string]any{"identity_provider": "entra_id", "target": stockName}))
	token(t, x.tokens.ask(exchangePath, map[string]any{
		"identity_provider": "entra_id", "target": stockName, "user_token": strings.TrimPrefix(authorization, "Bearer "),
	}))
	want := map[string]int{"authorization_code": 1, "client_credentials": 2, "urn:ietf:params:oauth:grant-type:jwt-bearer": 2}
	for _, one := range x.dev.TokenRequests(t) {
		if want[one.GrantType]--; one.Form.Get("client_id") != ownClientID {
			t.Errorf("%s by %q", one.GrantType, one.Form.Get("client_id"))
		}
	}
	for grant, missing := range want {
		if missing != 0 {
			t.Errorf("%s: %d requests too few", grant, missing)
		}
	}
}

// signer is another issuer's key, such as that of a cluster.
type signer struct {
	key *rsa.PrivateKey
	id  string
}

func newSigner(t testing.TB) (s *signer, public map[string]any) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s = &signer{key, rand.Text()}
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	return s, map[string]any{"kty": "RSA", "kid": s.id, "alg": "RS256", "use": "sig", "n": number(key.N), "e": number(big.NewInt(int64(key.E)))}
}

// sign makes a JWT (RS256).
func (s *signer) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(map[string]any{"alg": "RS256", "kid": s.id, "typ": "JWT"}) + "." + part(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}
