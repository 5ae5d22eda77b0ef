package oidc

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// introspector looks into the tokens of one provider.
func (i *issuance) introspector(change ...func(*Introspected)) *Introspector {
	i.t.Helper()
	one := Introspected{Name: i.accept.Name, Provider: i.provider, Audiences: i.accept.Audiences}
	for _, f := range change {
		f(&one)
	}
	made, err := NewIntrospector([]Introspected{one}, 0, Deps{Revocations: i.verifier.deps.Revocations})
	must(i.t, err)
	return made
}

func (i *issuance) look(in *Introspector, token string) (Introspection, map[string]any) {
	i.t.Helper()
	got, err := in.Introspect(i.t.Context(), i.accept.Name, token)
	must(i.t, err)
	return got, i.read(got.JSON)
}

func (i *issuance) read(answer []byte) map[string]any {
	i.t.Helper()
	var said map[string]any
	if err := json.Unmarshal(answer, &said); err != nil {
		i.t.Fatalf("%s: %v", answer, err)
	}
	return said
}

// signed makes a token under any header, with a good signature.
func (i *issuance) signed(header string, change map[string]any) string {
	i.t.Helper()
	return testToken(i.t, i.key, header, claimsJSON(i.t, i.claimsWith(change)))
}

const goodHeader = `{"alg":"RS256","kid":"k1","typ":"JWT"}`

func TestIntrospectionOfGoodTokensOfEachProvider(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		if kind == "partner" {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			i := newIssuance(t, kind)
			in := i.introspector()
			token := i.mint(map[string]any{"big": json.RawMessage(`12345678901234567890123`), "deep": map[string]any{"a": []any{1.5, nil}}})
			for range 2 { // the second comes from memory
				got, said := i.look(in, token)
				if !got.Active() || said["active"] != true || said["error"] != nil {
					t.Fatalf("%s", got.JSON)
				}
				delete(said, "active")
				want := i.read([]byte(claimsJSON(t, i.claimsWith(nil))))
				want["big"], want["deep"] = said["big"], map[string]any{"a": []any{1.5, nil}}
				if diff := cmp.Diff(want, said); diff != "" {
					t.Error(diff)
				}
				if !strings.Contains(string(got.JSON), `"big":12345678901234567890123`) {
					t.Errorf("a number lost digits: %s", got.JSON)
				}
			}
		})
	}
}

