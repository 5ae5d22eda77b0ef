package e2e

import (
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// Row 78, CVE-2025-58186 and CVE-2025-61726 by HTTP/2 in clear and by TLS: header lines, bytes of them, cookies in crumbs and parameters beyond the
// limits end at the door as they do by HTTP/1.1, and just below them nothing does.
func TestRow78HeaderFloodsByHTTP2(t *testing.T) {
	t.Parallel()
	many := func(count int, field func(i int) (name, value string)) []string {
		var fields []string
		for i := range count {
			name, value := field(i)
			fields = append(fields, name, value)
		}
		return fields
	}
	lines := func(i int) (string, string) { return "x-" + strconv.Itoa(i), "y" }
	same := func(int) (string, string) { return "x", "y" }
	crumbs := func(i int) (string, string) { return "cookie", "a" + strconv.Itoa(i) + "=1" }
	for name, w := range ways(t, nil) {
		for what, test := range map[string]struct {
			path   string
			fields []string
			want   string // statuses, of which one is right
		}{
			"100 lines":         {"/ok", many(100, lines), "200"},
			"101 lines":         {"/flood", many(101, lines), "431"},
			"101 of one name":   {"/flood", many(101, same), "431"},
			"100 crumbs":        {"/ok", many(100, crumbs), "200"},
			"101 crumbs":        {"/flood", many(101, crumbs), "400"},
			"80 KiB":            {"/flood", []string{"x", strings.Repeat("x", 80<<10)}, "431, goaway COMPRESSION_ERROR, goaway PROTOCOL_ERROR, goaway ENHANCE_YOUR_CALM, closed"},
			"5 000 lines":       {"/flood", many(5000, lines), "431, goaway COMPRESSION_ERROR, goaway PROTOCOL_ERROR, goaway ENHANCE_YOUR_CALM, closed"},
			"10 000 parameters": {"/ok?" + strings.Repeat("a&", 10_000), nil, "200"},
			"as many of ours":   {"/oauth2/session?" + strings.Repeat("a&", 10_000), nil, "401"},
			"80 KiB of query":   {"/flood?" + strings.Repeat("a", 80<<10), nil, "431, goaway COMPRESSION_ERROR, goaway PROTOCOL_ERROR, goaway ENHANCE_YOUR_CALM, closed"},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				c := w.dialHTTP2(t)
				if err := c.Open(1, true, c.Head("GET", test.path, test.fields...)); err != nil {
					t.Fatal(err)
				}
				if got := c.StatusOf(1); !strings.Contains(", "+test.want+", ", ", "+got+", ") {
					t.Errorf("%s, want %s", got, test.want)
				}
			})
		}
		t.Cleanup(func() {
			for _, seen := range w.app.Requests() {
				if strings.HasPrefix(seen.URI, "/flood") {
					t.Errorf("%s: reached the app: %.80s", name, seen.URI)
				}
			}
		})
	}
}

// Row 78, CVE-2025-61726: a form or a document of very many members is refused by the endpoint that reads it, at a price that does not grow with what is
// sent again and again.
func TestRow78FormFloods(t *testing.T) {
	t.Parallel()
	admin, env := adminEnv(t, nil)
	x := newOutbound(t, outboundOptions{env: env})
	api := strings.TrimPrefix(x.tokens.api, "http://")
	const form, document = "application/x-www-form-urlencoded", "application/json"
	before, beforeCPU := x.rss(t), x.cpu(t)
	for name, test := range map[string]struct {
		address, path, kind, body string
		status                    int
	}{
		"back-channel, 200 000 parameters": {x.Addr, "/oauth2/logout/backchannel", form, strings.Repeat("a&", 200_000), 400},
		"back-channel, 8 000 of one name":  {x.Addr, "/oauth2/logout/backchannel", form, strings.Repeat("a&", 8_000), 400},
		"back-channel, the token twice":    {x.Addr, "/oauth2/logout/backchannel", form, "logout_token=a&logout_token=b", 400},
		"token API, 1 000 000 parameters":  {api, "/api/v1/token", form, strings.Repeat("a&", 1_000_000), 400},
		"token API, 3 MiB":                 {api, "/api/v1/token", form, strings.Repeat("a", 3<<20), 400},
		"token API, deep":                  {api, "/api/v1/token", document, strings.Repeat(`{"a":`, 300_000), 400},
		"token API, 200 000 members":       {api, "/api/v1/token", document, `{` + strings.Repeat(`"a":1,`, 200_000) + `"b":1}`, 400},
		"admin, 3 MiB":                     {admin, "/sessions/end", document, `{"sub":"` + strings.Repeat("a", 3<<20) + `"}`, 400},
	} {
		for range 5 {
			r := NewClient(t).Send("POST", "http://"+test.address+test.path, test.body, "Content-Type", test.kind, "Authorization", "Bearer "+adminToken, "Host", hostFor(x, test.address))
			if r.StatusCode != test.status || len(r.Body) > 4<<10 {
				t.Errorf("%s: status %d with %d bytes: %.200s", name, r.StatusCode, len(r.Body), r.Body)
			}
		}
	}
	after, spent := x.rss(t), x.cpu(t)-beforeCPU
	t.Logf("%.1f MiB before, %.1f after, %.1f s of CPU time", mib(before), mib(after), spent)
	if after > before+96<<20 || spent > 20 {
		t.Errorf("%.1f MiB after %.1f, %.1f s of CPU time", mib(after), mib(before), spent)
	}
}

