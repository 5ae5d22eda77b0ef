package devidp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/oidc/devidp"
)

// raw posts a form and returns status and body, whatever it is.
func (w *world) raw(to string, form url.Values) (*http.Response, string) {
	w.Helper()
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // a dropped idle connection would be retried
	r, err := fresh.PostForm(to, form)
	must(w, err)
	defer r.Body.Close()
	return r, body(w, r)
}

// asks is a good request to each token endpoint, made anew each time.
func (w *world) asks() map[devidp.Issuer]func() (to, grant string, form url.Values) {
	subject := w.mint(devidp.MintRequest{Profile: devidp.MintIDPorten})
	return map[devidp.Issuer]func() (string, string, url.Values){
		devidp.Entra: func() (string, string, url.Values) {
			return w.url("/oauth2/v2.0/token"), devidp.GrantClientCredentials, appForm()
		},
		devidp.TokenX: func() (string, string, url.Values) {
			return w.srv.URL + "/tokenx/token", exchange, w.exchangeForm(subject)
		},
		devidp.Maskinporten: func() (string, string, url.Values) {
			return w.srv.URL + "/maskinporten/token", onBehalfOf, url.Values{"grant_type": {onBehalfOf}, "assertion": {w.grantOf(nil)}}
		},
	}
}

func TestFaultsOfEveryTokenEndpoint(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	for of, ask := range w.asks() {
		for name, c := range map[string]struct {
			fault devidp.Fault
			right func(r *http.Response, body string) bool
		}{
			"throttled": {devidp.Fault{Status: 429, Body: `{"error":"temporarily_unavailable"}`, ContentType: "application/json", RetryAfter: 7 * time.Second}, func(r *http.Response, body string) bool {
				return r.StatusCode == 429 && r.Header.Get("Retry-After") == "7" && strings.HasPrefix(body, `{"error"`)
			}},
			"down":          {devidp.Fault{Status: 503}, func(r *http.Response, body string) bool { return r.StatusCode == 503 && body == "" }},
			"HTML":          {devidp.Fault{Status: 502, Body: "<h1>down</h1>"}, func(r *http.Response, body string) bool { return r.StatusCode == 502 && body == "<h1>down</h1>" }},
			"HTML with 200": {devidp.Fault{Body: "<h1>hi</h1>"}, func(r *http.Response, body string) bool { return r.StatusCode == 200 && body == "<h1>hi</h1>" }},
			"truncated": {devidp.Fault{Truncate: true}, func(r *http.Response, body string) bool {
				return r.StatusCode == 200 && strings.HasPrefix(body, "{") && !json.Valid([]byte(body))
			}},
			"huge": {devidp.Fault{Pad: 3 << 20}, func(r *http.Response, body string) bool {
				return r.StatusCode == 200 && len(body) > 3<<20 && json.Valid([]byte(body)) && strings.HasSuffix(body, "}")
			}},
		} {
			to, grant, form := ask()
			w.idp.SetFault(devidp.EndpointToken.Of(of), c.fault)
			if r, got := w.raw(to, form); !c.right(r, got) {
				t.Errorf("%s, %s: %d %v %.80q", of, name, r.StatusCode, r.Header, got)
			}
			w.idp.ClearFaults()
			fault := c.fault
			fault.Times = 1
			w.idp.SetFault(devidp.EndpointToken.Of(of).For(grant), fault)
			_, _, form = ask()
			if r, got := w.raw(to, form); !c.right(r, got) {
				t.Errorf("%s, %s, of the grant: %d %v %.80q", of, name, r.StatusCode, r.Header, got)
			}
			_, _, form = ask()
			w.good(w.postTo(to, form))
		}
	}
}

func TestAnswersOfAnotherShape(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	for of, ask := range w.asks() {
		for name, c := range map[string]struct{ members, want map[string]any }{
			"no expires_in":        {map[string]any{"expires_in": nil}, map[string]any{"expires_in": nil, "token_type": "Bearer"}},
			"expires_in is a text": {map[string]any{"expires_in": "3599"}, map[string]any{"expires_in": "3599"}},
			"token_type in small":  {map[string]any{"token_type": "bearer"}, map[string]any{"token_type": "bearer"}},
			"no token":             {map[string]any{"access_token": nil, "new": []int{1}}, map[string]any{"access_token": nil, "new": []any{1.0}}},
		} {
			to, grant, form := ask()
			w.idp.SetFault(devidp.EndpointToken.Of(of).For(grant), devidp.Fault{Members: c.members, Times: 1})
			a := w.postTo(to, form)
			for member, want := range c.want {
				if diff := cmp.Diff(want, a.body[member]); diff != "" || a.status != 200 {
					t.Errorf("%s, %s: %d %v", of, name, a.status, a.body)
				}
			}
		}
	}
}

