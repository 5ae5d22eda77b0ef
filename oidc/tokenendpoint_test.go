package oidc

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/config"
)

func TestTokenAnswerIsHeldToTheRFC(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	for name, tc := range map[string]struct {
		body  string
		trust time.Duration // 0: refused
	}{
		"plain":                        {`{"access_token":"a","token_type":"Bearer","expires_in":60}`, time.Minute},
		"type in lower case":           {`{"access_token":"a","token_type":"bearer","expires_in":60}`, time.Minute},
		"expiry as a text":             {`{"access_token":"a","token_type":"Bearer","expires_in":"60"}`, time.Minute},
		"expiry as a float":            {`{"access_token":"a","token_type":"Bearer","expires_in":60.0}`, time.Minute},
		"expiry in a thousand years":   {`{"access_token":"a","token_type":"Bearer","expires_in":31536000000}`, maxLifetime},
		"expiry beyond 64 bits":        {`{"access_token":"a","token_type":"Bearer","expires_in":1e300}`, maxLifetime},
		"members that nobody knows":    {`{"access_token":"a","token_type":"Bearer","expires_in":60,"x":{"y":[1]}}`, time.Minute},
		"no expiry":                    {`{"access_token":"a","token_type":"Bearer"}`, 0},
		"expiry null":                  {`{"access_token":"a","token_type":"Bearer","expires_in":null}`, 0},
		"expiry zero":                  {`{"access_token":"a","token_type":"Bearer","expires_in":0}`, 0},
		"expiry negative":              {`{"access_token":"a","token_type":"Bearer","expires_in":-60}`, 0},
		"expiry no number":             {`{"access_token":"a","token_type":"Bearer","expires_in":"NaN"}`, 0},
		"expiry an object":             {`{"access_token":"a","token_type":"Bearer","expires_in":{}}`, 0},
		"no access token":              {`{"token_type":"Bearer","expires_in":60}`, 0},
		"access token empty":           {`{"access_token":"","token_type":"Bearer","expires_in":60}`, 0},
		"access token nested":          {`{"access_token":{"access_token":"a"},"token_type":"Bearer","expires_in":60}`, 0},
		"access token twice":           {`{"access_token":"a","access_token":"b","token_type":"Bearer","expires_in":60}`, 0},
		"access token in other case":   {`{"Access_Token":"a","token_type":"Bearer","expires_in":60}`, 0},
		"header injection":             {`{"access_token":"a\r\nX-Postern-User: root","token_type":"Bearer","expires_in":60}`, 0},
		"access token of 65 KiB":       {`{"access_token":"` + strings.Repeat("a", 65<<10) + `","token_type":"Bearer","expires_in":60}`, 0},
		"refresh token with NUL":       {`{"access_token":"a","refresh_token":"r\u0000","token_type":"Bearer","expires_in":60}`, 0},
		"no type":                      {`{"access_token":"a","expires_in":60}`, 0},
		"another type":                 {`{"access_token":"a","token_type":"DPoP","expires_in":60}`, 0},
		"a page":                       {`<html>login</html>`, 0},
		"nothing":                      {``, 0},
		"null":                         {`null`, 0},
		"a list":                       {`[{"access_token":"a"}]`, 0},
		"two documents":                {`{"access_token":"a","token_type":"Bearer","expires_in":60}{}`, 0},
		"deeply nested":                {strings.Repeat(`{"a":`, 20000), 0},
		"an error in spite of the 200": {`{"error":"invalid_grant"}`, 0},
	} {
		got, err := readTokenResponse([]byte(tc.body), now)
		if tc.trust == 0 {
			if err == nil || strings.Contains(err.Error(), "X-Postern") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || !got.Expiry.Equal(now.Add(tc.trust)) || got.Access.Raw() != "a" {
			t.Errorf("%s: %v, %v", name, got.Expiry, err)
		}
	}
}

// An app may still want a token that ends at once; a session could not be kept with it.
func TestATokenWithoutLifeIsOneForAppsOnly(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	w := newWorld(t, p)
	p.set(func() {
		p.intercept = func(rw http.ResponseWriter, _ *http.Request) bool {
			_, _ = rw.Write([]byte(`{"access_token":"a","token_type":"Bearer","expires_in":0}`))
			return true
		}
	})
	answer, err := w.client.endpoint.Attempt(t.Context(), "get token", url.Values{})
	if err != nil || answer.Access.Raw() != "a" || answer.ExpiresIn != 0 {
		t.Errorf("attempt: %v, %v", answer.ExpiresIn, err)
	}
	if _, err := w.login(AuthorizationRequest{}); !errors.Is(err, errNoLifetime) {
		t.Errorf("login: %v", err)
	}
}

// What an app is told of its own request is more than what a log may hold.
func TestRefusalKeepsTheProvidersOwnWordsForTheApp(t *testing.T) {
	t.Parallel()
	long := "AADSTS50105: person 01017012345\\r\\n" + strings.Repeat("x", 400)
	for name, tc := range map[string]struct {
		status        int
		body          string
		trouble       bool
		codes, phrase string
	}{
		"refusal":                 {400, `{"error":"invalid_grant","error_description":"` + long + `","error_codes":[50105],"suberror":"s","correlation_id":"c"}`, false, "[50105]", "01017012345"},
		"trouble":                 {503, `{"error":"temporarily_unavailable","error_description":"AADSTS90033","error_codes":[90033]}`, true, "[90033]", "AADSTS90033"},
		"huge beside the codes":   {400, `{"error":"invalid_grant","error_description":"d","error_codes":[50105` + strings.Repeat(" ", 1<<19) + `],"suberror":"` + strings.Repeat("s", 1000) + `"}`, false, "[50105]", "d"},
		"codes of another type":   {400, `{"error":"invalid_grant","error_description":"d","error_codes":["50105"]}`, false, "", "d"},
		"our secret in the words": {400, `{"error":"invalid_client","error_description":"bad ` + testSecret + `"}`, false, "", "bad [redacted]"},
	} {
		p := newIDP(t)
		w := newWorld(t, p)
		p.set(func() {
			p.intercept = func(rw http.ResponseWriter, _ *http.Request) bool {
				rw.WriteHeader(tc.status)
				_, _ = rw.Write([]byte(tc.body))
				return true
			}
		})
		_, err := w.client.endpoint.Attempt(t.Context(), "get token", url.Values{})
		refusal, _ := errors.AsType[*RefusalError](err)
		if trouble, ok := errors.AsType[*TroubleError](err); ok == tc.trouble && ok {
			refusal = trouble.Answer
		}
		if refusal == nil || string(refusal.ErrorCodes) != tc.codes || !strings.Contains(refusal.Words, tc.phrase) {
			t.Errorf("%s: %+v, %v", name, refusal, err)
			continue
		}
		if strings.Contains(err.Error(), "01017012345") || len(err.Error()) > 500 {
			t.Errorf("%s: the error is no line for a log: %v", name, err)
		}
	}
}

func TestTroubleRefusalAndOurFaultAreToldApart(t *testing.T) {
	t.Parallel()
	oauth := func(code string) string { return `{"error":"` + code + `","error_description":"why"}` }
	for name, tc := range map[string]struct {
		status int
		header string // Retry-After
		body   string
		code   string // of the refusal; empty: trouble
		ours   bool
		after  time.Duration
	}{
		"the person's":                   {400, "", oauth("invalid_grant"), "invalid_grant", false, 0},
		"interaction":                    {400, "", oauth("interaction_required"), "interaction_required", false, 0},
		"our credential":                 {401, "", oauth("invalid_client"), "invalid_client", true, 0},
		"our registration":               {400, "", oauth("unauthorized_client"), "unauthorized_client", true, 0},
		"unknown code":                   {400, "", oauth("xyz"), "xyz", true, 0},
		"without description":            {400, "", `{"error":"invalid_grant"}`, "invalid_grant", false, 0},
		"description of another type":    {400, "", `{"error":"invalid_grant","error_description":{}}`, "invalid_grant", false, 0},
		"served as text":                 {403, "", oauth("access_denied"), "access_denied", false, 0},
		"temporarily":                    {400, "", oauth("temporarily_unavailable"), "", false, 0},
		"server error in a 400":          {400, "", oauth("server_error"), "", false, 0},
		"500":                            {500, "", oauth("invalid_grant"), "", false, 0},
		"503 with seconds":               {503, "7", "", "", false, 7 * time.Second},
		"503 with a far date":            {503, "Fri, 31 Dec 2100 23:59:59 GMT", "", "", false, time.Hour},
		"503 with nonsense":              {503, "-5", "", "", false, 0},
		"408":                            {408, "", oauth("invalid_grant"), "", false, 0},
		"429":                            {429, "3", oauth("invalid_grant"), "", false, 3 * time.Second},
		"404 with a page":                {404, "", "<html>", "", false, 0},
		"400 with a page":                {400, "", "<html>invalid_grant</html>", "", false, 0},
		"400 with a list":                {400, "", `["invalid_grant"]`, "", false, 0},
		"400 with a nested error":        {400, "", `{"error":{"code":"invalid_grant"}}`, "", false, 0},
		"400 with a code in other case":  {400, "", `{"Error":"invalid_grant"}`, "", false, 0},
		"400 with a code of a line feed": {400, "", `{"error":"invalid_grant\nlevel=error"}`, "", false, 0},
		"302":                            {302, "", "", "", false, 0},
		"204":                            {204, "", "", "", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			w := newWorld(t, p)
			p.set(func() {
				p.intercept = func(rw http.ResponseWriter, r *http.Request) bool {
					rw.Header().Set("Content-Type", "text/html")
					if tc.header != "" {
						rw.Header().Set("Retry-After", tc.header)
					}
					rw.WriteHeader(tc.status)
					_, _ = rw.Write([]byte(tc.body))
					return true
				}
			})
			_, err := w.login(AuthorizationRequest{})
			if n := p.count("/token"); n != 1 {
				t.Errorf("the code was shown %d times", n)
			}
			if tc.code == "" {
				if e := wantTrouble(t, err, "redeem code"); e.RetryAfter != tc.after {
					t.Errorf("retry after %v, want %v", e.RetryAfter, tc.after)
				}
				return
			}
			r := (*RefusalError)(nil)
			if !errors.As(err, &r) || r.Code != tc.code || r.OurFault() != tc.ours || r.Status != tc.status {
				t.Errorf("got %+v", err)
			}
		})
	}
}

