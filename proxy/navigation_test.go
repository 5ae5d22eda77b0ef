package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestNavigation(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method     string
		header     http.Header
		navigation bool
		forbidden  bool
		html       bool
	}{
		"browser":                    {"GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, true, false, false},
		"browser, iframe":            {"GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}}, false, true, false},
		"script":                     {"GET", http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Accept": {"text/html"}}, false, true, true},
		"mode alone":                 {"GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Accept": {"text/html"}}, false, false, true},
		"dest alone":                 {"GET", http.Header{"Sec-Fetch-Dest": {"document"}, "Accept": {"text/html"}}, false, false, true},
		"old browser":                {"GET", http.Header{"Accept": {"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}}, true, false, true},
		"upper case, parameter":      {"GET", http.Header{"Accept": {"image/png", "a/b , TEXT/HTML ; level=1"}}, true, false, true},
		"form":                       {"POST", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, false, true, false},
		"head":                       {"HEAD", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, false, true, false},
		"head of an old browser":     {"HEAD", http.Header{"Accept": {"text/html"}}, false, false, true},
		"curl":                       {"GET", http.Header{"Accept": {"*/*"}}, false, false, false},
		"program":                    {"GET", http.Header{"Accept": {"Application/JSON"}}, false, false, false},
		"something else":             {"GET", http.Header{"Accept": {"text/html-not, application/jsonl, */"}}, false, false, false},
		"nothing":                    {"GET", http.Header{}, false, false, false},
		"metadata is case-sensitive": {"GET", http.Header{"Sec-Fetch-Mode": {"Navigate"}, "Sec-Fetch-Dest": {"document"}}, false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(test.method, "/", nil)
			r.Header = test.header
			if got := isNavigation(r); got != test.navigation {
				t.Errorf("isNavigation: %v", got)
			}
			if got := fetchMetadataForbids(r); got != test.forbidden {
				t.Errorf("fetchMetadataForbids: %v", got)
			}
			if got := wantsHTML(r); got != test.html {
				t.Errorf("wantsHTML: %v", got)
			}
		})
	}
}