func TestFaultOfOneGrantAlone(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	user := w.userToken("kari", "")
	w.idp.SetFault(devidp.EndpointToken.For(onBehalfOf), devidp.Fault{Status: 500, Body: "{}"})
	w.good(w.token(appForm()))
	for range 2 {
		if a := w.token(onBehalfForm(user)); a.status != 500 {
			t.Errorf("the other grant: %d %v", a.status, a.body)
		}
	}
	w.idp.SetFault(devidp.EndpointToken, devidp.Fault{Status: 502, Body: "{}"})
	if a := w.token(onBehalfForm(user)); a.status != 500 {
		t.Errorf("the grant's own fault goes first: %d", a.status)
	}
	if a := w.token(appForm()); a.status != 502 {
		t.Errorf("the endpoint's fault: %d", a.status)
	}
	w.idp.ClearFaults()
	w.good(w.token(onBehalfForm(user)))
}

func TestHangingEndsWithTheCallerOrTheFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		idp, err := devidp.New(devidp.Config{KeyFile: keyFile})
		must(t, err)
		idp.SetFault(devidp.EndpointToken, devidp.Fault{Hang: true})
		hang := func(ctx context.Context) {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
					t.Error("it was answered")
				}
			}()
			r := httptest.NewRequest(http.MethodPost, "http://localhost/"+devidp.DefaultTenantID+"/oauth2/v2.0/token", strings.NewReader("a=b"))
			idp.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		hang(ctx)
		if took := time.Since(start); took != time.Hour {
			t.Errorf("hung for %s", took)
		}
	})
	w := newApps(t)
	w.idp.SetFault(devidp.EndpointToken, devidp.Fault{Hang: true, Times: 1})
	done := make(chan error, 1)
	go func() {
		r, err := http.PostForm(w.url("/oauth2/v2.0/token"), appForm())
		if err == nil {
			r.Body.Close()
		}
		done <- err
	}()
	for w.idp.Counts()["token"] == 0 {
		time.Sleep(time.Millisecond)
	}
	for waiting := true; waiting; { // the request may not have come as far as to hang
		w.idp.ClearFaults()
		select {
		case err := <-done:
			waiting = false
			if err == nil {
				t.Error("cleared: the connection was not closed")
			}
		case <-time.After(time.Millisecond):
		}
	}
}

// A client that gives up on a slow answer is not kept waiting for, although it sent a body.
func TestLatencyOfAPostEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	w.idp.SetFault(devidp.EndpointToken, devidp.Fault{Latency: time.Hour, Times: 1})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url("/oauth2/v2.0/token"), strings.NewReader(appForm().Encode()))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	go func() {
		for w.idp.Counts()["token"] == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := http.DefaultClient.Do(r); err == nil {
		t.Error("it was answered")
	}
	w.srv.Close() // returns when nobody is served any more
}

