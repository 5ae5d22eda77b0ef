package devidp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// entraID is the tenant of employees and apps. Addresses are those of Entra ID v2.
func entraID(cfg Config) *issuer {
	tenant := "/" + cfg.TenantID
	at := &issuer{
		name: Entra, title: "Entra ID", path: tenant + "/v2.0", home: tenant + "/", numbered: true, lenientEnd: true,
		paths: map[Endpoint]string{
			EndpointMetadata:  tenant + "/v2.0/.well-known/openid-configuration",
			EndpointKeys:      tenant + "/discovery/v2.0/keys",
			EndpointAuthorize: tenant + "/oauth2/v2.0/authorize",
			EndpointLogin:     tenant + "/login",
			EndpointToken:     tenant + "/oauth2/v2.0/token",
			EndpointLogout:    tenant + "/oauth2/v2.0/logout",
			EndpointPAR:       tenant + "/oauth2/v2.0/par",
		},
		grants: []string{GrantAuthorizationCode, GrantRefreshToken, GrantClientCredentials, GrantJWTBearer}, tokens: (*exchange).byClient,
		metadata: entraMetadata, login: entraLogin{}, levels: cfg.ACRValues,
		admits:       func(who Persona) bool { return who.ObjectID != "" },
		exampleClaim: `{"groups": ["` + GroupAdmins + `"], "NAVident": null}`,
	}
	if cfg.Revocation {
		at.paths[EndpointRevoke] = tenant + "/oauth2/v2.0/revoke"
	}
	return at
}

// entraMetadata is OpenID Connect Discovery 1.0, as Entra ID fills it in.
func entraMetadata(s site) map[string]any {
	m := s.loginMetadata("client_secret_post", "private_key_jwt", "client_secret_basic")
	m["http_logout_supported"] = true
	m["tenant_region_scope"] = "EU"
	m["cloud_instance_name"] = "microsoftonline.com"
	m["scopes_supported"] = []string{"openid", "profile", "email", "offline_access"}
	m["claims_parameter_supported"] = true
	m["claims_supported"] = []string{
		"sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "nonce", "name", "ver", "preferred_username", "email", "oid", "tid", "sid",
	}
	return m
}

// entraLogin is the login of employees.
type entraLogin struct{}

func (entraLogin) ask(s site, a *authRequest, q params) (err *oauthError) {
	a.refreshable = a.scopes.has("offline_access")
	if a.claims, err = parseRequestedClaims(q.get("claims")); err != nil {
		return err
	}
	if _, err = s.idp.granted(a.scopes); err != nil && err.aadsts == 65001 {
		err.code = "consent_required" // OIDC Core §3.1.2.6; invalid_grant is a word of the token endpoint
	}
	return err
}

// answer carries an access token for one resource: an API that is registered here, or Graph.
func (entraLogin) answer(s site, i issuance, life time.Duration) (map[string]any, error) {
	scp, refused := s.idp.granted(i.scopes)
	if refused != nil {
		return nil, refused
	}
	access, err := s.entraAccessToken(i, scp, life)
	return map[string]any{
		"access_token": access, "scope": strings.Join(qualified(i.scopes, scp), " "), "ext_expires_in": int(life.Seconds()),
	}, err
}

func (s site) entraAccessToken(i issuance, scp []string, life time.Duration) (string, error) {
	if i.scopes.resource == "" {
		return s.signForGraph(s.graphClaims(i.grant, scp, life))
	}
	return s.sign(Draft{Kind: "access_token", Claims: s.entraUserClaims(i.grant, i.scopes.resource, scp, i.how, life)})
}

// idClaims is the id token's claim set. A refreshed one has no nonce, as with Entra ID.
func (entraLogin) idClaims(s site, g *grant, refreshed bool) map[string]any {
	claims := s.entraClaims(g, g.client.ID)
	claims["exp"] = s.now.Add(time.Hour).Unix()
	claims["sid"] = g.person.sid
	claims["login_hint"] = g.person.loginHint()
	if g.nonce != "" && !refreshed {
		claims["nonce"] = g.nonce
	}
	if g.maxAge || g.claims.authTime {
		claims["auth_time"] = g.person.authTime.Unix()
	}
	if g.acr != "" {
		claims["acr"] = g.acr
	}
	if g.scopes.has("email") && g.person.Email != "" {
		claims["email"] = g.person.Email
		if g.person.EmailOwned {
			claims["xms_edov"] = true
		}
	}
	return merge(claims, g.claims.id, g.person)
}

