package tokenapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"postern/obo"
	"postern/oidc"
)

// tokens.md 1.4: exactly three members.
func TestTokenAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("abcDEF-_.~", 300)
	for name, tc := range map[string]struct {
		token string
		left  int64
		want  string
	}{
		"a token":       {"t", 3600, `{"access_token":"t","token_type":"Bearer","expires_in":3600}`},
		"one second":    {"t", 1, `{"access_token":"t","token_type":"Bearer","expires_in":1}`},
		"to be escaped": {"a\"b\\c\x01d", 60, `{"access_token":"a\"b\\c\u0001d","token_type":"Bearer","expires_in":60}`},
		"a long one":    {long, 60, `{"access_token":"` + long + `","token_type":"Bearer","expires_in":60}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.broker.answer = func(obo.Request) (obo.Token, error) {
				return obo.Token{Access: oidc.NewToken(tc.token), ExpiresIn: tc.left}, nil
			}
			for path, body := range map[string]string{pathToken: tokenBody, pathExchange: exchangeBody} {
				rec := w.json(path, body)
				w.said(rec, http.StatusOK)
				if rec.Body.String() != tc.want {
					t.Errorf("%s", rec.Body)
				}
			}
			if w.logged.Len() > 0 {
				t.Errorf("what went well is logged: %s", w.logged)
			}
		})
	}
}

// A provider that gives a token no life gives it all the same; Texas hands it on.
func TestATokenWithoutLifeIsHandedOnAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.broker.answer = func(obo.Request) (obo.Token, error) { return obo.Token{Access: oidc.NewToken("t")}, nil }
	rec := w.json(pathToken, tokenBody)
	w.said(rec, http.StatusOK)
	if want := `{"access_token":"t","token_type":"Bearer","expires_in":0}`; rec.Body.String() != want {
		t.Errorf("%s, want %s", rec.Body, want)
	}
}

func TestRequestIDsComeBack(t *testing.T) {
	t.Parallel()
	given := func(id ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[headerRequestID] = id }
	}
	w := newWorld(t)
	for _, body := range []string{tokenBody, `{`} {
		if got := w.json(pathToken, body, given("abc-1.2_3")).Header().Get(headerRequestID); got != "abc-1.2_3" {
			t.Errorf("%q", got)
		}
	}
	for _, bad := range [][]string{{"a b"}, {""}, {strings.Repeat("x", 65)}, {"person-01017012345"}, {"a\"b"}, {"a", "b"}, nil} {
		if got := w.json(pathToken, `{`, given(bad...)).Header().Get(headerRequestID); len(got) < 20 || len(bad) > 0 && got == bad[0] {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

// S-37: one line for each request that failed, with nothing that a caller wrote but the target.
func TestS37LogLinesOfFailuresHoldNoTokensAndNoPersonalNumbers(t *testing.T) {
	t.Parallel()
	const person, token = "01017012345", "eyJhbGciOi.user.token"
	refused := fails(&oidc.RefusalError{Provider: "entra_id", Op: "exchange", Status: 400, Code: "invalid_grant", Description: "no role for " + person, Words: token + person})
	for name, tc := range map[string]struct {
		change       func(*Config, *Deps)
		path, body   string
		kind, reason string
	}{
		"refused":       {refused, pathExchange, `{"identity_provider":"azuread","target":"a\nb ` + person + `","user_token":"` + token + `"}`, "Upstream", "invalid_grant"},
		"wrong type":    {refused, pathExchange, `{"identity_provider":"` + token + person + `"}`, "UnprocessableContent", "invalid_request"},
		"wrong flag":    {refused, pathExchange, `{"skip_cache":"` + token + person + `"}`, "UnprocessableContent", "invalid_request"},
		"no provider":   {refused, pathExchange, `{"identity_provider":"tokenx","user_token":"` + token + `"}`, "UnprocessableContent", "invalid_request"},
		"another path":  {refused, "/" + person, ``, "", ""},
		"not for pages": {refused, pathExchange, `evil`, "Refused", "origin"},
		"inactive":      {refused, pathIntrospect, `{"identity_provider":"tokenx","token":"` + token + person + `"}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.change)
			w.json(tc.path, tc.body, func(r *http.Request) {
				r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
				if tc.body == "evil" {
					r.Header.Set("Origin", "https://"+person)
				}
			})
			if tc.path == "/"+person {
				if w.logged.Len() > 0 {
					t.Errorf("%s", w.logged)
				}
				return
			}
			var line map[string]any
			if err := json.Unmarshal(bytes.TrimSpace(w.logged.Bytes()), &line); err != nil {
				t.Fatalf("%s: %v", w.logged, err)
			}
			if strings.Contains(w.logged.String(), person) || strings.Contains(w.logged.String(), token) {
				t.Errorf("%s", w.logged)
			}
			if id, _ := line["request_id"].(string); id == "" || line["trace_id"] != "0af7651916cd43dd8448eb211c80319c" || line["path"] != tc.path {
				t.Errorf("%s", w.logged)
			}
			if tc.kind != "" && (line["kind"] != tc.kind || line["reason"] != tc.reason) {
				t.Errorf("%s", w.logged)
			}
			if name == "refused" && (line["target"] != "a?b ***********" || line["identity_provider"] != "entra_id") {
				t.Errorf("%s", w.logged)
			}
		})
	}
}

// count reads one sample of a family, by its labels' values.
func (w *world) count(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var values []string
			for _, label := range metric.GetLabel() {
				values = append(values, label.GetValue())
			}
			if family.GetName() != name || strings.Join(values, " ") != strings.Join(labels, " ") {
				continue
			}
			return metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return 0
}

