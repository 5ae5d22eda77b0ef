package proxy

import (
	"bytes"
	"encoding/json"

	"postern/oidc"
)

// addExtra writes the headers of "identity.claims", encoded as the headers of the set "postern" are.
func (w *identityHeaders) addExtra(l *headerList, id *oidc.Identity) {
	claims := claimsOf(id)
	for _, extra := range w.extra {
		if vouchesFor(id.Caller(), extra.claim) {
			l.add(extra.header, claimValue(claims[extra.claim]))
		}
	}
}

// vouchesFor says whether a claim is its provider's own word (S-19). TokenX copies whatever the login token had, and a citizen's token that
// names an employee must not become a header that says so. Entra ID, and the login provider of a session, speak for all of their claims.
func vouchesFor(c *oidc.Caller, claim string) bool {
	switch claim {
	case "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "azp":
		return true
	}
	switch c.Provider {
	case oidc.EntraID, oidc.OpenID:
		return true
	case oidc.TokenX:
		return claim == "pid" || claim == "acr" || claim == "idp"
	case oidc.IDPorten:
		return claim == "pid" || claim == "acr" || claim == "amr" || claim == "sid" || claim == "auth_time" || claim == "locale"
	case oidc.Maskinporten:
		return claim == "scope" || claim == "consumer" || claim == "supplier" || claim == "delegation_source" || claim == "authorization_details"
	default: // a further issuer's other claims count by another name only, if at all: see issuers[].claims
		return claim == "scope" || claim == "scp"
	}
}

// claimsOf reads the top level of the claims. They were verified as a JSON object; should they not be one, nobody has any claims.
func claimsOf(id *oidc.Identity) map[string]json.RawMessage {
	var claims map[string]json.RawMessage
	if json.Unmarshal([]byte(id.ClaimsJSON()), &claims) != nil {
		return nil
	}
	return claims
}

// claimValue is a claim as a header value: text as it is, numbers and booleans as in the token, lists by commas, objects as JSON; "" for
// null and for what is not there.
func claimValue(raw json.RawMessage) string {
	if len(raw) > 0 && raw[0] == '[' {
		return percentEncodeList(claimTexts(raw))
	}
	return percentEncode(claimText(raw))
}

// claimTexts is a claim as a list of values.
func claimTexts(raw json.RawMessage) []string {
	var list []json.RawMessage
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return []string{claimText(raw)}
	}
	texts := make([]string, 0, len(list))
	for _, element := range list {
		texts = append(texts, claimText(element))
	}
	return texts
}

// claimText is a claim, or an element of a list, as text.
func claimText(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	switch raw[0] {
	case '"':
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return ""
		}
		return text
	case '{', '[':
		var compact bytes.Buffer
		if json.Compact(&compact, raw) != nil {
			return ""
		}
		return compact.String()
	default:
		return string(raw) // a number byte for byte: 64-bit ids do not survive a float
	}
}
