package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// S-37: what the standard library says is one line of the log, at the level that it is worth, and quotes nobody.
func TestS37StandardLibraryIsCutToWhatItMayLog(t *testing.T) {
	t.Parallel()
	const secret = "code=4711"
	for said, want := range map[string]string{
		"Unsolicited response received on idle HTTP channel starting with \"" + secret + "\"; err=<nil>\n": "DEBUG Unsolicited response received on idle HTTP channel starting with (…)",
		"http: Accept error: accept tcp 127.0.0.1:1: too many open files; retrying in 5ms\n":               "WARN http: Accept error: accept tcp 127.0.0.1:1: too many open files; retrying in 5ms",
		"http: TLS handshake error from 127.0.0.1:1: EOF\n" + secret:                                       "DEBUG http: TLS handshake error from 127.0.0.1:1: EOF",
		"http2: panic serving 127.0.0.1:1: " + secret + "\ngoroutine 1 [running]:\nmain.f()\n":             "ERROR goroutine 1 [running]:\nmain.f()\n",
		"http: panic serving 127.0.0.1:1: \ngoroutine " + secret + "\ngoroutine 1 [running]:\nmain.f()\n":  "ERROR goroutine 1 [running]:\nmain.f()\n",
		"http: panic serving 127.0.0.1:1: " + secret:                                                       "ERROR ",
	} {
		var out bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		libraryLog{log}.logger().Print(said)
		var line map[string]string
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("not one line: %s", out.String())
		}
		if got := line["level"] + " " + line["message"] + line["stack"]; got != want {
			t.Errorf("%q is logged as %q", said, got)
		}
		if strings.Contains(out.String(), secret) {
			t.Errorf("the log shows a secret: %s", out.String())
		}
	}
}

// A handler that does not catch its own panic leaves a line, and not its value.
func TestPanicOfAHandlerIsALine(t *testing.T) {
	t.Parallel()
	out := &sharedWriter{to: new(bytes.Buffer)}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("code=4711") }))
	server.Config.ErrorLog = libraryLog{slog.New(slog.NewJSONHandler(out, nil))}.logger()
	server.Start()
	answer, err := server.Client().Get(server.URL)
	if err == nil {
		answer.Body.Close()
		t.Error("an answer")
	}
	server.Close() // waits for what is written
	out.mu.Lock()
	defer out.mu.Unlock()
	text := out.to.(*bytes.Buffer).String()
	if !strings.Contains(text, `"msg":"panic"`) || strings.Contains(text, "4711") || strings.Count(text, "\n") != 1 {
		t.Errorf("%s", text)
	}
}