// tokens.md 1.8, row by row; the texts are Texas'.
func TestIntrospectionTexts(t *testing.T) {
	t.Parallel()
	const (
		stranger = "token can not be validated with this identity provider"
		badParts = "invalid token header: InvalidToken"
		base     = "Base64 error: "
	)
	claims := func(change map[string]any) func(*issuance) string {
		return func(i *issuance) string { return i.mint(change) }
	}
	at := func(claim string, after time.Duration) func(*issuance) string {
		return func(i *issuance) string { return i.mint(map[string]any{claim: unix(after)}) }
	}
	header := func(header string) func(*issuance) string {
		return func(i *issuance) string { return i.signed(header, nil) }
	}
	text := func(token string) func(*issuance) string { return func(*issuance) string { return token } }
	payload := func(payload string) func(*issuance) string {
		return func(i *issuance) string { return testToken(i.t, i.key, goodHeader, payload) }
	}
	for name, tc := range map[string]struct {
		token func(*issuance) string
		want  string // begins so; empty: active
	}{
		"1 no token":                  {text(""), badParts},
		"1 not a jwt":                 {text("not a jwt"), badParts},
		"1 two parts":                 {text("a.b"), badParts},
		"1 five parts":                {text("a.b.c.d.e"), badParts},
		"1 header not base64":         {text("!.e30.AA"), "invalid token header: " + base},
		"1 header with padding":       {text("e30=.e30.AA"), "invalid token header: " + base},
		"1 header with a line break":  {text("e3\n0.e30.AA"), "invalid token header: " + base},
		"1 header not JSON":           {text("AAAA.e30.AA"), "invalid token header: JSON error: "},
		"1 header empty":              {text("..."[:2]), "invalid token header: JSON error: "},
		"1 header a list":             {header(`["alg"]`), "invalid token header: JSON error: "},
		"1 no alg":                    {header(`{"kid":"k1"}`), "invalid token header: JSON error: "},
		"1 alg none":                  {header(`{"alg":"none","kid":"k1"}`), "invalid token header: JSON error: "},
		"1 alg None":                  {header(`{"alg":"None","kid":"k1"}`), "invalid token header: JSON error: "},
		"1 alg a number":              {header(`{"alg":1,"kid":"k1"}`), "invalid token header: JSON error: "},
		"1 alg twice":                 {header(`{"alg":"RS256","alg":"RS256","kid":"k1"}`), "invalid token header: JSON error: "},
		"1 alg and ALG":               {header(`{"alg":"RS256","ALG":"none","kid":"k1"}`), "invalid token header: JSON error: "},
		"1 kid a number":              {header(`{"alg":"RS256","kid":1}`), "invalid token header: JSON error: "},
		"2 no kid":                    {header(`{"alg":"RS256"}`), "missing key id from token header"},
		"2 no kid and all else wrong": {text(b64(`{"alg":"HS256"}`) + ".!.!"), "missing key id from token header"},
		"2 kid null":                  {header(`{"alg":"RS256","kid":null}`), "missing key id from token header"},
		"3 kid unknown":               {header(`{"alg":"RS256","kid":"k2"}`), stranger},
		"3 kid unknown and alg other": {header(`{"alg":"HS256","kid":"k2"}`), stranger},
		"3 kid very long":             {header(`{"alg":"RS256","kid":"` + strings.Repeat("k", maxKeyID+1) + `"}`), stranger},
		"3 kid unknown, issuer other": {func(i *issuance) string {
			return i.signed(`{"alg":"RS256","kid":"k3"}`, map[string]any{"iss": "https://other.example"})
		}, stranger},
		"3 kid unknown, claims no JSON": {text(b64(`{"alg":"RS256","kid":"k4"}`) + ".AAAA.AA"), stranger},
		"4 alg HS256":                   {header(`{"alg":"HS256","kid":"k1"}`), "invalid token: InvalidAlgorithm"},
		"4 alg RS384":                   {header(`{"alg":"RS384","kid":"k1"}`), "invalid token: InvalidAlgorithm"},
		"4 alg before signature":        {text(b64(`{"alg":"ES256","kid":"k1"}`) + ".AAAA.AA"), "invalid token: InvalidAlgorithm"},
		"4 crit":                        {header(`{"alg":"RS256","kid":"k1","crit":["x"],"x":1}`), "invalid token: it has critical extensions"},
		"4 b64":                         {header(`{"alg":"RS256","kid":"k1","b64":true}`), "invalid token: it has critical extensions"},
		"5 signature of another":        {func(i *issuance) string { return i.forged("k1") }, "invalid token: InvalidSignature"},
		"5 signature empty":             {func(i *issuance) string { t := i.mint(nil); return t[:strings.LastIndexByte(t, '.')+1] }, "invalid token: InvalidSignature"},
		"5 signature not base64":        {func(i *issuance) string { return i.mint(nil) + "!" }, "invalid token: " + base},
		"5 signature before claims":     {text(b64(goodHeader) + ".!.AA"), "invalid token: InvalidSignature"},
		"5 claims not JSON":             {payload("x"), "invalid token: JSON error: "},
		"5 claims a list":               {payload("[]"), "invalid token: JSON error: "},
		"5 claims not UTF-8":            {payload("{\"iss\":\"\xff\"}"), "invalid token: JSON error: "},
		"5 claim twice":                 {payload(`{"iss":"a","iss":"a"}`), "invalid token: JSON error: "},
		"5 claim twice but for case":    {payload(`{"iss":"a","ISS":"a"}`), "invalid token: JSON error: "},
		"5 claim with a NUL":            {payload(`{"iss\u0000":"a"}`), "invalid token: JSON error: "},
		"6 no iss":                      {claims(map[string]any{"iss": nil}), "invalid token: Missing required claim: iss"},
		"6 iss a number":                {claims(map[string]any{"iss": 1}), "invalid token: Missing required claim: iss"},
		"6 no exp":                      {claims(map[string]any{"exp": nil}), "invalid token: Missing required claim: exp"},
		"6 exp a text":                  {claims(map[string]any{"exp": "soon"}), "invalid token: Missing required claim: exp"},
		"6 no aud":                      {claims(map[string]any{"aud": nil}), "invalid token: Missing required claim: aud"},
		"6 aud null":                    {claims(map[string]any{"aud": json.RawMessage("null")}), "invalid token: Missing required claim: aud"},
		"6 aud a number":                {claims(map[string]any{"aud": 1}), "invalid token: Missing required claim: aud"},
		"7 nbf a text":                  {claims(map[string]any{"nbf": "soon"}), "invalid token: Invalid format for claim: nbf"},
		"8 expired by 120 s":            {at("exp", -120*time.Second), "invalid token: ExpiredSignature"},
		"8 expired by less than 60 s":   {at("exp", -50*time.Second), ""},
		"8 before issuer and audience": {func(i *issuance) string {
			return i.mint(map[string]any{"exp": unix(-2 * time.Minute), "iss": "x", "aud": "x"})
		}, "invalid token: ExpiredSignature"},
		"9 nbf in 120 s":           {at("nbf", 120*time.Second), "invalid token: ImmatureSignature"},
		"9 nbf in less than 60 s":  {at("nbf", 50*time.Second), ""},
		"10 iss another":           {claims(map[string]any{"iss": "https://other.example"}), "invalid token: InvalidIssuer"},
		"10 iss with a slash":      {claims(map[string]any{"iss": testIssuer + "/"}), "invalid token: InvalidIssuer"},
		"10 iss a list with it":    {claims(map[string]any{"iss": []string{"x", testIssuer}}), ""},
		"10 iss a list without it": {claims(map[string]any{"iss": []string{"x"}}), "invalid token: InvalidIssuer"},
		"11 aud another":           {claims(map[string]any{"aud": "x"}), "invalid token: InvalidAudience"},
		"11 aud an empty list":     {claims(map[string]any{"aud": []string{}}), "invalid token: InvalidAudience"},
		"11 aud a list with it":    {claims(map[string]any{"aud": []string{"x", "aud-1"}}), ""},
		"11 aud a list without it": {claims(map[string]any{"aud": []string{"x", "y"}}), "invalid token: InvalidAudience"},
		"12 no iat":                {claims(map[string]any{"iat": nil}), "invalid token: Missing required claim: iat"},
		"12 iat a text":            {claims(map[string]any{"iat": "1"}), "invalid token: Missing required claim: iat"},
		"12 iat negative":          {claims(map[string]any{"iat": -1}), "invalid token: Missing required claim: iat"},
		"12 iat a fraction":        {claims(map[string]any{"iat": 1.5}), "invalid token: Missing required claim: iat"},
		"12 iat in 120 s":          {at("iat", 120*time.Second), "invalid token: ImmatureSignature"},
		"12 iat in less than 60 s": {at("iat", 50*time.Second), ""},
		"typ at+jwt":               {header(`{"alg":"RS256","kid":"k1","typ":"at+jwt"}`), ""},
		"larger than 16 KiB":       {func(i *issuance) string { return i.mint(map[string]any{"x": strings.Repeat("x", maxBearer)}) }, "invalid token: it is larger than 16 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // no time passes between the minting and the look
				i := newIssuance(t, IDPorten)
				got, said := i.look(i.introspector(), tc.token(i))
				if tc.want == "" {
					if !got.Active() || said["active"] != true {
						t.Errorf("%s", got.JSON)
					}
					return
				}
				text, _ := said["error"].(string)
				exact := !strings.HasSuffix(tc.want, ": ") && text == tc.want
				if got.Active() || said["active"] != false || len(said) != 2 || !exact && !(strings.HasSuffix(tc.want, ": ") && strings.HasPrefix(text, tc.want)) {
					t.Errorf("%s, want %q", got.JSON, tc.want)
				}
			})
		})
	}
}

