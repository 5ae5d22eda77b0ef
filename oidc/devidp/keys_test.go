package devidp_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/oidc/devidp"
)

type published struct {
	Keys []map[string]any `json:"keys"`
}

func (w *world) published() published {
	w.Helper()
	var set published
	must(w, json.Unmarshal([]byte(body(w, w.get(w.url("/discovery/v2.0/keys")))), &set))
	return set
}

func TestS41SigningKeysAreRandomAtEachStart(t *testing.T) {
	t.Parallel()
	random := func(c *devidp.Config) { c.KeyFile, c.Rand = "", zeros{} } // not even a bad source of codes makes them predictable
	one, two := newWorld(t, random), newWorld(t, random)
	if slices.Equal(one.idp.KeyIDs(), two.idp.KeyIDs()) || one.published().Keys[0]["n"] == two.published().Keys[0]["n"] {
		t.Error("two providers sign with one key")
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestS41SigningKeyFromAFileThatTheUserMade(t *testing.T) {
	t.Parallel()
	one, two := newWorld(t), newWorld(t)
	if !slices.Equal(one.idp.KeyIDs(), two.idp.KeyIDs()) {
		t.Error("one file gives two key ids")
	}
	junk := filepath.Join(t.TempDir(), "junk.pem")
	must(t, os.WriteFile(junk, []byte("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"), 0o600))
	for _, file := range []string{junk, filepath.Join(t.TempDir(), "absent.pem"), "/dev/null"} {
		if _, err := devidp.New(devidp.Config{KeyFile: file}); err == nil || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestPublishedKeysLookLikeEntraID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.published().Keys[0]
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "alg"} {
		if _, there := key[name]; there {
			t.Errorf("key shows %s", name)
		}
	}
	if key["kid"] != key["x5t"] || key["use"] != "sig" || key["kty"] != "RSA" || key["issuer"] != w.issuer() || len(list(key["x5c"])) < 100 {
		t.Errorf("key %v", key)
	}
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.tokens("kari").text("id_token")
	must(t, w.idp.RotateKeys())
	fresh := w.tokens("kari").text("id_token")
	if !verifies(w, old) || !verifies(w, fresh) || len(w.published().Keys) != 2 {
		t.Error("after rotation not both tokens verify")
	}
	w.idp.WithdrawKeys()
	if verifies(w, old) || !verifies(w, fresh) || len(w.published().Keys) != 1 {
		t.Error("after withdrawal the old token verifies, or the new one does not")
	}
	if r := w.get(w.url("/oauth2/v2.0/logout?id_token_hint=" + old)); r.StatusCode != 200 {
		t.Errorf("logout with an id token of a withdrawn key: %d", r.StatusCode)
	}
	for range 5 {
		must(t, w.idp.RotateKeys())
	}
	if n := len(w.published().Keys); n != 4 {
		t.Errorf("%d keys are published", n)
	}
}

func TestAlteredAndMintedTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.idp.AlterTokens(func(d *devidp.Draft) {
		if d.Kind == "id_token" {
			d.Claims["aud"], d.Header["kid"] = "somebody", "unknown"
		} else {
			d.BadSignature = true
		}
	})
	a := w.tokens("kari")
	if verifies(w, a.text("id_token")) || verifies(w, a.text("access_token")) {
		t.Error("a spoilt token verifies")
	}
	w.idp.AlterTokens(nil)
	// A member name that tries to be more than a name (S-20) arrives as a name.
	hostile := `x":1,"kind":"app","aud":"other-app","y`
	raw, err := w.idp.Mint(devidp.MintRequest{Header: map[string]any{"typ": "logout+jwt"}, Claims: map[string]any{"kind": "user", hostile: "z"}})
	must(t, err)
	if got := w.verified(raw); got["kind"] != "user" || got["aud"] != nil || got[hostile] != "z" {
		t.Errorf("minted %v", got)
	}
}
