package e2e

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	nethtml "golang.org/x/net/html"
)

// The client ids of the demo's web app and API at its provider.
const (
	demoWebID = "5f1d7c1e-8f0a-4d53-9d0c-6a1f0f7f3b10"
	demoAPIID = "0d9e6b52-6f0c-4f5e-8a35-2a1b9c4d7e20"
)

// called is what the page /onbehalf says about one press of a button.
type called struct {
	page                     string // with entities undone
	exchange, direct, egress string // status of each call, empty for a call that was not made
	claims                   map[string][3]string
}

var (
	onBehalfVerdict = regexp.MustCompile(`data-exchange="(\d*)" data-direct="(\d*)" data-egress="(\d*)"`)
	rawToken        = regexp.MustCompile(`eyJ[\w-]+\.eyJ[\w-]+`)
)

// readCalled reads the page, and holds it to never showing a token.
func readCalled(t testing.TB, r *Response) called {
	t.Helper()
	m := onBehalfVerdict.FindStringSubmatch(r.Body)
	if r.StatusCode != http.StatusOK || m == nil {
		t.Fatalf("%s: status %d\n%.3000s", r.Request.URL, r.StatusCode, r.Body)
	}
	c := called{html.UnescapeString(r.Body), m[1], m[2], m[3], map[string][3]string{}}
	if rawToken.MatchString(c.page) {
		t.Error("the page shows a token")
	}
	doc, err := nethtml.Parse(strings.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	find(doc, func(row *nethtml.Node) bool {
		name := attr(row, "data-claim")
		if name == "" {
			return false
		}
		var cells [3]string
		i := 0
		find(row, func(n *nethtml.Node) bool {
			if n.Data == "span" && (attr(n, "class") == "value" || attr(n, "class") == "missing") && i < len(cells) {
				if n.FirstChild != nil {
					cells[i] = n.FirstChild.Data
				}
				i++
			}
			return false
		})
		c.claims[name] = cells
		return false
	})
	return c
}

// demoLogin logs a person in on the way to a page of the demo, and returns the page.
func demoLogin(t testing.TB, c *Client, front, person, path string) *Response {
	t.Helper()
	login := c.Follow(c.Navigate(front + path))
	r := c.Follow(c.Submit(login, map[string]string{"persona": person}))
	if r.StatusCode != http.StatusOK || r.Request.URL.String() != front+path {
		t.Fatalf("the login of %s ended with status %d at %s", person, r.StatusCode, r.Request.URL.Redacted())
	}
	return r
}

// The app calls the API on behalf of the person, once through the token API and once through egress: both times the API gets a token that is made
// for it, about the same person, got by this app, and another one than the app received.
func TestDemoOnBehalfBothWays(t *testing.T) {
	t.Parallel()
	p, _, front := runDemo(t)
	c := NewClient(t)
	start := demoLogin(t, c, front, "kari", "/onbehalf")
	if strings.Contains(start.Body, "data-exchange") || rawToken.MatchString(start.Body) {
		t.Error("calls are made, or tokens shown, before a button was pressed")
	}
	if !strings.Contains(start.Body, `href="/onbehalf?api=orders#answer"`) {
		t.Fatalf("no button for the orders API:\n%.3000s", start.Body)
	}
	got := readCalled(t, c.Navigate(front+"/onbehalf?api=orders"))
	if got.exchange != "200" || got.direct != "200" || got.egress != "200" {
		t.Fatalf("statuses %s, %s, %s; want 200 for all", got.exchange, got.direct, got.egress)
	}
	received, byTokenAPI, byEgress := 0, 1, 2
	for _, same := range []string{"azp", "azp_name", "oid", "tid", "NAVident", "name", "iss"} {
		if v := got.claims[same]; v[received] == "" || v[byTokenAPI] != v[received] || v[byEgress] != v[received] {
			t.Errorf("%s: %q, want the same in every token", same, v)
		}
	}
	for _, other := range []string{"aud", "sub", "scp", "uti"} {
		v := got.claims[other]
		if v[received] == "" || v[byTokenAPI] == v[received] || v[byEgress] == v[received] || v[byTokenAPI] != v[byEgress] {
			t.Errorf("%s: %q, want one for the app, and another one for the API in both ways", other, v)
		}
	}
	if v := got.claims["aud"]; v != [3]string{demoWebID, demoAPIID, demoAPIID} {
		t.Errorf("aud: %q", v)
	}
	if v := got.claims["azp"]; v[received] != demoWebID || got.claims["NAVident"][received] != kari {
		t.Errorf("azp %q, NAVident %q", v, got.claims["NAVident"])
	}
	for _, want := range []string{
		"Called both ways", "called by <strong>Kari Saksbehandler</strong>, through <strong>demo:postern:web</strong>", `"access_token": "… (`,
		"the very same token", "demo:shop:orders-api",
	} {
		if !strings.Contains(got.page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if rawToken.MatchString(p.Log.Text()) {
		t.Error("the demo prints a token")
	}
}

// An API that has not listed the app: the provider refuses, and both ways say why and what to do.
func TestDemoOnBehalfRefusedByTheProvider(t *testing.T) {
	t.Parallel()
	p, _, front := runDemo(t)
	c := NewClient(t)
	demoLogin(t, c, front, "kari", "/onbehalf")
	got := readCalled(t, c.Navigate(front+"/onbehalf?api=payroll"))
	if got.exchange != "400" || got.direct != "" || got.egress != "403" || len(got.claims) != 0 {
		t.Errorf("statuses %q, %q, %q; %d claims", got.exchange, got.direct, got.egress, len(got.claims))
	}
	for text, times := range map[string]int{
		"AADSTS65001": 2, "<strong>Hint:</strong> Check that the target reads": 2, `"suberror": "consent_required"`: 2, "No token for this API": 1,
	} {
		if n := strings.Count(got.page, text); n != times {
			t.Errorf("%q is there %d times, want %d", text, n, times)
		}
	}
	if rawToken.MatchString(p.Log.Text()) {
		t.Error("the demo prints a token")
	}
}

// Somebody whom the API's policy does not admit: the token is right, and it is the API's own Postern that says no, both ways.
func TestDemoOnBehalfRefusedByTheAPI(t *testing.T) {
	t.Parallel()
	_, _, front := runDemo(t)
	c := NewClient(t)
	demoLogin(t, c, front, "siri", "/onbehalf")
	got := readCalled(t, c.Navigate(front+"/onbehalf?api=orders"))
	if got.exchange != "200" || got.direct != "403" || got.egress != "403" {
		t.Errorf("statuses %s, %s, %s", got.exchange, got.direct, got.egress)
	}
	if v := got.claims["aud"]; v != [3]string{demoWebID, demoAPIID, "not seen"} {
		t.Errorf("aud: %q", v)
	}
	if !strings.Contains(got.page, "Stopped at the API") {
		t.Error("the page does not say who refused")
	}
}

// Without a login there is nobody to call for: the page sends a browser to the login, and asks no API.
func TestDemoOnBehalfNeedsALogin(t *testing.T) {
	t.Parallel()
	_, _, front := runDemo(t)
	if r := NewClient(t).Navigate(front + "/onbehalf?api=orders"); !r.Redirects() || !strings.Contains(r.Where().Path, "/oauth2/login") {
		t.Errorf("status %d to %s", r.StatusCode, r.Where().Redacted())
	}
}

// The page in a browser: from the front page by its links, without a script of its own, in every size and both schemes.
func TestDemoOnBehalfInABrowser(t *testing.T) {
	t.Parallel()
	_, _, front := runDemo(t)
	tab := Browser(t)
	tab.Navigate(front + "/")
	tab.Press(`.try a[href="/onbehalf"]`)
	tab.as("kari")
	if got := tab.Text("h1"); got != "Call an API on behalf of the user" {
		t.Fatalf("heading %q", got)
	}
	tab.look("demo-onbehalf")
	tab.Press(`.actions a[href*="api=orders"]`)
	if got := tab.Text("#verdict-title"); !strings.Contains(got, "Called both ways") {
		t.Errorf("verdict %q", got)
	}
	tab.look("demo-onbehalf-orders")
	tab.Press(`.actions [aria-current]`)
	if got := tab.URL(); got != front+"/onbehalf?again=1&api=orders#answer" {
		t.Errorf("called again at %s", got)
	}
	tab.Press(`.actions a[href*="api=payroll"]`)
	if got := tab.Text("#verdict-title"); !strings.Contains(got, "No token for this API") {
		t.Errorf("verdict %q", got)
	}
	tab.look("demo-onbehalf-payroll")
	if trouble := strings.Join(tab.Console(), "\n"); strings.Contains(trouble, "exception") || strings.Contains(trouble, "Content Security Policy") {
		t.Errorf("console: %s", trouble)
	}
}
