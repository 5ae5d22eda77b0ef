package series

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var section = regexp.MustCompile(`(?m)^### (\w+)\n([^#\n][^\n]{40,}\n(?:[^#\n][^\n]*\n)*)`)

// Whoever is woken finds what to do: each alert leads to a section of its own with something in it, each section is about an alert, and what the
// sections refer to is there.
func TestEachAlertHasARunbook(t *testing.T) {
	t.Parallel()
	rulesText, err := os.ReadFile("../" + alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../alerts/README.md")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := Rules(rulesText)
	if err != nil {
		t.Fatal(err)
	}
	sections, alerts := map[string]bool{}, map[string]bool{}
	for _, m := range section.FindAllStringSubmatch(string(page), -1) {
		sections[m[1]] = true
	}
	for _, rule := range rules {
		if alerts[rule.Alert] {
			t.Errorf("%s is there twice", rule.Alert)
		}
		alerts[rule.Alert] = true
		if want := "charts/alerts/README.md#" + strings.ToLower(rule.Alert); rule.Annotations["runbook"] != want {
			t.Errorf("%s: runbook is %q, want %q", rule.Alert, rule.Annotations["runbook"], want)
		}
		for _, name := range []string{"summary", "description"} {
			if rule.Annotations[name] == "" {
				t.Errorf("%s has no %s", rule.Alert, name)
			}
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) {
			t.Errorf("%s: severity %q", rule.Alert, rule.Labels["severity"])
		}
	}
	if diff := cmp.Diff(alerts, sections); diff != "" {
		t.Errorf("(-alerts +sections):\n%s", diff)
	}
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(string(page), -1) {
		file, anchor, _ := strings.Cut(m[1], "#")
		if file != "" {
			if _, err := os.Stat("../alerts/" + file); err != nil {
				t.Error(err)
			}
		} else if !slices.ContainsFunc(slices.Collect(maps.Keys(sections)), func(s string) bool { return strings.ToLower(s) == anchor }) {
			t.Errorf("there is no section %s", m[1])
		}
	}
}
