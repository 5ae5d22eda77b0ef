package devidp

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

const (
	assertionLife   = 5 * time.Minute  // longest life of a client assertion
	assertionLeeway = 10 * time.Second // between two clocks
)

func assertionAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// checkAssertion holds a client's own assertion to RFC 7523 §3, and to being short and used once.
func (x *exchange) checkAssertion(c *client, raw string, a compact) *oauthError {
	if typ, there := a.header["typ"]; there && typ != "JWT" && typ != "client-authentication+jwt" {
		return refuse(50027)
	}
	if !signedByOne(raw, a, c.keys, assertionAlgorithms()) {
		return refuse(700027)
	}
	if text(a.claims, "iss") != c.ID || text(a.claims, "sub") != c.ID {
		return refuse(700021)
	}
	aud, single := a.claims["aud"].(string)
	if !single {
		return refuse(50027).because("'aud' must be one text.")
	}
	if !slices.Contains(x.audiences(), aud) {
		return refuse(700023)
	}
	if !shortlived(a, x.now) {
		return refuse(700024)
	}
	return x.spend(c, text(a.claims, "jti"))
}

// shortlived says whether the assertion is good now and for no longer than it should have been made for.
func shortlived(a compact, now time.Time) bool {
	exp, ok := seconds(a.claims, "exp")
	if !ok || !now.Before(time.Unix(exp, 0)) {
		return false
	}
	if time.Unix(exp, 0).Sub(now) > assertionLife+assertionLeeway {
		return false
	}
	for _, name := range []string{"iat", "nbf"} {
		if _, there := a.claims[name]; !there {
			continue
		}
		at, ok := seconds(a.claims, name)
		if !ok || time.Unix(at, 0).After(now.Add(assertionLeeway)) || exp-at > int64(assertionLife.Seconds()) {
			return false
		}
	}
	return true
}

// spend notes the jti of an assertion, which works once for each client (RFC 7523 §3). The note outlives the assertion.
func (x *exchange) spend(c *client, jti string) *oauthError {
	if jti == "" || len(jti) > 256 || !x.spendOnce(c, jti) {
		return refuse(50012)
	}
	return nil
}

// spendOnce notes something of a client that works once, and says whether it was new.
func (x *exchange) spendOnce(c *client, jti string) bool {
	sum := sha256.Sum256([]byte(c.ID + "\n" + jti))
	key := string(sum[:])
	x.idp.mu.Lock()
	defer x.idp.mu.Unlock()
	if _, used := x.at.jtis.get(key, x.now); used {
		return false
	}
	x.at.jtis.put(key, struct{}{}, x.now)
	return true
}

// checkFederated holds a foreign assertion to the credential that the client registered. It may be used again while it lives, as a
// token in a file is.
func (x *exchange) checkFederated(c *client, raw string, a compact) *oauthError {
	refused := refuse(700211)
	for _, f := range c.federated {
		if text(a.claims, "iss") != f.Issuer {
			continue
		}
		exp, hasExp := seconds(a.claims, "exp")
		nbf, hasNbf := seconds(a.claims, "nbf")
		switch {
		case !signedByOne(raw, a, f.keys, []string{"RS256"}):
			refused = refuse(700027)
		case !audienceOf(a, f.Audience):
			refused = refuse(700212)
		case text(a.claims, "sub") != f.Subject:
			refused = refuse(700213)
		case !hasExp || !x.now.Before(time.Unix(exp, 0)) || (hasNbf && time.Unix(nbf, 0).After(x.now.Add(assertionLeeway))):
			refused = refuse(700024)
		default:
			return nil
		}
	}
	return refused
}

// audienceOf says whether the audience is this one alone; Kubernetes writes it as a list.
func audienceOf(a compact, want string) bool {
	if list, ok := a.claims["aud"].([]any); ok {
		return len(list) == 1 && list[0] == want
	}
	return text(a.claims, "aud") == want
}

// signedByOne verifies with the registered key that the header names. A key serves its own algorithm only, if it states one, and the header
// can ask for nothing extra (RFC 7515 §4.1.11).
func signedByOne(raw string, a compact, keys jwk.Set, algorithms []string) bool {
	alg, kid := text(a.header, "alg"), text(a.header, "kid")
	if _, critical := a.header["crit"]; critical || kid == "" || !slices.Contains(algorithms, alg) {
		return false
	}
	for i := range keys.Len() {
		key, _ := keys.Key(i)
		if key.KeyID() != kid || (key.KeyUsage() != "" && key.KeyUsage() != "sig") {
			continue
		}
		if own := key.Algorithm().String(); own != "" && own != alg {
			continue
		}
		if _, err := jws.Verify([]byte(raw), jws.WithKey(jwa.SignatureAlgorithm(alg), key), jws.WithCompact()); err == nil {
			return true
		}
	}
	return false
}
