package demoapp

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// fakeTrier answers as it is told to, and remembers what it was asked.
type fakeTrier struct {
	tried *Tried
	err   error
	asked string
}

func (f *fakeTrier) Callers() []TryCaller {
	return []TryCaller{
		{"warehouse", "Programs", "Warehouse", "An app that the policy names."},
		{"stranger", "Programs", "Stranger", "An app that it does not name."},
		{"nobody", "Nobody", "Nobody", "No token at all."},
	}
}

func (f *fakeTrier) Requests() []TryRequest {
	return []TryRequest{{"list", "GET", "/orders", "Read"}, {"order", "POST", "/orders", "Order"}}
}

func (f *fakeTrier) Try(_ context.Context, caller, request string) (*Tried, error) {
	f.asked = caller + " " + request
	return f.tried, f.err
}

func (f *fakeTrier) Policy() TryPolicy {
	return TryPolicy{"/tmp/demo/policy.yaml", "paths:\n  - {match: \"/isalive\", public: true}\n"}
}

func letIn() *Tried {
	return &Tried{
		Token:  &TryToken{[]byte(`{"alg":"RS256","kid":"key-1"}`), []byte(`{"azp":"warehouse-id","exp":1772370000,"roles":["access_as_application"]}`), 900},
		Status: 200, Header: http.Header{"Content-Type": {"application/json"}, "Date": {"today"}}, Body: "{\n  \"orders\": []\n}\n", Reached: true,
		Received: http.Header{
			"X-Postern-Auth": {"bearer"}, "X-Postern-Client": {"demo:shop:warehouse"}, "X-Postern-Name": {"S%C3%B8rb%C3%B8"}, "Authorization": {"Bearer …"},
		},
		Why: TryExplanation{Steps: []TryStep{{true, `inbound.rules "demo:shop:warehouse"`, "azp", "The calling app is listed."}}},
	}
}

func refused() *Tried {
	return &Tried{
		Token: &TryToken{nil, []byte(`{"azp":"stranger-id"}`), 900}, Status: 403,
		Header: http.Header{"Www-Authenticate": {`Bearer realm="orders-api", error="insufficient_scope"`}}, Body: `{"error":"insufficient_scope"}`,
		Why: TryExplanation{
			Steps:   []TryStep{{true, "", "", "The token is genuine."}, {false, "inbound.rules", "azp", "No rule names the calling app."}},
			Advice:  "Add the app to inbound.rules.",
			Printed: "Verdict    refused: 403 insufficient_scope",
		},
	}
}

func newTryApp(tb testing.TB, trier Trier) *App {
	tb.Helper()
	a, err := New(Config{Trier: trier, Now: func() time.Time { return testNow }})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func tryPage(tb testing.TB, trier *fakeTrier, query string) *httptest.ResponseRecorder {
	tb.Helper()
	return get(newTryApp(tb, trier), httptest.NewRequest(http.MethodGet, "/try"+query, nil))
}

func TestTryPageShowsACallThatWasLetIn(t *testing.T) {
	t.Parallel()
	w := tryPage(t, &fakeTrier{tried: letIn()}, "")
	wantAll(t, w.Body.String(),
		`data-status="200"`, `data-reached="true"`, "Let in", "200 OK", // the verdict
		"<code>Content-Type</code>", "&#34;orders&#34;: []", // the answer
		"<caption>Identity headers of the request that the API got</caption>", "Sørbø", "sent as <code>S%C3%B8rb%C3%B8</code>", "The token came too",
		"Holds", "The calling app is listed.", `inbound.rules &#34;demo:shop:warehouse&#34;`, // why
		"Bearer … (900 bytes)", "warehouse-id", "13:00:00 UTC, in 1 hour", "key-1", // the token
		"/tmp/demo/policy.yaml", "match: &#34;/isalive&#34;", // the policy
	)
	for _, never := range []string{"Fails", "never reached", "What would have to change", "ZgotmplZ", "Date"} {
		if strings.Contains(w.Body.String(), never) {
			t.Errorf("page says %q", never)
		}
	}
	if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, Cache-Control %q", w.Code, w.Header().Get("Cache-Control"))
	}
}

