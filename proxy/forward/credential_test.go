package forward

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const someToken = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl-_~+/=="

func TestS24AuthorizationIsOneBearerTokenOrNothing(t *testing.T) {
	t.Parallel()
	bearer, passed, malformed := Credential{BearerToken, someToken}, Credential{Kind: Passthrough}, Credential{Kind: Malformed}
	for name, test := range map[string]struct {
		sent []string
		want Credential
	}{
		"none":                          {nil, Credential{}},
		"a token":                       {[]string{"Bearer " + someToken}, bearer},
		"lower case":                    {[]string{"bearer " + someToken}, bearer},
		"mixed case":                    {[]string{"bEARER " + someToken}, bearer},
		"more spaces":                   {[]string{"Bearer    " + someToken}, bearer},
		"one byte":                      {[]string{"Bearer x"}, Credential{BearerToken, "x"}},
		"as long as may be":             {[]string{"Bearer " + strings.Repeat("a", maxBearer)}, Credential{BearerToken, strings.Repeat("a", maxBearer)}},
		"too long":                      {[]string{"Bearer " + strings.Repeat("a", maxBearer+1)}, malformed},
		"empty":                         {[]string{""}, malformed},
		"scheme alone":                  {[]string{"Bearer"}, malformed},
		"scheme and spaces":             {[]string{"Bearer   "}, malformed},
		"padding alone":                 {[]string{"Bearer =="}, malformed},
		"padding inside":                {[]string{"Bearer a=b"}, malformed},
		"token alone":                   {[]string{someToken}, malformed},
		"leading space":                 {[]string{" Bearer " + someToken}, malformed},
		"trailing space":                {[]string{"Bearer " + someToken + " "}, malformed},
		"TAB between":                   {[]string{"Bearer\t" + someToken}, malformed},
		"TAB after the space":           {[]string{"Bearer \t" + someToken}, malformed},
		"no-break space":                {[]string{"Bearer\u00a0" + someToken}, malformed},
		"colon":                         {[]string{"Bearer: " + someToken}, malformed},
		"equals sign":                   {[]string{"Bearer=" + someToken}, malformed},
		"quoted":                        {[]string{`Bearer "` + someToken + `"`}, malformed},
		"line break":                    {[]string{"Bearer " + someToken + "\r\nX-Postern-User: eve"}, malformed},
		"NUL":                           {[]string{"Bearer a\x00b"}, malformed},
		"not ASCII":                     {[]string{"Bearer å"}, malformed},
		"fold of another alphabet":      {[]string{"BEAR\u017fR " + someToken}, malformed},
		"twice after a comma":           {[]string{"Bearer a, Bearer b"}, malformed},
		"twice after a comma, tight":    {[]string{"Bearer a,b"}, malformed},
		"twice after a space":           {[]string{"Bearer a b"}, malformed},
		"two headers":                   {[]string{"Bearer a", "Bearer a"}, malformed},
		"another scheme":                {[]string{"DPoP " + someToken}, malformed},
		"a longer scheme":               {[]string{"Bearer2 " + someToken}, malformed},
		"a shorter scheme":              {[]string{"Bear " + someToken}, malformed},
		"passed through":                {[]string{"Basic dXNlcjpwYXNz"}, passed},
		"passed through, other case":    {[]string{"bASIC dXNlcjpwYXNz"}, passed},
		"passed through, parameters":    {[]string{`Digest username="a", realm="the bearer", nonce="x"`}, passed},
		"passed through, scheme alone":  {[]string{"Negotiate"}, passed},
		"passed through, TAB":           {[]string{"Basic\tdXNlcjpwYXNz"}, malformed},
		"passed through, not ASCII":     {[]string{"Basic \xe5"}, malformed},
		"passed through, hiding one":    {[]string{"Basic dXNlcjpwYXNz, Bearer " + someToken}, malformed},
		"hidden in lower case":          {[]string{"Basic a bearer b"}, malformed},
		"hidden without a separator":    {[]string{"Basic aBearer b"}, malformed},
		"hidden at the start":           {[]string{"Basic Bearer b"}, malformed},
		"hidden behind a TAB":           {[]string{"Basic a\tBearer\tb"}, malformed},
		"passed through, after a comma": {[]string{"Other a, Basic b"}, malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{"Accept": {"*/*"}}
			if test.sent != nil {
				h["Authorization"] = test.sent
			}
			// "bearer" in the list changes nothing: a token is verified or refused.
			if got := ReadCredential(h, []string{"Basic", "digest", "NEGOTIATE", "Bearer", ""}); got != test.want {
				t.Errorf("%d %.40q, want %d %.40q", got.Kind, got.Token, test.want.Kind, test.want.Token)
			}
			if got := ReadCredential(h, nil); test.want.Kind == Passthrough && got != malformed {
				t.Errorf("passed through without being asked: %d %.40q", got.Kind, got.Token)
			}
		})
	}
}

