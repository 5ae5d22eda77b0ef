package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/proxy/policy"
)

func TestOnlyOpensTheCallersOfItsScenarios(t *testing.T) {
	t.Parallel()
	for only, want := range map[string]struct{ scenarios, callers []string }{
		"session, 1 KiB": {[]string{"session, 1 KiB"}, []string{session}},
		"64 KiB": {
			[]string{"anonymous, 64 KiB", "session, 64 KiB", "bearer, 50 tokens, 64 KiB", "exchange, 64 KiB"},
			[]string{anonymous, session, "bearer, 50 tokens", exchange},
		},
		"tokens, 1 KiB": {
			[]string{"bearer, 50 tokens, 1 KiB", "bearer, 5000 tokens, 1 KiB", "bearer, new tokens, 1 KiB"},
			[]string{"bearer, 50 tokens", "bearer, 5000 tokens", alwaysNew},
		},
		"no such thing": {},
	} {
		all, of := scenarios(settings{tokens: 5000, only: only})
		var names, callers []string
		for _, sc := range all {
			names = append(names, sc.name)
		}
		for _, c := range of {
			callers = append(callers, c.name)
		}
		if diff := cmp.Diff(want.scenarios, names) + cmp.Diff(want.callers, callers); diff != "" {
			t.Errorf("%q: %s", only, diff)
		}
	}
	var errs strings.Builder
	if code := realMain(t.Context(), []string{"-only=no such thing"}, io.Discard, &errs); code != exitFailed || !strings.Contains(errs.String(), "no scenario") {
		t.Errorf("exit status %d: %s", code, errs.String())
	}
}

func TestPolicyIsOneOfManyRulesAndHasNoMistakes(t *testing.T) {
	t.Parallel()
	doc, warnings, err := policy.Parse([]policy.File{{Name: "policy.yaml", Data: []byte(policyText())}}, "", "")
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v; warnings: %q", err, warnings)
	}
	if len(doc.Paths) != policyPaths || len(doc.Rules) != policyApps {
		t.Errorf("%d paths and %d apps", len(doc.Paths), len(doc.Rules))
	}
	known, err := preAuthorizedApps()
	if err != nil {
		t.Fatal(err)
	}
	var apps []struct{ Name, ClientID string }
	if err := json.Unmarshal([]byte(known), &apps); err != nil || len(apps) != policyApps+1 {
		t.Fatalf("%d known apps: %v", len(apps), err)
	}
	for n, rule := range doc.Rules {
		if apps[n].Name != rule.App.String() || apps[n].ClientID != appID(n) {
			t.Errorf("app %d: %+v is not known as %s", n, apps[n], rule.App)
		}
	}
}

func TestMintAsksForDistinctTokens(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Profile string
			Claims  map[string]any
			ExpIn   int `json:"exp_in"`
		}
		err := json.NewDecoder(r.Body).Decode(&asked)
		if err != nil || r.URL.Path != "/_dev/mint" || r.Method != http.MethodPost || asked.Profile != "entra-app" || asked.ExpIn != tokenLife ||
			asked.Claims["azp"] != appID(7) || !slices.Equal(asked.Claims["roles"].([]any), []any{"a", "b"}) {
			t.Errorf("%s %s: %+v, %v", r.Method, r.URL.Path, asked, err)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"token": asked.Claims["uti"]})
	}))
	t.Cleanup(provider.Close)
	w := &world{idp: &process{address: provider.Listener.Addr().String()}}
	tokens, err := w.mint(t.Context(), 40, appToken(7, "a", "b"))
	if err != nil || len(tokens) != 40 || slices.Contains(tokens, "") || len(slices.Compact(slices.Sorted(slices.Values(tokens)))) != 40 {
		t.Errorf("tokens %q: %v", tokens, err)
	}
}

func TestMintFailsWithTheProvider(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"error":"x"}`: "there is none",
		`no JSON`:       "invalid character",
		"404":           "status 404",
	} {
		provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if answer == "404" {
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = io.WriteString(w, answer)
		}))
		w := &world{idp: &process{address: provider.Listener.Addr().String()}}
		if _, err := w.mint(t.Context(), 40, appToken(7, "a")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", answer, err)
		}
		provider.Close()
	}
}

func TestVerificationsAreReadFromTheMetrics(t *testing.T) {
	t.Parallel()
	text := `# HELP postern_tokens_verified_total Bearer tokens, by provider and how their verification ended.
