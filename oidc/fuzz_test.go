package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

// shownBy is v in every way in which it could get into a log.
func shownBy(t testing.TB, v any) string {
	t.Helper()
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v ", v, v, v)
	text, err := json.Marshal(v)
	must(t, err)
	out.Write(text)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
	return out.String()
}

func FuzzParseJWT(f *testing.F) {
	key := &signingKey{alg: "RS256", kid: "k1", private: rsaOnce()}
	f.Add(signJWT(f, key, "JWT", map[string]any{"iss": testIssuer, "sub": "s", "aud": []string{"a", "b"}, "exp": 1.5e9}))
	for _, seed := range []string{"", "..", "a.b.c", b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".AA", b64(`{"alg":"RS256","alg":1}`) + "." + b64(`{"aud":[null]}`) + ".AA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		jwt, err := parseJWT(raw)
		if err != nil {
			if len(raw) > 40 && strings.Contains(err.Error(), raw) {
				t.Error("the error quotes the token")
			}
			return
		}
		if len(raw) > maxToken || strings.Count(raw, ".") != 2 || !json.Valid([]byte(jwt.payload)) || jwt.claims == nil {
			t.Errorf("accepted: %q", raw)
		}
		_, _ = jwt.claims.audience()
		_, _, _ = jwt.claims.seconds("exp")
		_ = jwt.claims.noTwins()
		// What is read here is what encoding/json would give everybody else: no second reading.
		var plain map[string]json.RawMessage
		if err := json.Unmarshal([]byte(jwt.payload), &plain); err != nil || len(plain) != len(jwt.claims) {
			t.Errorf("another reading: %v", err)
		}
	})
}

// The scanner and encoding/json must agree on every object.
func FuzzReadObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a":-1.5e3 , "b":[{"c":"]}"},[]] ,"d\"\\":"\u00e5\\", "e":{"f":{}} }`, `{"a":null,"a":2}`, `{"":""}`, `{"a":"x","b":true}`, "{\"\xff\":1}", `[]`, `5`, `"{}"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := readObject(string(data))
		var plain map[string]json.RawMessage
		plainErr := json.Unmarshal(data, &plain)
		if err != nil {
			if plainErr == nil && plain != nil && !errors.Is(err, errDoubled) {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		if plainErr != nil || len(m) != len(plain) {
			t.Fatalf("%q: %v, %v", data, plainErr, m)
		}
		for name, want := range plain {
			if got := m[name]; got != string(want) {
				t.Errorf("%q: %q is %q, want %q", data, name, got, want)
			}
			var a, b string
			if json.Unmarshal(want, &b) == nil && string(want) != "null" && (m.decode(name, &a) != nil || a != b) {
				t.Errorf("%q: %q, want %q", name, a, b)
			}
		}
	})
}

func FuzzParseMetadata(f *testing.F) {
	good, err := json.Marshal(newIDP(f).metadata)
	must(f, err)
	f.Add(good)
	for _, seed := range []string{"", "null", "[]", `{"issuer":"https://{tenantid}"}`, `{"issuer":"https://idp.example","jwks_uri":"http://[::1"}`} {
		f.Add([]byte(seed))
	}
	cfg := ProviderConfig{Name: "x", WellKnownURL: testIssuer + "/.well-known/openid-configuration"}
	f.Fuzz(func(t *testing.T, body []byte) {
		md, err := parseMetadata(body)
		if err != nil {
			return
		}
		md, err = cfg.adopt(md)
		if err != nil {
			return
		}
		if md.PosternTestProvider || strings.TrimSuffix(md.Issuer, "/") != testIssuer {
			t.Errorf("adopted: %+v", md)
		}
		for _, u := range []string{md.JWKSURI, md.TokenEndpoint, md.AuthorizationEndpoint, md.EndSessionEndpoint} {
			if u != "" && !strings.HasPrefix(strings.ToLower(u), "https:") {
				t.Errorf("adopted %q", u)
			}
		}
	})
}

func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[` + jwkJSON(f, rsaOnce().Public(), map[string]any{"kid": "k"}) + `]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"OKP","crv":"Ed25519","x":"AA"},{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, _ := parseKeySet(body, "RS256")
		for i := range keys {
			if !allowedAlgorithm(keys[i].alg) || !fits(keys[i].alg, keys[i].public) {
				t.Errorf("%s %T", keys[i].alg, keys[i].public)
			}
			if verifySignature(compactJWT{alg: keys[i].alg, signed: "eyJhbGciOiJSUzI1NiJ9.e30", signature: make([]byte, 64)}, &keys[i]) == nil {
				t.Error("a key verifies nonsense")
			}
		}
	})
}

func FuzzTokenResponse(f *testing.F) {
	f.Add([]byte(`{"access_token":"a","token_type":"Bearer","expires_in":"60","refresh_token":"r"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		now := time.Unix(1_700_000_000, 0)
		got, err := readTokenResponse(body, now)
		if err != nil {
			return
		}
		if got.Access.Empty() || !got.Expiry.After(now) || got.Expiry.After(now.Add(maxLifetime)) || strings.ContainsAny(got.Access.Raw(), "\r\n\x00 ") {
			t.Errorf("%s: %v", got.Access.Raw(), got.Expiry)
		}
	})
}

func FuzzCleanText(f *testing.F) {
	f.Add("code SECRET of 01017012345\n")
	f.Fuzz(func(t *testing.T, text string) {
		out := cleanText(text, "SECRET")
		run := 0
		for _, c := range []byte(out) {
			if c < 0x20 || c > 0x7e {
				t.Errorf("%q", out)
			}
			if run++; c < '0' || c > '9' {
				run = 0
			}
			if run > 10 {
				t.Errorf("%q", out)
			}
		}
		if len(out) > maxDescription || strings.Contains(out, "SECRET") && !strings.Contains(strings.ReplaceAll(text, "SECRET", ""), "SECRET") && !strings.Contains(text, "[redacted]") {
			t.Errorf("%q", out)
		}
	})
}