func TestPlannedErrorsOfEachGrant(t *testing.T) {
	t.Parallel()
	const challenge = `{"access_token":{"polids":{"essential":true,"values":["x"]}}}`
	w := newApps(t)
	user := w.userToken("kari", "")
	for name, c := range map[string]struct {
		plan devidp.TokenError
		want map[string]any
	}{
		"consent missing":         {devidp.TokenError{AADSTS: 65001}, map[string]any{"error": "invalid_grant", "suberror": "consent_required"}},
		"assignment missing":      {devidp.TokenError{AADSTS: 501051}, map[string]any{"error": "invalid_grant", "suberror": nil}},
		"user not assigned":       {devidp.TokenError{AADSTS: 50105}, map[string]any{"error": "invalid_grant"}},
		"claims challenge":        {devidp.TokenError{AADSTS: 50076, Claims: challenge, Suberror: "basic_action"}, map[string]any{"error": "interaction_required", "claims": challenge, "suberror": "basic_action"}},
		"throttled":               {devidp.TokenError{AADSTS: 90024}, map[string]any{"error": "temporarily_unavailable"}},
		"in words of one's own":   {devidp.TokenError{AADSTS: 1, Error: "odd", Status: 418, Description: "x"}, map[string]any{"error": "odd"}},
		"a number without a word": {devidp.TokenError{AADSTS: 99}, map[string]any{"error": "invalid_request"}},
	} {
		c.plan.GrantType = onBehalfOf
		w.idp.FailToken(c.plan)
		w.good(w.token(appForm())) // another grant
		a := w.token(onBehalfForm(user))
		for member, want := range c.want {
			if a.body[member] != want {
				t.Errorf("%s: %s is %v of %v", name, member, a.body[member], a.body)
			}
		}
		if a.status < 400 || a.code() != c.plan.AADSTS || a.text("error_description") == "" {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
		w.good(w.token(onBehalfForm(user)))
	}
	for of, ask := range w.asks() {
		w.idp.FailToken(devidp.TokenError{Issuer: of, Error: "server_error", Status: 500, Description: "MP-000: x", Times: -1})
		for range 3 {
			to, _, form := ask()
			if a := w.postTo(to, form); a.status != 500 || a.text("error") != "server_error" || !strings.Contains(a.text("error_description"), "MP-000: x") {
				t.Errorf("%s: %d %v", of, a.status, a.body)
			}
		}
		w.idp.ClearFaults()
		to, _, form := ask()
		w.good(w.postTo(to, form))
	}
}

func TestFaultsOfAGrantOverHTTP(t *testing.T) {
	t.Parallel()
	w := newApps(t, func(c *devidp.Config) { c.Admin = true })
	type object = map[string]any
	turn := func(name string, in object, want int) {
		t.Helper()
		if status, got := w.knob(name, in); status != want {
			t.Errorf("%s %v: %d %v", name, in, status, got)
		}
	}
	subject := w.mint(devidp.MintRequest{Profile: devidp.MintIDPorten})
	turn("faults", object{"issuer": "tokenx", "endpoint": "token", "grant_type": exchange, "members": object{"expires_in": nil, "token_type": "bearer"}, "times": 1}, 200)
	if a := w.exchange(w.exchangeForm(subject)); a.body["expires_in"] != nil || a.text("token_type") != "bearer" {
		t.Errorf("members: %v", a.body)
	}
	turn("faults", object{"endpoint": "token", "grant_type": "client_credentials", "pad": 100000, "times": 1}, 200)
	if _, got := w.raw(w.url("/oauth2/v2.0/token"), appForm()); len(got) < 100000 {
		t.Errorf("pad: %d bytes", len(got))
	}
	turn("faults", object{"endpoint": "token", "hang": true, "times": 1}, 200)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url("/oauth2/v2.0/token"), strings.NewReader(""))
	must(t, err)
	if _, err := http.DefaultClient.Do(r); err == nil {
		t.Error("hang: it was answered")
	}
	turn("faults", object{"endpoint": "token", "grant_type": "password"}, 400)
	turn("faults", object{"endpoint": "keys", "grant_type": "client_credentials"}, 400)
	turn("token-error", object{"issuer": "maskinporten", "error": "invalid_scope", "description": "MP-200: x", "times": -1}, 200)
	for range 2 {
		if a := w.maskinporten(w.grantOf(nil)); a.text("error_description") != "MP-200: x" {
			t.Errorf("token error: %v", a.body)
		}
	}
	turn("faults/clear", object{}, 200)
	turn("token-lifetime", object{"issuer": "maskinporten", "seconds": 9}, 200)
	if a := w.maskinporten(w.grantOf(nil)); a.body["expires_in"] != 9.0 {
		t.Errorf("token lifetime: %v", a.body)
	}
}

// An outage of one key set leaves the token endpoint as it is.
func TestOutageOfAKeySet(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	w.idp.SetFault(devidp.EndpointKeys.Of(devidp.TokenX), devidp.Fault{Status: 503})
	r, err := http.Get(w.srv.URL + "/tokenx/jwks")
	must(t, err)
	defer r.Body.Close()
	if raw, _ := io.ReadAll(r.Body); r.StatusCode != 503 || len(raw) != 0 {
		t.Errorf("keys: %d %s", r.StatusCode, raw)
	}
	w.good(w.exchange(w.exchangeForm(w.mint(devidp.MintRequest{Profile: devidp.MintIDPorten}))))
}
