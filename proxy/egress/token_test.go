package egress

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/config"
	"postern/obo"
	"postern/obo/guard"
	"postern/oidc"
)

// TestS21WhoseTokenGoesWithACall is every combination of a route's "as" and what came with the call.
func TestS21WhoseTokenGoesWithACall(t *testing.T) {
	t.Parallel()
	const meant = "X-Postern-Egress: 1\r\n"
	target := newOutside(t, nil)
	s := newSidecar(
		t, nil,
		config.EgressRoute{Name: "user", URL: target.URL},
		config.EgressRoute{Name: "app", URL: target.URL, As: "app"},
		config.EgressRoute{Name: "auto", URL: target.URL, As: "auto"},
		config.EgressRoute{Name: "open-app", URL: target.URL, As: "app", Open: true},
		config.EgressRoute{Name: "open-auto", URL: target.URL, As: "auto", Open: true},
	)
	for _, test := range []struct {
		name, route, header string
		status              int
		want                string // Authorization at the target, or the error
	}{
		{"user", "user", asUser, 200, "Bearer exchanged-entra_id"},
		{"user needs no header", "user", asUser + "X-Postern-Egress: no\r\n", 200, "Bearer exchanged-entra_id"},
		{"user, none", "user", "", 401, "unauthenticated"},
		{"user, none, and the header", "user", meant, 401, "unauthenticated"},
		{"user, bad token", "user", "Authorization: Bearer forged\r\n", 401, "invalid_token"},
		{"user, another scheme", "user", "Authorization: Basic dTpw\r\n", 401, "invalid_token"},
		{"user, empty", "user", "Authorization:\r\n", 401, "invalid_token"},
		{"user, nobody knows", "user", "Authorization: Bearer trouble\r\n", 503, "server_error"},
		{"user, two", "user", asUser + asUser, 400, "invalid_request"},
		{"app without the header", "app", "", 403, "egress_header_missing"},
		{"app with a token and without the header", "app", asUser, 403, "egress_header_missing"},
		{"app, another value", "app", "X-Postern-Egress: true\r\n", 403, "egress_header_missing"},
		{"app, twice", "app", meant + meant, 403, "egress_header_missing"},
		{"app, another spelling", "app", "X_Postern_Egress: 1\r\n", 403, "egress_header_missing"},
		{"app", "app", meant, 200, "Bearer machine-token"},
		{"app, lower case", "app", "x-postern-egress: 1\r\n", 200, "Bearer machine-token"},
		{"app, whatever came", "app", meant + "Authorization: Basic dTpw\r\n", 200, "Bearer machine-token"},
		{"app, a user's token", "app", meant + asUser, 200, "Bearer machine-token"},
		{"auto without the header", "auto", "", 403, "egress_header_missing"},
		{"auto with a token and without the header", "auto", asUser, 403, "egress_header_missing"},
		{"auto, none", "auto", meant, 200, "Bearer machine-token"},
		{"auto, user", "auto", meant + asUser, 200, "Bearer exchanged-entra_id"},
		{"auto, bad token", "auto", meant + "Authorization: Bearer forged\r\n", 401, "invalid_token"},
		{"auto, another scheme", "auto", meant + "Authorization: Basic dTpw\r\n", 401, "invalid_token"},
		{"auto, empty", "auto", meant + "Authorization:\r\n", 401, "invalid_token"},
		{"auto, empty token", "auto", meant + "Authorization: Bearer\r\n", 401, "invalid_token"},
		{"auto, nobody knows", "auto", meant + "Authorization: Bearer trouble\r\n", 503, "server_error"},
		{"open app", "open-app", "", 200, "Bearer machine-token"},
		{"open auto, none", "open-auto", "", 200, "Bearer machine-token"},
		{"open auto, user", "open-auto", asUser, 200, "Bearer exchanged-entra_id"},
		{"open auto, bad token", "open-auto", "Authorization: Bearer forged\r\n", 401, "invalid_token"},
	} {
		reached, asked := len(target.requests()), len(s.broker.requests())
		res, body := s.call(t, "GET /"+test.route+"/x", test.header)
		if res.StatusCode != test.status {
			t.Errorf("%s: %d %s; want %d", test.name, res.StatusCode, body, test.status)
			continue
		}
		if test.status == http.StatusOK {
			if got := target.last().Header.Get("Authorization"); got != test.want {
				t.Errorf("%s: the target saw %q; want %q", test.name, got, test.want)
			}
			continue
		}
		if got := errorOf(t, body); got.Code != test.want || got.Description == "" {
			t.Errorf("%s: %s; want %s", test.name, body, test.want)
		}
		if len(target.requests()) > reached || len(s.broker.requests()) > asked {
			t.Errorf("%s: something was sent somewhere", test.name)
		}
		if challenge := res.Header.Get("WWW-Authenticate"); (test.status == 401) != strings.HasPrefix(challenge, "Bearer ") ||
			strings.Contains(challenge, "error=") != (test.want == "invalid_token") {
			t.Errorf("%s: challenge %q", test.name, challenge)
		}
	}
}