func TestClaimsChallengeOfARefusalIsKept(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	w := newWorld(t, p)
	p.set(func() {
		p.intercept = func(rw http.ResponseWriter, _ *http.Request) bool {
			rw.WriteHeader(http.StatusBadRequest)
			_, _ = rw.Write([]byte(`{"error":"interaction_required","claims":"{\"access_token\":{\"acrs\":{\"essential\":true}}}"}`))
			return true
		}
	})
	_, err := w.login(AuthorizationRequest{})
	r := (*RefusalError)(nil)
	if !errors.As(err, &r) || !strings.Contains(r.Claims, "acrs") {
		t.Fatalf("got %+v", err)
	}
	p.up()
	_, target, err := w.client.Authorize(t.Context(), AuthorizationRequest{RedirectURI: testRedirect, Claims: r.Claims})
	must(t, err)
	if u, _ := url.Parse(target); u.Query().Get("claims") != r.Claims {
		t.Errorf("the next login does not carry it: %s", target)
	}
}

// A request that was never sent may be sent once more; one with an unknown outcome never.
func TestCodeIsNeverShownTwiceAfterAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for name, tc := range map[string]struct {
		errs  []error
		calls int
		ok    bool
	}{
		"refused, then there":  {[]error{dial}, 2, true},
		"refused twice":        {[]error{dial, dial}, 2, false},
		"reset while it read":  {[]error{&net.OpError{Op: "read", Err: errors.New("connection reset")}}, 1, false},
		"reset while it wrote": {[]error{&net.OpError{Op: "write", Err: errors.New("broken pipe")}}, 1, false},
		"time is up":           {[]error{context.DeadlineExceeded}, 1, false},
		"no web proxy":         {[]error{&net.OpError{Op: "proxyconnect", Err: errors.New("connection refused")}}, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			w := newWorld(t, p)
			calls := 0
			w.client.endpoint.deps.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if calls++; calls <= len(tc.errs) {
					return nil, tc.errs[calls-1]
				}
				return p.RoundTrip(r)
			})}
			_, err := w.login(AuthorizationRequest{})
			if calls != tc.calls || (err == nil) != tc.ok {
				t.Errorf("%d calls, %v", calls, err)
			}
			if !tc.ok {
				wantTrouble(t, err, "redeem code")
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestS28AtMost64CallsAreAtTheProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		w := newWorld(t, p)
		var mu sync.Mutex
		var at, most int
		p.intercept = func(http.ResponseWriter, *http.Request) bool {
			mu.Lock()
			at++
			most = max(most, at)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			at--
			mu.Unlock()
			return false
		}
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				_, err := w.client.endpoint.Grant(t.Context(), "refresh tokens", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"refresh-1"}})
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := w.client.endpoint.Grant(impatient, "refresh tokens", url.Values{})
		wantTrouble(t, err, "too many calls")
		wg.Wait()
		if most != maxInFlight {
			t.Errorf("%d calls at once", most)
		}
		p.intercept = func(http.ResponseWriter, *http.Request) bool { time.Sleep(time.Minute); return false }
		for range maxInFlight {
			wg.Go(func() { _, _ = w.client.endpoint.Grant(t.Context(), "x", url.Values{}) })
		}
		synctest.Wait()
		begun := time.Now()
		_, err = w.client.endpoint.Grant(t.Context(), "x", url.Values{})
		wantTrouble(t, err, "too many calls")
		if waited := time.Since(begun); waited != roomWait {
			t.Errorf("waited %v", waited)
		}
		wg.Wait()
	})
}

