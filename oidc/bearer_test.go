package oidc

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"
)

func TestGoodTokensOfEveryKindAreAccepted(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			i := newIssuance(t, kind)
			token := i.mint(nil)
			id, err := i.verifier.Verify(t.Context(), token)
			must(t, err)
			payload, err := parseJWT(token)
			must(t, err)
			wantID := "token-1"
			if i.accept.Name == EntraID {
				wantID = "uti-1"
			}
			if id.ClaimsJSON() != payload.payload || id.Issuer() != i.issuer || id.TokenID() != wantID || id.Expiry().Unix() != i.good["exp"] ||
				id.Caller().Session || id.GrantedJSON() != "" || id.Provider() != i.accept.Name {
				t.Errorf("%s, %q, %q, %v, %+v", id.ClaimsJSON(), id.Issuer(), id.TokenID(), id.Expiry(), id.Caller())
			}
		})
	}
}

type denial struct {
	change map[string]any
	reason string
}

// Every row but those of times is a token that somebody could really hold.
var deniedOfEveryKind = map[string]denial{
	"no iss":                     {map[string]any{"iss": nil}, "who issued it"},
	"iss with another slash":     {map[string]any{"iss": "SLASH"}, "issuer is not one"},
	"iss of another":             {map[string]any{"iss": "https://evil.example"}, "issuer is not one"},
	"iss a list":                 {map[string]any{"iss": []string{entraIssuer, testIssuer, "https://maskinporten.example/"}}, "who issued it"},
	"aud nested":                 {map[string]any{"aud": []any{[]string{"aud-1", entraClient}}}, "malformed audience"},
	"aud a number":               {map[string]any{"aud": 1}, "malformed audience"},
	"aud an object":              {map[string]any{"aud": map[string]any{"aud-1": true}}, "malformed audience"},
	"aud with null in it":        {map[string]any{"aud": []any{"aud-1", entraClient, nil}}, "malformed audience"},
	"aud with nothing in it":     {map[string]any{"aud": []string{}}, "audience (aud) is empty"},
	"aud empty":                  {map[string]any{"aud": ""}, "malformed audience"},
	"no exp":                     {map[string]any{"exp": nil}, "when it ends"},
	"exp a text":                 {map[string]any{"exp": "9999999999"}, "not a time"},
	"exp without bound":          {map[string]any{"exp": 1e300}, "not a time"},
	"expired":                    {map[string]any{"exp": unix(-2 * time.Minute)}, "has expired"},
	"expired before 1970":        {map[string]any{"exp": -1}, "has expired"},
	"no iat":                     {map[string]any{"iat": nil}, "when it was issued"},
	"iat a text":                 {map[string]any{"iat": "now"}, "not a time"},
	"iat negative":               {map[string]any{"iat": -5}, "when it was issued"},
	"iat in the future":          {map[string]any{"iat": unix(3 * time.Minute)}, "in the future"},
	"nbf in the future":          {map[string]any{"nbf": unix(3 * time.Minute)}, "not valid yet"},
	"nbf a text":                 {map[string]any{"nbf": "now"}, "not a time"},
	"S-26 cnf":                   {map[string]any{"cnf": map[string]any{"jkt": "x"}}, "bound to a key"},
	"S-26 cnf false":             {map[string]any{"cnf": false}, "bound to a key"},
	"a twin of aud":              {map[string]any{"AUD": "aud-1"}, "but for upper and lower case"},
	"a twin of iss by folding":   {map[string]any{"i\u017f\u017f": "https://evil.example"}, "but for upper and lower case"},
	"a twin of client_id":        {map[string]any{"Client_ID": callerApp}, "but for upper and lower case"},
	"a twin of consumer":         {map[string]any{"Consumer": 1}, "but for upper and lower case"},
	"a twin of cnf":              {map[string]any{"CNF": 1}, "but for upper and lower case"},
	"a name with NUL":            {map[string]any{"aud\x00": "aud-1"}, "NUL in its name"},
	"another's audience, listed": {map[string]any{"aud": []string{"other", "another"}}, "another audience"},
	"no aud":                     {map[string]any{"aud": nil}, "for whom it is"},
	"aud null":                   {map[string]any{"aud": jsonNull{}}, "audience (aud) is empty"},
	"a subject that is no text":  {map[string]any{"sub": 5, "consumer": 7, "client_id": 6, "azp": 6}, "wrong type"},
}

type jsonNull struct{}

func (jsonNull) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// peers.md 57: the checklist, for every provider.
func TestAdvisoryGO2026_5391NothingIsLeftUncheckedForAnyProvider(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			i := newIssuance(t, kind)
			i.wantGood(nil)
			for name, tc := range deniedOfEveryKind {
				if kind == Maskinporten && (name == "no aud" || strings.HasPrefix(name, "another's audience")) {
					continue // bound by scope, not by audience
				}
				change := maps.Clone(tc.change)
				if change["iss"] == "SLASH" {
					change["iss"] = otherSlash(i.issuer)
				}
				i.wantDenied(name, denial{change, tc.reason})
			}
		})
	}
}

