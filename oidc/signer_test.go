package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// foreignKeySet is a verifier that is not ours: it fetches the published keys as an app would.
func foreignKeySet(t testing.TB, s *Signer) gooidc.KeySet {
	t.Helper()
	client := &http.Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(string(s.PublicKeySet())))}, nil
	})}
	return gooidc.NewRemoteKeySet(gooidc.ClientContext(t.Context(), client), "https://app.example/oauth2/jwks")
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newSigner(t testing.TB, text string) *Signer {
	t.Helper()
	s, err := NewSigner(text)
	must(t, err)
	return s
}

func setOf(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func thumbprint(t testing.TB, key crypto.Signer) string {
	t.Helper()
	k, err := jwk.FromRaw(key.Public())
	must(t, err)
	sum, err := k.Thumbprint(crypto.SHA256)
	must(t, err)
	return base64.RawURLEncoding.EncodeToString(sum)
}

// publishedIDs are the key ids of the published set, which must hold nothing but what a public key has.
func publishedIDs(t testing.TB, s *Signer) []string {
	t.Helper()
	var set map[string][]map[string]string
	must(t, json.Unmarshal(s.PublicKeySet(), &set))
	if len(set) != 1 {
		t.Errorf("published: %s", s.PublicKeySet())
	}
	var ids []string
	for _, key := range set["keys"] {
		ids = append(ids, key["kid"])
		if key["use"] != "sig" || key["alg"] != "ES256" || key["kty"] != "EC" || key["crv"] != "P-256" || len(key["x"]) != 43 || len(key["y"]) != 43 || len(key) != 7 {
			t.Errorf("published: %v", key)
		}
	}
	return ids
}

func TestS20FirstKeySignsAllArePublished(t *testing.T) {
	t.Parallel()
	one, two, three := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	members := func(kid string) map[string]any {
		return map[string]any{"kid": kid, "alg": "ES256", "use": "sig", "key_ops": []string{"sign"}, "note": "for nobody's eyes"}
	}
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"one key":            {jwkJSON(t, one, members("a")), []string{"a"}},
		"one bare key":       {"\n " + jwkJSON(t, one, nil) + "\n", []string{thumbprint(t, one)}},
		"a set":              {setOf(jwkJSON(t, two, members("b")), jwkJSON(t, one, nil), jwkJSON(t, three, members("c"))), []string{"b", thumbprint(t, one), "c"}},
		"a set with a name":  {`{"keys":[` + jwkJSON(t, two, members("b")) + `],"use":"ours"}`, []string{"b"}},
		"a key id to escape": {jwkJSON(t, one, members(`"},{"kid":"x`)), []string{`"},{"kid":"x`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSigner(t, test.text)
			if diff := cmp.Diff(test.want, publishedIDs(t, s)); diff != "" {
				t.Error(diff)
			}
			payload := []byte(`{"x\":1,\"kind\":\"app":true,  "aud" : "a"}`)
			signed, err := s.Sign(payload, "postern-identity+jwt")
			must(t, err)
			jwt, err := parseJWT(signed)
			must(t, err)
			if jwt.alg != "ES256" || jwt.kid != test.want[0] || jwt.typ != "postern-identity+jwt" || jwt.payload != string(payload) {
				t.Errorf("%+v", jwt)
			}
			if got, err := foreignKeySet(t, s).VerifySignature(t.Context(), signed); err != nil || string(got) != string(payload) {
				t.Errorf("%s, %v", got, err)
			}
			if strings.Contains(string(s.PublicKeySet()), "eyes") || strings.Contains(string(s.PublicKeySet()), `"d"`) {
				t.Errorf("published: %s", s.PublicKeySet())
			}
		})
	}
}

