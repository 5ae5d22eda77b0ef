package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"
)

// assertionOf verifies the signed identity of a request with nothing but the standard library and the published key set, and returns its
// members.
func assertionOf(t testing.TB, a *api, token string) map[string]any {
	t.Helper()
	var set struct {
		Keys []struct{ Kty, Crv, Kid, Alg, Use, X, Y, D string }
	}
	r := NewClient(t).Get("http://" + a.Addr + "/oauth2/jwks")
	if err := json.Unmarshal([]byte(r.Body), &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("key set: %v %d %s", err, r.StatusCode, r.Body)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a signed token: %d parts", len(parts))
	}
	raw := make([][]byte, 3)
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			t.Fatal(err)
		}
	}
	var header struct{ Alg, Kid, Typ string }
	if err := json.Unmarshal(raw[0], &header); err != nil || header.Alg != "ES256" || header.Typ != "postern-identity+jwt" {
		t.Fatalf("header %s %v", raw[0], err)
	}
	publicKey := func(x, y string) *ecdsa.PublicKey {
		point := []byte{4} // uncompressed
		for _, text := range []string{x, y} {
			b, err := base64.RawURLEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			point = append(point, b...)
		}
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			t.Fatal(err)
		}
		return public
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	for _, key := range set.Keys {
		if key.D != "" || key.Kty != "EC" || key.Use != "sig" {
			t.Fatal("the key set shows what it must not, or is of another type")
		}
		if key.Kid == header.Kid && ecdsa.Verify(publicKey(key.X, key.Y), digest[:], new(big.Int).SetBytes(raw[2][:32]), new(big.Int).SetBytes(raw[2][32:])) {
			var members map[string]any
			if err := json.Unmarshal(raw[1], &members); err != nil {
				t.Fatal(err)
			}
			return members
		}
	}
	t.Fatal("no published key verifies the assertion")
	return nil
}

// S-20: no member name comes from a token, and the statement is about this very request to this very app.
func TestS20AssertionSaysWhatPosternSays(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, map[string]string{"POSTERN_IDENTITY_ASSERTION": "true"})
	hostile := a.dev.Mint(t, profile("entra-user", "azp", clientA, "groups", caseworker, "scp", "defaultaccess", `x":1,"kind":"app","aud":"other`, 1,
		"htm", "DELETE", "kind", "app", "sub", "subject-1"))
	send := func(method, path, token string) map[string]any {
		r := a.call(t, method, path, token, "X-Postern-Assertion", "forged")
		if r.StatusCode != 200 {
			t.Fatalf("status %d %s", r.StatusCode, r.Body)
		}
		return assertionOf(t, a, Echoed(t, r).Header.Get("X-Postern-Assertion"))
	}
	one, two := send("GET", "/x?id=1", hostile), send("GET", "/x?id=2", hostile)
	for name, want := range map[string]any{
		"iss": "https://api.example.org", "aud": apiName, "kind": "user", "provider": "entra_id", "client": "dev:team:app-a", "htm": "GET", "sub": "subject-1",
	} {
		if one[name] != want {
			t.Errorf("%s is %v, want %v", name, one[name], want)
		}
	}
	digest := sha256.Sum256([]byte("/x?id=1"))
	if one["htu"] != base64.RawURLEncoding.EncodeToString(digest[:]) || one["htu"] == two["htu"] || one["jti"] == two["jti"] {
		t.Errorf("not bound to the request: %v %v", one, two)
	}
	if iat, exp := one["iat"].(float64), one["exp"].(float64); exp-iat != 60 || time.Since(time.Unix(int64(iat), 0)) > time.Minute {
		t.Errorf("iat %v, exp %v", iat, exp)
	}
	if len(one) != 12 { // iss aud iat exp jti sub kind provider client htm htu caller
		t.Errorf("members %v", one)
	}
	if caller, _ := one["caller"].(map[string]any); caller["kind"] != "app" || caller["htm"] != "DELETE" {
		t.Errorf("caller is %v", one["caller"])
	}
	if seen := Echoed(t, a.call(t, "GET", "/isalive", "", "X-Postern-Assertion", "forged")).Header; seen.Get("X-Postern-Assertion") != "" {
		t.Error("nobody has an assertion")
	}
	if r := NewClient(t).Get("http://" + a.Addr + "/oauth2/login"); r.StatusCode != 401 {
		t.Errorf("without login only the key set is owned below /oauth2: status %d", r.StatusCode)
	}
}

// Keys of a file outlive the process and are exchanged while it runs; the key set says so.
func TestS20AssertionKeysOfAFile(t *testing.T) {
	t.Parallel()
	first, second := ecJWK(t, "first"), ecJWK(t, "second")
	file := t.TempDir() + "/keys.json"
	writeFile(t, file, first)
	a := newAPI(t, apiPolicy, map[string]string{"POSTERN_IDENTITY_ASSERTION": "true", "POSTERN_IDENTITY_ASSERTION_KEY_FILE": file})
	sign := func() string {
		return Echoed(t, a.call(t, "GET", "/x", a.appToken(t, clientA))).Header.Get("X-Postern-Assertion")
	}
	old := sign()
	assertionOf(t, a, old)
	if r := NewClient(t).Get("http://" + a.Addr + "/oauth2/jwks"); !strings.Contains(r.Header.Get("Cache-Control"), "max-age") {
		t.Errorf("Cache-Control of kept keys is %q", r.Header.Get("Cache-Control"))
	}
	writeFile(t, file, `{"keys":[`+second+`,`+first+`]}`)
	Eventually(t, "waiting for the second key to sign", func() error {
		header, _, _ := strings.Cut(sign(), ".")
		if plain, _ := base64.RawURLEncoding.DecodeString(header); !strings.Contains(string(plain), `"second"`) {
			return errNotYet
		}
		return nil
	})
	assertionOf(t, a, old)
	assertionOf(t, a, sign())
	writeFile(t, file, "broken")
	a.Log.WaitFor(t, map[string]any{"option": "identity.assertion-key-file", "level": "ERROR"})
	assertionOf(t, a, sign())
	writeFile(t, file, first+strings.Repeat(" ", 1<<20)) // a good key in front of what would be read for ever
	a.Log.WaitFor(t, map[string]any{"option": "identity.assertion-key-file", "error": "read " + file + ": file is larger than 1 MiB"})
	assertionOf(t, a, sign())
}
