package proxy

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"postern/oidc"
)

// Claim types as App Service writes them for its provider "aad" on the v2.0 endpoint. What has no long name keeps the token's.
const (
	typSubject = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
	typEmail   = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
	typObject  = "http://schemas.microsoft.com/identity/claims/objectidentifier"
	typTenant  = "http://schemas.microsoft.com/identity/claims/tenantid"
	typScope   = "http://schemas.microsoft.com/identity/claims/scope"
	typRole    = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
)

type easyAuthPrincipal struct {
	AuthType string          `json:"auth_typ"`
	Claims   []easyAuthClaim `json:"claims"`
	NameType string          `json:"name_typ"`
	RoleType string          `json:"role_typ"`
}

type easyAuthClaim struct {
	Type  string `json:"typ"`
	Value string `json:"val"`
}

// addEasyAuth writes what Azure App Service would, so that an app can move without being changed.
func addEasyAuth(l *headerList, id *oidc.Identity) {
	provider := id.Provider()
	if provider == oidc.EntraID {
		provider = "aad"
	}
	principal := easyAuthPrincipal{AuthType: "aad", Claims: easyAuthClaims(id), NameType: typEmail, RoleType: typRole}
	if document, err := json.Marshal(principal); err == nil { // strings only: it cannot fail
		l.add("X-Ms-Client-Principal", base64.StdEncoding.EncodeToString(document))
	}
	person := id.Object()
	if person == "" {
		person = id.Subject()
	}
	l.addRaw("X-Ms-Client-Principal-Id", person)
	l.addRaw("X-Ms-Client-Principal-Name", id.Username())
	l.addRaw("X-Ms-Client-Principal-Idp", provider)
}

// protocolClaims mean something to the one who asked for the token only.
var protocolClaims = []string{"nonce", "at_hash", "c_hash", "s_hash"}

// easyAuthClaims lists one entry per value. What decisions are made on comes from the identity and not from the token, because claims
// count per provider only (S-19): an unverified e-mail address, or groups that TokenX copied, must not come in by this way.
func easyAuthClaims(id *oidc.Identity) []easyAuthClaim {
	list := []easyAuthClaim{}
	add := func(typ string, values ...string) {
		for _, value := range values {
			if value != "" {
				list = append(list, easyAuthClaim{typ, value})
			}
		}
	}
	claims := claimsOf(id)
	for _, name := range otherClaims(id, claims) {
		add(name, claimTexts(claims[name])...)
	}
	add(typSubject, id.Subject())
	add(typObject, id.Object())
	add(typTenant, id.Tenant())
	add(typEmail, id.Email())
	add("name", id.Name())
	add("preferred_username", id.Username())
	add("groups", id.Groups()...)
	add("roles", id.Roles()...)
	add(typRole, id.Roles()...) // App Service has written both types over the years, and apps look for either
	add(typScope, strings.Join(id.Scopes(), " "))
	return list
}

// otherClaims are the names, sorted, that are passed on as the token has them: of Entra ID all that have no accessor, of others those that say
// where the token is from.
func otherClaims(id *oidc.Identity, claims map[string]json.RawMessage) []string {
	if id.Provider() != oidc.EntraID {
		return []string{"aud", "exp", "iat", "iss"}
	}
	known := []string{"sub", "oid", "tid", "email", "name", "preferred_username", "groups", "roles", "scp", "scope"}
	var names []string
	for name := range claims {
		if !slices.Contains(known, name) && !slices.Contains(protocolClaims, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