func otherSlash(issuer string) string {
	if cut, had := strings.CutSuffix(issuer, "/"); had {
		return cut
	}
	return issuer + "/"
}

// fitForQuotedString is the alphabet of error_description (RFC 6750 §3).
func fitForQuotedString(text string) bool {
	for _, c := range []byte(text) {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return text != ""
}

func TestDeniedOfOneKind(t *testing.T) {
	t.Parallel()
	const anotherTenant = "11111111-2222-3333-4444-555555555555"
	for kind, cases := range map[string]map[string]denial{
		"entra user": {
			"an id token":                       {map[string]any{"scp": nil, "azp": nil, "nonce": "n"}, "id token"},
			"an id token of a refresh":          {map[string]any{"scp": nil, "azp": nil}, "neither a user's access token"},
			"with at_hash":                      {map[string]any{"at_hash": "x"}, "id token"},
			"with c_hash":                       {map[string]any{"c_hash": "x"}, "id token"},
			"without scp":                       {map[string]any{"scp": nil}, "neither a user's access token"},
			"with an empty scp":                 {map[string]any{"scp": " "}, "neither a user's access token"},
			"without ver":                       {map[string]any{"ver": nil}, "version 2.0"},
			"of version 1.0":                    {map[string]any{"ver": "1.0"}, "version 2.0"},
			"with ver a number":                 {map[string]any{"ver": 2.0}, "wrong type"},
			"CVE-2025-55241 tid of another":     {map[string]any{"tid": anotherTenant}, "not that of its issuer"},
			"tid a number":                      {map[string]any{"tid": 5}, "wrong type"},
			"without azp":                       {map[string]any{"azp": nil}, "to which client"},
			"with azp a list":                   {map[string]any{"azp": []string{callerClient}}, "wrong type"},
			"of the issuer of version 1":        {map[string]any{"iss": "https://sts.windows.net/" + testTenant + "/", "ver": "1.0"}, "version 2.0"},
			"for the URI and not the id":        {map[string]any{"aud": "api://" + entraClient}, "another audience"},
			"groups that are no list":           {map[string]any{"groups": map[string]any{"a": 1}}, "wrong type"},
			"of nobody":                         {map[string]any{"oid": nil, "NAVident": nil}, "who its user is"},
			"a twin of name":                    {map[string]any{"Name": "Ola"}, "but for upper and lower case"},
			"idtyp of other letters and no scp": {map[string]any{"idtyp": "APP", "scp": nil}, "neither a user's access token"},
		},
		"entra app": {
			"role-less and without idtyp":        {map[string]any{"roles": nil, "idtyp": nil}, "neither a user's access token"},
			"with scp":                           {map[string]any{"scp": "defaultaccess"}, "at once"},
			"with an empty scp":                  {map[string]any{"scp": ""}, "at once"},
			"a default role is no sign of class": {map[string]any{"idtyp": nil}, "neither a user's access token"},
			"without azp":                        {map[string]any{"azp": nil}, "to which client"},
		},
		TokenX: {
			"without client_id":       {map[string]any{"client_id": nil}, "to which client"},
			"with an empty client_id": {map[string]any{"client_id": ""}, "to which client"},
			"with azp only":           {map[string]any{"client_id": nil, "azp": callerApp}, "to which client"},
			"of nobody":               {map[string]any{"pid": nil, "sub": nil}, "who its user is"},
			"with idp a list":         {map[string]any{"idp": []string{"https://idporten.example"}}, "wrong type"},
		},
		Maskinporten: {
			"without client_id":       {map[string]any{"client_id": nil}, "to which client"},
			"with scope a number":     {map[string]any{"scope": 5}, "wrong type"},
			"with a delegation of no": {map[string]any{"delegation_source": 1}, "wrong type"},
		},
		IDPorten: {
			"an id token":            {map[string]any{"nonce": "n"}, "id token"},
			"an id token by at_hash": {map[string]any{"at_hash": "x"}, "id token"},
			"for nobody":             {map[string]any{"aud": "unspecified"}, "another audience"},
			"with acr a number":      {map[string]any{"acr": 4}, "wrong type"},
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			i := newIssuance(t, kind)
			for name, tc := range cases {
				i.wantDenied(name, tc)
			}
		})
	}
}

func (i *issuance) wantDenied(name string, tc denial) {
	i.t.Helper()
	id, err := i.verify(tc.change)
	if e := (*InvalidTokenError)(nil); id != nil || !errors.As(err, &e) || !strings.Contains(e.Reason, tc.reason) || !fitForQuotedString(e.Reason) {
		i.t.Errorf("%s: got %v, %v, want %q", name, id, err, tc.reason)
	}
}

