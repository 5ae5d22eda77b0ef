package devidp

import (
	"fmt"
	"slices"
)

// issueOnBehalf is the on-behalf-of grant of Entra ID (RFC 7523 §2.1): an app that was called with a user's token asks for the user's token
// for the next app.
func (p *IdP) issueOnBehalf(x *exchange, q params, c *client, how AuthMethod) (map[string]any, *oauthError) {
	for _, name := range []string{"requested_token_use", "assertion", "scope"} {
		if q.get(name) == "" {
			return nil, missing(name)
		}
	}
	if q.get("requested_token_use") != "on_behalf_of" {
		return nil, refuse(90013).because("requested_token_use must be on_behalf_of.")
	}
	who, refused := x.userOf(q.get("assertion"), c)
	if refused != nil {
		return nil, refused
	}
	g := &grant{client: c, person: who}
	if g.scopes, refused = x.at.login.scopes(x.site, q.get("scope")); refused != nil {
		return nil, refused
	}
	if g.claims, refused = parseRequestedClaims(q.get("claims")); refused != nil {
		return nil, refused
	}
	if refused = x.allowed(g); refused != nil {
		return nil, refused
	}
	refresh := ""
	if g.scopes.has("offline_access") {
		g.refreshable, refresh = true, p.newRefreshToken()
		p.mu.Lock()
		x.at.refresh.put(refresh, &refreshToken{family: &family{grant: g}}, x.now)
		p.mu.Unlock()
	}
	return p.issue(x, issuance{grant: g, scopes: g.scopes, how: how, refresh: refresh})
}

// allowed says whether the app that is asked for lets this app in, and this user.
func (s site) allowed(g *grant) *oauthError {
	if _, refused := s.idp.granted(g.scopes); refused != nil {
		return refuseGrant(refused.aadsts)
	}
	api, registered := s.idp.client(g.scopes.resource)
	switch {
	case !registered: // Graph, where everybody may read who they are
		return nil
	case !api.preAuthorizes(g.client):
		return refuseGrant(65001)
	case !s.assigned(g.person, api):
		return refuseGrant(50105)
	}
	return nil
}

// assigned says whether somebody may use an app: all may, unless it requires assignment, and then the members of its groups.
func (s site) assigned(who *person, api *client) bool {
	if who.Denied || !api.RequireAssignment {
		return !who.Denied
	}
	groups := s.idp.groupsOf(who.Persona)
	if typed, there := who.extra["groups"]; there {
		groups = nil
		list, _ := typed.([]any)
		for _, one := range list {
			groups = append(groups, fmt.Sprint(one))
		}
	}
	return len(shared(groups, api.Groups)) > 0
}

// shared is what is in both lists.
func shared(some, others []string) []string {
	return slices.DeleteFunc(slices.Clone(some), func(one string) bool { return !slices.Contains(others, one) })
}
