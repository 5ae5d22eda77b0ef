package e2e

import (
	"bufio"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// Scenario 23 and advisories 34 to 36: whatever `redirect` says, fed raw, the browser ends on our own origin; and a legitimate deep link is not lost
// by the same check. Each line of the corpus goes through the real handlers, and the final Location is resolved as a browser would.
func TestAdvisoryCVE2020_11053RedirectsStayOnOurOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_RATELIMIT_ENABLED": "false", "POSTERN_LOGIN_RATE": "10000"}})
	corpus := readCorpus(t, "testdata/open-redirects.txt")
	if len(corpus) < 120 {
		t.Fatalf("only %d lines in the corpus", len(corpus))
	}
	for _, target := range corpus {
		c := NewClient(t)
		back := w.idp.SignIn(c, c.Navigate(w.ingress+"/oauth2/login?redirect="+url.QueryEscape(target)), "kari")
		done := c.Navigate(back.Where().String())
		location := done.Header.Get("Location")
		if done.StatusCode != http.StatusFound {
			t.Errorf("%q: status %d", target, done.StatusCode)
			continue
		}
		if host := browserHost(w.origin(), location); host != w.host() {
			t.Errorf("%q leads to %q on %q", target, location, host)
		}
		if strings.HasPrefix(location, "/oauth2/") {
			t.Errorf("%q leads to one of our own endpoints: %q", target, location)
		}
	}
}

func readCorpus(t testing.TB, name string) []string {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines []string
	for scan := bufio.NewScanner(file); scan.Scan(); {
		if line := scan.Text(); line != "" && !strings.HasPrefix(line, "# ") {
			lines = append(lines, strings.NewReplacer(`\t`, "\t", `\r`, "\r", `\n`, "\n", `\0`, "\x00").Replace(line))
		}
	}
	return lines
}

// browserHost is the host that a browser goes to for a Location on a page of base (WHATWG URL: backslashes are slashes, tabs and line ends are
// dropped, white space around is cut, a special scheme needs no slashes).
func browserHost(base, location string) string {
	location = strings.Trim(location, " \t\r\n\f\v\x00")
	location = strings.NewReplacer("\t", "", "\r", "", "\n", "", `\`, "/").Replace(location)
	lower := strings.ToLower(location)
	for _, scheme := range []string{"http:", "https:", "ftp:", "ws:", "wss:"} {
		if strings.HasPrefix(lower, scheme) {
			location = "//" + strings.TrimLeft(location[len(scheme):], "/")
		}
	}
	if colon := strings.IndexByte(location, ':'); colon > 0 && !strings.ContainsAny(location[:colon], "/?#") {
		return "(scheme " + location[:colon] + ")"
	}
	if !strings.HasPrefix(location, "//") {
		return strings.TrimPrefix(base, "http://")
	}
	authority := strings.TrimLeft(location, "/")
	authority, _, _ = strings.Cut(authority, "/")
	authority, _, _ = strings.Cut(authority, "?")
	authority, _, _ = strings.Cut(authority, "#")
	return authority[strings.LastIndexByte(authority, '@')+1:]
}