// Of further issuers and of the login provider only what is known to be an access token.
func TestS26AccessTokensOfFurtherIssuers(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{OpenID, "partner"} {
		i := newIssuance(t, kind)
		client := map[string]string{OpenID: "azp", "partner": "client_id"}[kind]
		i.typ = "JWT"
		i.wantGood(nil)
		for name, tc := range map[string]denial{
			"an id token with nonce":  {map[string]any{"nonce": "n"}, "id token"},
			"one with s_hash":         {map[string]any{"s_hash": "n"}, "id token"},
			"one that says so itself": {map[string]any{"typ": "ID"}, "id token"},
			"without a client":        {map[string]any{client: nil}, "not known to be an access token"},
			"with an empty client":    {map[string]any{client: ""}, "not known to be an access token"},
			"with two clients":        {map[string]any{"client_id": "client-3", "azp": "client-4"}, "two clients"},
			"with cnf":                {map[string]any{"cnf": map[string]any{"jkt": "x"}}, "bound to a key"},
		} {
			i.wantDenied(kind+", "+name, tc)
		}
		i.wantGood(map[string]any{"typ": "Bearer", "client_id": "same", "azp": "same"}) // Keycloak
		i.typ = "at+jwt"
		i.wantGood(map[string]any{"nonce": "n"})
		i.wantGood(map[string]any{client: nil})
		i.wantDenied(kind+", of nobody", denial{map[string]any{"sub": nil, client: nil}, "neither whom"})
		i.wantDenied(kind+", with two clients", denial{map[string]any{"client_id": "client-3", "azp": "client-4"}, "two clients"})
	}
}

// What only id tokens have gives them away, also where audience, issuer and key are those of access tokens.
func TestS45IDTokensAreRecognised(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"entra user", "entra app", IDPorten, OpenID} {
		i := newIssuance(t, kind)
		for _, mark := range []string{"nonce", "at_hash", "c_hash", "s_hash"} {
			for _, value := range []any{"x", "", jsonNull{}} {
				i.wantDenied(kind+", "+mark, denial{map[string]any{mark: value}, "id token"})
			}
		}
	}
}

// peers.md 64: a token for Graph is not ours to read, and its bearer learns what to ask for.
func TestAdvisoryGraphTokensGetAFriendlyReason(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	for name, change := range map[string]map[string]any{
		"by id":             {"aud": "00000003-0000-0000-c000-000000000000"},
		"by address":        {"aud": "https://graph.microsoft.com"},
		"of its own issuer": {"iss": "https://sts.windows.net/" + testTenant + "/", "aud": "https://graph.microsoft.com/", "ver": "1.0"},
	} {
		i.wantDenied(name, denial{change, "Microsoft Graph; ask Entra ID for a scope of this API"})
	}
}

func TestTimesHaveALeewayOf60Seconds(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	for _, kind := range kinds {
		i := newIssuance(t, kind)
		v, err := NewVerifier([]Acceptance{i.accept}, 0, Deps{Now: func() time.Time { return at }})
		must(t, err)
		for name, tc := range map[string]struct {
			claim string
			after int64
			good  bool
		}{
			"expired 59 s ago": {"exp", -59, true}, "expired 60 s ago": {"exp", -60, true}, "expired 61 s ago": {"exp", -61, false},
			"valid in 60 s": {"nbf", 60, true}, "valid in 61 s": {"nbf", 61, false}, "issued in 60 s": {"iat", 60, true}, "issued in 61 s": {"iat", 61, false},
		} {
			change := map[string]any{"iat": at.Unix() - 100, "nbf": at.Unix() - 100, "exp": at.Unix() + 100}
			change[tc.claim] = at.Unix() + tc.after
			if _, err := v.Verify(t.Context(), i.mint(change)); (err == nil) != tc.good {
				t.Errorf("%s, %s: %v", kind, name, err)
			}
		}
	}
}

// peers.md 58.
func TestAdvisoryCVE2020_26160AudienceIsOneTextOrAListOfTexts(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	for _, good := range []any{entraClient, []string{entraClient}, []string{"other", entraClient}} {
		i.wantGood(map[string]any{"aud": good})
	}
}

// RFC 8725 §3.11: our own assertion and logout tokens have the right issuer in worlds where issuers are shared.
func TestTypeMustBeThatOfAnAccessToken(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	for typ, good := range map[string]bool{
		"": true, "JWT": true, "jwt": true, "at+jwt": true, "AT+JWT": true, "application/at+jwt": true,
		"logout+jwt": false, "postern-identity+jwt": false, "secevent+jwt": false, "dpop+jwt": false, "client-authentication+jwt": false, "JWT ": false, "jose": false,
	} {
		i.typ = typ
		_, err := i.verify(nil)
		if (err == nil) != good {
			t.Errorf("%q: %v", typ, err)
		}
		if !good {
			wantInvalid(t, err, "another type")
		}
	}
}
