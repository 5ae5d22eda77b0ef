package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// emptyWhenWell are the queries of the dashboard that have nothing to show while all is well, with Redis and without report mode.
var emptyWhenWell = map[string]string{
	"Pods that are ready, and that are not/B": "all are",
	"Sessions in memory/B":                    "they are in Redis",
	"Caches/B":                                "they are in Redis",
	"What report mode let pass/A":             "it is off",
	"Streams ended by reason/A":               "none is ended before its time",
}

type boardPanel struct {
	Title   string
	Targets []struct{ RefID, Expr string }
}

func dashboard(t testing.TB) []boardPanel {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), "charts/dashboards/postern.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct{ Panels []boardPanel }
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	return board.Panels
}

// A real Prometheus reads a real postern through a good day and a bad one: each panel has data, nothing fires without reason, and what is broken
// fires.
func TestDashboardAndAlertsInPrometheus(t *testing.T) {
	t.Parallel()
	o := newObserved(t)
	v := o.visitors()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		o.round(v)
	}
	t.Run("each panel has data", func(t *testing.T) {
		queries, empty := 0, map[string]string{}
		for _, panel := range dashboard(t) {
			for _, target := range panel.Targets {
				queries++
				name := panel.Title + "/" + target.RefID
				expr := strings.NewReplacer("$namespace", ".*", "$pod", ".*", "$__rate_interval", window).Replace(target.Expr)
				got, err := o.prometheus.Query(expr)
				if err != nil {
					t.Errorf("%s: %v\n%s", name, err, expr)
				} else if len(got) == 0 {
					if empty[name] = emptyWhenWell[name]; empty[name] == "" {
						empty[name] = "?"
					}
				}
			}
		}
		if diff := cmp.Diff(emptyWhenWell, empty); diff != "" || queries < 50 {
			t.Errorf("%d queries without data (-want +got):\n%s", queries, diff)
		}
	})
	t.Run("the page of metrics says what there is", func(t *testing.T) { o.comparePage(t) })
	t.Run("nothing fires on a good day", func(t *testing.T) {
		if firing := o.prometheus.Firing(); len(firing) > 0 {
			t.Error(firing)
		}
	})
	t.Run("what is broken fires", func(t *testing.T) { o.breakThings(t, v) })
}

// comparePage compares the types of METRICS.md with those of the running binary, and looks for series that it does not have.
func (o *observed) comparePage(t *testing.T) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(moduleRoot(t), "cmd/postern/METRICS.md"))
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, " | "); len(cells) == 4 {
			said[strings.Trim(cells[0], "| `")] = cells[1]
		}
	}
	seen := 0
	for line := range strings.Lines(o.Metrics(t)) {
		var name, kind string
		if n, _ := fmt.Sscanf(line, "# TYPE %s %s", &name, &kind); n != 2 || strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		if seen++; said[name] != kind {
			t.Errorf("%s is a %s, the page says %q", name, kind, said[name])
		}
	}
	if seen < 40 {
		t.Errorf("%d series", seen)
	}
}

// breakThings takes away Redis, spoils the policy, and lets the provider fail.
func (o *observed) breakThings(t *testing.T, v visitors) {
	t.Helper()
	writeFile(t, o.policy, "apiVersion: postern/v1\nnonsense: true\n")
	o.dev.Dev(t, "faults", map[string]any{"endpoint": "token", "status": 503, "body": "<h1>down</h1>"})
	want := map[string]bool{}
	awaited := func(names ...string) {
		t.Helper()
		for _, name := range names {
			want[name] = true
		}
		n := 0
		Eventually(t, "alerts", func() error {
			browser := NewClient(t)
			for i := range 5 { // as a person, and as the app
				browser.Navigate(o.idp.SignIn(browser, browser.Navigate(o.ingress+"/oauth2/login"), "kari").Where().String())
				n++
				o.tokens.ask(tokenPath, map[string]any{"identity_provider": "maskinporten", "target": fmt.Sprintf("nav:team/orders%d.%d", n, i)})
			}
			firing := o.prometheus.Firing()
			for name := range want {
				if !firing[name] {
					return fmt.Errorf("%s does not fire; those that do: %v", name, slices.Sorted(maps.Keys(firing)))
				}
			}
			return nil
		})
	}
	awaited("PosternPolicyRefused", "PosternLoginsFail", "PosternTokensFail", "PosternProviderTrouble")
	o.store.Set(Fault{Refuse: true})
	want = map[string]bool{}
	Eventually(t, "alerts of the store", func() error {
		for range 20 {
			v.nils.Get(o.ingress + "/x")
			NewClient(t).Navigate(o.ingress + "/oauth2/callback?state=x&code=x")
		}
		firing := o.prometheus.Firing()
		if !firing["PosternStoreDown"] || !firing["PosternStoreTrouble"] {
			return fmt.Errorf("those that fire: %v", slices.Sorted(maps.Keys(firing)))
		}
		return nil
	})
	if got, err := o.prometheus.Query("postern_session_store_breaker_open"); err != nil || len(got) != 1 || got[0].Value != 1 {
		t.Error(got, err)
	}
}
