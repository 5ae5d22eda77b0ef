package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
	"postern/oidc"
	"postern/oidc/meter"
	"postern/proxy/policy"
)

// seriesOf are the registry's values by name and labels; of a histogram, how many it has seen.
func seriesOf(t testing.TB, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		for _, one := range family.GetMetric() {
			var labels []string
			for _, label := range one.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
			}
			all[family.GetName()+"{"+strings.Join(labels, ",")+"}"] = one.GetCounter().GetValue() + one.GetGauge().GetValue() + float64(one.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// hostileRequests are of somebody who would like to make a series of their own with each.
func hostileRequests(n int) []*http.Request {
	var all []*http.Request
	for i := range n {
		r := httptest.NewRequest(http.MethodGet, "http://app.localhost/", nil)
		x := fmt.Sprintf("x%d", i)
		path := []string{
			"/" + x, "/oauth2/" + x, "/oauth2/login", "/oauth2/callback?state=" + x + "&code=" + x, "/oauth2/login?redirect=https://" + x + ".example/a/b/c",
			"/oauth2/logout?redirect=/" + x, "/oauth2/session", "/oauth2/logout/frontchannel?sid=" + x + "&iss=" + x, "/" + x + "/oauth2/login", "/oauth2/session/" + x,
			"/oauth2/logout/callback?state=" + x,
		}[i%11]
		r.RequestURI = path
		r.URL, _ = url.Parse("http://app.localhost" + path)
		switch i % 7 {
		case 1:
			r.Method = strings.ToUpper(x)
		case 2:
			r.Host = x + ".example"
		case 3:
			r.Header["Authorization"] = []string{"Bearer " + x}
		case 4:
			r.Header["Cookie"] = []string{"postern.session=" + x}
		case 5:
			r.Header["Sec-Fetch-Site"], r.Header["X-Request-Id"], r.Header["User-Agent"] = []string{x}, []string{x}, []string{x}
		case 6:
			r.Method = []string{"POST", "DELETE", "TRACE", "QUERY"}[i%4]
		}
		all = append(all, r)
	}
	return all
}

func TestHostileRequestsMakeNoSeries(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	d := newDoor(t, "127.0.0.1:1", func(_ *Config, deps *Deps) { deps.Registerer = registry })
	serve := func(requests []*http.Request) int {
		var all sync.WaitGroup // many of them wait for a provider that there is not
		for _, r := range requests {
			all.Go(func() { d.ServeHTTP(httptest.NewRecorder(), r) })
		}
		all.Wait()
		return len(seriesOf(t, registry))
	}
	all := hostileRequests(1100)
	few := serve(all[:400])
	if many := serve(all[400:]); many > few+5 { // a status that comes late, such as that of too many logins
		t.Errorf("%d series after 400 requests, %d after 1100", few, many)
	}
	for name := range seriesOf(t, registry) {
		for i := range all {
			if strings.Contains(name, fmt.Sprintf("x%d", i)) && i > 9 || strings.Contains(strings.ToLower(name), "x7\"") {
				t.Fatalf("%s has what a client wrote", name)
			}
		}
	}
	if few > 500 {
		t.Errorf("%d series", few)
	}
}

func TestObservingARequestAllocatesNothing(t *testing.T) { //nolint:paralleltest // it counts allocations
	m := newMetrics(prometheus.NewRegistry())
	v := &visit{started: time.Now(), asked: time.Millisecond, told: true}
	v.Status = http.StatusOK
	made := policy.Decision{Outcome: policy.Admitted, Rule: "rules[3]"}
	m.decisions.count(made)
	v.scope.Context = &v.waits
	v.waits.Context = t.Context()
	if got := testing.AllocsPerRun(100, func() {
		m.observe(routeApp, http.StatusOK, "", time.Millisecond)
		m.decisions.count(made)
		meter.Waited(v.context(), time.Microsecond)
		m.spent(v, 2*time.Millisecond)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestRulesOfPoliciesAreBounded(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	d := newDecisions(registry)
	for i := range 10 * mostRules { // as many policies come and go
		d.count(policy.Decision{Outcome: policy.Refused, Reason: policy.NoCaller, Rule: fmt.Sprintf("rules[%d]", i)})
	}
	d.count(policy.Decision{Outcome: policy.Admitted})
	d.count(policy.Decision{Outcome: policy.Refused, Reason: policy.NoCaller, Rule: "rules[1]"})
	all := seriesOf(t, registry)
	got := map[string]float64{"how many": float64(len(all))}
	for _, name := range []string{`outcome="refused",reason="no_caller",rule="rules[1]"`, `outcome="refused",reason="no_caller",rule="other"`, `outcome="admitted",reason="",rule=""`} {
		got[name] = all["postern_policy_decisions_total{"+strings.ReplaceAll(name, "no_caller", policy.NoCaller.Code())+"}"]
	}
	want := map[string]float64{
		"how many": mostRules + 2, // the two that are always there, one with a rule less, and "other"
		`outcome="refused",reason="no_caller",rule="rules[1]"`: 2, `outcome="refused",reason="no_caller",rule="other"`: 9*mostRules + 1,
		`outcome="admitted",reason="",rule=""`: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if kept := len(*d.known.Load()); kept > mostRules+2 {
		t.Errorf("%d are remembered", kept)
	}
}

func TestTimeIsTheAppsOrOurs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status     int
		asked      time.Duration // after the beginning; 0: never
		told       bool
		waited     time.Duration
		took       time.Duration
		own, app   float64
		ownN, appN uint64
	}{
		"own answer":                  {status: 200, took: 3 * time.Second, own: 3, ownN: 1},
		"own answer after a wait":     {status: 200, took: 3 * time.Second, waited: 2 * time.Second, own: 1, ownN: 1},
		"the app's answer":            {status: 200, asked: time.Second, told: true, took: 9 * time.Second, own: 1, ownN: 1}, // counted when it came
		"the app did not answer":      {status: 502, asked: time.Second, took: 9 * time.Second, own: 1, ownN: 1, app: 8, appN: 1},
		"waits of several at once":    {status: 200, asked: time.Second, told: true, waited: 2 * time.Second, took: 9 * time.Second, ownN: 1},
		"the client has left":         {status: 499, asked: time.Second, took: 9 * time.Second},
		"the client has left before":  {status: 499, took: 9 * time.Second},
		"a store that did not answer": {status: 503, took: time.Second, waited: time.Second, ownN: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewRegistry()
			m, v := newMetrics(registry), &visit{started: time.Unix(1, 0), told: c.told}
			if v.Status = c.status; c.asked > 0 {
				v.asked = c.asked
			}
			v.scope.Context, v.waits.Context = &v.waits, t.Context()
			meter.Waited(v.context(), c.waited)
			m.spent(v, c.took)
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, family := range families {
				for _, one := range family.GetMetric() {
					if family.GetName() != "postern_phase_duration_seconds" {
						continue
					}
					sum, n := 0.0, uint64(0)
					switch one.GetLabel()[0].GetValue() {
					case "own":
						sum, n = c.own, c.ownN
					case "app":
						sum, n = c.app, c.appN
					}
					if h := one.GetHistogram(); h.GetSampleSum() != sum || h.GetSampleCount() != n {
						t.Errorf("%v: %v of %d", one.GetLabel(), h.GetSampleSum(), h.GetSampleCount())
					}
				}
			}
		})
	}
}

func TestWonderwallsLoginsAreBounded(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	w := newWonderwall(registry, "azure")
	login := func(amr, target string) {
		t.Helper()
		id, err := oidc.RestoreIdentity(oidc.EntraID, `{"iss":"https://login.example","aud":"client","sub":"s"`+amr+`}`, "")
		if err != nil {
			t.Fatal(err)
		}
		w.loggedIn(id, target)
	}
	for amr, want := range map[string]string{
		``: "", `,"amr":"BankID"`: "BankID", `,"amr":["pwd","mfa"]`: "pwd,mfa", `,"amr":[]`: "", `,"amr":{"a":1}`: "", `,"amr":[1,2]`: "",
	} {
		id, err := oidc.RestoreIdentity(oidc.EntraID, `{"iss":"https://login.example","aud":"client","sub":"s"`+amr+`}`, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := methodsOf(id); got != want {
			t.Errorf("%s: %q", amr, got)
		}
	}
	for target, want := range map[string]string{
		"": "", "/a/b": "", "/": "", "https://a.example": "https://a.example", "https://a.example/": "https://a.example", "https://a.example/b": "https://a.example/b",
		"https://a.example/b/c/d?e#f": "https://a.example/b/c", "https://a.example//b/c": "https://a.example/b", "%": "", "mailto:x@example.org": "", "https://a.example/person/01017012345": "https://a.example/person/***********",
	} {
		if got := redirectLabel(target); got != want {
			t.Errorf("%s: %q", target, got)
		}
	}
	for i := range 300 {
		login(fmt.Sprintf(`,"amr":"m%d"`, i), fmt.Sprintf("https://x%d.example/a/b/c", i))
	}
	login(``, "") // what is not said never is one of too many
	all := seriesOf(t, registry)
	if n := len(slices.DeleteFunc(slices.Collect(keysOf(all)), func(name string) bool { return !strings.HasPrefix(name, "wonderwall_logins") })); n > mostRedirects+2 {
		t.Errorf("%d series of logins", n)
	}
	if all[`wonderwall_logins{amr="",hpa="rate",provider="azure",redirect=""}`] != 1 || all[`wonderwall_logins{amr="other",hpa="rate",provider="azure",redirect="other"}`] != 251 {
		t.Error(all)
	}
}

func keysOf(all map[string]float64) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range all {
			if !yield(name) {
				return
			}
		}
	}
}

func TestWonderwallsRequestsAreThoseOfOwnEndpoints(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	d := newDoor(t, "127.0.0.1:1", func(c *Config, deps *Deps) {
		deps.Registerer = registry
		more, _ := url.Parse("https://other.example/path")
		c.Front.Ingress = append(c.Front.Ingress, more)
		c.OpenID = config.OpenID{Provider: "azure", ClientID: "client", ClientSecret: config.NewSecret("secret")}
	})
	for _, c := range []struct{ method, host, path string }{
		{"GET", "app.localhost", "/oauth2/session"},
		{"PUT", "app.localhost", "/oauth2/session"},
		{"GET", "other.example", "/path/oauth2/session"},
		{"GET", "evil.example", "/oauth2/session"},
		{"GET", "app.localhost", "/oauth2/ping"},
		{"GET", "app.localhost", "/oauth2/evil"},
		{"GET", "app.localhost", "/evil"},
	} {
		r := httptest.NewRequest(c.method, "http://"+c.host+c.path, nil)
		r.RequestURI = c.path
		d.ServeHTTP(httptest.NewRecorder(), r)
	}
	got := map[string]float64{}
	for name, value := range seriesOf(t, registry) {
		if rest, is := strings.CutPrefix(name, "requests_total"); is {
			got[rest] = value
			if seconds := seriesOf(t, registry)["request_duration_seconds"+rest]; seconds != value {
				t.Errorf("%s: %v durations", rest, seconds)
			}
		}
	}
	of := `provider="azure",service="wonderwall"}`
	want := map[string]float64{
		`{code="401",host="app.localhost",method="GET",path="/oauth2/session",` + of:      1,
		`{code="405",host="app.localhost",method="other",path="/oauth2/session",` + of:    1,
		`{code="401",host="other.example",method="GET",path="/path/oauth2/session",` + of: 1,
		`{code="401",host="",method="GET",path="/oauth2/session",` + of:                   1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
