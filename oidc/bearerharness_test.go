package oidc

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"testing"
	"time"
)

const (
	entraIssuer  = "https://login.example/" + testTenant + "/v2.0"
	entraClient  = "6ffa6fb3-1ea1-4b7a-9d5d-1f2b3c4d5e6f" // of the app that is protected
	callerClient = "0bf7dd10-63a3-4ed0-9a6a-5f1f7d1a2b3c"
	callerApp    = "dev-gcp:team-b:app-b"
	protectedApp = "dev-gcp:team-a:my-app"
)

// issuance is one provider, how its tokens are accepted, and what a good one says.
type issuance struct {
	*idp
	provider *Provider
	accept   Acceptance
	verifier *Verifier
	typ      string
	good     map[string]any
}

// kinds are what the providers of the contract issue, and a further issuer ("partner").
var kinds = []string{"entra user", "entra app", TokenX, Maskinporten, IDPorten, OpenID, "partner"}

// newIssuance makes a provider whose metadata and keys are read.
func newIssuance(t testing.TB, kind string, change ...func(*issuance, *ProviderConfig)) *issuance {
	t.Helper()
	i := newIssuanceUnread(t, kind, change...)
	must(t, i.provider.refresh(context.Background()))
	i.provider.note(nil)
	return i
}

func newIssuanceUnread(t testing.TB, kind string, change ...func(*issuance, *ProviderConfig)) *issuance {
	t.Helper()
	i := &issuance{idp: newIDP(t), typ: "JWT"}
	now := i.now().Unix()
	i.good = map[string]any{"iat": now, "exp": now + 600, "jti": "token-1", "sub": "sub-1"}
	i.accept = Acceptance{Name: kind, Audiences: []string{"aud-1"}}
	say := func(claims map[string]any) { maps.Copy(i.good, claims) }
	switch kind {
	case "entra user", "entra app":
		i.issuer = entraIssuer
		i.accept.Name, i.accept.Audiences = EntraID, []string{entraClient}
		i.accept.Applications = map[string]string{callerClient: callerApp, entraClient: protectedApp}
		say(map[string]any{
			"aud": entraClient, "nbf": now, "ver": "2.0", "tid": testTenant, "oid": "oid-1", "azp": callerClient, "azp_name": "whatever", "uti": "uti-1", "jti": nil,
		})
		if kind == "entra app" {
			say(map[string]any{"idtyp": "app", "roles": []string{"access_as_application", "orders.read"}})
		} else {
			say(map[string]any{
				"scp": "defaultaccess orders.read", "name": "Kari", "preferred_username": "kari@corp.example", "NAVident": "Z990001", "groups": []string{"group-1"},
			})
		}
	case TokenX:
		say(map[string]any{"aud": "aud-1", "nbf": now, "client_id": callerApp, "idp": "https://idporten.example", "pid": "01017012345", "acr": "idporten-loa-high"})
	case Maskinporten:
		i.issuer = "https://maskinporten.example/"
		i.accept.Audiences = nil
		say(map[string]any{
			"client_id": "consumer-client", "scope": "nav:a/b.read", "consumer": map[string]any{"authority": "iso6523-actorid-upis", "ID": "0192:123456789"}, "sub": nil,
		})
	case IDPorten:
		say(map[string]any{"aud": "aud-1", "client_id": testClientID, "pid": "01017012345", "acr": "idporten-loa-high", "scope": "openid profile"})
	case OpenID:
		say(map[string]any{"aud": "aud-1", "azp": "client-2", "scope": "a b"})
	default:
		i.typ = "at+jwt"
		say(map[string]any{"aud": "aud-1", "client_id": "batch-1", "scope": "orders.read"})
	}
	pc := ProviderConfig{Name: i.accept.Name, Issuer: i.issuer, JWKSURI: testIssuer + "/jwks"}
	for _, f := range change {
		f(i, &pc)
	}
	i.good["iss"] = i.issuer
	var err error
	i.provider, err = NewProvider(pc, Deps{HTTP: &http.Client{Transport: i.idp, Timeout: callTimeout}})
	must(t, err)
	i.accept.Provider = i.provider
	i.verifier = newVerifier(t, i.accept)
	return i
}

func newVerifier(t testing.TB, accept ...Acceptance) *Verifier {
	t.Helper()
	v, err := NewVerifier(accept, 0, Deps{})
	must(t, err)
	return v
}

// claimsWith are good claims but for these; nil removes one.
func (i *issuance) claimsWith(change map[string]any) map[string]any {
	claims := maps.Clone(i.good)
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func (i *issuance) mint(change map[string]any) string {
	i.t.Helper()
	return signJWT(i.t, i.key, i.typ, i.claimsWith(change))
}

func (i *issuance) verify(change map[string]any) (*Identity, error) {
	i.t.Helper()
	return i.verifier.Verify(i.t.Context(), i.mint(change))
}

// wantGood verifies a good token with these changes.
func (i *issuance) wantGood(change map[string]any) *Identity {
	i.t.Helper()
	id, err := i.verify(change)
	if err != nil || id == nil {
		i.t.Fatalf("got %v, %v, want an identity", id, err)
	}
	return id
}

func claimsJSON(t testing.TB, claims map[string]any) string {
	t.Helper()
	text, err := json.Marshal(claims)
	must(t, err)
	return string(text)
}

func unix(after time.Duration) int64 { return time.Now().Add(after).Unix() }