func errorOf(t *testing.T, body string) obo.ErrorBody {
	t.Helper()
	var got obo.ErrorBody
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return got
}

// TestUserTokenMustFitTheProvider: a token that the provider does not know is sent nowhere.
func TestUserTokenMustFitTheProvider(t *testing.T) {
	t.Parallel()
	target := newOutside(t, nil)
	var routes []config.EgressRoute
	for _, provider := range []string{oidc.EntraID, oidc.TokenX, oidc.OpenID} {
		routes = append(routes, config.EgressRoute{Name: strings.ReplaceAll(provider, "_", "-"), URL: target.URL, Provider: provider, Target: "t"})
	}
	s := newSidecar(t, nil, routes...)
	for _, route := range routes {
		for _, from := range []string{oidc.EntraID, oidc.TokenX, oidc.OpenID} {
			res, body := s.call(t, "GET /"+route.Name, "Authorization: Bearer "+from+"\r\n")
			if fits := from == route.Provider; fits != (res.StatusCode == 200) || !fits && (res.StatusCode != 401 || !strings.Contains(body, "The token is of "+from)) {
				t.Errorf("%s at %s: %d %s", from, route.Provider, res.StatusCode, body)
			}
		}
	}
	var want []obo.Request
	for _, route := range routes {
		want = append(want, obo.Request{Provider: route.Provider, Target: "t", UserToken: route.Provider})
	}
	if diff := cmp.Diff(want, s.broker.requests()); diff != "" {
		t.Error(diff)
	}
}

