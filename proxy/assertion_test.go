package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/oidc"
)

const assertedApp = "dev-gcp:team-a:orders"

var assertedAt = time.Unix(1_700_000_000, 999_999_999)

func newTestAssertions(t testing.TB, issuer string) *assertions {
	t.Helper()
	signer, err := oidc.NewRandomSigner(nil)
	if err != nil {
		t.Fatal(err)
	}
	return newAssertions(signer, issuer, func() time.Time { return assertedAt }, rand.Reader)
}

// verifyES256 is what an app does with a statement, by crypto/ecdsa and encoding/json alone: the published key by its id, the signature over
// the bytes as they came.
func verifyES256(t testing.TB, statement string, keySet []byte) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(statement, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWS", statement)
	}
	header, claims = map[string]any{}, map[string]any{}
	var set struct {
		Keys []struct{ Kid, X, Y string }
	}
	for from, to := range map[string]any{string(fromBase64(t, parts[0])): &header, string(fromBase64(t, parts[1])): &claims, string(keySet): &set} {
		if err := json.Unmarshal([]byte(from), to); err != nil {
			t.Fatalf("%q: %v", from, err)
		}
	}
	sum, signature := sha256.Sum256([]byte(parts[0]+"."+parts[1])), fromBase64(t, parts[2])
	for _, key := range set.Keys {
		point := slices.Concat([]byte{4}, fromBase64(t, key.X), fromBase64(t, key.Y))
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			t.Fatal(err)
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		if key.Kid == header["kid"] && len(signature) == 64 && ecdsa.Verify(public, sum[:], r, s) {
			return header, claims
		}
	}
	t.Fatal("the signature is not by a published key")
	return nil, nil
}

