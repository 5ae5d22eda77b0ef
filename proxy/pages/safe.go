package pages

import (
	"net/url"
	"strings"
)

// safeHref says whether a link may be shown: this address again, a path of this origin, or an absolute http(s) URL.
func safeHref(href string) bool {
	if href == "" || localPath(href) {
		return true
	}
	u, err := url.Parse(href)
	return err == nil && plain(href) && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

// localPath says whether a browser reads the text as a path of this origin: "//host" and "/\host" are another one, and browsers drop
// tabs and line ends wherever they stand.
func localPath(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && plain(path)
}

// plain says whether the text has nothing but printable bytes, without a backslash.
func plain(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] <= ' ' || text[i] == 0x7f || text[i] == '\\' {
			return false
		}
	}
	return true
}

// hostPort says whether the text may stand in a Content-Security-Policy as a host with an optional port.
func hostPort(text string) bool {
	return text != "" && strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789.-:[]") == ""
}

// cleanID returns a request id of the form that S-37 allows, or "".
func cleanID(id string) string {
	if len(id) > 64 {
		return ""
	}
	for i := 0; i < len(id); i++ {
		c := id[i] | 0x20
		if !(c >= 'a' && c <= 'z' || id[i] >= '0' && id[i] <= '9' || id[i] == '.' || id[i] == '_' || id[i] == '-') {
			return ""
		}
	}
	return id
}
