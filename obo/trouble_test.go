package obo

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/oidc"
)

// failing answers so many calls in some way, and then with tokens.
func failing(calls, status int, body string) func(int, url.Values) (int, string) {
	good := numbered(3600)
	return func(call int, form url.Values) (int, string) {
		if call <= calls {
			return status, body
		}
		return good(call, form)
	}
}

func TestTroubleIsTriedAgainAndNamedByItsKind(t *testing.T) {
	t.Parallel()
	const always = 1000
	none := 0
	for name, tc := range map[string]struct {
		answer  func(int, url.Values) (int, string)
		header  http.Header
		delay   time.Duration
		cfg     Config
		calls   int
		status  int // 200: a token
		code    string
		says    string
		atLeast time.Duration
		atMost  time.Duration
		after   time.Duration
	}{
		"two failures":         {answer: failing(2, 503, "<html>"), calls: 3, status: 200, atMost: time.Second},
		"no connection, twice": {answer: failing(2, 0, ""), calls: 3, status: 200, atMost: time.Second},
		"broken off":           {answer: failing(1, brokenOff, `{"access_token":"a"`), calls: 2, status: 200, atMost: time.Second},
		"408":                  {answer: failing(1, 408, ""), calls: 2, status: 200, atMost: time.Second},
		"429 and how long to wait": {
			answer: failing(1, 429, ""), header: http.Header{"Retry-After": {"2"}}, calls: 2, status: 200, atLeast: 2 * time.Second, atMost: 3 * time.Second,
		},
		"429 for longer than anybody waits": {
			answer: failing(always, 429, ""), header: http.Header{"Retry-After": {"60"}}, calls: 1, status: 503, code: "server_error",
			says: "identity provider 'entra_id' is in trouble: it answers 429", atMost: time.Second, after: time.Minute,
		},
		"429 in the provider's words": {
			answer: failing(always, 429, `{"error":"temporarily_unavailable","error_description":"AADSTS90055: slow down"}`),
			header: http.Header{"Retry-After": {"60"}}, calls: 1, status: 429, code: "temporarily_unavailable", says: "AADSTS90055", after: time.Minute,
		},
		"transient in a 400": {
			answer: failing(1, 400, `{"error":"temporarily_unavailable","error_description":"AADSTS90033"}`), calls: 2, status: 200, atMost: time.Second,
		},
		"a page for ever": {
			answer: failing(always, 503, "<html>secret</html>"), calls: 4, status: 503, code: "server_error",
			says: "identity provider 'entra_id' is in trouble: it answers 503", atMost: 2 * time.Second, after: time.Second,
		},
		"500 without a description": {answer: failing(always, 500, `{"error":"server_error"}`), calls: 4, status: 503, code: "server_error", says: "answers 500", after: time.Second},
		"never a connection":        {answer: failing(always, 0, ""), calls: 4, status: 503, code: "server_error", says: "'entra_id' cannot be reached", after: time.Second},
		"no retries wanted":         {answer: failing(1, 503, ""), cfg: Config{MaxRetries: &none}, calls: 1, status: 503, code: "server_error", after: time.Second},
		"never an answer": {
			answer: numbered(3600), delay: time.Hour, calls: 2, status: 504, code: "server_error", says: "'entra_id' did not answer in time",
			atLeast: 4 * time.Second, atMost: 5 * time.Second,
		},
		"slow, and in time": {answer: numbered(3600), delay: 2 * time.Second, calls: 1, status: 200, atLeast: 2 * time.Second, atMost: 2 * time.Second},
		"nonsense":          {answer: failing(always, 200, "<html>"), calls: 1, status: 502, code: "server_error", says: "'entra_id' gave an answer that makes no sense"},
		"cut":               {answer: failing(always, 200, `{"access_token":"a","token_ty`), calls: 1, status: 502, code: "server_error"},
		"without an end":    {answer: failing(always, 200, `{"access_token":"a","token_type":"Bearer"}`), calls: 1, status: 502, code: "server_error"},
		"huge":              {answer: failing(always, 200, strings.Repeat(" ", 2<<20)), calls: 1, status: 502, code: "server_error"},
		"a redirect":        {answer: failing(always, 302, ""), header: http.Header{"Location": {"https://elsewhere.example/"}}, calls: 1, status: 502, code: "server_error"},
		"a redirect with words": {
			answer: failing(always, 302, `{"error":"x","error_description":"y"}`), calls: 1, status: 502, code: "server_error", says: "makes no sense",
		},
		"a page in a 403":             {answer: failing(always, 403, "<html>"), calls: 1, status: 502, code: "server_error"},
		"a refusal":                   {answer: failing(always, 401, `{"error":"invalid_client","error_description":"AADSTS7000215"}`), calls: 1, status: 401, code: "invalid_client", says: "AADSTS7000215"},
		"a refusal without a reason":  {answer: failing(always, 400, `{"error":"strange_code"}`), calls: 1, status: 400, code: "strange_code", says: "'entra_id' gave no reason"},
		"lower case, and life a text": {answer: failing(always, 200, `{"access_token":"a","token_type":"bearer","expires_in":"60"}`), calls: 1, status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &idp{name: oidc.EntraID, answer: tc.answer, header: tc.header, delay: func(int) time.Duration { return tc.delay }}
				b := newTestBroker(t, tc.cfg, p)
				began := time.Now()
				_, err := b.Machine(t.Context(), Request{Provider: oidc.EntraID, Target: "a"})
				took := time.Since(began)
				if p.calls() != tc.calls {
					t.Errorf("%d calls, want %d", p.calls(), tc.calls)
				}
				if took < tc.atLeast || tc.atMost > 0 && took > tc.atMost {
					t.Errorf("it took %v", took)
				}
				if tc.status == http.StatusOK {
					if err != nil {
						t.Error(err)
					}
					return
				}
				f := Explain(err)
				if f.Status != tc.status || f.Body.Code != tc.code || !strings.Contains(f.Body.Description, tc.says) || f.RetryAfter != tc.after {
					t.Errorf("got %+v", f)
				}
				if strings.Contains(f.Body.Description, "secret") || f.Refused != (tc.status == 401 || tc.status == 400) {
					t.Errorf("got %+v", f)
				}
			})
		})
	}
}

