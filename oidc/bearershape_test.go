package oidc

import (
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// refuse wants a 401 with a reason for each text, no fetch of keys, and no time to speak of.
func refuseAll(t *testing.T, i *issuance, tokens map[string]string, reason string) {
	t.Helper()
	fetched := i.count("/jwks")
	for name, token := range tokens {
		var id *Identity
		var err error
		took := time.Hour
		for tries := 0; took > time.Second && tries < 3; tries++ { // a machine can stand still for a second, but not each time
			begun := time.Now()
			id, err = i.verifier.Verify(t.Context(), token)
			took = time.Since(begun)
		}
		if took > time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		e := (*InvalidTokenError)(nil)
		if id != nil || !errors.As(err, &e) || !strings.Contains(e.Reason, reason) || !fitForQuotedString(e.Reason) {
			t.Errorf("%s: got %v, %v, want %q", name, id, err, reason)
			continue
		}
		if len(token) > 20 && strings.Contains(e.Error(), token[:20]) {
			t.Errorf("%s: the reason quotes the token", name)
		}
	}
	if i.count("/jwks") != fetched {
		t.Error("it cost a fetch of keys")
	}
}

// peers.md 67.
func TestAdvisoryGO2026_4573EmptyAndTruncatedTokensAreInvalid(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	good := i.mint(nil)
	i.wantGood(nil)
	parts := strings.Split(good, ".")
	tokens := map[string]string{
		"empty": "", "a dot": ".", "two dots": "..", "a word": "undefined", "null": "null", "Bearer": "Bearer " + good, "space before": " " + good, "space after": good + " ",
		"a line end": good + "\n", "without a signature": parts[0] + "." + parts[1] + ".", "without the last part": parts[0] + "." + parts[1], "padded": good + "==",
		"a letter more": good + "A", "without the payload": parts[0] + ".." + parts[2], "twice": good + "." + good, "JSON form": `{"payload":"` + parts[1] + `"}`,
	}
	for n := 1; n < len(good); n += 37 {
		tokens[fmt.Sprintf("%d bytes of it", n)] = good[:n]
	}
	refuseAll(t, i, tokens, "")
}

// peers.md 59.
func TestAdvisoryCVE2025_30204TokensOfDotsAndHugeTokensCostNothing(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	refuseAll(t, i, map[string]string{"dots": strings.Repeat(".", maxBearer)}, "not a signed token in compact form")
	big := i.mint(map[string]any{"x": strings.Repeat("x", maxBearer)})
	refuseAll(t, i, map[string]string{"large": big, "a megabyte of dots": strings.Repeat(".", 1<<20), "large rubbish": strings.Repeat("A", maxBearer+1)}, "larger than 16 KiB")
	deep := b64(`{"alg":"RS256","kid":"k1"}`) + "." + b64(strings.Repeat("[", 11_000)) + ".AA"
	refuseAll(t, i, map[string]string{"deep": deep}, "JSON object")
}

func TestAdvisoryCVE2026_34986EncryptedTokensAreRefusedUnread(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	header := b64(`{"alg":"RSA-OAEP","enc":"A256GCM","kid":"k1"}`)
	pbes2 := b64(`{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":2147483647,"p2s":"AA","zip":"DEF"}`) // GHSA-2c7c-3mj9-8fqh, CVE-2024-28122
	refuseAll(t, i, map[string]string{"JWE": header + ".AA.AA.AA.AA", "empty parts": header + "....", "PBES2": pbes2 + ".AA.AA.AA.AA"}, "encrypted")
}

// peers.md 59 and 60: CVE-2016-9121, CVE-2016-9122, CVE-2016-9123 and the confusion of keys in general.
func TestAdvisoryCVE2016_9121AlgorithmsAreThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	payload := claimsJSON(t, i.claimsWith(nil))
	tokens := map[string]string{}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RS1", "rs256", "RS384", "RS512", "PS256", "ES256", "EdDSA", "RSA-OAEP", "dir"} {
		tokens["with RSA's signature as "+alg] = testToken(t, i.key, `{"alg":"`+alg+`","kid":"k1"}`, payload)
		tokens["unsigned as "+alg] = b64(`{"alg":"`+alg+`","kid":"k1"}`) + "." + b64(payload) + ".AA"
	}
	public := jwkJSON(t, rsaOnce().Public(), map[string]any{"kid": "k1"})
	for name, secret := range map[string][]byte{"JWK": []byte(public), "modulus": rsaOnce().Public().(*rsa.PublicKey).N.Bytes()} {
		header := jws.NewHeaders()
		must(t, header.Set(jws.KeyIDKey, "k1"))
		signed, err := jws.Sign([]byte(payload), jws.WithKey(jwa.HS256, secret, jws.WithProtectedHeaders(header)))
		must(t, err)
		tokens["HS256 with the public key's "+name] = string(signed)
	}
	refuseAll(t, i, tokens, "algorithm is not one")
}

