package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

// partnerTokens logs somebody in at another provider, for another client, and returns the tokens that this client got. Its redirect URI is
// http://app.localhost/cb.
func partnerTokens(t *testing.T, p *Provider, resource string) (access, id string) {
	t.Helper()
	const callback = "http://app.localhost/cb"
	c := NewClient(t)
	var metadata struct {
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
	}
	decode(t, c.Get(p.WellKnown()), &metadata)
	verifier := strings.Repeat("v", 43)
	digest := sha256.Sum256([]byte(verifier))
	start := c.Navigate(metadata.Authorization + "?" + url.Values{
		"client_id": {SecretClient}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s"}, "resource": {resource},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(digest[:])}, "code_challenge_method": {"S256"}, "nonce": {"n"},
	}.Encode())
	back := p.SignIn(c, start, "kari").Where()
	var tokens struct {
		Access string `json:"access_token"`
		ID     string `json:"id_token"`
	}
	decode(t, c.PostForm(metadata.Token, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier},
	}, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(SecretClient+":"+p.ClientSecret))), &tokens)
	return tokens.Access, tokens.ID
}