// tokens.md 1.8.8: the second counts.
func TestIntrospectionLeewayToTheSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuance(t, IDPorten)
		in := i.introspector()
		now := time.Now().Unix()
		for _, tc := range []struct {
			claim  string
			at     int64
			active bool
		}{{"exp", -60, true}, {"exp", -61, false}, {"nbf", 60, true}, {"nbf", 61, false}, {"iat", 60, true}, {"iat", 61, false}} {
			if got, _ := i.look(in, i.mint(map[string]any{tc.claim: now + tc.at})); got.Active() != tc.active {
				t.Errorf("%s %+d: %s", tc.claim, tc.at, got.JSON)
			}
		}
		token := i.mint(map[string]any{"exp": now + 10}) // remembered, and still it ends
		for _, tc := range []struct {
			after  time.Duration
			active bool
		}{{0, true}, {70 * time.Second, true}, {time.Second, false}} {
			time.Sleep(tc.after)
			if got, said := i.look(in, token); got.Active() != tc.active || !tc.active && said["error"] != "invalid token: ExpiredSignature" {
				t.Errorf("after %v: %s", tc.after, got.JSON)
			}
		}
	})
}

func TestIntrospectionComparesNoAudienceOfMaskinporten(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, Maskinporten)
	for _, aud := range []any{nil, "unspecified", "https://other.example", 1} {
		if got, _ := i.look(i.introspector(), i.mint(map[string]any{"aud": aud})); !got.Active() {
			t.Errorf("%v: %s", aud, got.JSON)
		}
	}
}