// hostFor is a Host that the listener answers to.
func hostFor(x *outbound, address string) string {
	if address == x.Addr {
		return x.host()
	}
	return "localhost"
}

// Row 79: what the app gets is path and query byte for byte as they came, however a parser would read them, by each version of HTTP; what cannot be
// sent as it came is refused.
func TestRow79QueriesAreForwardedByteForByte(t *testing.T) {
	t.Parallel()
	app := RawUpstream(t, nil)
	clear := newWorld(t, worldOptions{app: &AppServer{Addr: app.Addr}})
	secure, config := newTLSWorld(t, map[string]string{"POSTERN_UPSTREAM_HOST": app.Addr})
	targets := []string{
		"/q?a=1;b=2", "/q?a=%zz", "/q?%", "/q?a=%u0041", "/q?&&&a&=&", "/q?a=1&a=2&A=3", "/q?a[]=1&a[0]=2", "/q?a=b?c=d", "/q?", "/q??", "/q?a=/../b", "/q?a=%2e%2e%2f",
		"/q?a=%00", "/q?a=%0d%0aX:y", "/q?a=+%20", "/q?a=\"<>`{|}^\\", "/q?a=\xc3\xa6\xff", "/q?a='(),*:@!$", "/a%2Fb/./c;x=1?y", "/%41?%41=%61", "/a//b?x", "//a/b?x",
		"/q?" + strings.Repeat("a;", 4000),
	}
	for _, target := range targets {
		if raw := Raw(t, clear.Addr, rawRequest("GET", target, clear.host())); !strings.HasPrefix(raw, "HTTP/1.1 200 ") {
			t.Errorf("HTTP/1.1, %.60q: %.40q", target, raw)
		}
		for name, w := range map[string]way{"h2c": {clear, nil}, "TLS": {secure, config}} {
			c := w.dialHTTP2(t)
			if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.Head("GET", target), EndHeaders: true, EndStream: true}); err != nil {
				t.Fatal(err)
			}
			if got := c.StatusOf(1); got != "200" {
				t.Errorf("%s, %.60q: %s", name, target, got)
			}
			c.Conn.Close()
		}
	}
	seen := map[string]int{}
	for _, head := range app.Heads() {
		line, _, _ := strings.Cut(head, "\r\n")
		seen[strings.TrimSuffix(strings.TrimPrefix(line, "GET "), " HTTP/1.1")]++
	}
	for _, target := range targets {
		if seen[target] != 3 {
			t.Errorf("%.60q reached the app %d times", target, seen[target])
		}
		delete(seen, target)
	}
	for other := range seen {
		t.Errorf("the app was asked for %.80q", other)
	}
	for name, target := range map[string]string{"fragment": "/q?a#b", "control character": "/q?a=\x01", "DEL": "/q?a=\x7f", "tab": "/q?a=\t", "second line": "/q?a\r\nX: y"} {
		if raw := Raw(t, clear.Addr, rawRequest("GET", target, clear.host())); !strings.HasPrefix(raw, "HTTP/1.1 400") {
			t.Errorf("%s: %.40q", name, raw)
		}
		c := DialHTTP2(t, clear.Addr, clear.host(), nil)
		if err := c.Open(1, true, c.Head("GET", target)); err != nil {
			t.Fatal(err)
		}
		if got := c.StatusOf(1); got == "200" {
			t.Errorf("%s by HTTP/2: %s", name, got)
		}
	}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