// peers.md 60: WSO2's mismatch. The key of one algorithm says nothing under another of the same type.
func TestAdvisoryCVE2026_5430KeyMustBeForTheAlgorithm(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "partner")
	i.accept.Algorithms = []string{"RS256", "PS256", "RS512", "ES256", "ES384"}
	i.verifier = newVerifier(t, i.accept)
	i.wantGood(nil)
	for _, alg := range []string{"PS256", "RS512"} {
		signed := signJWT(t, &signingKey{alg: jwa.SignatureAlgorithm(alg), kid: "k1", private: rsaOnce()}, "at+jwt", i.claimsWith(nil))
		_, err := i.verifier.Verify(t.Context(), signed)
		wantInvalid(t, err, "not one of the provider's for its algorithm")
	}
	_, err := i.verifier.Verify(t.Context(), testToken(t, i.key, `{"alg":"ES256","kid":"k1","typ":"at+jwt"}`, claimsJSON(t, i.claimsWith(nil))))
	wantInvalid(t, err, "not one of the provider's for its algorithm")
}

func TestOtherAlgorithmsNeedConfiguration(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		i := newIssuance(t, "partner")
		private := rsaOnce()
		switch alg {
		case "ES256":
			private = ecKey(t, elliptic.P256())
		case "ES384":
			private = ecKey(t, elliptic.P384())
		case "ES512":
			private = ecKey(t, elliptic.P521())
		case "EdDSA":
			private = edKey(t)
		}
		i.setKey("k1", alg, private)
		must(t, i.provider.refresh(t.Context()))
		_, err := i.verify(nil)
		wantInvalid(t, err, "algorithm is not one")
		i.accept.Algorithms = []string{alg}
		i.verifier = newVerifier(t, i.accept)
		i.wantGood(nil)
	}
}

// Keys of Entra ID have no "alg".
func TestKeysWithoutAlgorithmAreRS256OrTheFallback(t *testing.T) {
	t.Parallel()
	for fallback, algs := range map[string][]string{"": {"RS256"}, "PS256": {"PS256"}} {
		i := newIssuance(t, "entra user", func(i *issuance, pc *ProviderConfig) {
			pc.FallbackAlg = fallback
			i.accept.Algorithms = algs
			i.key.alg = jwa.SignatureAlgorithm(algs[0])
			i.published = []string{jwkJSON(t, rsaOnce().Public(), map[string]any{"kid": "k1", "use": "sig", "issuer": "https://login.example/{tenantid}/v2.0"})}
		})
		i.wantGood(nil)
	}
}

func TestMissingKeyIDIsRefused(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	payload := claimsJSON(t, i.claimsWith(nil))
	tokens := map[string]string{
		"missing": testToken(t, i.key, `{"alg":"RS256"}`, payload), "empty": testToken(t, i.key, `{"alg":"RS256","kid":""}`, payload),
		"null": testToken(t, i.key, `{"alg":"RS256","kid":null}`, payload), "wins over others": b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".AA",
	}
	refuseAll(t, i, tokens, "names no key (kid)")
}

// peers.md 60 and 65: members of the header.
func TestHeaderIsReadInOneWay(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	payload := claimsJSON(t, i.claimsWith(nil))
	for header, reason := range map[string]string{
		`{"alg":"RS256","kid":"k1","crit":["x"],"x":1}`:            "critical extensions",
		`{"alg":"RS256","kid":"k1","crit":[]}`:                     "critical extensions",
		`{"alg":"RS256","kid":"k1","b64":false,"crit":["b64"]}`:    "critical extensions",
		`{"alg":"RS256","kid":"k1","alg":"none"}`:                  "member twice",
		`{"alg":"RS256","kid":"k1","kid":"k2"}`:                    "member twice",
		`{"alg":"RS256","kid":"k1","Alg":"none"}`:                  "but for upper and lower case",
		`{"alg":"RS256","kid":"k1","CRIT":["x"]}`:                  "but for upper and lower case",
		`{"alg":"RS256","kid":"k1","\u212aid":"k2"}`:               "but for upper and lower case",
		`{"alg":"RS256","kid":"k1","kid\u0000":"k2"}`:              "NUL",
		`{"alg":["RS256"],"kid":"k1"}`:                             "wrong type",
		`{"alg":"RS256","kid":1}`:                                  "wrong type",
		`[{"alg":"RS256","kid":"k1"}]`:                             "not a JSON object",
		`{"alg":"RS256","kid":"` + strings.Repeat("k", 513) + `"}`: "key id is too long",
	} {
		refuseAll(t, i, map[string]string{header: testToken(t, i.key, header, payload)}, reason)
	}
}