func TestTryPageShowsARefusal(t *testing.T) {
	t.Parallel()
	w := tryPage(t, &fakeTrier{tried: refused()}, "?caller=stranger&request=order")
	wantAll(t, w.Body.String(),
		`data-status="403"`, `data-reached="false"`, "Not allowed", "The API was never reached",
		`Bearer realm=&#34;orders-api&#34;, error=&#34;insufficient_scope&#34;`, `{&#34;error&#34;:&#34;insufficient_scope&#34;}`,
		"Fails", "No rule names the calling app.", "Add the app to inbound.rules.", "Verdict    refused: 403 insufficient_scope",
		"<strong>Stranger</strong> asks for <code>POST /orders</code>",
	)
}

func TestTryPageIsMadeOfLinks(t *testing.T) {
	t.Parallel()
	trier := &fakeTrier{tried: refused()}
	body := tryPage(t, trier, "?caller=stranger&request=order").Body.String()
	if trier.asked != "stranger order" {
		t.Errorf("tried %q", trier.asked)
	}
	wantAll(t, body,
		`href="/try?caller=warehouse&amp;request=order#answer"`, `href="/try?caller=stranger&amp;request=order" aria-current="true"`,
		`href="/try?caller=stranger&amp;request=list#answer"`, `href="/try?again=1&amp;caller=stranger&amp;request=order#answer"`, "<h3>Programs</h3>", "<h3>Nobody</h3>",
	)
	if n := strings.Count(body, "<h3>Programs</h3>"); n != 1 {
		t.Errorf("one group has %d headings", n)
	}
	if n := strings.Count(body, `aria-current="true"`); n != 2 {
		t.Errorf("%d choices are marked, want a caller and a request", n)
	}
	if strings.Contains(body, "<form") {
		t.Error("a form, which form-action 'none' would stop")
	}
}

// A link to the very address of the page, fragment and all, would only scroll.
func TestTryPageCallsAgain(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{"": "again=1&amp;", "?again=1": "again=2&amp;", "?again=%3Cscript%3E": "again=1&amp;"} {
		wantAll(t, tryPage(t, &fakeTrier{tried: refused()}, query).Body.String(), `href="/try?`+want+`caller=warehouse&amp;request=list#answer"`)
	}
}

func TestTryPageBeginsWithTheFirstOfEach(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"": "warehouse list", "?caller=nobody": "nobody list", "?request=order": "warehouse order", "?caller=mallory": "", "?request=mallory": "",
		"?caller=%3Cscript%3E&request=list": "",
	} {
		trier := &fakeTrier{tried: letIn()}
		w := tryPage(t, trier, query)
		if trier.asked != want || (w.Code == http.StatusNotFound) != (want == "") {
			t.Errorf("%q: tried %q, status %d; want %q", query, trier.asked, w.Code, want)
		}
	}
}

func TestTryPageWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	w := tryPage(t, &fakeTrier{err: errors.New("connection refused")}, "")
	if w.Code != http.StatusBadGateway {
		t.Errorf("status %d", w.Code)
	}
	wantAll(t, w.Body.String(), "The call could not be made", "connection refused", "Who calls", "/tmp/demo/policy.yaml")
}

func TestTryPageOnlyWithATrier(t *testing.T) {
	t.Parallel()
	front := func(a *App, path string) *httptest.ResponseRecorder {
		return get(a, httptest.NewRequest(http.MethodGet, path, nil))
	}
	without, with := newApp(t), newTryApp(t, &fakeTrier{tried: letIn()})
	if w := front(without, "/try"); w.Code != http.StatusNotFound {
		t.Errorf("without a trier: status %d", w.Code)
	}
	if strings.Contains(front(without, "/").Body.String(), "/try") {
		t.Error("the front page links to a page that is not there")
	}
	wantAll(t, front(with, "/").Body.String(), `<a class="quiet" href="/" aria-current="page">`, `<a class="button" href="/try">`)
	wantAll(t, front(with, "/try").Body.String(), `<a class="quiet" href="/try" aria-current="page">`)
}

