package devidp

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

const (
	tokenXLeeway        = time.Minute
	tokenXAssertionLife = 2 * time.Minute
)

const noMatchingKey = "Signed JWT rejected: Another algorithm expected, or no matching key(s) found"

// signatureFault is what is wrong with the header or signature of an app's assertion: it is RS256, by a key that is registered.
func signatureFault(raw string, a compact, keys jwk.Set) string {
	if reason := headerFault(a); reason != "" {
		return reason
	}
	kid, tried := text(a.header, "kid"), false
	for i := range size(keys) {
		key, _ := keys.Key(i)
		own := key.Algorithm().String()
		if key.KeyType() != jwa.RSA || (own != "" && own != "RS256") || (kid != "" && key.KeyID() != kid) {
			continue
		}
		tried = true
		if _, err := jws.Verify([]byte(raw), jws.WithKey(jwa.RS256, key), jws.WithCompact()); err == nil {
			return ""
		}
	}
	if !tried {
		return noMatchingKey
	}
	return "Signed JWT rejected: Invalid signature"
}

// ownSignatureFault is the same for a token of one of our issuers, by a key that is published.
func ownSignatureFault(a compact, ring *keyRing) string {
	if reason := headerFault(a); reason != "" {
		return reason
	}
	kid := text(a.header, "kid")
	if keys, err := ring.keys(); err != nil || !slices.ContainsFunc(keys, func(k *signingKey) bool { return k.kid == kid }) {
		return noMatchingKey
	}
	if ring.verifyPublished(kid, a.signed, a.signature) != nil {
		return "Signed JWT rejected: Invalid signature"
	}
	return ""
}

func headerFault(a compact) string {
	if typ, there := a.header["typ"]; there && typ != "JWT" {
		return fmt.Sprintf("JOSE header typ (type) %v not allowed", typ)
	}
	if _, critical := a.header["crit"]; critical || text(a.header, "alg") != "RS256" { // RFC 7515 §4.1.11
		return noMatchingKey
	}
	return ""
}

// lacks names the required claims that are not there. Names come in order.
func lacks(a compact, names ...string) string {
	missing := slices.DeleteFunc(names, func(name string) bool { return a.claims[name] != nil })
	if len(missing) == 0 {
		return ""
	}
	return "JWT missing required claims: [" + strings.Join(missing, ", ") + "]"
}

// untimely holds exp, nbf and iat to the clock, as far as they are there (RFC 7519 §4.1). A time that is no number is as bad as none.
func untimely(a compact, now time.Time) string {
	at := map[string]time.Time{}
	for _, name := range []string{"exp", "iat", "nbf"} {
		if _, there := a.claims[name]; !there {
			continue
		}
		second, ok := seconds(a.claims, name)
		if !ok {
			return "Unexpected type of " + name + " claim"
		}
		at[name] = time.Unix(second, 0)
	}
	switch late := now.Add(tokenXLeeway); {
	case !at["exp"].After(now.Add(-tokenXLeeway)):
		return "Expired JWT"
	case at["nbf"].After(late):
		return "JWT before use time"
	case at["iat"].After(late):
		return "JWT issue time is in the future"
	}
	return ""
}

// audiences are those of a token, which has one text or a list of them (RFC 7519 §4.1.3).
func audiences(a compact) []string {
	switch aud := a.claims["aud"].(type) {
	case string:
		return []string{aud}
	case []any:
		all := make([]string, 0, len(aud))
		for _, one := range aud {
			all = append(all, fmt.Sprint(one))
		}
		return all
	}
	return nil
}

// size is that of a key set, which may be nil.
func size(keys jwk.Set) int {
	if keys == nil {
		return 0
	}
	return keys.Len()
}
