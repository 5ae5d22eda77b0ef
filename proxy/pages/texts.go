package pages

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

//go:embed texts
var textFiles embed.FS

// words is one language: texts/<tag>.json.
type words struct {
	Reference    string           `json:"reference"`     // before the request id
	RetryMoment  string           `json:"retry_moment"`  // when to try again
	RetrySeconds string           `json:"retry_seconds"` // the same, with {n}
	RetryMinutes string           `json:"retry_minutes"` // the same, with {n}
	Labels       map[label]string `json:"labels"`
	Pages        map[string]text  `json:"pages"` // by Kind.String
}

// text is what one kind says in one language.
type text struct {
	Title    string `json:"title"`    // as heading and as title of the window
	Happened string `json:"happened"` // what is the matter
	Todo     string `json:"todo"`     // what the reader can do
}

// readWords reads one language and insists that it is whole.
func readWords(lang language) (words, error) {
	var w words
	data, err := textFiles.ReadFile("texts/" + string(lang) + ".json")
	if err != nil {
		return w, fmt.Errorf("read texts: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&w); err != nil {
		return w, fmt.Errorf("decode texts of %s: %w", lang, err)
	}
	return w, w.check(lang)
}

func (w words) check(lang language) error {
	for name, value := range map[string]string{"reference": w.Reference, "retry_moment": w.RetryMoment} {
		if value == "" || strings.ContainsAny(value, "{}") {
			return fmt.Errorf("texts of %s: %s is empty or has a placeholder", lang, name)
		}
	}
	for name, value := range map[string]string{"retry_seconds": w.RetrySeconds, "retry_minutes": w.RetryMinutes} {
		if strings.Count(value, "{n}") != 1 || strings.Count(value, "{") != 1 {
			return fmt.Errorf("texts of %s: %s needs the placeholder {n} once and no other", lang, name)
		}
	}
	for kind := range kinds {
		traits := kind.traits()
		t := w.Pages[traits.name]
		for _, value := range []string{t.Title, t.Happened, t.Todo, w.Labels[traits.primary], w.Labels[traits.secondary], w.Labels[traits.button]} {
			if value == "" || strings.ContainsAny(value, "{}") {
				return fmt.Errorf("texts of %s: %s lacks a text, or has a placeholder", lang, kind)
			}
		}
	}
	if len(w.Pages) != int(kinds) {
		return fmt.Errorf("texts of %s: %d pages for %d kinds", lang, len(w.Pages), kinds)
	}
	return nil
}

// retry says when to try again; seconds is at least 1.
func (w words) retry(seconds int) string {
	switch {
	case seconds == 1:
		return w.RetryMoment
	case seconds <= 90:
		return strings.Replace(w.RetrySeconds, "{n}", strconv.Itoa(seconds), 1)
	default:
		return strings.Replace(w.RetryMinutes, "{n}", strconv.Itoa((seconds-1)/60+1), 1)
	}
}
