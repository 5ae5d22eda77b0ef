package proxy

import (
	"bytes"
	"encoding/json"

	"postern/oidc"
)

// addExtra writes the headers of "identity.claims", encoded as the headers of the set "postern" are.
func (w *identityHeaders) addExtra(v *headerValues, id *oidc.Identity) {
	claims := claimsOf(id)
	for _, extra := range w.extra {
		v.add(extra.header, claimValue(claims[extra.claim]))
	}
}

// claimsOf reads the top level of the claims. They were verified as a JSON object; should they not be one, nobody has any claims.
func claimsOf(id *oidc.Identity) map[string]json.RawMessage {
	var claims map[string]json.RawMessage
	if json.Unmarshal(id.ClaimsJSON(), &claims) != nil {
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