func TestS20KeysThatCannotSignAreRefused(t *testing.T) {
	t.Parallel()
	key, other := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	good := jwkJSON(t, key, map[string]any{"kid": "a"})
	var parts map[string]any
	must(t, json.Unmarshal([]byte(good), &parts))
	d := parts["d"].(string)
	with := func(members map[string]any) string { return jwkJSON(t, key, members) }
	for name, test := range map[string]struct{ text, reason string }{
		"nothing":                  {"", "is not a JSON object"},
		"PEM":                      {"-----BEGIN PRIVATE KEY-----\n" + d, "is not a JSON object"},
		"a list":                   {"[" + good + "]", "is not a JSON object"},
		"two keys in a row":        {good + good, "is not a JSON object"},
		"an empty set":             {setOf(), "is empty"},
		"a set that is null":       {`{"keys":null}`, "is empty"},
		"a set that is none":       {`{"keys":"` + d + `"}`, "wrong type"},
		"too many":                 {setOf(strings.Repeat(good+",", maxKeys) + good), "more than"},
		"a set of no keys":         {`{"keys":[5]}`, "key 1 is not a JSON object"},
		"a doubled member":         {strings.Replace(good, `"d":`, `"d":"AA","d":`, 1), "member twice"},
		"public":                   {jwkJSON(t, key.Public(), nil), "not a private"},
		"RSA":                      {jwkJSON(t, rsaOnce(), map[string]any{"alg": "RS256"}), "not a key for ES256"},
		"Ed25519":                  {jwkJSON(t, edKey(t), nil), "not a key for ES256"},
		"P-384":                    {jwkJSON(t, ecKey(t, elliptic.P384()), nil), "not a key for ES256"},
		"symmetric":                {`{"kty":"oct","k":"` + d + `"}`, "not a private"},
		"another algorithm":        {with(map[string]any{"alg": "ES384"}), "not a key for ES256"},
		"none":                     {with(map[string]any{"alg": "none"}), "not a key for ES256"},
		"for encryption":           {with(map[string]any{"use": "enc"}), "not for signing"},
		"to verify only":           {with(map[string]any{"key_ops": []string{"verify"}}), "not for signing"},
		"another private part":     {with(map[string]any{"d": privatePart(t, other)}), "do not belong together"},
		"a private part of zero":   {with(map[string]any{"d": strings.Repeat("A", 43)}), "do not belong together"},
		"a long private part":      {with(map[string]any{"d": strings.Repeat("_", 86)}), "do not belong together"},
		"a point off the curve":    {with(map[string]any{"x": strings.Repeat("A", 43)}), "do not belong together"},
		"no private part in two":   {setOf(good, jwkJSON(t, other.Public(), nil)), "key 2"},
		"one key id twice":         {setOf(good, jwkJSON(t, other, map[string]any{"kid": "a"})), "key 2 has the key id of another"},
		"one nameless key twice":   {setOf(with(nil), with(nil)), "key 2 has the key id of another"},
		"a member of another sort": {with(map[string]any{"kid": 5}), "not a JSON web key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := NewSigner(test.text)
			if err == nil || s != nil || !strings.Contains(err.Error(), test.reason) {
				t.Fatalf("%v, want %q", err, test.reason)
			}
			if strings.Contains(shownBy(t, err), d) || strings.Contains(err.Error(), privatePart(t, other)) {
				t.Errorf("the key is in %q", err)
			}
		})
	}
}

func fromB64(t testing.TB, text string) []byte {
	t.Helper()
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	must(t, err)
	return decoded
}

func privatePart(t testing.TB, key crypto.Signer) string {
	t.Helper()
	d, err := key.(*ecdsa.PrivateKey).Bytes()
	must(t, err)
	return base64.RawURLEncoding.EncodeToString(d)
}

func TestS20KeysAreReplacedWhileSigning(t *testing.T) {
	t.Parallel()
	one, two := jwkJSON(t, ecKey(t, elliptic.P256()), map[string]any{"kid": "one"}), jwkJSON(t, ecKey(t, elliptic.P256()), map[string]any{"kid": "two"})
	s := newSigner(t, setOf(one, two))
	published := foreignKeySet(t, newSigner(t, setOf(two, one)))
	ctx, stop := context.WithCancel(t.Context())
	var signers sync.WaitGroup
	for range 4 {
		signers.Go(func() {
			for ctx.Err() == nil {
				signed, err := s.Sign([]byte(`{}`), "t")
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := published.VerifySignature(t.Context(), signed); err != nil {
					t.Errorf("%s: %v", signed, err)
					return
				}
			}
		})
	}
	for range 100 {
		must(t, s.Replace(setOf(two, one)))
		must(t, s.Replace(setOf(one, two)))
	}
	stop()
	signers.Wait()
	if err := s.Replace("{"); err == nil {
		t.Error("nonsense was taken")
	}
	if diff := cmp.Diff([]string{"one", "two"}, publishedIDs(t, s)); diff != "" {
		t.Error("nonsense took the keys away: " + diff)
	}
	must(t, s.Replace(two))
	if diff := cmp.Diff([]string{"two"}, publishedIDs(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestS20RandomKeysAreTheProcessesOwn(t *testing.T) {
	t.Parallel()
	a, err := NewRandomSigner(nil)
	must(t, err)
	b, err := NewRandomSigner(nil)
	must(t, err)
	signed, err := a.Sign([]byte(`{"iss":"a"}`), "t")
	must(t, err)
	if _, err := foreignKeySet(t, a).VerifySignature(t.Context(), signed); err != nil {
		t.Error(err)
	}
	if _, err := foreignKeySet(t, b).VerifySignature(t.Context(), signed); err == nil {
		t.Error("another process's key verifies it")
	}
	if a, b := publishedIDs(t, a), publishedIDs(t, b); len(a) != 1 || len(a[0]) != 43 || cmp.Equal(a, b) {
		t.Error(a, b)
	}
}

func TestAdvisoryCVE2024_45808SignersDoNotShowTheirKeys(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	s := newSigner(t, jwkJSON(t, key, nil))
	shown, d := shownBy(t, s), privatePart(t, key)
	number := new(big.Int).SetBytes(fromB64(t, d))
	if strings.Contains(shown, d) || strings.Contains(shown, number.String()) {
		t.Error("a log would show the key")
	}
}

func BenchmarkSigner(b *testing.B) {
	s, err := NewRandomSigner(nil)
	must(b, err)
	payload := []byte(`{"iss":"https://app.example","aud":"dev-gcp:team:app","sub":"` + strings.Repeat("s", 500) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Sign(payload, "postern-identity+jwt"); err != nil {
			b.Fatal(err)
		}
	}
}
