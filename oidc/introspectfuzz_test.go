package oidc

import (
	"encoding/json"
	"testing"
)

// Whatever the claims are, an answer is one JSON object that says "active" once, and an active one says the claims and nothing else.
func FuzzIntrospectionAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"iss":"https://idp.example","aud":"aud-1","iat":1,"exp":99999999999}`,
		` {"iss":["https://idp.example"],"aud":["aud-1"],"iat":1,"exp":99999999999,"active":false,"error":"x","Active":1} `,
		`{"a":{"b":[1,2,{"active":true}]},"\u0061ctive":1}`, `[]`, `{`, `{"iss":1}`, `{"exp":1e400}`, "{\"iss\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	i := newIssuance(f, IDPorten)
	in := i.introspector()
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := in.Introspect(t.Context(), IDPorten, testToken(t, i.key, goodHeader, string(payload)))
		must(t, err)
		said, err := readObject(string(got.JSON))
		if err != nil {
			t.Fatalf("%s: %v", got.JSON, err)
		}
		if string(said["active"]) != map[bool]string{true: "true", false: "false"}[got.Active()] || got.Active() == said.has("error") {
			t.Fatalf("%s", got.JSON)
		}
		if !got.Active() {
			return
		}
		var want map[string]json.RawMessage
		must(t, json.Unmarshal(payload, &want))
		for name, value := range want {
			if !isOurMember(name) && string(said[name]) != string(value) {
				t.Fatalf("claim %q was %s and is %s", name, value, said[name])
			}
		}
	})
}

// Any text for a token: no panic, no trouble, an answer.
func FuzzIntrospectionToken(f *testing.F) {
	i := newIssuance(f, IDPorten)
	in := i.introspector()
	good := i.mint(nil)
	for _, seed := range []string{good, "", "..", "a.b.c", good[:len(good)/2], "e30.e30.e30", b64(goodHeader) + "." + b64(`{"iss":"https://idp.example"}`) + "."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		got, err := in.Introspect(t.Context(), IDPorten, token)
		if err != nil {
			if _, isTrouble := err.(*TroubleError); !isTrouble { //nolint:errorlint // exactly this type
				t.Fatal(err)
			}
			return // an unknown key id while fetches are held back
		}
		if !json.Valid(got.JSON) || got.Active() && token != good {
			t.Fatalf("%q: %s", token, got.JSON)
		}
	})
}

// What a token costs that was looked into before.
func BenchmarkIntrospectHit(b *testing.B) {
	i := newIssuance(b, "entra user")
	in, token, ctx := i.introspector(), i.mint(nil), b.Context()
	i.look(in, token)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := in.Introspect(ctx, EntraID, token); err != nil {
			b.Fatal(err)
		}
	}
}
