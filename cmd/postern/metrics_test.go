package main

import (
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"postern/charts/series"
	"postern/config"
)

var updateMetrics = flag.Bool("update", false, "write METRICS.md anew")

const (
	metricsPage      = "METRICS.md"
	metricsGenerated = "<!-- What follows is generated: go test ./cmd/postern -run TestMetricsPage -update -->\n"
)

// registries have, together, every series that a sidecar can have.
func registries(t *testing.T) []*prometheus.Registry {
	t.Helper()
	withRedis := everything(t)
	inMemory := slices.DeleteFunc(slices.Clone(withRedis), func(v string) bool { return strings.HasPrefix(v, "POSTERN_REDIS_") })
	var all []*prometheus.Registry
	for _, environ := range [][]string{withRedis, inMemory} {
		loaded, err := config.Load(config.Source{Environ: environ})
		if err != nil {
			t.Fatal(err)
		}
		silent := slog.New(slog.DiscardHandler)
		s, err := newSidecar(loaded, silent, silent)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := openAudit(filepath.Join(t.TempDir(), "audit"), os.Stdout, silent)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stream.Close() })
		if err := s.followAudit(stream, nil); err != nil {
			t.Fatal(err)
		}
		all = append(all, s.registry)
	}
	return all
}

var helpText = regexp.MustCompile(`(?s)^Desc\{fqName: "([^"]+)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: `)

// describeMetrics is the table of the series: name, type, labels, meaning.
func describeMetrics(t *testing.T, registries ...*prometheus.Registry) string {
	t.Helper()
	labels, err := series.Exposed(registries...)
	if err != nil {
		t.Fatal(err)
	}
	types, helps := map[string]string{}, map[string]string{}
	for _, registry := range registries {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			types[family.GetName()] = strings.ToLower(family.GetType().String())
		}
		found := make(chan *prometheus.Desc)
		go func() {
			registry.Describe(found)
			close(found)
		}()
		for one := range found {
			if m := helpText.FindStringSubmatch(one.String()); m != nil {
				helps[m[1]] = strings.ReplaceAll(m[2], `\"`, `"`)
			}
		}
	}
	var table strings.Builder
	table.WriteString("\n| Series | Type | Labels | Meaning |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		kind := types[name]
		switch {
		case kind != "": // else nothing has happened to it yet
		case strings.HasSuffix(name, "_seconds"), strings.HasSuffix(name, "_secs"), strings.HasSuffix(name, "_latency"):
			kind = "histogram"
		default:
			kind = "counter"
		}
		slices.Sort(labels[name])
		var quoted []string
		for _, label := range slices.Compact(labels[name]) {
			quoted = append(quoted, "`"+label+"`")
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, kind, strings.Join(quoted, " "), strings.ReplaceAll(helps[name], "|", `\|`))
	}
	return table.String()
}

// The page has what there is and nothing else. `go test ./cmd/postern -run TestMetricsPage -update` writes its table anew.
func TestMetricsPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	intro, table, found := strings.Cut(string(page), metricsGenerated)
	if !found {
		t.Fatal("the page does not say where its table begins")
	}
	want := describeMetrics(t, registries(t)...)
	if *updateMetrics {
		if err := os.WriteFile(metricsPage, []byte(intro+metricsGenerated+want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(table, "\n")); diff != "" {
		t.Errorf("METRICS.md is not what the registries say; `go test ./cmd/postern -run TestMetricsPage -update` writes it anew\n%s", diff)
	}
	used := map[string]bool{}
	for _, line := range strings.Split(want, "\n") {
		if cells := strings.Split(line, " | "); len(cells) == 4 {
			for _, label := range strings.Fields(cells[2]) {
				used[label] = true
			}
		}
	}
	delete(used, "Labels")
	explained := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| (`[a-z_]+`) \\|").FindAllStringSubmatch(intro, -1) {
		explained[m[1]] = true
	}
	if diff := cmp.Diff(used, explained); diff != "" || len(used) < 20 {
		t.Errorf("labels (-used +explained):\n%s", diff)
	}
}

// A unit that is missing or another than the base one, and a counter that does not say that it is one, mislead whoever writes a query. Other programs'
// names are as they are.
func TestNamesFollowPrometheus(t *testing.T) {
	t.Parallel()
	for _, line := range strings.Split(describeMetrics(t, registries(t)...), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 4 || !strings.HasPrefix(cells[0], "`postern_") {
			continue
		}
		name := strings.Trim(cells[0], "`")
		switch kind := cells[1]; {
		case cells[3] == "", !strings.HasSuffix(cells[3], "."):
			t.Errorf("%s does not say what it means", name)
		case (kind == "counter") != strings.HasSuffix(name, "_total"):
			t.Errorf("%s is a %s", name, kind)
		case kind == "histogram" && !strings.HasSuffix(name, "_seconds"):
			t.Errorf("%s has no unit", name)
		}
	}
}