func TestOutcomeInWords(t *testing.T) {
	t.Parallel()
	token := &TryToken{}
	for name, c := range map[string]struct {
		tried  Tried
		passed bool
		title  string
	}{
		"admitted":  {Tried{Status: 200, Reached: true, Received: http.Header{"X-Postern-Auth": {"bearer"}}, Token: token}, true, "Let in"},
		"public":    {Tried{Status: 200, Reached: true, Token: token}, true, "Let pass, without a name"},
		"malformed": {Tried{Status: 400, Token: token}, false, "Not understood"},
		"bad token": {Tried{Status: 401, Token: token}, false, "Not believed"},
		"weak login": {
			Tried{Status: 401, Token: token, Header: http.Header{"Www-Authenticate": {`Bearer realm="x", error="insufficient_user_authentication"`}}},
			false, "Not strong enough",
		},
		"nobody":             {Tried{Status: 401}, false, "Who are you?"},
		"refused":            {Tried{Status: 403, Token: token}, false, "Not allowed"},
		"method":             {Tried{Status: 405, Token: token}, false, "Nobody may do that"},
		"trouble":            {Tried{Status: 503, Token: token}, false, "Not now"},
		"anything else":      {Tried{Status: 502, Token: token}, false, "Stopped"},
		"the app itself 403": {Tried{Status: 403, Reached: true, Received: http.Header{"X-Postern-Auth": {"bearer"}}}, true, "Let in"},
	} {
		if got := outcome(&c.tried); got.Passed != c.passed || got.Title != c.title {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestTryPageShowsHostileInputAsText(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script>`
	tried := &Tried{
		Token:  &TryToken{[]byte(`{"alg":"<script>"}`), []byte(`{"<script>":"<script>"}`), 1},
		Status: 200, Reached: true, Header: http.Header{"Location": {evil}}, Body: evil,
		Received: http.Header{"X-Postern-Auth": {"bearer"}, "X-Postern-Name": {evil}},
		Why:      TryExplanation{Steps: []TryStep{{false, evil, evil, evil}}, Advice: evil, Printed: evil},
	}
	for _, trier := range []*fakeTrier{{tried: tried}, {err: errors.New(evil)}} {
		body := tryPage(t, trier, "").Body.String()
		if n := strings.Count(body, "<script"); n != 1 {
			t.Errorf("%d script elements, want our own alone", n)
		}
	}
}

// A page of a call has much that is long and has no spaces: it must fit all the same.
func TestTryPageFitsANarrowScreen(t *testing.T) {
	t.Parallel()
	tried := refused()
	long := strings.Repeat("0123456789abcdef", 20)
	tried.Body, tried.Header = `{"x":"`+long+`"}`, http.Header{"Www-Authenticate": {"Bearer " + long}}
	tried.Token.Claims = []byte(`{"` + long + `":"` + long + `"}`)
	tried.Why.Steps = append(tried.Why.Steps, TryStep{false, long, long, long})
	tried.Reached, tried.Received = true, http.Header{"X-Postern-Auth": {"bearer"}, "X-Postern-Groups": {long}}
	server := httptest.NewServer(newTryApp(t, &fakeTrier{tried: tried}))
	t.Cleanup(server.Close)
	ctx := inBrowser(t, server.URL+"/try?"+url.Values{"caller": {"stranger"}}.Encode())
	for _, width := range []int64{320, 768, 1024, 1280} {
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 640)); err != nil {
			t.Fatal(err)
		}
		got, err := chromedp.Run(ctx, chromedp.Evaluate[int64](
			`document.querySelectorAll("details").forEach(d => d.open = true); document.documentElement.scrollWidth`))
		if err != nil || got > width {
			t.Errorf("the page is %d pixels wide on a screen of %d (WCAG 1.4.10), %v", got, width, err)
		}
	}
}

func TestTryPageShowsOpaqueClaimsLast(t *testing.T) {
	t.Parallel()
	tried := refused()
	tried.Token.Claims = []byte(`{"aio":"1","azp":"2","jti":"3","zzz":"4"}`)
	var got []string
	for _, c := range newTryApp(t, &fakeTrier{}).readTried(tried).Claims {
		got = append(got, c.Name)
	}
	if diff := cmp.Diff([]string{"azp", "zzz", "aio", "jti"}, got); diff != "" {
		t.Error(diff)
	}
}
