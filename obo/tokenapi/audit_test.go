package tokenapi

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/obo"
	"postern/oidc/correlation"
)

// S-38: whoever is turned away is in the audit events once; trouble, answers and what is no endpoint are not. What the caller sent is in none (S-37).
func TestS38TokenAPIRefusalsAreAudited(t *testing.T) {
	t.Parallel()
	const token, person = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJrYXJpIn0.c2ln", "01017012345"
	exchange := `{"identity_provider":"entra_id","target":"dev:team:api","user_token":"` + token + `"}`
	answers := func(err error) func(obo.Request) (obo.Token, error) {
		return func(obo.Request) (obo.Token, error) { return obo.Token{}, err }
	}
	for name, tc := range map[string]struct {
		answer func(obo.Request) (obo.Token, error)
		path   string
		body   string
		change func(*http.Request)
		want   string // reason, status, path, identity_provider, target; "": no event
	}{
		"provider refuses":  {answers(errorOf["refused"]), pathExchange, exchange, nil, "invalid_grant 400 /api/v1/token/exchange entra_id dev:team:api"},
		"malformed":         {nil, pathExchange, `{"identity_provider":`, nil, "invalid_request 400 /api/v1/token/exchange  "},
		"token as target":   {answers(errorOf["refused"]), pathExchange, strings.Replace(exchange, "dev:team:api", token+" "+person, 1), nil, "invalid_grant 400 /api/v1/token/exchange entra_id [token] ***********"},
		"web page":          {nil, pathToken, "{}", func(r *http.Request) { r.Header.Set("Origin", "https://"+person) }, "origin 403 /api/v1/token  "},
		"web page, no path": {nil, "/" + person, "", func(r *http.Request) { r.Header.Set("Origin", "null") }, "origin 403 other  "},
		"provider is down":  {answers(errorOf["unreachable"]), pathExchange, exchange, nil, ""},
		"a token":           {nil, pathExchange, exchange, nil, ""},
		"inactive token":    {nil, pathIntrospect, `{"identity_provider":"tokenx","token":"` + token + `"}`, nil, ""},
		"no endpoint":       {nil, "/" + person, "", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var audit bytes.Buffer
			w := newWorld(t, func(_ *Config, d *Deps) { d.Audit = slog.New(correlation.NewHandler(slog.NewJSONHandler(&audit, nil))) })
			if tc.answer != nil {
				w.broker.answer = tc.answer
			}
			answer := w.json(tc.path, tc.body, func(r *http.Request) {
				if tc.change != nil {
					tc.change(r)
				}
			})
			got, event := "", map[string]any{}
			if audit.Len() > 0 {
				if err := json.Unmarshal(audit.Bytes(), &event); err != nil {
					t.Fatalf("not one event: %s", audit.String())
				}
				text := func(name string) string { s, _ := event[name].(string); return s }
				status, _ := json.Marshal(event["status"])
				got = strings.Join([]string{text("reason"), string(status), text("path"), text("identity_provider"), text("target")}, " ")
				if event["audit"] != true || event["msg"] != "refusal" || event["listener"] != "token" || event["trace_id"] == nil ||
					event["request_id"] != answer.Header().Get(correlation.HeaderRequestID) {
					t.Errorf("%s", audit.String())
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s\n%s", diff, audit.String())
			}
			for _, secret := range []string{token, person} {
				if text := audit.String() + w.logged.String(); strings.Contains(text, secret) {
					t.Errorf("%s is in %s", secret, text)
				}
			}
		})
	}
}