func fromBase64(t testing.TB, text string) []byte {
	t.Helper()
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func (a *assertions) mustSign(t testing.TB, id *oidc.Identity, r *http.Request) string {
	t.Helper()
	statement, err := a.sign(id, assertedApp, r)
	if err != nil {
		t.Fatal(err)
	}
	return statement
}

func hashOf(target string) string {
	sum := sha256.Sum256([]byte(target))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestS20AssertionHasTheseMembersAndNoOther(t *testing.T) {
	t.Parallel()
	a := newTestAssertions(t, "https://orders.example")
	id := sessionIdentity(t, oidc.EntraID, entraClaims)
	header, claims := verifyES256(t, a.mustSign(t, id, httptest.NewRequest("PATCH", "/orders/1?id=1", nil)), a.signer.PublicKeySet())
	if header["alg"] != "ES256" || header["typ"] != "postern-identity+jwt" || len(header) != 3 {
		t.Errorf("header: %v", header)
	}
	var caller map[string]any
	if err := json.Unmarshal([]byte(entraClaims), &caller); err != nil {
		t.Fatal(err)
	}
	if id, _ := claims["jti"].(string); len(id) != 22 {
		t.Errorf("jti: %v", claims["jti"])
	}
	delete(claims, "jti")
	want := map[string]any{
		"iss": "https://orders.example", "aud": assertedApp, "iat": 1.7e9, "exp": 1.7e9 + 60, "sub": "s-1", "kind": "user", "provider": "entra_id",
		"htm": "PATCH", "htu": hashOf("/orders/1?id=1"), "caller": caller,
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Error(diff)
	}
}

func TestS20AssertionOfAnApp(t *testing.T) {
	t.Parallel()
	a := newTestAssertions(t, "")
	id := sessionIdentity(t, oidc.Maskinporten, `{"sub":"s-1","scope":"nav:x","consumer":{"ID":"0192:123456789"}}`)
	id.Caller().Kind, id.Caller().Client, id.Caller().Session = oidc.App, "maskinporten/c-1", false // as of a bearer token
	_, claims := verifyES256(t, a.mustSign(t, id, httptest.NewRequest("GET", "/", nil)), a.signer.PublicKeySet())
	if sub, ok := claims["sub"]; ok {
		t.Errorf("Maskinporten has a subject: %v", sub)
	}
	for member, want := range map[string]string{"kind": "app", "provider": "maskinporten", "client": "maskinporten/c-1", "iss": assertedApp, "aud": assertedApp} {
		if claims[member] != want {
			t.Errorf("%s is %v, want %s", member, claims[member], want)
		}
	}
}

// TestS20ClaimsAreNeverMembers: a member name that came from a token would let its holder write the statement.
func TestS20ClaimsAreNeverMembers(t *testing.T) {
	t.Parallel()
	a := newTestAssertions(t, "")
	for name, hostile := range map[string]string{
		"a name with quotes":    `{"sub":"s-1","x\":1,\"kind\":\"app\",\"aud\":\"other-app\",\"y":"z"}`,
		"the same, escaped":     `{"sub":"s-1","x\u0022:1,\u0022kind\u0022:\u0022app\u0022,\u0022aud\u0022:\u0022other-app\u0022,\u0022y":"z"}`,
		"a name that ends ours": `{"sub":"s-1","x}":"}","}}":{},"\\\"}":",\"aud\":\"other\""}`,
		"names of ours": `{"sub":"s-1","iss":"evil","aud":"other","exp":9999999999,"iat":1,"jti":"x","htm":"GET","htu":"x","kind":"app","provider":"p",
			"client":"c","caller":{"sub":"eve"}}`,
		"a value that ends ours":  `{"sub":"s-1","name":"\"},\"aud\":\"other\",\"x\":{\"y\":\""}`,
		"white space":             "{\n \"sub\" : \"s-1\" ,\t\"kind\" : \"app\" }\n",
		"a number beyond floats":  `{"sub":"s-1","n":123456789012345678901234567890}`,
		"markup and line ends":    `{"sub":"s-1","name":"<script>&\u2028</script>"}`,
		"names of another script": `{"sub":"s-1","å":"\ud83d\ude00","":"empty"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := sessionIdentity(t, oidc.EntraID, hostile)
			statement := a.mustSign(t, id, httptest.NewRequest("POST", "/", nil))
			_, claims := verifyES256(t, statement, a.signer.PublicKeySet())
			var names []string
			for name := range claims {
				names = append(names, name)
			}
			slices.Sort(names)
			if diff := cmp.Diff([]string{"aud", "caller", "exp", "htm", "htu", "iat", "iss", "jti", "kind", "provider", "sub"}, names); diff != "" {
				t.Error(diff)
			}
			if claims["aud"] != assertedApp || claims["iss"] != assertedApp || claims["kind"] != "user" || claims["sub"] != "s-1" || claims["exp"] != 1.7e9+60 ||
				claims["htm"] != "POST" || claims["provider"] != oidc.EntraID || claims["htu"] != hashOf("/") {
				t.Errorf("the token has written the statement: %v", claims)
			}
			// The claims are there as they were verified, number for number.
			var sent, got any
			decode := json.NewDecoder(strings.NewReader(hostile))
			decode.UseNumber()
			if err := decode.Decode(&sent); err != nil {
				t.Fatal(err)
			}
			payload := json.NewDecoder(strings.NewReader(string(fromBase64(t, strings.Split(statement, ".")[1]))))
			payload.UseNumber()
			var whole map[string]any
			if err := payload.Decode(&whole); err != nil {
				t.Fatal(err)
			}
			if got = whole["caller"]; !cmp.Equal(sent, got) {
				t.Error(cmp.Diff(sent, got))
			}
		})
	}
}

// TestS20AssertionIsForOneRequest: method, path and query as the app gets them, so that it cannot be shown with another one.
func TestS20AssertionIsForOneRequest(t *testing.T) {
	t.Parallel()
	a := newTestAssertions(t, "")
	id := sessionIdentity(t, oidc.EntraID, entraClaims)
	seen := map[string]string{}
	for _, test := range []struct{ method, target, sent string }{
		{"GET", "/orders?id=1", "/orders?id=1"},
		{"GET", "/orders?id=2", "/orders?id=2"},
		{"DELETE", "/orders?id=1", "/orders?id=1"},
		{"GET", "/orders", "/orders"},
		{"GET", "/orders?", "/orders?"},
		{"GET", "/orders%3Fid=1", "/orders%3Fid=1"},
		{"GET", "/orders?id=1;x=%zz&a+b", "/orders?id=1;x=%zz&a+b"},
		{"GET", "/a/../orders?id=1", "/a/../orders?id=1"},
		{"GET", "//orders?id=1", "//orders?id=1"},
		{"HEAD", "http://app.example/absolute?id=1", "/absolute?id=1"},
		{"OPTIONS", "*", "*"},
	} {
		r := httptest.NewRequest(test.method, "/", nil)
		r.RequestURI = test.target
		_, claims := verifyES256(t, a.mustSign(t, id, r), a.signer.PublicKeySet())
		if claims["htm"] != test.method || claims["htu"] != hashOf(test.sent) {
			t.Errorf("%s %s: %v %v", test.method, test.target, claims["htm"], claims["htu"])
		}
		key := test.method + " " + claims["htu"].(string)
		if other, twice := seen[key]; twice {
			t.Errorf("%s is also %s", test.target, other)
		}
		seen[key] = test.target
		if jti := claims["jti"].(string); seen[jti] != "" {
			t.Error("a statement's id came twice")
		} else {
			seen[jti] = "an id"
		}
	}
}

// TestAdvisoryALBeastAssertionIsBound: peers.md row 66. A statement names who made it, for whom, for how long and for which request; one of another
// key, another workload, or from before does not fit, and a tampered one does not verify.
func TestAdvisoryALBeastAssertionIsBound(t *testing.T) {
	t.Parallel()
	a, b := newTestAssertions(t, ""), newTestAssertions(t, "")
	id := sessionIdentity(t, oidc.EntraID, entraClaims)
	r := httptest.NewRequest("GET", "/orders", nil)
	statement := a.mustSign(t, id, r)
	_, claims := verifyES256(t, statement, a.signer.PublicKeySet())
	if claims["exp"].(float64)-claims["iat"].(float64) > 60 || claims["aud"] != assertedApp || claims["iss"] == nil || claims["htu"] == nil {
		t.Errorf("%v", claims)
	}
	if string(a.signer.PublicKeySet()) == string(b.signer.PublicKeySet()) {
		t.Error("two sidecars share a key that nobody gave them")
	}
	other, err := a.sign(id, "dev-gcp:team-b:payroll", r)
	if err != nil {
		t.Fatal(err)
	}
	if _, claims := verifyES256(t, other, a.signer.PublicKeySet()); claims["aud"] != "dev-gcp:team-b:payroll" {
		t.Errorf("aud is %v", claims["aud"])
	}
}

func TestAssertionNeedsRandomness(t *testing.T) {
	t.Parallel()
	a := newTestAssertions(t, "")
	gone := errors.New("gone")
	for name, random := range map[string]io.Reader{"fails": iotest.ErrReader(gone), "ends": strings.NewReader("0123456789")} {
		a := newAssertions(a.signer, "", a.now, random)
		if statement, err := a.sign(sessionIdentity(t, oidc.EntraID, entraClaims), assertedApp, httptest.NewRequest("GET", "/", nil)); err == nil || statement != "" {
			t.Errorf("%s: %q, %v", name, statement, err)
		}
	}
}

// FuzzAssertionOfClaims: whatever a token says, the statement is read as ours by encoding/json, and has no member twice.
func FuzzAssertionOfClaims(f *testing.F) {
	for _, seed := range [][2]string{{"x\":1,\"aud\":\"other\",\"y", "z"}, {"aud", "other"}, {"caller", "}"}, {"\\", "\\"}, {"\x00\xff", "\u2028"}} {
		f.Add(seed[0], seed[1])
	}
	a := newTestAssertions(f, "")
	r := httptest.NewRequest("GET", "/", nil)
	f.Fuzz(func(t *testing.T, name, value string) {
		text, err := json.Marshal(map[string]string{name: value, "sub": "s-1"})
		if err != nil {
			t.Skip()
		}
		id, err := oidc.RestoreIdentity(oidc.OpenID, string(text), "")
		if err != nil {
			t.Skip()
		}
		payload := fromBase64(t, strings.Split(a.mustSign(t, id, r), ".")[1])
		var read assertion
		strict := json.NewDecoder(strings.NewReader(string(payload)))
		strict.DisallowUnknownFields()
		if err := strict.Decode(&read); err != nil {
			t.Fatalf("%s: %v", payload, err)
		}
		if read.Audience != assertedApp || read.Issuer != assertedApp || read.Kind != oidc.User || read.Subject != id.Subject() || read.Method != "GET" {
			t.Errorf("%s", payload)
		}
		again, err := json.Marshal(read) // a doubled member would be lost on the way
		if err != nil || string(again) != string(payload) {
			t.Errorf("%s became %s", payload, again)
		}
	})
}

func BenchmarkAssertion(b *testing.B) {
	a := newTestAssertions(b, "https://orders.example")
	id, r := sessionIdentity(b, oidc.EntraID, benchClaims), benchRequest("")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.sign(id, assertedApp, r); err != nil {
			b.Fatal(err)
		}
	}
}
