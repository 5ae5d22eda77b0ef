package demoapp

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// outside plays Postern's token API and egress proxy, and the API, and remembers what it was asked.
type outside struct {
	*httptest.Server
	exchange, direct, egress reply

	mu    sync.Mutex
	asked []string
}

type reply struct {
	status int
	body   string
}

// The tokens that go around in these tests.
var (
	receivedToken  = jwt(`{"alg":"RS256"}`, `{"aud":"web","azp":"web","oid":"o-1","sub":"s-1","scp":"defaultaccess","exp":1772370000,"uti":"1"}`)
	exchangedToken = jwt(`{"alg":"RS256"}`, `{"aud":"orders","azp":"web","oid":"o-1","sub":"s-2","scp":"defaultaccess orders.write","exp":1772370060,"uti":"2"}`)
)

const arrived = `{"caller":"Kari Sørbø","through":"demo:web","token":` +
	`{"aud":"orders","azp":"web","oid":"o-1","sub":"s-2","scp":"defaultaccess orders.write","exp":1772370060,"uti":"2"}}`

func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{exchange: reply{200, `{"access_token":"` + exchangedToken + `","token_type":"Bearer","expires_in":3599}`}, direct: reply{200, arrived}, egress: reply{200, arrived}}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

func (o *outside) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	o.mu.Lock()
	defer o.mu.Unlock()
	var names []string
	for name := range r.Header {
		if name != "User-Agent" && name != "Accept-Encoding" && name != "Content-Length" && name != "Authorization" {
			names = append(names, name)
		}
	}
	o.asked = append(o.asked, strings.Join(append([]string{r.Method + " " + r.URL.Path, r.Header.Get("Authorization"), string(body)}, names...), "|"))
	answer := map[string]reply{"/api/v1/token/exchange": o.exchange, "/api/whoami": o.direct, "/egress/orders/whoami": o.egress}[r.URL.Path]
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, answer.body)
}

// page asks for /onbehalf as kari, with her token.
func (o *outside) page(t *testing.T, query, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/onbehalf"+query, nil)
	r.Header.Set("Cookie", "theme=dark")
	if token != "" {
		kari(r, token)
	}
	return get(o.app(t), r)
}