// tokens.md 1.11. Labels stand in the order of their names.
func TestMetricsHaveTexasNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *Config, d *Deps) {
		d.CacheSize = func(exchanged bool) int {
			if exchanged {
				return 7
			}
			return 3
		}
	})
	w.broker.answer = func(r obo.Request) (obo.Token, error) {
		token := obo.Token{Access: oidc.NewToken("t"), ExpiresIn: 3600, Cached: r.Target == "cached"}
		if r.Target == "none" {
			return token, &oidc.TroubleError{Provider: r.Provider, Err: errors.New("x")}
		}
		return token, nil
	}
	w.json(pathToken, `{"identity_provider":"azuread","target":"new"}`)
	w.json(pathToken, `{"identity_provider":"azuread","target":"cached"}`)
	w.json(pathExchange, `{"identity_provider":"tokenx","target":"none","user_token":"u"}`)
	w.json(pathExchange, `{`)
	w.json(pathIntrospect, lookBody)
	w.do("GET", "/whatever", "", "")
	w.json(pathToken, tokenBody, func(r *http.Request) { r.Host = "evil.example" })
	for _, tc := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{2, "texas_handler_requests", []string{"entra_id", pathToken, "token"}},
		{1, "texas_handler_requests", []string{"tokenx", pathExchange, "token_exchange"}},
		{1, "texas_handler_requests", []string{"entra_id", pathIntrospect, "token_introspection"}},
		{1, "texas_token_cache_hits", []string{"entra_id", pathToken}},
		{1, "texas_handler_errors", []string{"UpstreamRequest", "tokenx", pathExchange}},
		{1, "texas_handler_errors", []string{"UnprocessableContent", "unknown", pathExchange}},
		{1, "texas_handler_errors", []string{"Refused", "unknown", pathToken}},
		{1, "texas_identity_provider_latency_secs", []string{"entra_id"}},
		{1, "texas_identity_provider_latency_secs", []string{"tokenx"}},
		{2, "http_response_secs", []string{pathToken, "200"}},
		{1, "http_response_secs", []string{pathExchange, "503"}},
		{1, "http_response_secs", []string{pathExchange, "400"}},
		{1, "http_response_secs", []string{"other", "404"}},
		{3, "texas_token_cache_size", []string{"token"}},
		{7, "texas_token_cache_size", []string{"token/exchange"}},
		{1, "postern_introspections_inactive_total", []string{"entra_id", "signature"}},
		{1, "postern_token_api_refused_total", []string{"host"}},
	} {
		if got := w.count(tc.name, tc.labels...); got != tc.want {
			t.Errorf("%s %q is %v, want %v", tc.name, tc.labels, got, tc.want)
		}
	}
	New(Config{}, Deps{Registerer: w.registry, CacheSize: func(bool) int { return 0 }}) // a second one shares them
	New(Config{}, Deps{Registerer: prometheus.NewRegistry()})
}

func TestErrorKinds(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"not enabled": "IdentityProviderNotEnabled", "no token": "TokenRequestUnsupported", "no exchange": "TokenExchangeUnsupported", "ended": "UserTokenEnded",
		"refused": "Upstream", "no credential": "Sign", "malformed": "Json", "unreachable": "UpstreamRequest", "timeout": "UpstreamRequest", "its own words": "Upstream",
		"whatever": "Internal",
	} {
		if got := kindOf(errorOf[name]); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
}

// Nobody is told about a caller that has left, but in a line for debugging.
func TestACallerThatHasLeft(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	w := newWorld(t)
	w.broker.answer = func(obo.Request) (obo.Token, error) {
		leave()
		return obo.Token{}, ctx.Err()
	}
	w.json(pathToken, tokenBody, func(r *http.Request) { *r = *r.WithContext(ctx) })
	if logged := w.logged.String(); !strings.Contains(logged, `"level":"DEBUG"`) || !strings.Contains(logged, `"status":499`) {
		t.Error(logged)
	}
	if w.count("http_response_secs", pathToken, "499") != 1 {
		t.Error("not counted as 499")
	}
}

func TestAPanicIsA500WithoutItsText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.broker.answer = func(obo.Request) (obo.Token, error) { panic("hush") }
	rec := w.json(pathToken, tokenBody)
	w.wantError(rec, http.StatusInternalServerError, "server_error", "Something went wrong in Postern; its log says what.")
	if said := rec.Body.String() + w.logged.String(); strings.Contains(said, `"hush"`) || !strings.Contains(said, "panic of type string") {
		t.Errorf("%s", said)
	}
}

// A target is the provider's to understand: control characters are passed on as they are, and reach no log.
func TestControlCharactersInATargetStayInIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var asked string
	w.broker.answer = func(r obo.Request) (obo.Token, error) {
		asked = r.Target
		return obo.Token{}, &oidc.RefusalError{Provider: r.Provider, Status: 400, Code: "strange", Words: "no"}
	}
	rec := w.json(pathToken, `{"identity_provider":"maskinporten","target":"a\u0000\r\nX-Postern-User: root\u001b[31m"}`)
	w.wantError(rec, http.StatusBadRequest, "strange", "no")
	if asked != "a\x00\r\nX-Postern-User: root\x1b[31m" || rec.Header().Get("X-Postern-User") != "" {
		t.Errorf("asked for %q", asked)
	}
	if said := w.logged.String(); strings.Contains(said, "u001b") || strings.Contains(said, `\r\n`) {
		t.Errorf("the log has them: %s", said)
	}
}
