package proxy

import (
	"net/http"
	"slices"
	"strings"
)

// A Cookie line is cut at every ";", within quotes too: a cookie of another site on this domain, such as x=", must not be able to hide
// an own cookie that follows it from us and show it to the app.

// eachCookie yields the pieces of all Cookie lines that are not blank.
func eachCookie(h http.Header, yield func(piece string) bool) {
	for _, line := range h["Cookie"] {
		for rest, more := line, true; more; {
			var piece string
			piece, rest, more = strings.Cut(rest, ";")
			if strings.Trim(piece, cookieSpace) != "" && !yield(piece) {
				return
			}
		}
	}
}

// cookieSpace is what lenient parsers trim around names and values.
const cookieSpace = " \t\v\f\r\n"

// cookieName is what a lenient parser takes for the name: without space and quotes around it. A piece without "=" is all name.
func cookieName(piece string) string {
	name, _, _ := strings.Cut(piece, "=")
	return strings.Trim(name, cookieSpace+`"`)
}

// countCookies counts the cookies of a request, for the limit on them (CVE-2025-58186).
func countCookies(h http.Header) int {
	n := 0
	for range cookies(h) {
		n++
	}
	return n
}

func cookies(h http.Header) func(yield func(string) bool) {
	return func(yield func(string) bool) { eachCookie(h, yield) }
}

// findCookie is the value of the cookie with exactly this name, or "". Different values under one name are a conflict: somebody else may
// write cookies for this host, and none of them can be believed (S-23).
func findCookie(h http.Header, name string) (value string, conflict bool) {
	found := false
	for piece := range cookies(h) {
		n, v, pair := strings.Cut(piece, "=")
		if !pair || strings.Trim(n, cookieSpace) != name {
			continue
		}
		v = strings.Trim(v, cookieSpace)
		if found && v != value {
			return "", true
		}
		value, found = v, true
	}
	return value, false
}

// stripOwnCookies removes the own cookies from every Cookie line, and leaves the rest of each line as it is, byte for byte (S-23). A line
// with nothing left disappears. The lines of h themselves are not touched: they are those of the client's request too. It allocates only if there
// is something to remove.
func stripOwnCookies(h http.Header, own func(name string) bool) {
	lines := h["Cookie"]
	first := slices.IndexFunc(lines, func(line string) bool { return hasOwn(line, own) })
	if first < 0 {
		return
	}
	kept := slices.Clone(lines[:first])
	for _, line := range lines[first:] {
		if hasOwn(line, own) {
			if line = withoutOwn(line, own); strings.Trim(line, cookieSpace+";") == "" {
				continue
			}
		}
		kept = append(kept, line)
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

func hasOwn(line string, own func(string) bool) bool {
	for rest, more := line, true; more; {
		var piece string
		piece, rest, more = strings.Cut(rest, ";")
		if own(cookieName(piece)) {
			return true
		}
	}
	return false
}

func withoutOwn(line string, own func(string) bool) string {
	if last := strings.LastIndexByte(line, ';'); last >= 0 && own(cookieName(line[last+1:])) && !hasOwn(line[:last], own) {
		return strings.TrimLeft(line[:last], cookieSpace) // ours is the newest in most jars, and so the last
	}
	kept := make([]byte, 0, len(line))
	first := true
	for rest, more := line, true; more; {
		var piece string
		piece, rest, more = strings.Cut(rest, ";")
		switch {
		case own(cookieName(piece)):
			continue
		case first: // the space after ";" belongs to the separator that went
			piece = strings.TrimLeft(piece, cookieSpace)
			first = false
		default:
			kept = append(kept, ';')
		}
		kept = append(kept, piece...)
	}
	return string(kept)
}

// dropOwnSetCookies keeps the app from setting or deleting an own cookie (S-23). A cookie without a name is judged by its value, because
// a browser sends it back as if that were "name=value".
func dropOwnSetCookies(h http.Header, own func(name string) bool) {
	lines := h["Set-Cookie"]
	if !slices.ContainsFunc(lines, func(line string) bool { return setsOwn(line, own) }) {
		return
	}
	lines = slices.DeleteFunc(lines, func(line string) bool { return setsOwn(line, own) })
	if len(lines) == 0 {
		delete(h, "Set-Cookie")
		return
	}
	h["Set-Cookie"] = lines
}

func setsOwn(line string, own func(string) bool) bool {
	pair, _, _ := strings.Cut(line, ";")
	if name, value, ok := strings.Cut(pair, "="); ok && cookieName(name) == "" {
		pair = value
	}
	return own(cookieName(pair))
}

// onlyOwnCookies leaves nothing but own cookies, in one line.
func onlyOwnCookies(h http.Header, own func(name string) bool) {
	var kept []string
	for piece := range cookies(h) {
		if own(cookieName(piece)) {
			kept = append(kept, strings.Trim(piece, cookieSpace))
		}
	}
	delete(h, "Cookie")
	if len(kept) > 0 {
		h["Cookie"] = []string{strings.Join(kept, "; ")}
	}
}
