package policy

import "strings"

// steps is everything that is known to happen to a path between the request line and a router. Each leaves alone what it does not
// concern.
var steps = [...]struct {
	take    func(string) string
	decodes bool
}{
	{decodeSlashes, true},
	{decodeKeepingSlashes, true},
	{backslashes, false},
	{withoutParams, false},
	{withoutQuery, false},
	{bareDots, false},
	{mergeSlashes, false},
	{resolveDots, false},
	{withoutAuthority, false},
	{narrow, false},
}

const upperhex = "0123456789ABCDEF"

// decodeOnce is the first decoding, in which a broken escape or a control character is an error.
func decodeOnce(path string) (string, error) {
	decoded := decode(path, false)
	if hasControl(decoded) {
		return "", ErrControl
	}
	return decoded, nil
}

func decodeSlashes(path string) string        { return decode(path, false) }
func decodeKeepingSlashes(path string) string { return decode(path, true) }

// decode resolves the valid escapes and leaves the others as they are, as second decoders do ("100%" was "100%25"). With keepSlash an
// escaped slash stays data, as "%2F" whatever its spelling was.
func decode(path string, keepSlash bool) string {
	next := strings.IndexByte(path, '%')
	if next < 0 {
		return path
	}
	out := make([]byte, next, len(path))
	copy(out, path)
	for i := next; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
			out = append(out, path[i])
			continue
		}
		b := unhex(path[i+1])<<4 | unhex(path[i+2])
		if i += 2; keepSlash && b == '/' {
			out = append(out, '%', upperhex[b>>4], upperhex[b&15])
		} else {
			out = append(out, b)
		}
	}
	return string(out)
}

// backslashes become slashes (IIS, WHATWG URL parsers).
func backslashes(path string) string { return strings.ReplaceAll(path, `\`, "/") }

// withoutParams drops what follows a ";" in each segment (Servlet containers: "/public/..;/admin").
func withoutParams(path string) string {
	if !strings.Contains(path, ";") {
		return path
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	return strings.Join(segments, "/")
}

// withoutQuery ends the path at a "?" or "#" that an escape brought in, for apps that parse a decoded path once more.
func withoutQuery(path string) string {
	if end := strings.IndexAny(path, "?#"); end > 0 {
		return path[:end]
	}
	return path
}

// bareDots takes the spaces from segments of dots, for apps that do not see trailing spaces: "/public/.. /admin" (S-11).
func bareDots(path string) string {
	if !strings.Contains(path, ". ") {
		return path
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if bare := strings.TrimRight(segment, " "); bare == "." || bare == ".." {
			segments[i] = bare
		}
	}
	return strings.Join(segments, "/")
}

// mergeSlashes makes one slash of several (nginx, most routers).
func mergeSlashes(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// resolveDots removes "." and ".." segments as RFC 3986 §5.2.4 says; above the root ".." is dropped.
func resolveDots(path string) string {
	if !strings.Contains(path, ".") || !strings.HasPrefix(path, "/") {
		return path
	}
	var kept []string
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		switch {
		case segment == ".":
		case segment == "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
			continue
		}
		if last {
			kept = append(kept, "") // "/a/.." is the directory "/", "/a/b/." is "/a/b/"
		}
	}
	return "/" + strings.Join(kept, "/")
}

// withoutAuthority reads "//host/path" as a reference with an authority, as URL parsers do that are fed a request target.
func withoutAuthority(path string) string {
	if !strings.HasPrefix(path, "//") {
		return path
	}
	if slash := strings.IndexByte(path[2:], '/'); slash >= 0 {
		return path[2+slash:]
	}
	return "/"
}

// narrow reads overlong UTF-8 as the ASCII that it stands for: "\xC0\xAF" and "\xE0\x80\xAF" as "/" (old decoders; RFC 3629 §10).
func narrow(path string) string {
	var out []byte
	for i := 0; i < len(path); i++ {
		n := overlongLen(path[i:])
		if n > 0 && out == nil {
			out = append(make([]byte, 0, len(path)), path[:i]...)
		}
		switch {
		case n > 0:
			out = append(out, path[i+n-2]<<6|path[i+n-1]&0x3F)
			i += n - 1
		case out != nil:
			out = append(out, path[i])
		}
	}
	if out == nil {
		return path
	}
	return string(out)
}
