package devidp

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Levels of ID-porten, as acr and acr_values say them.
const (
	LevelLow         = "idporten-loa-low"
	LevelSubstantial = "idporten-loa-substantial"
	LevelHigh        = "idporten-loa-high"
)

// DefaultIDPortenAudience is `aud` of minted access tokens of a provider that was given none.
const DefaultIDPortenAudience = "https://app.example"

// idPorten is where citizens log in. Its issuer does not end in a slash.
func idPorten() *issuer {
	return &issuer{
		name: IDPorten, title: "ID-porten", path: "/idporten", home: "/idporten/",
		paths: map[Endpoint]string{ //nolint:gosec // addresses, no credentials
			EndpointMetadata:  "/idporten/.well-known/openid-configuration",
			EndpointKeys:      "/idporten/jwks",
			EndpointAuthorize: "/idporten/authorize",
			EndpointLogin:     "/idporten/login",
			EndpointToken:     "/idporten/token",
			EndpointLogout:    "/idporten/endsession",
			EndpointPAR:       "/idporten/par",
			EndpointRevoke:    "/idporten/revoke",
		},
		grants: []string{GrantAuthorizationCode, GrantRefreshToken}, tokens: (*exchange).byClient, // tokens for apps are TokenX's business
		metadata: idPortenMetadata, login: idPortenLogin{}, levels: []string{LevelLow, LevelSubstantial, LevelHigh},
		admits:       func(who Persona) bool { return who.PID != "" },
		exampleClaim: `{"acr": "` + LevelLow + `", "locale": "se"}`,
	}
}

func idPortenMetadata(s site) map[string]any {
	m := s.loginMetadata("private_key_jwt", "client_secret_post", "client_secret_basic")
	m["scopes_supported"] = []string{"openid", "profile"}
	m["ui_locales_supported"] = locales()
	m["claims_supported"] = []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "amr", "nonce", "pid", "locale", "sid"}
	return m
}

func locales() []string { return []string{"nb", "nn", "en", "se"} }

// idPortenLogin is the login of citizens.
type idPortenLogin struct{}

// scopes takes any words: what an organisation may ask for is not registered here.
func (idPortenLogin) scopes(_ site, raw string) (s scopes, _ *oauthError) {
	for word := range strings.FieldsSeq(raw) {
		switch {
		case strings.ContainsAny(word, "\"\\"): // RFC 6749 §3.3
			return s, refuse(70011)
		case word == "openid" || word == "profile":
			s.openid = append(s.openid, word)
		default:
			s.wanted = append(s.wanted, word)
		}
	}
	if len(s.openid) == 0 && len(s.wanted) == 0 {
		return s, missing("scope")
	}
	return s, nil
}

func (idPortenLogin) ask(s site, a *authRequest, q params) *oauthError {
	a.refreshable = true // as for a client that registered for it; there is no offline_access here
	a.locale = "nb"
	for tag := range strings.FieldsSeq(q.get("ui_locales")) { // in order of preference, and unknown ones do no harm (OIDC Core §3.1.2.1)
		if slices.Contains(locales(), tag) {
			a.locale = tag
			break
		}
	}
	level := cmp.Or(q.get("acr_values"), LevelSubstantial)
	if !slices.Contains(s.at.levels, level) {
		return refuse(90013).because("acr_values must be one of " + strings.Join(s.at.levels, ", ") + ".")
	}
	a.level = s.at.asked(level)
	a.resource = q.get("resource")
	if u, err := url.Parse(a.resource); a.resource != "" && (err != nil || !u.IsAbs() || strings.Contains(a.resource, "#")) {
		e := refuse(90013).because("resource must be an absolute URI without fragment.")
		e.code = "invalid_target" // RFC 8707 §2
		return e
	}
	return nil
}

func (idPortenLogin) idClaims(s site, g *grant, _ bool) map[string]any {
	claims := s.citizenClaims(g, g.client.ID)
	claims["exp"] = s.now.Add(2 * time.Minute).Unix() // as long as the real one's
	claims["amr"] = []string{eID(g.acr)}
	claims["auth_time"] = g.person.authTime.Unix()
	claims["locale"] = g.locale
	claims["sid"] = g.person.sid
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	return merge(claims, nil, g.person)
}

func (idPortenLogin) answer(s site, i issuance, life time.Duration) (map[string]any, error) {
	access, err := s.sign(Draft{Kind: "access_token", Claims: s.idPortenAccessClaims(i.grant, i.scopes, i.how, life)})
	return map[string]any{"access_token": access, "scope": i.scopes.String()}, err
}

// idPortenAccessClaims is the claim set of an access token. Its audience is any URI that the client asked for, so it binds the token to
// nobody; client_id says who got it.
func (s site) idPortenAccessClaims(g *grant, asked scopes, how AuthMethod, life time.Duration) map[string]any {
	claims := s.citizenClaims(g, cmp.Or(g.resource, "unspecified"))
	claims["exp"] = s.now.Add(life).Unix()
	claims["client_id"] = g.client.ID
	claims["client_amr"] = string(how)
	claims["client_orgno"] = strings.TrimPrefix(DefaultConsumer, "0192:")
	claims["consumer"] = organisation(DefaultConsumer)
	claims["scope"] = asked.String()
	return merge(claims, nil, g.person)
}

func (s site) citizenClaims(g *grant, audience string) map[string]any {
	sum := sha256.Sum256([]byte("idporten\n" + g.client.ID + "\n" + g.person.PID)) // pairwise (OIDC Core §8.1)
	return map[string]any{
		"iss": s.issuer(), "aud": audience, "iat": s.now.Unix(), "jti": s.idp.guid(),
		"sub": base64.RawURLEncoding.EncodeToString(sum[:]), "pid": g.person.PID, "acr": g.acr,
	}
}

// eID is `amr`: an electronic identity that reaches a level.
func eID(level string) string {
	switch level {
	case LevelHigh:
		return "BankID"
	case LevelSubstantial:
		return "Minid-APP"
	}
	return "Selfregistered-email"
}