func TestTokenThatCannotBeHad(t *testing.T) {
	t.Parallel()
	refusal := &oidc.RefusalError{
		Provider: oidc.EntraID, Op: "exchange token", Status: 400, Code: "invalid_grant", Description: "for the log", Words: "AADSTS65001: no consent",
		Suberror: "consent_required", ErrorCodes: json.RawMessage("[65001]"), CorrelationID: "c-1", Claims: `{"x":1}`,
	}
	trouble := func(change func(*oidc.TroubleError)) error {
		e := &oidc.TroubleError{Provider: oidc.EntraID, Op: "exchange token", Err: errors.New("refused")}
		change(e)
		return e
	}
	for name, test := range map[string]struct {
		err    error
		status int
		code   string
		retry  string
	}{
		"refused":                     {refusal, 403, "invalid_grant", ""},
		"refused as our fault":        {&oidc.RefusalError{Provider: oidc.EntraID, Status: 401, Code: "invalid_client"}, 403, "invalid_client", ""},
		"user token ended meanwhile":  {&oidc.InvalidTokenError{Reason: "it has expired"}, 401, "invalid_token", ""},
		"nobody there":                {trouble(func(*oidc.TroubleError) {}), 503, "server_error", "1"},
		"nobody there for a while":    {trouble(func(e *oidc.TroubleError) { e.RetryAfter = 1500 * time.Millisecond }), 503, "server_error", "2"},
		"no answer in time":           {trouble(func(e *oidc.TroubleError) { e.Err = context.DeadlineExceeded }), 503, "server_error", "1"},
		"no time left":                {context.DeadlineExceeded, 503, "server_error", "1"},
		"nonsense":                    {trouble(func(e *oidc.TroubleError) { e.Malformed = true }), 503, "server_error", "1"},
		"a status":                    {trouble(func(e *oidc.TroubleError) { e.Status = 500 }), 503, "server_error", "1"},
		"not ready":                   {trouble(func(e *oidc.TroubleError) { e.Err = oidc.ErrNotReady }), 503, "server_error", "1"},
		"our credential":              {trouble(func(e *oidc.TroubleError) { e.Err = oidc.ErrCredential }), 503, "server_error", "1"},
		"its own words of trouble":    {trouble(func(e *oidc.TroubleError) { e.Status, e.Answer = 429, refusal }), 503, "invalid_grant", "1"},
		"a provider that cannot":      {&obo.UnsupportedError{Provider: oidc.EntraID, Why: "is not enabled"}, 500, "server_error", ""},
		"something that nobody meant": {errors.New("hush"), 500, "server_error", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := newOutside(t, nil)
			s := newSidecar(t, nil, orders(target.URL))
			s.broker.err = test.err
			res, body := s.call(t, "GET /orders/x", asUser)
			got := errorOf(t, body)
			if res.StatusCode != test.status || got.Code != test.code || res.Header.Get("Retry-After") != test.retry || strings.Contains(body, "hush") {
				t.Errorf("%d %s, Retry-After %q; want %d %s %q", res.StatusCode, body, res.Header.Get("Retry-After"), test.status, test.code, test.retry)
			}
			if name == "refused" {
				want := obo.ErrorBody{
					Code: "invalid_grant", Description: "AADSTS65001: no consent", Claims: `{"x":1}`, Suberror: "consent_required",
					ErrorCodes: json.RawMessage("[65001]"), CorrelationID: "c-1", Hint: got.Hint,
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				if !strings.Contains(body, "<cluster>") {
					t.Errorf("the hint cannot be read: %s", body)
				}
			}
			if res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", res.Header)
			}
			if len(target.requests()) > 0 {
				t.Error("the target was called without a token")
			}
		})
	}
}

// TestAdvisoryCVE2026_26998NoBodyIsReadForAToken: peers.md row 74. A call without a credential is refused before a byte of its body is asked for.
func TestAdvisoryCVE2026_26998NoBodyIsReadForAToken(t *testing.T) {
	t.Parallel()
	s := newSidecar(t, nil, orders(newOutside(t, nil).URL))
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, "POST /orders/x?access_token=entra_id HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
		"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 401") {
		t.Errorf("%q, %v; want 401 and no 100", line, err)
	}
}

// TestGuardIsAskedFirst: whoever may not speak to the listener hears nothing of what is behind it (S-21, S-22; peers.md row 70).
func TestGuardIsAskedFirst(t *testing.T) {
	t.Parallel()
	target := newOutside(t, nil)
	s := newSidecar(t, func(_ *Config, d *Deps) {
		d.Guard = guardFunc(func(r *http.Request) *guard.Refusal {
			if r.Header.Get("X-Secret") == "" {
				return &guard.Refusal{Status: 401, Code: "invalid_client", Reason: "secret", Description: "The secret is missing.", Challenge: "Bearer"}
			}
			r.Header.Del("X-Secret")
			return nil
		})
	}, orders(target.URL))
	for _, line := range []string{"GET /orders/x", "GET /orders/../x", "GET /billing", "GET /orders/x%zz", "GET /orders#x"} {
		res, body := s.call(t, line, asUser)
		if res.StatusCode == 400 { // net/http has refused it
			continue
		}
		if got := errorOf(t, body); res.StatusCode != 401 || got.Code != "invalid_client" || res.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: %d %s", line, res.StatusCode, body)
		}
	}
	if len(target.requests()) > 0 || len(s.broker.requests()) > 0 {
		t.Error("something was sent somewhere")
	}
	if res, body := s.call(t, "GET /orders/x", asUser+"X-Secret: s\r\n"); res.StatusCode != 200 {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if target.last().Header.Get("X-Secret") != "" {
		t.Error("the secret of the listener reached the target")
	}
	if _, err := New(Config{}, Deps{Tokens: s.broker, Users: people{}}); err == nil {
		t.Error("without a guard everybody would be let in")
	}
}