// RFC 8725 §3.10: keys come from the provider alone.
func TestKeysInTheHeaderAreIgnored(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	evil := &signingKey{alg: "RS256", kid: "k1", private: rsaTwoOnce()}
	jwk := jwkJSON(t, rsaTwoOnce().Public(), map[string]any{"kid": "k1", "alg": "RS256"})
	payload := claimsJSON(t, i.claimsWith(nil))
	tokens := map[string]string{}
	for _, member := range []string{`"jwk":` + jwk, `"jku":"https://idp.example/jwks"`, `"x5u":"https://evil.example/cert"`, `"x5c":["AA=="]`, `"jwk":5`, `"jku":{}`} {
		tokens[member] = testToken(t, evil, `{"alg":"RS256","kid":"k1",`+member+`}`, payload)
	}
	refuseAll(t, i, tokens, "signature does not verify")
	good := testToken(t, i.key, `{"alg":"RS256","kid":"k1","jwk":`+jwk+`,"jku":"https://evil.example"}`, payload)
	if _, err := i.verifier.Verify(t.Context(), good); err != nil {
		t.Errorf("a genuine token that names another key: %v", err)
	}
}

// peers.md 65.
func TestAdvisoryGO2026_4569DoubledAndFoldedClaimsAreRefused(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	payload := claimsJSON(t, i.claimsWith(nil))
	sign := func(more string) string {
		return testToken(t, i.key, `{"alg":"RS256","kid":"k1"}`, strings.TrimSuffix(payload, "}")+","+more+"}")
	}
	refuseAll(t, i, map[string]string{"aud": sign(`"aud":"x"`), "escaped": sign(`"a\u0075d":"x"`), "roles": sign(`"x":1,"x":2`)}, "member twice")
	folded := map[string]string{}
	for _, name := range []string{"AUD", "Iss", "i\\u017fs", "AZP", "Roles", "SCP", "Ver", "TID", "IdTyp", "Groups", "NavIdent", "_Claim_Names", "HasGroups", "UTI", "PreFerred_Username", "EMAIL"} {
		folded[name] = sign(`"` + name + `":"x"`)
	}
	refuseAll(t, i, folded, "but for upper and lower case")
	refuseAll(t, i, map[string]string{"GO-2026-4770": sign(`"aud\u0000":"x"`)}, "NUL")
}

func TestPayloadMustBeAnObject(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	tokens := map[string]string{}
	for _, payload := range []string{`[]`, `"x"`, `null`, `5`, `{"iss":`, `{}{}`, "\x00", `<html>`, "\xef\xbb\xbf{}"} {
		tokens[payload] = testToken(t, i.key, `{"alg":"RS256","kid":"k1"}`, payload)
	}
	refuseAll(t, i, tokens, "JSON object")
}

func TestForgedAndAlteredTokensAreRefused(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	good := i.mint(nil)
	i.wantGood(nil)
	parts := strings.Split(good, ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	must(t, err)
	signature[10] ^= 1
	tokens := map[string]string{
		"signed by another": signJWT(t, &signingKey{alg: "RS256", kid: "k1", private: rsaTwoOnce()}, "JWT", i.claimsWith(nil)),
		"another payload":   parts[0] + "." + b64(claimsJSON(t, i.claimsWith(map[string]any{"NAVident": "Z999999"}))) + "." + parts[2],
		"another header":    b64(`{"alg":"RS256","kid":"k1","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		"a bit of it":       parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(signature),
		"a short signature": parts[0] + "." + parts[1] + ".AA",
	}
	refuseAll(t, i, tokens, "signature does not verify")
	if _, err := i.verifier.Verify(t.Context(), good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// peers.md 63: the key of one tenant, or of another issuer, says nothing about this one (Storm-0558).
func TestS34AdvisoryCVE2025_55241KeyMustBeOfTheIssuer(t *testing.T) {
	t.Parallel()
	for owner, good := range map[string]bool{
		entraIssuer: true, "https://login.example/{tenantid}/v2.0": true,
		"https://login.example/11111111-2222-3333-4444-555555555555/v2.0": false, "https://sts.windows.net/{tenantid}/": false,
		"https://login.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0": false, "{tenantid}": false,
	} {
		i := newIssuance(t, "entra user", func(i *issuance, _ *ProviderConfig) {
			i.published = []string{jwkJSON(t, rsaOnce().Public(), map[string]any{"kid": "k1", "issuer": owner})}
		})
		for _, tid := range []any{testTenant, nil} {
			_, err := i.verify(map[string]any{"tid": tid})
			if good && err != nil {
				t.Errorf("%s: %v", owner, err)
			} else if !good {
				wantInvalid(t, err, "belongs to another issuer")
			}
		}
	}
}

func TestReasonsFitIntoAHeader(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "partner")
	hostile := maps.Clone(i.good)
	hostile["scope"] = map[string]any{`"\`: "\r\n"}
	_, err := i.verifier.Verify(t.Context(), signJWT(t, i.key, "at+jwt", hostile))
	e := (*InvalidTokenError)(nil)
	if !errors.As(err, &e) || !fitForQuotedString(e.Reason) || e.Err != nil {
		t.Errorf("%v", err)
	}
}
