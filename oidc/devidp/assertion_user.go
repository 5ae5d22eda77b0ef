package devidp

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

// userOf verifies an access token that an app hands in to act on behalf of its user, and returns the user.
func (x *exchange) userOf(raw string, c *client) (*person, *oauthError) {
	a, err := parseCompact(raw)
	if _, critical := a.header["crit"]; err != nil || critical { // RFC 7515 §4.1.11
		e := refuse(50027)
		e.status, e.code = http.StatusBadRequest, "invalid_request" // the client has proved who it is: its user's token is malformed
		return nil, e
	}
	exp, hasExp := seconds(a.claims, "exp")
	nbf, hasNbf := seconds(a.claims, "nbf")
	switch {
	case text(a.header, "alg") != "RS256" || x.at.keys.verifyPublished(text(a.header, "kid"), a.signed, a.signature) != nil:
		return nil, refuse(50013)
	case text(a.claims, "iss") != x.issuer():
		return nil, refuse(50013)
	case !hasExp || !x.now.Before(time.Unix(exp, 0)) || (hasNbf && time.Unix(nbf, 0).After(x.now.Add(assertionLeeway))):
		return nil, refuse(500133)
	case !slices.Contains(c.uris(), text(a.claims, "aud")):
		return nil, refuse(500131)
	case text(a.claims, "idtyp") == "app":
		return nil, refuse(7000114)
	case text(a.claims, "scp") == "" || text(a.claims, "oid") == "":
		return nil, refuse(50013).because("It is not an access token about a user.")
	}
	return x.personIn(a.claims), nil
}

// renewed are the claims that each token has for itself.
func renewed() []string {
	return append(protocolClaims(), "oid", "sub", "tid", "azp_name", "scp", "roles", "idtyp", "uti", "rh", "aio", "jti", "login_hint", "acrs", "xms_cc")
}

// personIn is whom an access token is about. Where it says something else than the directory, as after free claims at the login, the next token
// will say so too.
func (s site) personIn(claims map[string]any) *person {
	found, known := s.persona(text(claims, "oid"))
	if known = known && found.ObjectID == text(claims, "oid"); !known {
		found = Persona{ObjectID: text(claims, "oid")}
	}
	who := &person{Persona: found, authTime: s.now, sid: s.idp.guid(), extra: map[string]any{}}
	usual := merge(s.entraClaims(&grant{person: who}, text(claims, "aud")), nil, who)
	names := slices.AppendSeq(slices.Collect(maps.Keys(usual)), maps.Keys(claims))
	for _, name := range names {
		if !slices.Contains(renewed(), name) && !same(usual[name], claims[name]) {
			who.extra[name] = claims[name]
		}
	}
	if s.idp.regrouped(found) { // since the token was made
		delete(who.extra, "groups")
	}
	if !known {
		for _, name := range []string{"_claim_names", "_claim_sources"} { // overage of somebody who is not in the directory
			if value, there := claims[name]; there {
				who.extra[name] = value
			}
		}
	}
	return who
}

// same compares values as JSON has them.
func same(a, b any) bool {
	one, errOne := json.Marshal(a)
	other, errOther := json.Marshal(b)
	return errOne == nil && errOther == nil && bytes.Equal(one, other)
}