func TestTokenInQuery(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]bool{
		"":                             false,
		"access_token=x":               true,
		"access_token=":                true,
		"access_token":                 true,
		"a=b&access_token=x":           true,
		"a=b;access_token=x":           true,
		"access_token=x&a=b":           true,
		"&&access_token=x":             true,
		"access%5Ftoken=x":             true,
		"access%5ftoken=x":             true,
		"%61%63cess_toke%6E=x":         true,
		"a=%zz&access_token=x":         true,
		"a=%&%61ccess_token=x":         true,
		"access%255Ftoken=x":           false,
		"access_token%3Dx":             false,
		"access_token%20=x":            false,
		"access_tokens=x":              false,
		"my_access_token=x":            false,
		"access_toke":                  false,
		"access_toke%6":                false,
		"access_toke%6g=x":             false,
		"a=access_token":               false,
		"a=access_token=x":             false,
		"a=b%26access_token=x":         false,
		"token=access_token":           false,
		"q=how+do+I+pass+access_token": false,
		"Access_Token=x":               false, // RFC 6750 §2.3 has one spelling
	} {
		if got := TokenInQuery(query); got != want {
			t.Errorf("%q: %v", query, got)
		}
	}
}

var passedSchemes = []string{"Basic"}

// FuzzReadCredential compares with the grammar of RFC 6750 §2.1, and with apps that read the header in other ways.
func FuzzReadCredential(f *testing.F) {
	for _, seed := range []string{
		"Bearer " + someToken, "bearer  a", "Bearer a b", "Bearer\ta", "Bearer a,Bearer b", "Basic dTpw", "basic x Bearer y", "DPoP x", "", " ", "Bearer =", "Bearer a==",
		"Bearer \x00", "BEAR\u017fR x", "Basic " + strings.Repeat("a", 20),
	} {
		f.Add(seed)
	}
	grammar := regexp.MustCompile(`^(?i:Bearer) +([A-Za-z0-9._~+/-]+=*)$`)
	split := regexp.MustCompile(`(?i)bearer[\s\p{Z}]+\S`)
	f.Fuzz(func(t *testing.T, value string) {
		got := ReadCredential(http.Header{"Authorization": {value}}, passedSchemes)
		want := grammar.FindStringSubmatch(value)
		switch got.Kind {
		case BearerToken:
			if want == nil || want[1] != got.Token || len(got.Token) > maxBearer {
				t.Errorf("%q is the token %q", value, got.Token)
			}
		case Passthrough:
			if scheme, _, _ := strings.Cut(value, " "); !strings.EqualFold(scheme, "Basic") || split.MatchString(value) {
				t.Errorf("%q passes", value)
			}
		case Malformed:
			if want != nil && len(want[1]) <= maxBearer {
				t.Errorf("%q is malformed", value)
			}
		default:
			t.Errorf("%q is nothing", value)
		}
		if got.Kind != BearerToken && got.Token != "" {
			t.Errorf("%q has the token %q", value, got.Token)
		}
	})
}

// FuzzTokenInQuery compares with net/url, parameter by parameter.
func FuzzTokenInQuery(f *testing.F) {
	for _, seed := range []string{"access_token=x", "a=b;access%5ftoken", "%61ccess_token=%", "a=%zz&b", "access_toke%6", "=&;"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		parameters := strings.FieldsFunc(query, func(c rune) bool { return c == '&' || c == ';' })
		want := slices.ContainsFunc(parameters, func(parameter string) bool {
			name, _, _ := strings.Cut(parameter, "=")
			decoded, err := url.QueryUnescape(name)
			return err == nil && decoded == "access_token"
		})
		if got := TokenInQuery(query); got != want {
			t.Errorf("%q: %v", query, got)
		}
	})
}

func TestReadCredentialAllocatesNothing(t *testing.T) {
	h := http.Header{"Authorization": {"Bearer " + strings.Repeat(someToken, 20)}}
	query := "page=2&sort=name&filter=%5B1%2C2%5D;x=y"
	h["Authorization"][0] = strings.ReplaceAll(h["Authorization"][0], "=", "")
	if n := testing.AllocsPerRun(100, func() {
		if ReadCredential(h, passedSchemes).Kind != BearerToken || TokenInQuery(query) {
			t.Error("read otherwise")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkReadCredential(b *testing.B) {
	h := http.Header{"Authorization": {"Bearer " + strings.Repeat("a", 1400)}}
	b.ReportAllocs()
	for b.Loop() {
		if ReadCredential(h, passedSchemes).Kind != BearerToken {
			b.Fatal("refused")
		}
	}
}

func BenchmarkTokenInQuery(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if TokenInQuery("page=2&sort=name&filter=%5B1%2C2%5D&q=a+longer+search+for+something") {
			b.Fatal("found")
		}
	}
}
