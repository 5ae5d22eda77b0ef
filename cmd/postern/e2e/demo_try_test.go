package e2e

import (
	"fmt"
	"html"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// demoTries is the cast of the demo's page /try, and the status of each request: GET /orders, POST /orders, GET /admin/stats, GET /isalive
// and DELETE /orders/1.
var demoTries = []struct {
	caller string
	status [5]int
}{
	{"warehouse", [5]int{200, 201, 403, 200, 405}},
	{"stranger", [5]int{403, 403, 403, 200, 405}},
	{"caseworker", [5]int{200, 201, 403, 200, 405}},
	{"wrong-group", [5]int{403, 403, 403, 200, 405}},
	{"many-groups", [5]int{403, 403, 403, 200, 405}},
	{"citizen", [5]int{200, 403, 403, 200, 405}},
	{"low-level", [5]int{401, 403, 403, 200, 405}}, // a better login would not help: citizens have no permissions
	{"consumer", [5]int{200, 403, 403, 200, 405}},
	{"other-consumer", [5]int{403, 403, 403, 200, 405}},
	{"id-token", [5]int{401, 401, 401, 200, 401}},
	{"expired", [5]int{401, 401, 401, 200, 401}},
	{"forged", [5]int{401, 401, 401, 200, 401}},
	{"other-service", [5]int{401, 401, 401, 200, 405}},
	{"nobody", [5]int{401, 401, 401, 200, 405}},
}

var demoAsks = [5]string{"list", "order", "stats", "alive", "delete"}

// tried is what the page /try says about one call.
type tried struct {
	page    string // with entities undone
	status  int
	reached bool
}

// has says whether the page of a call shows a text.
func (r tried) has(text string) bool { return strings.Contains(r.page, text) }

var verdict = regexp.MustCompile(`data-status="(\d+)" data-reached="(true|false)"`)

func tryIt(t testing.TB, front, caller, request string) tried {
	t.Helper()
	r := NewClient(t).Navigate(front + "/try?caller=" + caller + "&request=" + request)
	m := verdict.FindStringSubmatch(r.Body)
	if r.StatusCode != http.StatusOK || m == nil {
		t.Fatalf("%s %s: status %d\n%.2000s", caller, request, r.StatusCode, r.Body)
	}
	status, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return tried{html.UnescapeString(r.Body), status, m[2] == "true"}
}

// Every caller with every request: the answer is the one that the policy promises, the API is reached exactly if it may be, and it is told
// who calls exactly if the policy admits them (S-15).
func TestDemoTryEverybody(t *testing.T) {
	t.Parallel()
	p, _, front := runDemo(t)
	for _, c := range demoTries {
		admitted := c.status[0] == http.StatusOK
		for i, request := range demoAsks {
			got := tryIt(t, front, c.caller, request)
			name := c.caller + " " + request
			if got.status != c.status[i] {
				t.Errorf("%s: status %d, want %d", name, got.status, c.status[i])
			}
			passed := c.status[i] < 300
			if got.reached != passed || got.has("The API was never reached.") == passed {
				t.Errorf("%s: reached %v, want %v", name, got.reached, passed)
			}
			if introduced := got.has(">X-Postern-Auth<"); introduced != (passed && admitted) {
				t.Errorf("%s: the API was told who calls: %v", name, introduced)
			}
			if fails := got.has("Fails</strong>"); passed && admitted && fails || !passed && !fails {
				t.Errorf("%s: the explanation has a failing step: %v", name, fails)
			}
			if !got.has("Holds</strong>") && !got.has("Fails</strong>") {
				t.Errorf("%s: nothing is explained", name)
			}
			if advice := got.has("What would have to change"); advice == passed {
				t.Errorf("%s: there is advice: %v", name, advice)
			}
			if c.status[i] == http.StatusUnauthorized && !got.has(`Bearer realm="orders-api"`) {
				t.Errorf("%s: no challenge is shown", name)
			}
			if c.status[i] == http.StatusMethodNotAllowed && !got.has("<code>Allow</code>") {
				t.Errorf("%s: the methods that are allowed are not shown", name)
			}
			if raw := regexp.MustCompile(`eyJ[\w-]+\.eyJ[\w-]+`).FindString(got.page); raw != "" {
				t.Errorf("%s: the page shows a token", name)
			}
		}
	}
	if strings.Contains(p.Log.Text(), "eyJ") {
		t.Error("the demo prints a token")
	}
}

// What a reader of the page is to learn, in the words of the page.
func TestDemoTryExplains(t *testing.T) {
	t.Parallel()
	_, port, front := runDemo(t)
	for _, c := range []struct {
		caller, request string
		shows           []string
	}{
		{"warehouse", "list", []string{"demo:shop:warehouse", "access_as_application", "Let in"}},
		{"warehouse", "stats", []string{`error="insufficient_scope"`, `paths "/admin/**"`, "stats.read"}},
		{"caseworker", "order", []string{"Kari Saksbehandler", kari, "orders.write", `"by": "Kari Saksbehandler"`, "Location"}},
		{"wrong-group", "list", []string{"users", "groups"}},
		{"many-groups", "list", []string{"_claim_names"}},
		{"citizen", "list", []string{"demo:citizens:my-page", "tokenx", "idporten-loa-high"}},
		{"low-level", "list", []string{`error="insufficient_user_authentication"`, `acr_values="idporten-loa-high"`, "Not strong enough"}},
		{"consumer", "list", []string{"X-Postern-Organization", "312000008"}},
		{"other-consumer", "list", []string{"0192:312000016", "consumer"}},
		{"id-token", "list", []string{`error="invalid_token"`, "Not believed"}},
		{"expired", "list", []string{`error="invalid_token"`, "expired"}},
		{"forged", "list", []string{`error="invalid_token"`, "signature"}},
		{"other-service", "list", []string{`error="invalid_token"`, "client_id"}},
		{"nobody", "list", []string{"Who are you?", "No token, no cookie"}},
		{"nobody", "alive", []string{"Let pass, without a name", `"status": "alive"`}},
		{"stranger", "alive", []string{"Let pass, without a name", "The request, and no name."}},
		{"nobody", "delete", []string{"Nobody may do that", `paths "/orders/**"`}},
	} {
		got := tryIt(t, front, c.caller, c.request)
		for _, want := range c.shows {
			if !got.has(want) {
				t.Errorf("%s %s: the page lacks %q", c.caller, c.request, want)
			}
		}
	}

	// The API itself, for curl.
	api := "http://localhost:" + strconv.Itoa(port+5)
	if r := NewClient(t).Get(api + "/orders"); r.StatusCode != http.StatusUnauthorized ||
		!strings.Contains(r.Header.Get("Www-Authenticate"), "resource_metadata=\""+api+"/.well-known/oauth-protected-resource\"") {
		t.Errorf("GET /orders: status %d, %s", r.StatusCode, r.Header.Get("Www-Authenticate"))
	}
	if r := NewClient(t).Get(api+"/isalive", "X-Postern-User", "mallory"); r.StatusCode != http.StatusOK {
		t.Errorf("GET /isalive: status %d", r.StatusCode)
	}
}

// The policy file is there to be edited: what is saved decides, what is broken does not, and nothing of it stays behind.
func TestDemoFollowsItsPolicyFile(t *testing.T) {
	t.Parallel()
	p, _, front := runDemo(t)
	m := regexp.MustCompile(`policy +(/\S+)`).FindStringSubmatch(p.Log.Text())
	if m == nil {
		t.Fatalf("it does not print where the policy is:\n%s", p.Log.Text())
	}
	path := m[1]
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	eventually := func(what string, status int) {
		t.Helper()
		Eventually(t, what, func() error {
			if got := tryIt(t, front, "other-consumer", "list"); got.status != status {
				return fmt.Errorf("status %d, want %d", got.status, status)
			}
			return nil
		})
	}
	eventually("the organisation is not listed", http.StatusForbidden)
	listed := strings.Replace(string(before), `["312000008"]`, `["312000008", "312000016"]`, 1)
	if listed == string(before) {
		t.Fatalf("the policy does not list 312000008:\n%s", before)
	}
	writeFile(t, path, listed)
	eventually("a saved policy decides", http.StatusOK)
	writeFile(t, path, "apiVersion: postern/v1\nmaskinporten: {consumes: nothing}\n")
	Eventually(t, "a broken policy is refused", func() error {
		if !strings.Contains(p.Log.Text(), "a newer policy cannot be used") {
			return errorf("the log does not say so")
		}
		return nil
	})
	if got := tryIt(t, front, "other-consumer", "list"); got.status != http.StatusOK || !got.has("consumes") {
		t.Errorf("with a broken policy: status %d, and the page shows the file: %v", got.status, got.has("consumes"))
	}
	writeFile(t, path, string(before))
	eventually("the old one is back", http.StatusForbidden)
	p.Stop(t)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the policy file stays behind: %v", err)
	}
}

