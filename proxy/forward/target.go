package forward

import (
	"net/http"
	"strings"
)

// Problem is why a request is refused before anything else is looked at. The text is a constant: nothing of the request is in it.
type Problem struct {
	Status int
	Code   string
	Text   string
}

var (
	problemMethod    = Problem{http.StatusMethodNotAllowed, "method_not_allowed", "The method is not allowed."}
	problemForm      = Problem{http.StatusBadRequest, "invalid_target", "The request target must be a path that begins with one slash."}
	problemControl   = Problem{http.StatusBadRequest, "invalid_target", "The request target holds a control character."}
	problemFragment  = Problem{http.StatusBadRequest, "invalid_target", "The request target holds a fragment."}
	problemEscape    = Problem{http.StatusBadRequest, "invalid_target", "The path holds an invalid escape."}
	problemAbsolute  = Problem{http.StatusBadRequest, "invalid_target", "The request target names another host than the request is for."}
	problemHost      = Problem{http.StatusBadRequest, "invalid_host", "The Host header is malformed."}
	problemTwoHosts  = Problem{http.StatusBadRequest, "invalid_host", "The request names more than one host."}
	problemTwoTokens = Problem{http.StatusBadRequest, "invalid_request", "The request carries more than one Authorization header."}
)

// CheckTarget refuses what no app should have to make sense of (contract 4.1, step 1; S-51), and returns nil for everything else. The
// query is scanned for control characters and never parsed.
//
// hosts are the only ones, as host or host:port, that a target in absolute form may name. net/http hides the Host header behind such
// a target, so that "the same as Host" cannot be asked; any other one is refused.
func CheckTarget(r *http.Request, hosts ...string) *Problem {
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		return &problemMethod
	}
	if len(r.Header["Authorization"]) > 1 {
		return &problemTwoTokens
	}
	if problem := checkHost(r); problem != nil {
		return problem
	}
	if !strings.HasPrefix(r.RequestURI, "/") {
		if r.RequestURI == "*" && r.Method == http.MethodOptions {
			return nil
		}
		if r.ProtoMajor != 1 || r.URL.Scheme == "" || r.URL.Opaque != "" { // RFC 9113 §8.3.1: ":path" is never a whole URL
			return &problemForm
		}
		if r.URL.User != nil || !hasFold(hosts, r.URL.Host) {
			return &problemAbsolute
		}
	}
	return checkBytes(RawTarget(r))
}

// RawTarget is path and query byte for byte as they came, of a target in origin or absolute form (RFC 9112 §3.2). It is what the policy
// reads and what the app gets.
func RawTarget(r *http.Request) string {
	target := r.RequestURI
	if strings.HasPrefix(target, "/") {
		return target
	}
	_, rest, absolute := strings.Cut(target, "://")
	if !absolute {
		return target
	}
	switch start := strings.IndexAny(rest, "/?"); {
	case start < 0:
		return "/"
	case rest[start] == '?':
		return "/" + rest[start:]
	default:
		return rest[start:]
	}
}

// RawPath is [RawTarget] without the query: what to hand to package policy.
func RawPath(r *http.Request) string {
	path, _, _ := strings.Cut(RawTarget(r), "?")
	return path
}

func checkBytes(target string) *Problem {
	inPath, onlySlashes, odd := true, true, false
	for i := 0; i < len(target); i++ {
		switch c := target[i]; {
		case c < 0x20 || c == 0x7f:
			return &problemControl
		case c == '#':
			return &problemFragment
		case !inPath:
		case c == '?':
			inPath = false
			if onlySlashes && i > 1 {
				return &problemForm
			}
		case c == '/':
		case c == '%':
			b, ok := unescape(target[i:])
			if !ok {
				return &problemEscape
			}
			if b < 0x20 || b == 0x7f {
				return &problemControl
			}
			onlySlashes = false
		default:
			onlySlashes = false
			odd = odd || !isPathByte(c)
		}
	}
	if inPath && onlySlashes && len(target) > 1 {
		return &problemForm
	}
	if odd && strings.HasPrefix(target, "//") {
		// net/http can send "//" only re-encoded then, and what is sent must be what was decided on.
		return &problemForm
	}
	return nil
}

// unescape reads the "%XX" that s begins with.
func unescape(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	high, low := fromHex(s[1]), fromHex(s[2])
	return high<<4 | low, high < 16 && low < 16
}

func fromHex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}

// isPathByte is "pchar" of RFC 3986 §3.3, escapes and slashes aside.
func isPathByte(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("-._~!$&'()*+,;=:@", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
}

// checkHost allows "name", "name:port", "1.2.3.4", "[::1]:port" and nothing that could be read as more than one of them, or end up as a
// parameter where somebody copies it (peers.md row 11). HTTP/1.0 may do without.
func checkHost(r *http.Request) *Problem {
	for _, host := range r.Header["Host"] { // only HTTP/2 leaves one, beside ":authority"
		if host != r.Host {
			return &problemTwoHosts
		}
	}
	name := r.Host
	if name == "" && !r.ProtoAtLeast(1, 1) {
		return nil
	}
	port := ""
	if rest, ok := strings.CutPrefix(name, "["); ok {
		if name, port, ok = strings.Cut(rest, "]"); !ok || !onlyBytes(name, "abcdefABCDEF:.") {
			return &problemHost
		}
		if port, ok = strings.CutPrefix(port, ":"); !ok && port != "" {
			return &problemHost
		}
	} else {
		name, port, _ = strings.Cut(name, ":")
		for i := range len(name) {
			if c := name[i]; !isAlphanumeric(c) && c != '-' && c != '.' && c != '_' && c != '~' {
				return &problemHost
			}
		}
	}
	if name == "" || len(port) > 5 || !onlyBytes(port, "") {
		return &problemHost
	}
	return nil
}

// onlyBytes says that s holds digits and bytes of the extra set only.
func onlyBytes(s, extra string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return true
}

func hasFold(list []string, s string) bool {
	for _, one := range list {
		if strings.EqualFold(one, s) {
			return true
		}
	}
	return false
}
