package devidp

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

const (
	maskinportenGrantLife = 2 * time.Minute
	maskinportenLeeway    = 10 * time.Second
)

func maskinportenAlgorithms() []string { return []string{"RS256", "RS384", "RS512"} }

// issueToOrganisation is the JWT grant of Maskinporten (RFC 7523 §2.1): the grant says who asks, for what and with which key, and there is no
// other client authentication.
func (x *exchange) issueToOrganisation(q params) (map[string]any, *oauthError) {
	switch q.get("grant_type") {
	case GrantJWTBearer:
	case "":
		return nil, missing("grant_type")
	default:
		return nil, refuse(70003)
	}
	a, err := parseCompact(q.get("assertion"))
	if err != nil {
		return nil, x.refuseMP("MP-011")
	}
	c, known := x.idp.maskinportenClient(text(a.claims, "iss"))
	if !known {
		return nil, x.refuseMP("MP-100")
	}
	if code := x.grantFault(q.get("assertion"), a, c); code != "" {
		return nil, x.refuseMP(code)
	}
	if planned := x.idp.faults.tokenError(x.at.name, GrantJWTBearer); planned != nil {
		return nil, planned
	}
	life := x.scopedLifetime(text(a.claims, "scope"))
	claims := x.maskinportenClaims(c.Maskinporten.ID, life)
	if code := grantedTo(c.Maskinporten, a.claims, claims); code != "" {
		return nil, x.refuseMP(code)
	}
	token, err := x.sign(Draft{Kind: "access_token", Claims: claims})
	if err != nil {
		return nil, x.idp.broken(err)
	}
	exp, _ := claims["exp"].(int64)
	return map[string]any{
		"access_token": token, "token_type": "Bearer", "expires_in": int(time.Unix(exp, 0).Sub(x.now).Seconds()), "scope": claims["scope"],
	}, nil
}

// grantFault is the code of what is wrong with a grant as a signed statement (RFC 7523 §3), "" if nothing is.
func (x *exchange) grantFault(raw string, a compact, c *client) string {
	exp, hasExp := seconds(a.claims, "exp")
	iat, hasIat := seconds(a.claims, "iat")
	aud, _ := a.claims["aud"].(string)
	issued, ends := time.Unix(iat, 0), time.Unix(exp, 0)
	switch until := c.Maskinporten.KeysUntil; {
	case !signedByOne(raw, a, c.maskinportenKeys, maskinportenAlgorithms()):
		return "MP-124"
	case !until.IsZero() && !x.now.Before(until):
		return "MP-121"
	case aud != x.issuer(): // with its slash, and never the endpoint
		return "MP-110"
	case !hasExp || !hasIat:
		return "MP-011"
	case !x.now.Before(ends), ends.Sub(issued) > maskinportenGrantLife, x.now.Sub(issued).Abs() > maskinportenLeeway:
		return "MP-130"
	}
	jti := text(a.claims, "jti")
	if jti == "" { // without one the whole grant is known again
		sum := sha256.Sum256(a.signed)
		jti = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if !x.spendOnce(c, jti) {
		return "MP-012"
	}
	return ""
}

// grantedTo writes what a grant asks for into the token, or returns the code of what the organisation may not have.
func grantedTo(c MaskinportenClient, asked, token map[string]any) string {
	words := strings.Fields(text(asked, "scope"))
	if len(words) == 0 || slices.ContainsFunc(words, func(word string) bool { return !slices.Contains(c.Scopes, word) }) {
		return "MP-200"
	}
	token["scope"], token["consumer"] = strings.Join(words, " "), organisation(c.Organisation)
	if _, there := asked["consumer_org"]; there {
		consumer := "0192:" + text(asked, "consumer_org")
		if !slices.Contains(c.Consumers, consumer) {
			return "MP-201"
		}
		token["consumer"], token["supplier"] = organisation(consumer), organisation(c.Organisation)
		token["delegation_source"] = DefaultDelegationSource
	}
	if resource, there := asked["resource"]; there {
		aud, ok := readResource(resource)
		if !ok {
			return "MP-011"
		}
		token["aud"] = aud
	}
	if details, there := asked["authorization_details"]; there {
		if code := c.detailsFault(details); code != "" {
			return code
		}
		token["authorization_details"] = details
	}
	return ""
}

// readResource takes a text or a list of texts (RFC 8707 §2). A list of one becomes a text, as in most tokens.
func readResource(value any) (aud any, ok bool) {
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	for _, one := range list {
		if s, isText := one.(string); !isText || s == "" {
			return nil, false
		}
	}
	if len(list) == 1 {
		return list[0], true
	}
	return list, len(list) > 0
}

// detailsFault is the code of what is wrong with authorization_details: they are a list of objects of known types (RFC 9396 §2).
func (c MaskinportenClient) detailsFault(value any) string {
	list, isList := value.([]any)
	if !isList {
		return "MP-011"
	}
	for _, one := range list {
		detail, isObject := one.(map[string]any)
		switch {
		case !isObject:
			return "MP-011"
		case !slices.Contains(c.DetailTypes, text(detail, "type")):
			return "MP-301"
		}
	}
	return ""
}

// scopedLifetime is the shortest of the scopes' lives.
func (x *exchange) scopedLifetime(scope string) time.Duration {
	life, set := time.Duration(0), false
	for word := range strings.FieldsSeq(scope) {
		own, has := x.idp.cfg.MaskinportenLifetimes[word]
		if !has {
			own = x.lifetime()
		}
		if !set || own < life {
			life, set = own, true
		}
	}
	return life
}
