package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Row 80: through every field that a client or an app can write, in both forms of the log, at debug level. Each line of the log is one of ours, none
// holds a control character, what would be a line, or the token that stood beside the malformed bytes.
func TestRow80NothingThatComesInBecomesALogLine(t *testing.T) {
	t.Parallel()
	const secret = "zq7secret4token"
	forgeries := []string{ // as they can stand in a field
		"x\",\"level\":\"ERROR\",\"msg\":\"forged", "x level=ERROR msg=forged", "\x1b[2J\x1b[31mforged", "${jndi:ldap://x/forged}", "%0d%0a{\"msg\":\"forged\"}", "\\n{\"msg\":\"forged\"}",
		"\xe2\x80\xa8forged", "\xc2\x85forged", "\xff\xfe", strings.Repeat("forged ", 1000),
	}
	breaks := []string{"a\r\n{\"msg\":\"forged\"}", "a\n{\"msg\":\"forged\"}", "a\rforged", "a\x00forged", "a\x0bforged"} // which break the field
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{
				app: hostileApp(t, map[string]func(io.Writer, *bufio.Reader){
					"/malformed-line":   says("HTTP/1.1 200 OK\r\nAuthorization " + secret + "\r\n\r\n"),
					"/malformed-first":  says("HTTP/1.1 200 OK\r\n " + secret + "\r\n\r\n"),
					"/malformed-status": says(secret + "\r\n\r\n"),
					"/malformed-te":     says("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secret + "\r\n\r\n"),
					"/malformed-length": says("HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n"),
					"/malformed-value":  says("HTTP/1.1 200 OK\r\nX: " + secret + "\x00\r\n\r\n"),
					"/trailing":         says(OK + "HTTP/1.1 200 OK\r\nAuthorization: " + secret + "\r\n\r\n"),
				}),
				env: map[string]string{"POSTERN_LOG_FORMAT": format, "POSTERN_UPSTREAM_ACCESS_LOGS": "true", "POSTERN_TRUSTED_PROXIES": "127.0.0.0/8"},
			})
			for _, path := range []string{"/malformed-line", "/malformed-first", "/malformed-status", "/malformed-te", "/malformed-length", "/malformed-value", "/trailing"} {
				w.askRaw(t, "GET "+path+" HTTP/1.1\r\nHost: "+w.host()+"\r\n")
			}
			for _, bad := range append(forgeries, breaks...) {
				get := "GET /x HTTP/1.1\r\nHost: " + w.host() + "\r\n"
				for _, name := range []string{
					"User-Agent", "Referer", "Origin", "Cookie", "X-Request-Id", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Traceparent", "Accept", "Accept-Language",
					"Authorization", "Sec-Fetch-Site", "Upgrade", "Expect", "Content-Type", "Transfer-Encoding", "Content-Length", "Trailer",
				} {
					w.askRaw(t, get+name+": "+bad+"\r\nX-Beside: "+secret+"\r\n")
				}
				w.askRaw(t, get+"X "+bad+": "+secret+"\r\n")
				w.askRaw(t, get+"X-"+bad+" "+secret+"\r\n")
				w.askRaw(t, "GET /"+bad+" HTTP/1.1\r\nHost: "+w.host()+"\r\n")
				w.askRaw(t, "GET /oauth2/callback?error="+bad+"&error_description="+bad+"&state="+bad+" HTTP/1.1\r\nHost: "+w.host()+"\r\n")
				w.askRaw(t, "GET /oauth2/login?redirect="+bad+" HTTP/1.1\r\nHost: "+w.host()+"\r\nAccept: text/html\r\n")
				w.askRaw(t, "G"+bad+" / HTTP/1.1\r\nHost: "+w.host()+"\r\n")
				w.askRaw(t, "GET / HTTP/1.1\r\nHost: "+bad+"\r\n")
				w.askRaw(t, "GET / "+bad+"\r\nHost: "+w.host()+"\r\n")
			}
			if r := NewClient(t).Get(w.ingress + "/last"); r.StatusCode != 200 {
				t.Errorf("afterwards: %d", r.StatusCode)
			}
			w.Stop(t)
			checkLines(t, format, w.Log.Text(), secret)
		})
	}
}

// askRaw sends a head, without its empty line, and reads the answer's, or that there is none.
func (w *world) askRaw(t testing.TB, head string) {
	t.Helper()
	conn := Dial(t, w.Addr)
	defer conn.Close()
	if _, err := io.WriteString(conn, head+"Connection: close\r\n\r\n"); err != nil {
		return // it was refused before it was over
	}
	if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
		answer.Body.Close()
	}
}

func checkLines(t *testing.T, format, text, secret string) {
	t.Helper()
	count := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		count++
		if strings.ContainsFunc(line, func(r rune) bool {
			return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0xfffd && format == "text"
		}) {
			t.Errorf("a control character: %.200q", line)
		}
		if strings.Contains(line, secret) {
			t.Errorf("the secret beside it: %.300q", line)
		}
		if format == "text" {
			if !strings.HasPrefix(line, "time=") || strings.Contains(line, " msg=forged") || strings.Contains(line, "level=ERROR") {
				t.Errorf("not a line of ours: %.200q", line)
			}
			continue
		}
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil || event["time"] == nil || event["msg"] == "forged" || event["level"] == "ERROR" {
			t.Errorf("not a line of ours: %.200q, %v", line, err)
		}
	}
	if count < 100 {
		t.Errorf("%d lines only", count)
	}
}