# TYPE postern_tokens_verified_total counter
postern_tokens_verified_total{provider="entra_id",result="hit"} 1.2e+06
postern_tokens_verified_total{provider="entra_id",result="invalid"} 4
postern_tokens_verified_total{provider="entra_id",result="ok"} 50
postern_tokens_verified_total{provider="tokenx",result="ok"} 7
postern_tokens_verified_total_of_another_kind{result="ok"} 9
`
	got, err := parseVerifications([]byte(text))
	if want := (verifications{known: 1200000, anew: 57}); err != nil || got != want {
		t.Errorf("%+v, want %+v: %v", got, want, err)
	}
	for _, text := range []string{"", "go_goroutines 9\n", verifiedTotal + `{result="ok"} x`} {
		if got, err := parseVerifications([]byte(text)); err == nil {
			t.Errorf("%q: %+v and no error", text, got)
		}
	}
}

func TestPlausibleTokensAreKnownOrNewAsTheScenarioSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tokens verifications
		cold   bool
		want   string // part of the error; "" for none
	}{
		"known":                {verifications{known: 9990, anew: 10}, false, ""},
		"known, but forgotten": {verifications{known: 9900, anew: 100}, false, "were known"},
		"new":                  {verifications{known: 10, anew: 9990}, true, ""},
		"new, but remembered":  {verifications{known: 9000, anew: 1000}, true, "verified anew"},
		"not looked at":        {verifications{}, true, "verified anew"},
	} {
		err := plausibleTokens(10000, c.tokens, c.cold)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPriceIsThatOfATokenOfTheProvider(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	token := func(header string) string {
		signed := encode([]byte(header)) + "." + encode([]byte(`{"sub":"x"}`))
		hash := sha256.Sum256([]byte(signed))
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, hash[:])
		if err != nil {
			t.Fatal(err)
		}
		return signed + "." + encode(signature)
	}
	var base string
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"EC","kid":"e"},{"kty":"RSA","kid":"k","n":%q,"e":%q}]}`,
				encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes()))
			return
		}
		_, _ = fmt.Fprintf(w, `{"jwks_uri":%q}`, base+"/keys")
	}))
	t.Cleanup(provider.Close)
	base = provider.URL
	w := &world{idp: &process{address: provider.Listener.Addr().String()}}
	good := token(`{"alg":"RS256","kid":"k"}`)
	if price, err := priceOfVerification(t.Context(), w, good); err != nil || price <= 0 || price > 100*time.Millisecond {
		t.Errorf("price %v: %v", price, err)
	}
	for name, bad := range map[string]string{
		"an altered token":  strings.Replace(good, ".", ".e30", 1),
		"another key":       token(`{"alg":"RS256","kid":"other"}`),
		"another algorithm": token(`{"alg":"PS256","kid":"k"}`),
		"no token":          "x",
	} {
		if price, err := priceOfVerification(t.Context(), w, bad); err == nil {
			t.Errorf("%s: price %v and no error", name, price)
		}
	}
}

func TestCostOfNewTokensIsComparedWithinARound(t *testing.T) {
	t.Parallel()
	of := func(cpu ...time.Duration) (all []sample) {
		for _, c := range cpu {
			all = append(all, sample{cpu: c * time.Microsecond, rate: 1, p50: 1, p99: 1, memory: 1})
		}
		return all
	}
	r := result{settings: settings{tokens: 5000}, price: 28 * time.Microsecond, foreign: []float64{0}}
	for _, c := range callers(5000, 0) {
		samples := map[string][]sample{bearerName(5000): of(50, 70, 60), alwaysNew: of(95, 190, 101), tokenAPI: of(50, 51, 56)}[c.name]
		if samples == nil {
			samples = of(40, 40, 40)
		}
		o := outcome{scenario: scenario{name: c.name + ", 1 KiB", caller: c}, peer: of(40, 40, 40), postern: samples}
		if c.name == alwaysNew {
			c.entrants, o.others = []entrant{{&gateway{name: verifying}, c}}, [][]sample{of(85, 99, 90)}
		}
		r.outcomes = append(r.outcomes, o)
	}
	if extra, verification, ok := r.costOfNewTokens(); !ok || extra != 45*time.Microsecond || verification != 50*time.Microsecond {
		t.Errorf("%v, %v, %v", extra, verification, ok)
	}
	verdicts := map[string]bool{}
	var out strings.Builder
	r.print(&out)
	for line := range strings.Lines(out.String()) {
		if name, rest, found := strings.Cut(line, "  "); found && strings.HasPrefix(name, "CPU, ") {
			verdicts[name] = strings.HasSuffix(strings.TrimSpace(rest), "ok")
		}
	}
	want := map[string]bool{
		"CPU, session, 1 KiB": true, "CPU, session, 1 in Redis, 1 KiB": true, "CPU, session, 10000 in Redis, 1 KiB": true,
		"CPU, bearer, 50 tokens, 1 KiB": true, "CPU, bearer, 5000 tokens, 1 KiB": false, "CPU, bearer, new tokens": true, "CPU, bearer, new tokens, by go-oidc": true,
		"CPU, token API, 1 KiB": true,
	}
	if !maps.Equal(verdicts, want) || !strings.Contains(out.String(), "28.0 us here") {
		t.Errorf("verdicts %v, want %v:\n%s", verdicts, want, out.String())
	}
	r.outcomes = slices.DeleteFunc(r.outcomes, func(o outcome) bool { return o.scenario.caller.cold })
	if extra, _, ok := r.costOfNewTokens(); ok {
		t.Errorf("without new tokens they cost %v", extra)
	}
}