// The page in a browser: by its links and by the keyboard, without a script of its own, in every size and both schemes.
func TestDemoTryInABrowser(t *testing.T) {
	t.Parallel()
	_, _, front := runDemo(t)
	tab := Browser(t)
	tab.Navigate(front + "/")
	tab.Press(`nav[aria-label=Pages] a[href="/try"]`)
	if got := tab.Text("h1"); got != "Call the API as somebody else" {
		t.Fatalf("heading %q", got)
	}
	tab.look("demo-try-warehouse-list")
	choose := func(caller, request string) {
		t.Helper()
		tab.Press(`.callers a[href*="caller=` + caller + `&"]`)
		tab.Press(`.requests a[href*="request=` + request + `"]`)
		want := "/try?caller=" + caller + "&request=" + request
		if got := Eval[string](tab, `[...document.querySelectorAll("[aria-current=true]")].map(a => a.getAttribute("href")).join()`); got != want+","+want {
			t.Errorf("%s %s: marked as chosen is %s", caller, request, got)
		}
		tab.look("demo-try-" + caller + "-" + request)
	}
	choose("stranger", "list")
	choose("caseworker", "order")
	choose("low-level", "list")
	choose("other-service", "delete")
	choose("nobody", "alive")
	tab.Press(".again")
	if got := tab.URL(); !strings.HasSuffix(got, "&request=alive#answer") {
		t.Errorf("called again at %s", got)
	}
	tab.Navigate(front + "/try?caller=nobody&request=list#answer")
	run(tab, "press Tab", chromedp.KeyEvent("\t"))
	if inside := Eval[bool](tab, `document.activeElement.closest(".sides, .panel") !== null`); !inside {
		t.Error("the keyboard does not go on from the answer")
	}
	if trouble := strings.Join(tab.Console(), "\n"); strings.Contains(trouble, "exception") || strings.Contains(trouble, "Content Security Policy") {
		t.Errorf("console: %s", trouble)
	}
}
