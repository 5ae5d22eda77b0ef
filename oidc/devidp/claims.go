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
	maxAge bool   // was asked for, so the id token must carry auth_time (OIDC Core §3.1.2.1)
	acr    string // the level that was reached, "" where there are none
	claims requestedClaims
	person *person

	refreshable bool
	locale      string // ID-porten
	resource    string // ID-porten: the audience that was asked for, whatever it is
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

// asked is the index of the first requested level that is on offer, else of the highest; 0 where there are none.
func (at *issuer) asked(acrValues string) int {
	for value := range strings.FieldsSeq(acrValues) {
		if i := slices.Index(at.levels, value); i >= 0 {
			return i
		}
	}
	return max(len(at.levels)-1, 0)
}

// most is the index of the highest level that a person reaches.
func (at *issuer) most(who Persona) int {
	if i := slices.Index(at.levels, who.ACR); i >= 0 {
		return i
	}
	return max(len(at.levels)-1, 0)
}

// acr is the name of a level, "" where there are none.
func (at *issuer) acr(level int) string {
	if len(at.levels) == 0 {
		return ""
	}
	return at.levels[level]
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