// entraUserClaims is the claim set of an access token for an API that is registered here.
func (s site) entraUserClaims(g *grant, api string, scp []string, how AuthMethod, life time.Duration) map[string]any {
	claims := s.entraClaims(g, api)
	claims["exp"] = s.now.Add(life).Unix()
	claims["azp"] = g.client.ID
	claims["azp_name"] = g.client.Name
	claims["azpacr"] = azpacr(how)
	claims["scp"] = strings.Join(scp, " ")
	return merge(claims, g.claims.access, g.person)
}

// graphClaims is what is inside a token for Graph. No client has any business with it.
func (s site) graphClaims(g *grant, scp []string, life time.Duration) map[string]any {
	return map[string]any{
		"iss": "https://sts.windows.net/" + s.idp.cfg.TenantID + "/", "aud": graphID,
		"iat": s.now.Unix(), "nbf": s.now.Unix(), "exp": s.now.Add(life).Unix(), "ver": "1.0",
		"appid": g.client.ID, "oid": g.person.ObjectID, "tid": s.idp.cfg.TenantID, "sub": g.person.pairwise(s.idp.cfg.TenantID, graphURL),
		"name": g.person.Name, "upn": g.person.Username, "scp": strings.Join(scp, " "), "uti": s.idp.secret()[:22],
	}
}

// entraClaims is what all tokens about a person have in common.
func (s site) entraClaims(g *grant, audience string) map[string]any {
	who := g.person
	claims := map[string]any{
		"ver": "2.0", "iss": s.issuer(), "aud": audience, "tid": s.idp.cfg.TenantID,
		"iat": s.now.Unix(), "nbf": s.now.Unix(),
		"oid": who.ObjectID, "sub": who.pairwise(s.idp.cfg.TenantID, audience),
		"name": who.Name, "preferred_username": who.Username,
		"uti": s.idp.secret()[:22], "rh": "1." + s.idp.secret(), "aio": s.idp.secret() + s.idp.secret(),
	}
	if who.NAVident != "" {
		claims["NAVident"] = who.NAVident
	}
	groups := s.idp.groupsOf(who.Persona)
	if api, known := s.idp.client(audience); known && len(api.Groups) > 0 { // the app is told of its own groups only
		groups = shared(groups, api.Groups)
	}
	switch n := len(groups); {
	case n > maxGroups: // overage: a pointer in the place of the list
		claims["_claim_names"] = map[string]any{"groups": "src1"}
		claims["_claim_sources"] = map[string]any{"src1": map[string]any{
			"endpoint": "https://graph.windows.net/" + s.idp.cfg.TenantID + "/users/" + who.ObjectID + "/getMemberObjects",
		}}
	case n > 0:
		claims["groups"] = groups
	}
	return claims
}

// entraAppClaims is the claim set of an app's own access token. It names the service principal and nobody, and has roles only if there are any.
func (s site) entraAppClaims(c *client, api string, roles []string, how AuthMethod, life time.Duration) map[string]any {
	principal := c.principal()
	claims := map[string]any{
		"ver": "2.0", "iss": s.issuer(), "aud": api, "tid": s.idp.cfg.TenantID, "idtyp": "app",
		"iat": s.now.Unix(), "nbf": s.now.Unix(), "exp": s.now.Add(life).Unix(),
		"azp": c.ID, "azp_name": c.Name, "azpacr": azpacr(how), "oid": principal, "sub": principal,
		"uti": s.idp.secret()[:22], "rh": "1." + s.idp.secret(), "aio": s.idp.secret() + s.idp.secret(),
	}
	if len(roles) > 0 {
		claims["roles"] = roles
	}
	return claims
}

// azpacr is how the client proved who it is: 1 by a secret, 2 by a key or a federated credential.
func azpacr(how AuthMethod) string {
	if how == ClientSecretPost || how == ClientSecretBasic {
		return "1"
	}
	return "2"
}

// signForGraph signs as Entra ID does for Graph: over a header whose nonce is hashed, but sent with the nonce itself. So nobody but
// Graph can verify the token, and a client has to treat it as opaque.
func (s site) signForGraph(claims map[string]any) (string, error) {
	key, err := s.at.keys.signer()
	if err != nil {
		return "", err
	}
	nonce := s.idp.secret()
	hashed := sha256.Sum256([]byte(nonce))
	token, err := s.signBy(key, "RS256", "", &Draft{Kind: "access_token", Claims: claims, Header: map[string]any{
		"nonce": base64.RawURLEncoding.EncodeToString(hashed[:]),
	}})
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(token, ".")
	header, err := json.Marshal(map[string]any{"typ": "JWT", "alg": "RS256", "kid": key.kid, "nonce": nonce})
	if err != nil {
		return "", fmt.Errorf("encode token header: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(header) + "." + rest, nil
}
