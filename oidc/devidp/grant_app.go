package devidp

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"
)

// defaultRole is what every pre-authorised app may do.
const defaultRole = "access_as_application"

// issueToApp is the client credentials grant (RFC 6749 §4.4) of Entra ID: a token of the app's own for one resource.
func (p *IdP) issueToApp(x *exchange, q params, c *client, how AuthMethod) (map[string]any, *oauthError) {
	api, refused := p.resourceOfApp(q.get("scope"))
	if refused != nil {
		return nil, refused
	}
	life := x.lifetime()
	var (
		token string
		err   error
	)
	if api == nil {
		token, err = x.signForGraph(x.graphAppClaims(c, life))
	} else {
		roles := api.rolesOf(c)
		if len(roles) == 0 && api.RequireAssignment {
			return nil, refuse(501051)
		}
		token, err = x.sign(Draft{Kind: "access_token", Claims: x.entraAppClaims(c, api.ID, roles, how, life)})
	}
	if err != nil {
		return nil, p.broken(err)
	}
	seconds := int(life.Seconds())
	return map[string]any{"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}, nil
}

// resourceOfApp reads a scope that must be one resource's /.default; nil is Graph.
func (p *IdP) resourceOfApp(scope string) (*client, *oauthError) {
	words := strings.Fields(scope)
	if len(words) == 0 {
		return nil, missing("scope")
	}
	for _, word := range words {
		switch name, isDefault := strings.CutSuffix(word, "/.default"); {
		case strings.ContainsAny(word, "\"\\"): // RFC 6749 §3.3
			return nil, refuse(70011)
		case !isDefault || name == "":
			return nil, refuse(1002012)
		}
	}
	if len(words) > 1 {
		return nil, refuse(28000)
	}
	id, known := p.resource(strings.TrimSuffix(words[0], "/.default"))
	if !known {
		return nil, refuse(500011)
	}
	api, _ := p.client(id)
	return api, nil
}

// rolesOf is what an app may do here; nothing if nobody said that it may.
func (c *client) rolesOf(caller *client) []string {
	if !c.preAuthorizes(caller) {
		return nil
	}
	roles := []string{defaultRole}
	for _, role := range c.Roles {
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return roles
}

// principal is the object id of the app's service principal, the same at each start.
func (c *client) principal() string {
	sum := sha256.Sum256([]byte("service principal " + c.ID))
	return formatUUID(sum[:16])
}

// graphAppClaims is what is inside an app's token for Graph.
func (s site) graphAppClaims(c *client, life time.Duration) map[string]any {
	return map[string]any{
		"iss": "https://sts.windows.net/" + s.idp.cfg.TenantID + "/", "aud": graphID, "idtyp": "app", "ver": "1.0",
		"iat": s.now.Unix(), "nbf": s.now.Unix(), "exp": s.now.Add(life).Unix(),
		"appid": c.ID, "tid": s.idp.cfg.TenantID, "oid": c.principal(), "sub": c.principal(), "uti": s.idp.secret()[:22],
	}
}
