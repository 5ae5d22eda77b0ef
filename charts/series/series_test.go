package series

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestUses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, expression string
		want             []Use
	}{
		{"a name", `a_total`, []Use{{Name: "a_total"}}},
		{"labels of selector and group", `sum by (x, y) (rate(a_total{z=~"b|c", w!="sum"}[5m])) > 10 * 24 * 3600`, []Use{{"a_total", []string{"w", "x", "y", "z"}}}},
		{"two series", `a / on (x) group_left (y) b{z="1"}`, []Use{{"a", []string{"x", "y"}}, {"b", []string{"x", "y", "z"}}}},
		{"variables of Grafana", `rate(a{n=~"$namespace"}[$__rate_interval]) * $factor`, []Use{{"a", []string{"n"}}}},
		{"values of a label", `label_values(a{n=~"$namespace"}, pod)`, []Use{{"a", []string{"n"}}}},
		{"words in texts", `a{x="b_total{y=\"1\"}"}`, []Use{{"a", []string{"x"}}}},
		{"misspelt function", `rat(a[5m])`, []Use{{Name: "rat"}, {Name: "a"}}},
		{"offset and number", `a offset 1h > 1e3`, []Use{{Name: "a"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := Uses(c.expression)
			for i := range got {
				if len(got[i].Labels) == 0 {
					got[i].Labels = nil
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		prometheus.NewCounterVec(prometheus.CounterOpts{Name: "a_total", Help: `says "x" {y} variableLabels: {z}`}, []string{"outcome"}),
		prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "b_seconds"}, []string{"route"}),
		prometheus.NewGauge(prometheus.GaugeOpts{Name: "c", ConstLabels: prometheus.Labels{"version": "1"}}),
	)
	set, err := Exposed(registry)
	if err != nil {
		t.Fatal(err)
	}
	for expression, want := range map[string][]string{
		`a_total{outcome="x"}`: nil,
		`histogram_quantile(0.9, sum by (le, route) (rate(b_seconds_bucket[5m])))`: nil,
		`count by (version, namespace) (c)`:                                        nil,
		`a_totals`:                                                                 {"there is no series a_totals"},
		`sum by (z) (c)`:                                                           {"c has no label z"},
		`a_total{route=""}`:                                                        {"a_total has no label route"},
	} {
		if diff := cmp.Diff(want, set.Unknown(expression)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", expression, diff)
		}
	}
}

func TestDocumentsThatAskForNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, `{}`, `{"panels": [{"title": "x"}]}`, `[`} {
		if got, err := Dashboard([]byte(text)); err == nil {
			t.Errorf("%q: %v", text, got)
		}
		if got, err := Rules([]byte(text)); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestRulesRefuseWhatPrometheusWouldNotTake(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":            "",
		"no rules":           "spec: {groups: [{name: g, rules: []}]}",
		"a misspelt key":     "spec: {groups: [{name: g, rules: [{alert: A, exprs: a}]}]}",
		"a key of the group": "spec: {groups: [{name: g, intervall: 1m, rules: [{alert: A, expr: a}]}]}",
		"another type":       "spec: {groups: {name: g}}",
	} {
		if got, err := Rules([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCompareNamesWhatIsNotThere(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	board := file(`{"panels": [{"targets": [{"expr": "rate(a_total[5m])"}, {"expr": "b_totl"}]}]}`)
	alerts := file("spec: {groups: [{name: g, rules: [{alert: Mine, expr: c > up}, {alert: Theirs, expr: d > 0}]}]}")
	mine := func(alert string) bool { return alert == "Mine" }
	got, err := Set{"a_total": nil, "b_total": nil}.Compare(fstest.MapFS{"board": board, alertsFile: alerts}, "board", mine)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"there is no series b_totl\n  in b_totl", "there is no series c\n  in c > up"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, charts := range map[string]fstest.MapFS{
		"no dashboard":     {alertsFile: alerts},
		"no alerts":        {"board": board},
		"one as the other": {"board": alerts, alertsFile: alerts},
		"the other as one": {"board": board, alertsFile: board},
	} {
		if got, err := (Set{}).Compare(charts, "board", mine); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}