// Each attempt has an assertion of its own: Maskinporten takes none twice.
func TestEachAttemptHasAnAssertionOfItsOwn(t *testing.T) {
	t.Parallel()
	for provider, parameter := range map[string]string{oidc.Maskinporten: "assertion", oidc.EntraID: "client_assertion"} {
		synctest.Test(t, func(t *testing.T) {
			p := &idp{name: provider, answer: failing(3, 503, "")}
			b := newTestBroker(t, Config{}, p)
			if _, err := b.Machine(t.Context(), Request{Provider: provider, Target: "a"}); err != nil {
				t.Fatal(err)
			}
			seen := map[any]bool{}
			for _, form := range p.forms {
				seen[claimsOf(t, form.Get(parameter), 1)["jti"]] = true
			}
			if len(seen) != 4 {
				t.Errorf("%s: %d assertions for 4 attempts", provider, len(seen))
			}
		})
	}
}

func TestATokenThatLivesIsServedThroughAnyOutage(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*idp{
		"it answers with trouble": {answer: func(call int, form url.Values) (int, string) {
			if call == 1 {
				return numbered(3600)(call, form)
			}
			return 503, ""
		}},
		"it does not answer": {answer: numbered(3600), delay: func(call int) time.Duration { return time.Duration(call-1) * time.Hour }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p.name = oidc.TokenX
				b := newTestBroker(t, Config{}, p)
				r := Request{Provider: oidc.TokenX, Target: "a", UserToken: "u"}
				begun := time.Now()
				first, err := b.Exchange(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				for _, at := range []time.Duration{3481 * time.Second, 3540 * time.Second, 3588 * time.Second} {
					time.Sleep(time.Until(begun.Add(at)))
					began := time.Now()
					again, err := b.Exchange(t.Context(), r)
					if err != nil || again.Access != first.Access || time.Since(began) > patience {
						t.Errorf("after %v: %+v, %v, waited %v", at, again, err, time.Since(began))
					}
				}
				time.Sleep(time.Minute)
				if _, err := b.Exchange(t.Context(), r); err == nil {
					t.Error("an ended token was handed out")
				}
			})
		})
	}
}

func TestAnOutageIsFastAndOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := true
		good := numbered(3600)
		p := &idp{name: oidc.EntraID, answer: func(call int, form url.Values) (int, string) {
			if down {
				return 0, ""
			}
			return good(call, form)
		}}
		b := newTestBroker(t, Config{}, p)
		for _, target := range []string{"a", "b", "c"} {
			if _, err := b.Machine(t.Context(), Request{Provider: oidc.EntraID, Target: target}); err == nil {
				t.Fatal("no trouble")
			}
		}
		calls := p.calls()
		began := time.Now()
		_, err := b.Machine(t.Context(), Request{Provider: oidc.EntraID, Target: "d"})
		if f := Explain(err); f.Status != 503 || f.RetryAfter != time.Second || p.calls() != calls || time.Since(began) != 0 {
			t.Errorf("%+v after %v and %d more calls", f, time.Since(began), p.calls()-calls)
		}
		down = false
		time.Sleep(time.Second)
		for _, target := range []string{"d", "e"} {
			if _, err := b.Machine(t.Context(), Request{Provider: oidc.EntraID, Target: target}); err != nil {
				t.Error(err)
			}
		}
	})
}

// Only an outage without a break holds calls back, and while it lasts one of them tries now and then.
func TestTheBreakerTriesAndForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := true
		p := &idp{name: oidc.EntraID, answer: func(call int, form url.Values) (int, string) {
			if down {
				return 0, ""
			}
			return numbered(3600)(call, form)
		}}
		none, target := 0, 'a'
		b := newTestBroker(t, Config{MaxRetries: &none}, p)
		asks := func(want int) {
			t.Helper()
			before := p.calls()
			target++
			_, err := b.Machine(t.Context(), Request{Provider: oidc.EntraID, Target: string(target)})
			if (err != nil) != down || p.calls()-before != want {
				t.Errorf("%d calls, want %d: %v", p.calls()-before, want, err)
			}
		}
		asks(1)
		asks(1)
		down = false
		asks(1) // all is forgotten
		down = true
		asks(1)
		asks(1)
		asks(1)
		asks(0)
		for range 3 {
			time.Sleep(restShort)
			asks(1)
			asks(0)
		}
		down = false
		time.Sleep(restShort)
		asks(1)
		asks(1)
	})
}

// What one user sends must not take the provider from the others: only silence counts, not an answer of trouble.
func TestAnAnswerOfTroubleHoldsNobodyElseBack(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"error":"server_error","error_description":"unexpected"}`, "unknown internal server error"} {
		synctest.Test(t, func(t *testing.T) {
			p := &idp{name: oidc.TokenX, answer: func(call int, form url.Values) (int, string) {
				if form.Get("subject_token") == "garbage" {
					return http.StatusInternalServerError, body
				}
				return numbered(3600)(call, form)
			}}
			none := 0
			b := newTestBroker(t, Config{MaxRetries: &none}, p)
			for i := range 20 {
				target := string(rune('a' + i))
				if _, err := b.Exchange(t.Context(), Request{Provider: oidc.TokenX, Target: target, UserToken: "garbage"}); err == nil {
					t.Fatal("garbage bought a token")
				}
			}
			if _, err := b.Exchange(t.Context(), Request{Provider: oidc.TokenX, Target: "a", UserToken: "good"}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAPanicOfTheOneThatTriesIsNotTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := true
		p := &idp{name: oidc.TokenX, answer: func(call int, form url.Values) (int, string) {
			if down {
				return 0, ""
			}
			return numbered(3600)(call, form)
		}}
		none := 0
		b := newTestBroker(t, Config{MaxRetries: &none}, p)
		ask := func(target string) error {
			_, err := b.Exchange(t.Context(), Request{Provider: oidc.TokenX, Target: target, UserToken: "u"})
			return err
		}
		for _, target := range []string{"a", "b", "c"} {
			if ask(target) == nil {
				t.Fatal("no trouble")
			}
		}
		down = false
		time.Sleep(restShort)
		good := b.sources[oidc.TokenX].exchange
		b.sources[oidc.TokenX].exchange = func(r Request) question {
			q := good(r)
			q.credential = panicking{}
			return q
		}
		if ask("d") == nil {
			t.Fatal("no panic")
		}
		b.sources[oidc.TokenX].exchange = good
		time.Sleep(restShort)
		if err := ask("e"); err != nil {
			t.Error(err)
		}
	})
}

type panicking struct{}

func (panicking) Authenticate(*oidc.Metadata, url.Values, http.Header) error { panic("boom") }
