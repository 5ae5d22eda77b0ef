package proxy

import (
	"net/http"
	"net/url"
	"strings"

	"postern/proxy/policy"
)

// localTarget turns what a caller wants as the place to go afterwards into a path, query and fragment on our own ingress, or into
// fallback. Scheme and host are dropped, never followed. What comes out starts with exactly one slash and holds no byte that a browser
// reads in two ways (peers' advisories 34 to 36), and is not one of our own endpoints (S-52): it can be sent as a Location as it is.
func localTarget(raw string, in *ingress, fallback string) string {
	if raw == "" || len(raw) > maxDeepLink || strings.ContainsFunc(raw, unsafeInLocation) {
		return fallback
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.User != nil {
		return fallback
	}
	path := u.EscapedPath()
	if path == "" && u.Host != "" {
		path = "/"
	}
	if !strings.HasPrefix(path, "/") || ambiguousStart(path) || owns(in, path) {
		return fallback
	}
	target := path
	if u.RawQuery != "" || u.ForceQuery {
		target += "?" + u.RawQuery
	}
	if u.Fragment != "" {
		target += "#" + u.EscapedFragment()
	}
	return target
}

// unsafeInLocation is every byte that browsers drop (tab, CR, LF), turn (backslash) or end a header with.
func unsafeInLocation(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' || r == 0xfffd }

// ambiguousStart says whether a path begins with two slashes, or would for a reader that decodes it first: "/%2Fhost", "/%5Chost".
func ambiguousStart(path string) bool {
	for range 3 {
		if len(path) > 1 && (path[1] == '/' || unsafeInLocation(rune(path[1]))) {
			return true
		}
		decoded, err := url.PathUnescape(path)
		if err != nil || decoded == path {
			return err != nil
		}
		path = decoded
	}
	return true
}

// owns says whether any reading of a path is one of our own endpoints.
func owns(in *ingress, path string) bool {
	readings, err := policy.Readings(path)
	if err != nil {
		return true
	}
	for _, reading := range readings {
		if underPath(reading, in.path+ownPrefix) {
			return true
		}
	}
	return false
}

// redirect answers 302 without a body. location is ours or validated.
func redirect(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusFound)
}