func TestForeignTextIsMadeFitForALog(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                                       "plain",
		"AADSTS70008: code 'SECRET' expired":          "AADSTS70008: code '[redacted]' expired",
		"fnr 01017012345.":                            "fnr ***********.",
		"fnr 0101701234567 and 0101701234":            "fnr ************* and 0101701234",
		"line\nfeed\x1b[31m\u00e5":                    "line?feed?[31m??",
		"trace 9a7f0101-7012-3456-7890-abcdef0123456": "trace 9a7f0101-7012-3456-7890-abcdef0123456",
	} {
		if diff := cmp.Diff(want, cleanText(in, "SECRET", "")); diff != "" {
			t.Error(diff)
		}
	}
}

// peers.md 80: whatever the provider sends back, nothing secret is in an error.
func TestAdvisoryCVE2024_45808SecretsAreInNoError(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	w := newWorld(t, p, withOpenID(func(c *config.OpenID) { c.ClientSecret = config.NewSecret(testSecret) }))
	for _, status := range []int{200, 400, 401, 500} {
		p.set(func() {
			p.intercept = func(rw http.ResponseWriter, r *http.Request) bool {
				_ = r.ParseForm()
				echo := strings.Join([]string{r.PostForm.Get("code"), r.PostForm.Get("code_verifier"), r.PostForm.Get("client_secret")}, " ")
				refuse(rw, status, "invalid_grant", "you sent "+echo)
				return true
			}
		})
		pending, target, err := w.client.Authorize(t.Context(), AuthorizationRequest{RedirectURI: testRedirect})
		must(t, err)
		code := w.follow(target) + "-rather-secret"
		_, err = w.client.Redeem(t.Context(), pending, AuthorizationResponse{Code: code, State: pending.State})
		if err == nil {
			t.Fatal("no error")
		}
		for _, secret := range []string{code, pending.Verifier, pending.State, testSecret} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%d: the error shows a secret: %v", status, err)
			}
		}
	}
}
