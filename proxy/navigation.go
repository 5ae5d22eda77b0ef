package proxy

import (
	"net/http"
	"strings"
)

// isNavigation tells a person who opens a page from a script that fetches something: only the former can be sent to a login page
// (wonderwall.md part 5). Browsers without Fetch Metadata are judged by what they accept.
func isNavigation(r *http.Request) bool {
	return r.Method == http.MethodGet && wantsPage(r)
}

// fetchMetadataForbids says that a browser reports something else than a top-level navigation, on an endpoint that only makes sense as
// one (wonderwall.md 1.2). Without both headers nothing is known.
func fetchMetadataForbids(r *http.Request) bool {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	return mode != "" && dest != "" && (mode != "navigate" || dest != "document" || r.Method != http.MethodGet)
}

// wantsPage says that a person will see the answer, to a navigation of any method: a refusal is then a page and not JSON.
func wantsPage(r *http.Request) bool {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	if mode == "" && dest == "" {
		return wantsHTML(r)
	}
	return mode == "navigate" && dest == "document"
}

// wantsHTML says that the client takes a page.
func wantsHTML(r *http.Request) bool { return accepts(r, "text/html") }

// accepts looks for an element of the Accept header by its media range; parameters are not looked at (RFC 9110 §12.5.1).
func accepts(r *http.Request, mediaRange string) bool {
	for _, line := range r.Header["Accept"] {
		for element := range strings.SplitSeq(line, ",") {
			element, _, _ = strings.Cut(element, ";")
			if strings.EqualFold(strings.Trim(element, " \t"), mediaRange) {
				return true
			}
		}
	}
	return false
}
