package pages

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestEveryKindHasEveryTextInEveryLanguage(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	for _, lang := range []language{english, bokmål, nynorsk} {
		w := p.words[lang]
		for kind := range kinds {
			text := w.Pages[kind.String()]
			for field, value := range map[string]string{"title": text.Title, "happened": text.Happened, "todo": text.Todo} {
				if strings.TrimSpace(value) != value || len(value) < 8 {
					t.Errorf("%s: %s.%s is %q", lang, kind, field, value)
				}
				if sentence := strings.HasSuffix(value, ".") || strings.HasSuffix(value, "?"); sentence == (field == "title") && !strings.HasSuffix(value, "?") {
					t.Errorf("%s: %s.%s %q: a title has no full stop, a sentence has one", lang, kind, field, value)
				}
				for _, jargon := range []string{"token", "OAuth", "OIDC", "HTTP", "upstream", "proxy", "session cookie", "Redis", "API", "Postern"} {
					if strings.Contains(strings.ToLower(value), strings.ToLower(jargon)) {
						t.Errorf("%s: %s.%s speaks of %q", lang, kind, field, jargon)
					}
				}
			}
		}
		if english := p.words[english]; lang != "en" {
			if !slices.Equal(slices.Sorted(maps.Keys(w.Labels)), slices.Sorted(maps.Keys(english.Labels))) {
				t.Errorf("%s: other labels than in English", lang)
			}
			for kind := range kinds {
				if w.Pages[kind.String()].Happened == english.Pages[kind.String()].Happened {
					t.Errorf("%s: %s is not translated", lang, kind)
				}
			}
		}
	}
}

func TestKindsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]Kind{}
	for kind := range kinds {
		if other, taken := seen[kind.String()]; taken {
			t.Errorf("%d and %d are both called %s", other, kind, kind)
		}
		seen[kind.String()] = kind
	}
	if Kind(200).traits().status != 500 {
		t.Error("an unknown kind is not a fault of ours")
	}
}

func TestIncompleteTextsAreFound(t *testing.T) {
	t.Parallel()
	whole := newPages(t).words[english]
	for name, spoil := range map[string]func(*words){
		"page missing":            func(w *words) { delete(w.Pages, "forbidden") },
		"page too many":           func(w *words) { w.Pages["made_up"] = text{"a", "b", "c"} },
		"field missing":           func(w *words) { p := w.Pages["internal"]; p.Todo = ""; w.Pages["internal"] = p },
		"placeholder in a page":   func(w *words) { p := w.Pages["internal"]; p.Title = "{n}"; w.Pages["internal"] = p },
		"label missing":           func(w *words) { delete(w.Labels, stay) },
		"no placeholder":          func(w *words) { w.RetrySeconds = "soon" },
		"another placeholder":     func(w *words) { w.RetryMinutes = "{n} {m}" },
		"reference missing":       func(w *words) { w.Reference = "" },
		"placeholder in a moment": func(w *words) { w.RetryMoment = "{n}" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := json.Marshal(whole)
			if err != nil {
				t.Fatal(err)
			}
			var w words
			if err := json.Unmarshal(data, &w); err != nil {
				t.Fatal(err)
			}
			if err := w.check(english); err != nil {
				t.Fatalf("whole texts: %v", err)
			}
			if spoil(&w); w.check(english) == nil {
				t.Error("not found")
			}
		})
	}
}

func TestRetrySaysHowLong(t *testing.T) {
	t.Parallel()
	w := newPages(t).words[english]
	for seconds, want := range map[int]string{
		1: "in a moment", 2: "in 2 seconds", 90: "in 90 seconds", 91: "in 2 minutes", 120: "in 2 minutes", 121: "in 3 minutes",
	} {
		if got := w.retry(seconds); !strings.Contains(got, want) {
			t.Errorf("%d s: %q, want %q", seconds, got, want)
		}
	}
}