func TestIntrospectionOfAProviderThatIsNotEnabled(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, IDPorten)
	in := i.introspector()
	for _, name := range []string{EntraID, TokenX, Maskinporten, OpenID} {
		got, err := in.Introspect(t.Context(), name, i.mint(nil))
		must(t, err)
		want := map[string]any{"active": false, "error": "identity provider '" + name + "' is not enabled"}
		if diff := cmp.Diff(want, i.read(got.JSON)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestS45IntrospectionRefusesWhatIsRecognisablyAnIDToken(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"entra user", Maskinporten, IDPorten, OpenID} {
		for _, mark := range []map[string]any{{"nonce": "n"}, {"at_hash": "h"}, {"c_hash": "h"}, {"s_hash": "h"}, {"typ": "ID"}} {
			i := newIssuance(t, kind)
			got, said := i.look(i.introspector(), i.mint(mark))
			if got.Active() || said["error"] != flawIDToken.text {
				t.Errorf("%s, %v: %s", kind, mark, got.JSON)
			}
		}
	}
	i := newIssuance(t, "entra user") // no scp, no idtyp: Texas' own tests make such tokens
	if got, _ := i.look(i.introspector(), i.mint(map[string]any{"scp": nil})); !got.Active() {
		t.Errorf("%s", got.JSON)
	}
	i = newIssuance(t, TokenX) // a copy of what the user's token said
	if got, _ := i.look(i.introspector(), i.mint(map[string]any{"nonce": "n"})); !got.Active() {
		t.Errorf("%s", got.JSON)
	}
	i = newIssuance(t, OpenID)
	if got, _ := i.look(i.introspector(), i.signed(`{"alg":"RS256","kid":"k1","typ":"at+JWT"}`, map[string]any{"nonce": "n"})); !got.Active() {
		t.Errorf("%s", got.JSON)
	}
}

func TestS45OurMembersWinOverClaimsOfTheirName(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, IDPorten)
	claims := map[string]any{"active": false, "error": "x", "Active": false, "ERROR": "y", "zz": "<&>", "q\"": map[string]any{"active": 1}}
	got, said := i.look(i.introspector(), i.mint(claims))
	want := maps.Clone(i.claimsWith(claims))
	for _, ours := range []string{"active", "error", "Active", "ERROR"} {
		delete(want, ours)
	}
	want = i.read([]byte(claimsJSON(t, want)))
	want["active"] = true
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(string(got.JSON), `"active"`); n != 2 { // ours, and the one inside of another claim
		t.Errorf("%d times: %s", n, got.JSON)
	}
}

func TestS09IntrospectionRefusesTokensOfEndedSessions(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	in, token := i.introspector(), i.mint(nil)
	if got, _ := i.look(in, token); !got.Active() {
		t.Fatalf("%s", got.JSON)
	}
	i.verifier.deps.Revocations.AddHash(TokenHash(NewToken(token)), time.Now().Add(time.Minute))
	if got, said := i.look(in, token); got.Active() || got.Reason != "revoked" || len(said) != 2 {
		t.Errorf("%s", got.JSON)
	}
	if i.verifier.deps.Revocations.Has(i.mint(map[string]any{"uti": "another"})) || i.verifier.deps.Revocations.Has(strings.Repeat("x", maxBearer+1)) {
		t.Error("another token is revoked too")
	}
}

func TestIntrospectorRefusesSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, IDPorten)
	good := Introspected{Name: IDPorten, Provider: i.provider, Audiences: []string{"a"}}
	for want, list := range map[string][]Introspected{
		"entry 1: name is missing":   {{Provider: i.provider, Audiences: []string{"a"}}},
		"provider is missing":        {{Name: TokenX, Audiences: []string{"a"}}},
		"tokenx: audience is":        {{Name: TokenX, Provider: i.provider}},
		"idporten: audience is":      {{Name: IDPorten, Provider: i.provider, Audiences: []string{""}}},
		"taken twice":                {good, good},
		`algorithm "HS256" is not`:   {{Name: OpenID, Provider: i.provider, Audiences: []string{"a"}, Algorithms: []string{"HS256"}}},
		"tokenx: provider is missin": {good, {Name: TokenX}},
	} {
		if _, err := NewIntrospector(list, 0, Deps{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
