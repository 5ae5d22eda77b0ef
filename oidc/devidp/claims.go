package devidp

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// person is somebody who has logged in. It is never changed afterwards: sessions, codes and refresh tokens share it.
type person struct {
	Persona
	extra    map[string]any // free claims of the login page
	authTime time.Time
	sid      string
}

// grant is what a person let a client have.
type grant struct {
	client *client
	scopes scopes
	nonce  string
	maxAge bool // was asked for, so the id token must carry auth_time (OIDC Core §3.1.2.1)
	acr    string
	claims requestedClaims
	person *person
}

// idClaims is the id token's claim set. A refreshed one has no nonce, as with Entra ID.
func (p *IdP) idClaims(x *exchange, g *grant, refreshed bool) map[string]any {
	claims := p.commonClaims(x, g, g.client.ID)
	claims["exp"] = x.now.Add(time.Hour).Unix()
	claims["sid"] = g.person.sid
	claims["login_hint"] = g.person.loginHint()
	if g.nonce != "" && !refreshed {
		claims["nonce"] = g.nonce
	}
	if g.maxAge || g.claims.authTime {
		claims["auth_time"] = g.person.authTime.Unix()
	}
	if level := p.level(g); level != "" {
		claims["acr"] = level
	}
	if g.scopes.has("email") && g.person.Email != "" {
		claims["email"] = g.person.Email
		if g.person.EmailOwned {
			claims["xms_edov"] = true
		}
	}
	return merge(claims, g.claims.id, g.person)
}

// accessClaims is the claim set of an access token for an API that is registered here.
func (p *IdP) accessClaims(x *exchange, g *grant, api string, scp []string, how AuthMethod, life time.Duration) map[string]any {
	claims := p.commonClaims(x, g, api)
	claims["exp"] = x.now.Add(life).Unix()
	claims["azp"] = g.client.ID
	claims["azp_name"] = g.client.Name
	claims["azpacr"] = "2" // a key or a federated credential
	if how == ClientSecretPost || how == ClientSecretBasic {
		claims["azpacr"] = "1"
	}
	claims["scp"] = strings.Join(scp, " ")
	return merge(claims, g.claims.access, g.person)
}

// graphClaims is what is inside a token for Graph. No client has any business with it.
func (p *IdP) graphClaims(x *exchange, g *grant, scp []string, life time.Duration) map[string]any {
	return map[string]any{
		"iss": "https://sts.windows.net/" + p.cfg.TenantID + "/", "aud": "00000003-0000-0000-c000-000000000000",
		"iat": x.now.Unix(), "nbf": x.now.Unix(), "exp": x.now.Add(life).Unix(), "ver": "1.0",
		"appid": g.client.ID, "oid": g.person.ObjectID, "tid": p.cfg.TenantID, "sub": g.person.pairwise(p.cfg.TenantID, graphURL),
		"name": g.person.Name, "upn": g.person.Username, "scp": strings.Join(scp, " "), "uti": p.secret()[:22],
	}
}

func (p *IdP) commonClaims(x *exchange, g *grant, audience string) map[string]any {
	who := g.person
	claims := map[string]any{
		"ver": "2.0", "iss": x.issuer(), "aud": audience, "tid": p.cfg.TenantID,
		"iat": x.now.Unix(), "nbf": x.now.Unix(),
		"oid": who.ObjectID, "sub": who.pairwise(p.cfg.TenantID, audience),
		"name": who.Name, "preferred_username": who.Username,
		"uti": p.secret()[:22], "rh": "1." + p.secret(), "aio": p.secret() + p.secret(),
	}
	if who.NAVident != "" {
		claims["NAVident"] = who.NAVident
	}
	switch n := len(who.Groups); {
	case n > maxGroups: // overage: a pointer in the place of the list
		claims["_claim_names"] = map[string]any{"groups": "src1"}
		claims["_claim_sources"] = map[string]any{"src1": map[string]any{
			"endpoint": "https://graph.windows.net/" + p.cfg.TenantID + "/users/" + who.ObjectID + "/getMemberObjects",
		}}
	case n > 0:
		claims["groups"] = who.Groups
	}
	return claims
}

// merge adds what the client asked for by the claims parameter, then the persona's own claims, then what was typed on the login page.
func merge(claims, asked map[string]any, who *person) map[string]any {
	maps.Copy(claims, asked)
	maps.Copy(claims, who.Claims)
	for name, value := range who.extra {
		if name == "groups" {
			delete(claims, "_claim_names")
			delete(claims, "_claim_sources")
		}
		if value == nil {
			delete(claims, name)
			continue
		}
		claims[name] = value
	}
	return claims
}

// level is `acr`: the first of the requested ones that is on offer, else the highest, but never more than the person reaches.
func (p *IdP) level(g *grant) string {
	offered := p.cfg.ACRValues
	if len(offered) == 0 {
		return ""
	}
	got := len(offered) - 1
	for value := range strings.FieldsSeq(g.acr) {
		if at := slices.Index(offered, value); at >= 0 {
			got = at
			break
		}
	}
	if most := slices.Index(offered, g.person.ACR); most >= 0 {
		got = min(got, most)
	}
	return offered[got]
}

// requestedClaims is the part of the claims parameter (OIDC Core §5.5) that Entra ID acts on.
type requestedClaims struct {
	authTime   bool
	id, access map[string]any // acrs and xms_cc, as they will stand in the tokens
}

// parseRequestedClaims reads a claims parameter, such as a claims challenge that was handed on.
func parseRequestedClaims(raw string) (r requestedClaims, err *oauthError) {
	if raw == "" {
		return r, nil
	}
	if len(raw) > maxObject {
		return r, refuse(90013).because("The claims parameter is too long.")
	}
	object, bad := parseObject([]byte(raw))
	if bad != nil {
		return r, refuse(90013).because("The claims parameter is not a JSON object.")
	}
	for _, part := range []struct {
		name string
		into *map[string]any
	}{{"id_token", &r.id}, {"access_token", &r.access}} {
		members, _ := object[part.name].(map[string]any)
		*part.into = map[string]any{}
		for _, name := range []string{"acrs", "xms_cc"} {
			request, _ := members[name].(map[string]any)
			var values []any
			if one := text(request, "value"); one != "" {
				values = []any{one}
			} else {
				values, _ = request["values"].([]any)
			}
			if len(values) > 0 {
				(*part.into)[name] = values
			}
		}
		if _, there := members["auth_time"]; there && part.name == "id_token" {
			r.authTime = true
		}
	}
	return r, nil
}
