package oidc

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// S-38: an audit event says whose word it is and about whom; S-37: never by a personal number, and never more than that.
func TestS38AuditAttrs(t *testing.T) {
	t.Parallel()
	session := func(claims string) *Identity {
		id, err := newSessionIdentity(EntraID, claims, "")
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for name, test := range map[string]struct {
		id   *Identity
		want map[string]string
	}{
		"nobody": {nil, map[string]string{}},
		"session": {
			session(`{"iss":"https://idp","aud":"me","sub":"s-1","oid":"o-1","uti":"u-1","name":"Kari Nordmann","pid":"01017012345","email":"k@x"}`),
			map[string]string{
				"provider": "entra_id", "kind": "user", "issuer": "https://idp", "subject": "s-1", "object": "o-1", "client": "me", "token_id": "u-1",
			},
		},
		"azp and jti before aud and uti": {
			session(`{"sub":"s-1","aud":["me","other"],"azp":"me","jti":"j-1","uti":"u-1"}`),
			map[string]string{"provider": "entra_id", "kind": "user", "subject": "s-1", "client": "me", "token_id": "j-1"},
		},
		"of another type": {
			session(`{"sub":"s-1","aud":["me","other"],"jti":7,"iss":["x"]}`),
			map[string]string{"provider": "entra_id", "kind": "user", "subject": "s-1"},
		},
		"personal number as subject": {
			session(`{"sub":"01017012345"}`), map[string]string{"provider": "entra_id", "kind": "user", "subject": "***********"},
		},
		"bearer of a machine": {
			&Identity{
				caller: Caller{Provider: Maskinporten, Kind: App, Client: "c\n1", Organization: "991825827"}, issuer: "https://mp", tokenID: "j",
				claims: `{"iss":"https://not-read"}`,
			},
			map[string]string{
				"provider": "maskinporten", "kind": "app", "issuer": "https://mp", "client": "c?1", "organization": "991825827", "token_id": "j",
			},
		},
	} {
		got := map[string]string{}
		for _, a := range test.id.AuditAttrs() {
			if a.Value.Kind() != slog.KindString {
				t.Errorf("%s: %s is no text", name, a.Key)
			}
			got[a.Key] = a.Value.String()
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}
