package oidc

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestConfigurationThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "partner")
	j := newIssuance(t, OpenID)
	for name, tc := range map[string]struct {
		accept []Acceptance
		want   string
	}{
		"no name":                  {[]Acceptance{{Provider: i.provider, Audiences: []string{"a"}}}, "entry 1: name is missing"},
		"no provider":              {[]Acceptance{{Name: "a", Audiences: []string{"a"}}}, "provider is missing"},
		"S-26 no audience":         {[]Acceptance{{Name: "a", Provider: i.provider}}, "audience is missing"},
		"an empty audience":        {[]Acceptance{{Name: Maskinporten, Provider: i.provider, Audiences: []string{""}}}, "audience is missing"},
		"S-26 HS256":               {[]Acceptance{{Name: "a", Provider: i.provider, Audiences: []string{"a"}, Algorithms: []string{"HS256"}}}, `"HS256" is not one of`},
		"none":                     {[]Acceptance{{Name: "a", Provider: i.provider, Audiences: []string{"a"}, Algorithms: []string{"none"}}}, `"none" is not one of`},
		"claims of a built-in":     {[]Acceptance{{Name: TokenX, Provider: i.provider, Audiences: []string{"a"}, Claims: map[string]string{"groups": "g"}}}, "further issuers only"},
		"an unknown claim":         {[]Acceptance{{Name: "a", Provider: i.provider, Audiences: []string{"a"}, Claims: map[string]string{"sub": "g"}}}, `"sub" is not one of groups`},
		"a claim of nothing":       {[]Acceptance{{Name: "a", Provider: i.provider, Audiences: []string{"a"}, Claims: map[string]string{"groups": ""}}}, "mapped to nothing"},
		"one name twice":           {[]Acceptance{i.accept, i.accept}, "name is taken twice"},
		"S-26 one issuer, one aud": {[]Acceptance{i.accept, j.accept}, "partner has the same issuer"},
		"one issuer, any aud":      {[]Acceptance{i.accept, {Name: Maskinporten, Provider: j.provider}}, "partner has the same issuer"},
		"several problems":         {[]Acceptance{{Audiences: []string{"a"}}, {Name: "b", Provider: i.provider}}, "audience is missing"},
	} {
		v, err := NewVerifier(tc.accept, 0, Deps{})
		if v != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
}

func TestVerifierOfNobodyAcceptsNothing(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "partner")
	_, err := newVerifier(t).Verify(t.Context(), i.mint(nil))
	wantInvalid(t, err, "issuer is not one")
}

// peers.md 57 (GO-2026-5273): one issuer for two purposes is told apart by audience, and each has its own rules.
func TestOneIssuerForTwoAudiences(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "partner")
	one, two := i.accept, i.accept
	one.Name, one.Audiences, one.Algorithms = "one", []string{"aud-1"}, []string{"ES256"}
	two.Name, two.Audiences = "two", []string{"aud-2", "aud-3"}
	i.verifier = newVerifier(t, one, two)
	if id := i.wantGood(map[string]any{"aud": "aud-3"}); id.Provider() != "two" || id.Client() != "two/batch-1" {
		t.Errorf("%+v", id.Caller())
	}
	_, err := i.verify(map[string]any{"aud": "aud-1"})
	wantInvalid(t, err, "algorithm is not one")
	_, err = i.verify(map[string]any{"aud": "aud-4"}) // as the first would say it
	wantInvalid(t, err, "algorithm is not one")
	i.verifier = newVerifier(t, two, one)
	_, err = i.verify(map[string]any{"aud": "aud-4"})
	wantInvalid(t, err, "another audience")
}

// A provider's key is good for its own issuer only, also where several are accepted.
func TestTokensOfOneProviderAreNeverAnothers(t *testing.T) {
	t.Parallel()
	entra, tokenx, maskinporten := newIssuance(t, "entra user"), newIssuance(t, TokenX), newIssuance(t, Maskinporten)
	tokenx.setKey("k1", "RS256", rsaTwoOnce())
	must(t, tokenx.provider.refresh(t.Context()))
	all := newVerifier(t, entra.accept, tokenx.accept, maskinporten.accept)
	for _, i := range []*issuance{entra, tokenx, maskinporten} {
		id, err := all.Verify(t.Context(), i.mint(nil))
		if err != nil || id.Provider() != i.accept.Name {
			t.Errorf("%s: %v, %v", i.accept.Name, id, err)
		}
	}
	forged := signJWT(t, tokenx.key, "JWT", entra.claimsWith(nil))
	_, err := all.Verify(t.Context(), forged)
	wantInvalid(t, err, "signature does not verify")
}