func (o *outside) app(t *testing.T) *App {
	t.Helper()
	a, err := New(Config{Now: func() time.Time { return testNow }, OnBehalf: &OnBehalf{
		TokenAPI: o.URL, Egress: o.URL + "/egress", Provider: "entra_id",
		APIs: []DownstreamAPI{
			{"orders", "orders API", "has listed this app.", "demo:shop:orders-api", o.URL + "/api", "/whoami", "orders"},
			{"payroll", "payroll API", "has not.", "demo:shop:payroll", o.URL + "/api", "/salaries", "payroll"},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// holdsNoToken fails the test if a part of a token is in the text.
func holdsNoToken(t *testing.T, text string) {
	t.Helper()
	for _, token := range []string{receivedToken, exchangedToken} {
		for _, part := range strings.Split(token, ".") {
			if strings.Contains(text, part) {
				t.Errorf("a token, or a part of one, is shown: %s", part)
			}
		}
	}
}

func TestOnBehalfPageCallsNothingByItself(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	w := o.page(t, "", receivedToken)
	wantAll(t, w.Body.String(), `<a class="button" href="/onbehalf?api=orders#answer">Call the orders API</a>`, `href="/onbehalf?api=payroll#answer"`,
		o.URL+"/api/v1/token/exchange", "demo:shop:orders-api", o.URL+"/egress/orders/whoami", "req.headers.authorization", "has not.")
	if len(o.asked) > 0 || strings.Contains(w.Body.String(), "data-exchange") || strings.Contains(w.Body.String(), "side by side") {
		t.Errorf("it called %q", o.asked)
	}
	holdsNoToken(t, w.Body.String())
}

// What the app does is what its page says: the user's token to the token API, the new one to the API, the header as it came to egress, and
// nothing else of the request to anybody.
func TestOnBehalfSendsWhatItSays(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.page(t, "?api=orders", receivedToken)
	question, err := json.Marshal(map[string]string{"identity_provider": "entra_id", "target": "demo:shop:orders-api", "user_token": receivedToken})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"POST /api/v1/token/exchange||" + string(question) + "|Content-Type",
		"GET /api/whoami|Bearer " + exchangedToken + "|",
		"GET /egress/orders/whoami|Bearer " + receivedToken + "|",
	}
	if diff := cmp.Diff(want, o.asked); diff != "" {
		t.Error(diff)
	}
}

func TestOnBehalfPageComparesTheTokens(t *testing.T) {
	t.Parallel()
	w := newOutside(t).page(t, "?api=orders", receivedToken)
	wantAll(t, w.Body.String(), `data-exchange="200" data-direct="200" data-egress="200"`, "Called both ways", "the very same token",
		`data-claim="aud" data-changed="true"`, `data-claim="sub" data-changed="true"`, `data-claim="oid" data-changed="false"`,
		`<td data-label="Through egress" class="changed"><span class="value">orders</span>`, "The same person again",
		"The other 1 claims", `&#34;access_token&#34;: &#34;… (`, "by <strong>Kari Sørbø</strong>, through <strong>demo:web</strong>",
		`href="/onbehalf?again=1&amp;api=orders#answer" aria-current="true"`)
	holdsNoToken(t, w.Body.String())
	if w.Header().Get("Cache-Control") != "no-store" || strings.Contains(w.Body.String(), "ZgotmplZ") {
		t.Errorf("Cache-Control %q", w.Header().Get("Cache-Control"))
	}
}

func TestOnBehalfPageShowsARefusalWithItsHint(t *testing.T) {
	t.Parallel()
	const refusal = `{"error":"invalid_grant","error_description":"AADSTS65001: no consent","hint":"Check <the> target."}`
	o := newOutside(t)
	o.exchange, o.egress = reply{400, refusal}, reply{403, refusal}
	w := o.page(t, "?api=orders", receivedToken)
	wantAll(t, w.Body.String(), `data-exchange="400" data-direct="" data-egress="403"`, "No token for this API", "400 Bad Request", "403 Forbidden",
		"<strong>Hint:</strong> Check &lt;the&gt; target.", "AADSTS65001: no consent", "Without a token there is no call")
	if strings.Contains(w.Body.String(), "side by side") {
		t.Error("there are tokens to compare")
	}
	if len(o.asked) != 2 {
		t.Errorf("asked %q", o.asked)
	}
}

func TestOnBehalfPageWhenThePolicyOfTheAPIRefuses(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.direct, o.egress = reply{403, `{"error":"insufficient_scope"}`}, reply{403, `{"error":"insufficient_scope"}`}
	w := o.page(t, "?api=orders", receivedToken)
	wantAll(t, w.Body.String(), `data-exchange="200" data-direct="403" data-egress="403"`, "Stopped at the API", "Be somebody else", "not seen", "it was not reached")
	if strings.Contains(w.Body.String(), "The API says") {
		t.Error("an API that was not reached is quoted")
	}
	holdsNoToken(t, w.Body.String())
}

func TestOnBehalfPageWithoutAToken(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	for _, query := range []string{"", "?api=orders"} {
		w := o.page(t, query, "")
		wantAll(t, w.Body.String(), "No token came with this request", `href="/oauth2/login?redirect=%2Fonbehalf`)
	}
	if len(o.asked) > 0 {
		t.Errorf("it called %q for nobody", o.asked)
	}
}

func TestOnBehalfPageWhenNobodyAnswers(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.Close()
	w := o.page(t, "?api=orders", receivedToken)
	wantAll(t, w.Body.String(), `data-exchange="0" data-direct="" data-egress="0"`, "No answer", "connect: connection refused")
	holdsNoToken(t, w.Body.String())
}

// Claims, answers and hints come from outside, and whoever answers with a token does not get it shown.
func TestOnBehalfPageShowsHostileInputAsText(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script>`
	quoted, _ := json.Marshal(evil)
	claims := `{"aud":` + string(quoted) + `,` + string(quoted) + `:[` + string(quoted) + `],"exp":` + string(quoted) + `}`
	o := newOutside(t)
	exchanged := jwt(`{"alg":"RS256"}`, claims)
	o.exchange.body = `{"access_token":"` + exchanged + `","token_type":` + string(quoted) + `,"expires_in":1}`
	o.egress.body = `{"caller":` + string(quoted) + `,"through":` + string(quoted) + `,"token":` + claims + `}`
	o.direct = reply{500, `{"hint":"see ` + exchanged + `","x":` + string(quoted) + `,"token":"` + receivedToken + `"}`}
	for _, exchange := range []reply{o.exchange, {400, `{"hint":` + string(quoted) + `}`}, {400, evil}, {200, evil}, {200, `{"access_token":"` + evil[2:] + `"}`}} {
		o.exchange = exchange
		w := o.page(t, "?api=orders", jwt(`{"alg":"RS256"}`, claims))
		if n := strings.Count(w.Body.String(), "<script"); n != 1 || w.Code != http.StatusOK {
			t.Errorf("%.40s: status %d, %d script elements, want our own alone", exchange.body, w.Code, n)
		}
		if strings.Contains(w.Body.String(), exchanged) {
			t.Error("a token that was answered is shown")
		}
	}
	o = newOutside(t)
	o.direct = reply{500, `{"hint":"see ` + exchangedToken + `","token":"` + receivedToken + `"}`}
	o.egress = reply{502, "no JSON: " + receivedToken}
	holdsNoToken(t, o.page(t, "?api=orders", receivedToken).Body.String())
}

func TestOnBehalfPageOnlyForAPIsThatThereAre(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	if w := o.page(t, "?api=mallory", receivedToken); w.Code != http.StatusNotFound {
		t.Errorf("an unknown API: status %d", w.Code)
	}
	for query, want := range map[string]string{"?api=orders": "again=1&amp;", "?api=orders&again=1": "again=2&amp;", "?api=orders&again=x": "again=1&amp;"} {
		wantAll(t, o.page(t, query, receivedToken).Body.String(), `href="/onbehalf?`+want+`api=orders#answer"`)
	}
	without := newApp(t)
	if w := get(without, httptest.NewRequest(http.MethodGet, "/onbehalf", nil)); w.Code != http.StatusNotFound {
		t.Errorf("without APIs: status %d", w.Code)
	}
	if strings.Contains(get(without, httptest.NewRequest(http.MethodGet, "/", nil)).Body.String(), "/onbehalf") {
		t.Error("the front page links to a page that is not there")
	}
	wantAll(t, get(o.app(t), httptest.NewRequest(http.MethodGet, "/", nil)).Body.String(), `<a class="button" href="/onbehalf">`, `<a class="quiet" href="/onbehalf">`)
}

func TestOutcomeOfCallsInWords(t *testing.T) {
	t.Parallel()
	answered := func(status int) *call { return &call{Status: status} }
	for name, c := range map[string]struct {
		calls  onBehalfCalls
		passed bool
		title  string
	}{
		"both":                {onBehalfCalls{answered(200), answered(200), answered(200), "t"}, true, "Called both ways"},
		"refused by both":     {onBehalfCalls{answered(400), nil, answered(403), ""}, false, "No token for this API"},
		"refused by policy":   {onBehalfCalls{answered(200), answered(403), answered(403), "t"}, false, "Stopped at the API"},
		"provider in trouble": {onBehalfCalls{answered(503), nil, answered(503), ""}, false, "Not now"},
		"the API broken":      {onBehalfCalls{answered(200), answered(500), answered(500), "t"}, false, "Not as planned"},
		"only one refused":    {onBehalfCalls{answered(200), answered(200), answered(403), "t"}, false, "Not as planned"},
		"no token in it":      {onBehalfCalls{answered(200), nil, answered(200), ""}, false, "Not now"},
		"nobody there":        {onBehalfCalls{&call{Trouble: "refused"}, nil, &call{Trouble: "refused"}, ""}, false, "No answer"},
		"the API not there":   {onBehalfCalls{answered(200), &call{Trouble: "refused"}, answered(502), "t"}, false, "No answer"},
	} {
		if got := c.calls.outcome(); got.Passed != c.passed || got.Title != c.title {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Long values without spaces are what tokens are full of: the page must fit all the same.
func TestOnBehalfPageFitsANarrowScreen(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	long := strings.Repeat("0123456789abcdef", 20)
	claims := `{"aud":"` + long + `","` + long + `":"` + long + `","sub":"` + long + `"}`
	o.exchange.body = `{"access_token":"` + jwt(`{}`, claims) + `","token_type":"` + long + `"}`
	o.egress.body = `{"caller":"` + long + `","through":"` + long + `","token":` + claims + `}`
	o.direct = reply{403, `{"hint":"` + long + `"}`}
	app := o.app(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { app.ServeHTTP(w, kari(r, jwt(`{}`, claims))) }))
	t.Cleanup(server.Close)
	ctx := inBrowser(t, server.URL+"/onbehalf?api=orders")
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
