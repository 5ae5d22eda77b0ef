package doctor

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

type answers struct{ header http.Header }

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: a.header, Body: http.NoBody}, nil
}

// Thresholds of contract and providers, in both directions; what a cache or nobody says is no time.
func TestClockIsComparedWithTheProviders(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, int(500*time.Millisecond), time.UTC)
	for name, c := range map[string]struct {
		date time.Time
		age  string
		want Status
		says string
	}{
		"same":        {now, "", OK, ""},
		"9 s":         {now.Add(-9 * time.Second), "", OK, ""},
		"20 s ahead":  {now.Add(-20 * time.Second), "", Warning, "ahead of"},
		"20 s behind": {now.Add(20 * time.Second), "", Warning, "behind"},
		"2 m ahead":   {now.Add(-2 * time.Minute), "", Problem, "ahead of"},
		"2 m behind":  {now.Add(2 * time.Minute), "", Problem, "behind"},
		"a century":   {now.AddDate(-100, 0, 0), "", Problem, "ahead of"},
		"from cache":  {now.Add(-time.Hour), "3600", Unchecked, ""},
		"none":        {time.Time{}, "", Unchecked, ""},
	} {
		header := http.Header{}
		if !c.date.IsZero() {
			header.Set("Date", c.date.Format(http.TimeFormat))
		}
		if c.age != "" {
			header.Set("Age", c.age)
		}
		clock := &clock{next: answers{header}, now: func() time.Time { return now }}
		if _, err := clock.RoundTrip(&http.Request{}); err != nil {
			t.Fatal(err)
		}
		if got := clock.finding("clock"); got.Status != c.want || !strings.Contains(got.Text, c.says) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A provider that nobody reaches has not left out its Date.
func TestClockOfAProviderThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	if got := new(clock).finding("clock"); got.Status != Unchecked || got.Text != "the provider does not answer" {
		t.Errorf("got %+v", got)
	}
}