func TestIssuersAreThoseThatAreKnown(t *testing.T) {
	t.Parallel()
	entra := newIssuance(t, "entra user")
	many := newIssuance(t, "entra user", func(i *issuance, pc *ProviderConfig) {
		i.accept.Name = "many"
		i.issuer, pc.Issuer, pc.Tenants = "https://login.example/{tenantid}/v2.0", "https://login.example/{tenantid}/v2.0", []string{testTenant}
	})
	read := newIssuance(t, "partner", wellKnown)
	configured := newIssuanceUnread(t, Maskinporten)
	unread := newIssuanceUnread(t, "other", func(_ *issuance, pc *ProviderConfig) {
		*pc = ProviderConfig{Name: "other", WellKnownURL: "https://other.example/.well-known/openid-configuration"}
	})
	again := read.accept
	again.Name, again.Audiences = "again", []string{"aud-9"}
	v := newVerifier(t, entra.accept, many.accept, read.accept, configured.accept, unread.accept, again)
	if diff := cmp.Diff([]string{entraIssuer, testIssuer, "https://maskinporten.example/"}, v.Issuers()); diff != "" {
		t.Error(diff)
	}
}

func TestInspectSaysWhatVerifyWouldSayWithoutTheNetwork(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		i := newIssuanceUnread(t, kind) // nothing was read, and nothing will be
		token, claims := i.mint(nil), claimsJSON(t, i.claimsWith(nil))
		forged := token[:len(token)-8] + "AAAAAAAA"
		want := newIssuance(t, kind).wantGood(nil).Caller()
		for how, text := range map[string]string{"token": token, "forged token": forged, "claims": claims, "claims in a file": "\n " + claims + "\n", "token in a file": token + "\n"} {
			got, err := i.verifier.Inspect(text)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s, %s: %v, %s", kind, how, err, diff)
			}
		}
		expired := i.claimsWith(map[string]any{"exp": 1})
		got, err := i.verifier.Inspect(claimsJSON(t, expired))
		wantInvalid(t, err, "has expired")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
		if i.count("/jwks") != 0 {
			t.Error("it asked the network")
		}
	}
}

func TestInspectRefusesWhatVerifyRefuses(t *testing.T) {
	t.Parallel()
	i := newIssuanceUnread(t, "entra user")
	for text, reason := range map[string]string{
		"": "it is empty", "x": "compact form", "{": "not a JSON object", "{}": "who issued it", `{"iss":"https://evil.example"}`: "issuer is not one", `{"iss":"a","ISS":"b"}`: "upper and lower case",
		`{"iss":"a","iss":"b"}`: "twice", testToken(t, i.key, `{"alg":"RS256"}`, claimsJSON(t, i.good)): "names no key",
	} {
		caller, err := i.verifier.Inspect(text)
		wantInvalid(t, err, reason)
		if caller != nil {
			t.Errorf("%s: %+v", text, caller)
		}
	}
	caller, err := i.verifier.Inspect(testToken(t, i.key, `{"alg":"PS256","kid":"k1"}`, claimsJSON(t, i.claimsWith(nil))))
	wantInvalid(t, err, "algorithm is not one")
	if caller == nil || caller.User != "Z990001" {
		t.Errorf("%+v", caller)
	}
	caller, err = i.verifier.Inspect(claimsJSON(t, i.claimsWith(map[string]any{"scp": nil, "nonce": "n"})))
	wantInvalid(t, err, "id token")
	if caller == nil || caller.User != "Z990001" {
		t.Errorf("%+v", caller)
	}
}

func TestTokensAreCounted(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	i := newIssuance(t, "entra user")
	v, err := NewVerifier([]Acceptance{i.accept}, 0, Deps{Registerer: registry})
	must(t, err)
	if _, err := NewVerifier([]Acceptance{i.accept}, 0, Deps{Registerer: registry}); err != nil {
		t.Fatal(err)
	}
	unread := newIssuanceUnread(t, Maskinporten)
	close(unread.provider.failed)
	v2, err := NewVerifier([]Acceptance{unread.accept}, 0, Deps{Registerer: registry})
	must(t, err)
	for _, token := range []string{i.mint(nil), i.mint(nil), i.mint(map[string]any{"exp": 1}), "x", strings.Repeat("x", maxBearer+1), i.mint(map[string]any{"iss": "https://evil.example"})} {
		_, _ = v.Verify(t.Context(), token)
	}
	if _, err := v2.Verify(t.Context(), unread.mint(nil)); err == nil {
		t.Error("verified without keys")
	}
	v.cache.entries.CleanUp() // it keeps its books in the background
	want := map[string]float64{
		"postern_tokens_verified_total entra_id hit": 1, "postern_tokens_verified_total entra_id ok": 1, "postern_tokens_verified_total entra_id invalid": 1,
		"postern_tokens_verified_total maskinporten trouble": 1, "postern_tokens_verified_total unknown invalid": 3,
		"postern_cache_requests_total verified_tokens hit": 1, "postern_cache_requests_total verified_tokens miss": 5,
		"postern_cache_entries verified_tokens": 1, "postern_cache_bytes verified_tokens": float64(v.cache.size()),
	}
	if diff := cmp.Diff(want, gathered(t, registry)); diff != "" || v.cache.size() == 0 {
		t.Error(diff)
	}
}

// gathered are the values that are not zero, by name and labels.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	must(t, err)
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			if value := metric.GetCounter().GetValue() + metric.GetGauge().GetValue(); value != 0 {
				values[name] = value
			}
		}
	}
	return values
}
