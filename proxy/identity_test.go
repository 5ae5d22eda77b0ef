package proxy

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/config"
	"postern/oidc"
	"postern/proxy/forward"
)

func sessionIdentity(t testing.TB, provider, claims string) *oidc.Identity {
	t.Helper()
	id, err := oidc.RestoreIdentity(provider, claims, "")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// writeAll strips and writes as the handler does.
func writeAll(cfg config.Identity, id *oidc.Identity, sent http.Header) http.Header {
	w := newIdentityHeaders(cfg)
	h := sent.Clone()
	if h == nil {
		h = http.Header{}
	}
	var extra []string
	for name := range cfg.Claims {
		extra = append(extra, name)
	}
	forward.NewManaged(extra).Strip(h)
	w.write(h, new(headerTexts), id, "session", "access-token")
	return h
}

const entraClaims = `{"sub":"s-1","oid":"o-1","tid":"t-1","NAVident":"A123456","name":"Åse Nordmann 100%","preferred_username":"ase@nav.example",
	"email":"ase@nav.example","email_verified":true,"groups":["g 1","g,2","g3"],"roles":["reader"],"scp":"openid profile","acr":"high","sid":"x"}`

func TestPosternSet(t *testing.T) {
	t.Parallel()
	got := writeAll(config.Identity{Headers: []string{"postern"}}, sessionIdentity(t, oidc.EntraID, entraClaims), nil)
	want := http.Header{
		"X-Postern-Auth":     {"session"},
		"X-Postern-Provider": {"entra_id"},
		"X-Postern-Kind":     {"user"},
		"X-Postern-Subject":  {"s-1"},
		"X-Postern-User":     {"A123456"},
		"X-Postern-Username": {"ase@nav.example"},
		"X-Postern-Name":     {"%C3%85se Nordmann 100%25"},
		"X-Postern-Email":    {"ase@nav.example"},
		"X-Postern-Tenant":   {"t-1"},
		"X-Postern-Object":   {"o-1"},
		"X-Postern-Groups":   {"g 1,g%2C2,g3"},
		"X-Postern-Roles":    {"reader"},
		"X-Postern-Scopes":   {"openid,profile"},
		"X-Postern-Acr":      {"high"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestClaimsSetIsTheTokenAsVerified(t *testing.T) {
	t.Parallel()
	got := writeAll(config.Identity{Headers: []string{"claims"}}, sessionIdentity(t, oidc.OpenID, `{"sub":"a", "z":"Å"}`), nil)
	want := http.Header{"X-Postern-Claims": {base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"a", "z":"Å"}`))}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestS36NothingIsWrittenWithoutASet(t *testing.T) {
	t.Parallel()
	for _, sets := range [][]string{nil, {"none"}} {
		if got := writeAll(config.Identity{Headers: sets}, sessionIdentity(t, oidc.EntraID, entraClaims), nil); len(got) != 0 {
			t.Errorf("%v: %v", sets, got)
		}
	}
}

// TestS19ClaimsCountPerProvider: what a provider does not vouch for never becomes a header.
func TestS19ClaimsCountPerProvider(t *testing.T) {
	t.Parallel()
	everything := `{"sub":"s","oid":"o","tid":"t","NAVident":"Z990001","pid":"01017012345","email":"a@b","groups":["admin"],"roles":["admin"],"consumer":{"ID":"0192:123456789"}}`
	cfg := config.Identity{Headers: []string{"postern", "oauth2-proxy", "easyauth"}}
	for provider, user := range map[string]string{oidc.EntraID: "Z990001", oidc.IDPorten: "01017012345", oidc.OpenID: "s"} {
		h := writeAll(cfg, sessionIdentity(t, provider, everything), nil)
		if got := h.Get("X-Postern-User"); got != user {
			t.Errorf("%s: user %q; want %q", provider, got, user)
		}
		for _, name := range []string{"X-Postern-Email", "X-Forwarded-Email", "X-Postern-Organization", "X-Postern-Client"} {
			if h.Get(name) != "" {
				t.Errorf("%s: %s is %q", provider, name, h.Get(name))
			}
		}
		principal, err := base64.StdEncoding.DecodeString(h.Get("X-Ms-Client-Principal"))
		if err != nil || strings.Contains(string(principal), "a@b") {
			t.Errorf("%s: an unverified address is in %s", provider, principal)
		}
		if entra := provider == oidc.EntraID; (h.Get("X-Postern-Tenant") != "") != entra || strings.Contains(string(principal), "Z990001") != entra {
			t.Errorf("%s: Entra claims in %v %s", provider, h, principal)
		}
		if provider == oidc.IDPorten && (h.Get("X-Postern-Groups") != "" || strings.Contains(string(principal), "admin")) {
			t.Errorf("ID-porten vouches for no groups: %v %s", h, principal)
		}
	}
	if h := writeAll(cfg, sessionIdentity(t, oidc.Maskinporten, `{"sub":"s"}`), nil); h.Get("X-Postern-Subject") != "" {
		t.Error("Maskinporten has a subject")
	}
	if h := writeAll(cfg, sessionIdentity(t, oidc.OpenID, `{"sub":"s","email":"a@b","email_verified":true}`), nil); h.Get("X-Forwarded-Email") != "a@b" {
		t.Error("a verified address is missing")
	}
}

// TestAdvisoryCVE2026_30851AbsentClaimLeavesNoHeader: peers.md row 4. A caller without groups who sends the header has none.
func TestAdvisoryCVE2026_30851AbsentClaimLeavesNoHeader(t *testing.T) {
	t.Parallel()
	cfg := config.Identity{
		Headers: []string{"postern", "claims", "oauth2-proxy", "easyauth"}, Claims: map[string]string{"X-Employee": "NAVident", "x-department": "dept"},
	}
	sent := http.Header{}
	for _, name := range []string{"X-Postern-Groups", "X-Postern-Organization", "X-Forwarded-Groups", "X-Forwarded-Email", "X-Employee", "X-Department", "X-Postern-Truncated"} {
		for _, spelling := range spellings(name) {
			sent[spelling] = []string{"forged"}
		}
	}
	for name, values := range writeAll(cfg, sessionIdentity(t, oidc.OpenID, `{"sub":"s","dept":null}`), sent) {
		if slices.Contains(values, "forged") {
			t.Errorf("%s reaches the app", name)
		}
	}
}

// TestAdvisoryCVE2026_54763OneKeyPerName: peers.md row 3. In the raw map nothing else folds to a name that we wrote.
func TestAdvisoryCVE2026_54763OneKeyPerName(t *testing.T) {
	t.Parallel()
	cfg := config.Identity{
		Headers: []string{"postern", "claims", "oauth2-proxy", "easyauth"}, Claims: map[string]string{"x-employee": "NAVident"}, MaxBytes: 1 << 20,
	}
	id := sessionIdentity(t, oidc.EntraID, entraClaims)
	names := slices.Collect(maps.Keys(writeAll(cfg, id, nil)))
	sent := http.Header{"Accept": {"*/*"}, "Authorization": {"Bearer x"}, "Traceparent": {"00-1-2-01"}, "X-Request-Id": {"r"}}
	for _, name := range names {
		for _, spelling := range spellings(name) {
			sent[spelling] = []string{"forged"}
		}
	}
	got := writeAll(cfg, id, sent)
	folded := map[string]string{}
	for name, values := range got {
		if other, twice := folded[forward.Fold(name)]; twice {
			t.Errorf("%q and %q", name, other)
		}
		folded[forward.Fold(name)] = name
		if name != http.CanonicalHeaderKey(name) || slices.Contains(values, "forged") || len(values) != 1 {
			t.Errorf("%q: %q", name, values)
		}
	}
	if len(names) < 20 || got.Get("X-Employee") != "A123456" {
		t.Errorf("%d headers: %v", len(names), names)
	}
}

func TestOAuth2ProxySet(t *testing.T) {
	t.Parallel()
	id := sessionIdentity(t, oidc.EntraID, strings.Replace(entraClaims, `"g 1"`, `"g 1","evil\r\nX-Admin: 1"," padded"`, 1))
	got := writeAll(config.Identity{Headers: []string{"oauth2-proxy"}}, id, nil)
	want := http.Header{
		"X-Forwarded-User": {"s-1"}, "X-Forwarded-Email": {"ase@nav.example"}, "X-Forwarded-Preferred-Username": {"ase@nav.example"},
		"X-Forwarded-Groups":       {"g 1,g3"}, // what cannot be written as it is, is not written
		"X-Forwarded-Access-Token": {"access-token"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	raw := sessionIdentity(t, oidc.OpenID, `{"sub":"Åse","preferred_username":"a\u0000b"}`)
	got = writeAll(config.Identity{Headers: []string{"oauth2-proxy"}}, raw, nil)
	if got.Get("X-Forwarded-User") != "Åse" || got.Get("X-Forwarded-Preferred-Username") != "" {
		t.Errorf("raw UTF-8 without control characters: %v", got)
	}
}

func TestExtraHeaders(t *testing.T) {
	t.Parallel()
	id := sessionIdentity(t, oidc.OpenID, `{"sub":"s","text":"a, Å\n","int":12345678901234567890,"float":1.50,"yes":true,"no":false,"null":null,
		"list":["a","b,c",1,true,null,{"k":"v, w"}],"empty":[],"object":{ "k" : [1, "Å"] },"blank":""}`)
	claims := map[string]string{}
	for _, claim := range []string{"text", "int", "float", "yes", "no", "null", "list", "empty", "object", "blank", "missing"} {
		claims["x-"+claim] = claim
	}
	want := http.Header{
		"X-Text": {"a, %C3%85%0A"}, "X-Int": {"12345678901234567890"}, "X-Float": {"1.50"}, "X-Yes": {"true"}, "X-No": {"false"},
		"X-List": {`a,b%2Cc,1,true,{"k":"v%2C w"}`}, "X-Object": {`{"k":[1,"%C3%85"]}`},
	}
	if diff := cmp.Diff(want, writeAll(config.Identity{Claims: claims}, id, nil)); diff != "" {
		t.Error(diff)
	}
}

// TestS36TooManyGroupsAreLeftOut: 200 groups fit no server's header limit.
func TestS36TooManyGroupsAreLeftOut(t *testing.T) {
	t.Parallel()
	var groups []string
	for i := range 200 {
		groups = append(groups, fmt.Sprintf(`"00000000-0000-0000-0000-%012d"`, i))
	}
	claims := fmt.Sprintf(`{"sub":"s","groups":[%s]}`, strings.Join(groups, ","))
	for want, sets := range map[string][]string{"groups": {"postern"}, "claims": {"claims"}, "groups,claims": {"postern", "claims"}} {
		w := newIdentityHeaders(config.Identity{Headers: sets, MaxBytes: 6 << 10})
		id := sessionIdentity(t, oidc.EntraID, claims)
		h := http.Header{}
		if !w.write(h, new(headerTexts), id, "session", "") {
			t.Error("the first time is worth a warning")
		}
		if w.write(h, new(headerTexts), id, "session", "") {
			t.Error("the second is not")
		}
		size := 0
		for name, values := range h {
			size += len(name) + len(values[0]) + 4
		}
		if size > 6<<10 || h.Get("X-Postern-Truncated") != want || h.Get(headerGroups) != "" || h.Get(headerClaims) != "" {
			t.Errorf("%v: %d bytes, %q", sets, size, h.Get("X-Postern-Truncated"))
		}
	}
	if h := writeAll(config.Identity{Headers: []string{"postern"}}, sessionIdentity(t, oidc.EntraID, claims), nil); h.Get(headerGroups) == "" {
		t.Error("without a limit they are written")
	}
}

func TestPercentEncode(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "plain-_.~!": "plain-_.~!", "a b": "a b", " a ": "%20a%20", "%": "%25", "a,b": "a,b", "ø": "%C3%B8", "\x00\x7f\xff": "%00%7F%FF", "a\r\nb": "a%0D%0Ab",
	} {
		if got := percentEncode(in); got != want {
			t.Errorf("%q: %q; want %q", in, got, want)
		}
	}
	for want, in := range map[string][]string{"": nil, "a": {"a"}, "a,b": {"", "a", "", "b"}, "a%2Cb": {"a,b"}, "%20a,%20": {" a", " "}} {
		if got := percentEncodeList(in); got != want {
			t.Errorf("%q: %q; want %q", in, got, want)
		}
	}
}

func FuzzIdentityValues(f *testing.F) {
	f.Add("Åse", "a,b", "\r\nX-Evil: 1")
	f.Fuzz(func(t *testing.T, name, group, other string) {
		claims := fmt.Sprintf(`{"sub":%s,"name":%s,"groups":[%s,%s],"x":{"k":%s}}`, quote(other), quote(name), quote(group), quote(other), quote(name))
		id, err := oidc.RestoreIdentity(oidc.OpenID, claims, "")
		if err != nil {
			return
		}
		cfg := config.Identity{Headers: []string{"postern", "claims", "oauth2-proxy", "easyauth"}, Claims: map[string]string{"X-X": "x"}}
		for header, values := range writeAll(cfg, id, nil) {
			for i := range len(values[0]) {
				c := values[0][i]
				raw := strings.HasPrefix(header, "X-Forwarded-") || strings.HasPrefix(header, "X-Ms-")
				if c < 0x20 || c == 0x7f || c > 0x7f && !raw {
					t.Fatalf("%s: %q", header, values[0])
				}
			}
			if strings.TrimSpace(values[0]) == "" && values[0] != "" || strings.HasPrefix(values[0], " ") {
				t.Fatalf("%s: %q loses its space on the way", header, values[0])
			}
		}
	})
}

// The Authorization header is made once a token, and never outlives it.
func TestAuthorizationFollowsTheToken(t *testing.T) {
	t.Parallel()
	id, err := oidc.RestoreIdentity(oidc.OpenID, `{"sub":"s"}`, "")
	if err != nil {
		t.Fatal(err)
	}
	w := newIdentityHeaders(config.Identity{})
	first := w.authorization(id, "one")
	if again := w.authorization(id, "one"); first[0] != "Bearer one" || &again[0] != &first[0] {
		t.Errorf("%q, made anew for the same token: %v", first, &again[0] != &first[0])
	}
	if renewed := w.authorization(id, "two"); renewed[0] != "Bearer two" || first[0] != "Bearer one" {
		t.Errorf("after a refresh: %q, and the earlier one became %q", renewed, first)
	}
}

// spellings are some of the names that some app takes for name; package forward has them all.
func spellings(name string) []string {
	return []string{name, strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "~"), "_" + name, name + "-"}
}
