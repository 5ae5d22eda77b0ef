package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// hostileApp answers each request with what the path asks for, byte for byte, on a connection that it keeps open. The paths are those of answers;
// any other is [OK].
func hostileApp(t testing.TB, answers map[string]func(w io.Writer, in *bufio.Reader)) *AppServer {
	t.Helper()
	return &AppServer{Addr: listen(t, "127.0.0.1:0", func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for {
			head, err := readHead(in)
			if err != nil {
				return
			}
			_, path, _ := strings.Cut(head, " ")
			path, _, _ = strings.Cut(path, " ")
			if answer, is := answers[path]; is {
				answer(conn, in)
				continue
			}
			skipBody(in, head)
			if _, err := io.WriteString(conn, OK); err != nil {
				return
			}
		}
	})}
}

// says is an answer of these bytes.
func says(text string) func(io.Writer, *bufio.Reader) {
	return func(w io.Writer, _ *bufio.Reader) { _, _ = io.WriteString(w, text) }
}

// endless is an answer that begins like this and goes on with more until nobody listens.
func endless(begin, more string) func(io.Writer, *bufio.Reader) {
	return func(w io.Writer, _ *bufio.Reader) {
		_, err := io.WriteString(w, begin)
		for chunk := strings.Repeat(more, 1+16<<10/len(more)); err == nil; {
			_, err = io.WriteString(w, chunk)
		}
	}
}

// Row 76, the other side: an app, or whoever speaks for it, whose answers could be read in two ways, hold what is not the app's to say, or never
// end. The client gets one answer that is whole in itself, or none, and nobody gets an answer that was not for him.
func TestRow76HostileAnswers(t *testing.T) {
	t.Parallel()
	const (
		head   = "HTTP/1.1 200 OK\r\n"
		forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Forged: yes\r\n\r\nforged"
	)
	cases := map[string]struct {
		answer func(io.Writer, *bufio.Reader)
		status string // of the client's answer
	}{
		"/two-lengths":       {says(head + "Content-Length: 2\r\nContent-Length: 40\r\n\r\nok" + forged), "502"},
		"/length-list":       {says(head + "Content-Length: 2, 40\r\n\r\nok" + forged), "502"},
		"/length-sign":       {says(head + "Content-Length: +2\r\n\r\nok" + forged), "502"},
		"/length-negative":   {says(head + "Content-Length: -2\r\n\r\nok" + forged), "502"},
		"/length-huge":       {says(head + "Content-Length: 99999999999999999999\r\n\r\nok"), "502"},
		"/te-twice":          {says(head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + forged), "502"},
		"/te-unknown":        {says(head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + forged), "502"},
		"/no-http":           {says("SSH-2.0-OpenSSH\r\n\r\n"), "502"},
		"/http2":             {says("\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x04\x00\x01\x00\x00\r\n\r\n"), "502"},
		"/status-letters":    {says("HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n"), "502"},
		"/status-long":       {says("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), "502"},
		"/status-negative":   {says("HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n"), "502"},
		"/name-space":        {says(head + "Set-Cookie : postern.session=x\r\nContent-Length: 2\r\n\r\nok"), "200"}, // without that line
		"/nul":               {says(head + "X-A: a\x00b\r\nContent-Length: 2\r\n\r\nok"), "502"},
		"/cr":                {says(head + "X-A: a\rSet-Cookie: postern.session=x\r\nContent-Length: 2\r\n\r\nok"), "502"},
		"/no-colon":          {says(head + "Set-Cookie\r\nContent-Length: 2\r\n\r\nok"), "502"},
		"/cut-head":          {says(head + "Content-Le"), "closes"},
		"/unasked-switch":    {says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + forged), "502"},
		"/many-interim":      {says(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 2000) + head + "Content-Length: 2\r\n\r\nok"), "any"},
		"/endless-interim":   {endless("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX: "+strings.Repeat("x", 4000)+"\r\n\r\n"), "504"}, // as an answer without end would be the app's own affair
		"/header-of-2MiB":    {says(head + "X: " + strings.Repeat("x", 2<<20) + "\r\nContent-Length: 2\r\n\r\nok"), "502"},
		"/headers-of-2MiB":   {says(head + strings.Repeat("X: y\r\n", 400_000) + "Content-Length: 2\r\n\r\nok"), "502"},
		"/endless-header":    {endless(head+"X: ", "x"), "502"},
		"/endless-headers":   {endless(head, "X: y\r\n"), "502"},
		"/endless-status":    {endless("HTTP/1.1 200 ", "x"), "502"},
		"/endless-extension": {endless(head+"Transfer-Encoding: chunked\r\n\r\n2;", "a"), "broken"},
		"/extensions":        {endless(head+"Transfer-Encoding: chunked\r\n\r\n", "1;"+strings.Repeat("a", 3000)+"\r\nx\r\n"), "broken"},
		"/endless-trailer":   {endless(head+"Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nok\r\n0\r\nX: ", "x"), "broken"},
		"/endless-trailers":  {endless(head+"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", "X: y\r\n"), "broken"},
		"/chunk-of-2^64":     {says(head + "Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n"), "broken"},
		"/chunk-bare-lf":     {says(head + "Transfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n"), "broken"},
		"/chunk-too-long":    {says(head + "Transfer-Encoding: chunked\r\n\r\n2\r\nokk\r\n0\r\n\r\n"), "broken"},
		"/no-content-body":   {says("HTTP/1.1 204 No Content\r\n\r\n" + forged), "204"},
		"/not-modified-body": {says("HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n" + forged), "304"},
		"/longer":            {says(head + "Content-Length: 2\r\n\r\nok" + forged), "200"},
		"/te-and-length":     {says(head + "Content-Length: 400\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), "200"},
		"/trailer-of-ours":   {says(head + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n"), "502"},
		"/trailer-cookie":    {says(head + "Transfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n\r\n2\r\nok\r\n0\r\nSet-Cookie: postern.session=x\r\n\r\n"), "200"},
		"/own-cookie":        {says(head + "Set-Cookie: postern.session=x\r\nSet-Cookie: theirs=1\r\nContent-Length: 2\r\n\r\nok"), "200"},
		"/folded":            {says(head + "X-A: a\r\n Set-Cookie: postern.session=x\r\nContent-Length: 2\r\n\r\nok"), "200"},
	}
	answers := map[string]func(io.Writer, *bufio.Reader){}
	for path, c := range cases {
		answers[path] = c.answer
	}
	w := newWorld(t, worldOptions{app: hostileApp(t, answers), env: map[string]string{"POSTERN_UPSTREAM_TIMEOUT": "3s"}})
	before := w.rss(t)
	t.Run("all", func(t *testing.T) {
		for path, c := range cases {
			t.Run(path[1:], func(t *testing.T) {
				t.Parallel()
				conn := Dial(t, w.Addr)
				if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: "+w.host()+"\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				_ = conn.SetReadDeadline(time.Now().Add(Patience))
				checkAnswer(t, bufio.NewReader(conn), c.status)
				for range 3 { // nobody else gets what was left
					next := NewClient(t).Get(w.ingress + "/next")
					if next.StatusCode != 200 || next.Body != "ok" || next.Header.Get("X-Forged") != "" {
						t.Errorf("the next request: %d %q", next.StatusCode, next.Body)
					}
				}
			})
		}
	})
	if after := w.rss(t); after > before+64<<20 {
		t.Errorf("%.1f MiB after %.1f", mib(after), mib(before))
	}
}

// checkAnswer reads an answer as a strict client does, past interim ones.
func checkAnswer(t *testing.T, in *bufio.Reader, want string) {
	t.Helper()
	for interim := 0; ; interim++ {
		answer, err := http.ReadResponse(in, &http.Request{Method: "GET"})
		if err != nil {
			if want != "closes" && want != "any" && want != "broken" {
				t.Errorf("no answer: %v", err)
			}
			return
		}
		if answer.StatusCode < 200 && answer.StatusCode != 101 {
			continue
		}
		body, err := io.ReadAll(answer.Body)
		for name, values := range answer.Header {
			if text := strings.Join(values, ""); name == "Set-Cookie" && strings.Contains(text, "postern.") || strings.ContainsAny(text, "\r\n\x00") || name == "X-Forged" {
				t.Errorf("%s: %q", name, values)
			}
		}
		if answer.Trailer.Get("Set-Cookie") != "" || strings.Contains(string(body), "forged") {
			t.Errorf("trailers %v, body %.100q", answer.Trailer, body)
		}
		switch want {
		case "any":
		case "broken":
			if err == nil && answer.StatusCode != 502 {
				t.Errorf("%d and %d bytes, whole", answer.StatusCode, len(body))
			}
		case "closes":
			if answer.StatusCode != 502 && answer.StatusCode != 504 {
				t.Errorf("status %d", answer.StatusCode)
			}
		default:
			if answer.Status[:3] != want || err != nil {
				t.Errorf("status %s, %v; want %s", answer.Status, err, want)
			}
		}
		return
	}
}

// Row 78, CVE-2024-24791: Expect: 100-continue with an app that never says so, says no before, says 417, or says so twice. Whatever it does, the next
// request to the app begins at the beginning of one.
func TestAdvisoryCVE2024_24791ExpectContinueToThePool(t *testing.T) {
	t.Parallel()
	const body = "GET /smuggled HTTP/1.1\r\nHost: app\r\n\r\n"
	readBody := func(in *bufio.Reader) { _, _ = io.ReadFull(in, make([]byte, len(body))) }
	early := func(answer string) func(io.Writer, *bufio.Reader) { // and the body that was announced still belongs to the request
		return func(w io.Writer, in *bufio.Reader) {
			_, _ = io.WriteString(w, answer)
			readBody(in)
		}
	}
	var smuggled atomic.Bool
	w := newWorld(t, worldOptions{app: hostileApp(t, map[string]func(io.Writer, *bufio.Reader){
		"/never": func(w io.Writer, in *bufio.Reader) {
			readBody(in)
			_, _ = io.WriteString(w, OK)
		},
		"/early":  early("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"),
		"/failed": early("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"),
		"/twice": func(w io.Writer, in *bufio.Reader) {
			_, _ = io.WriteString(w, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
			readBody(in)
			_, _ = io.WriteString(w, OK)
		},
		"/final-and-continue": early("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"),
		"/smuggled":           func(w io.Writer, _ *bufio.Reader) { smuggled.Store(true) },
	})})
	for path, want := range map[string]string{"/never": "200", "/early": "403", "/failed": "417", "/twice": "200", "/final-and-continue": "403"} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			for range 3 {
				conn := Dial(t, w.Addr)
				head := "POST " + path + " HTTP/1.1\r\nHost: " + w.host() + "\r\nExpect: 100-continue\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
				if _, err := io.WriteString(conn, head); err != nil {
					t.Fatal(err)
				}
				_ = conn.SetReadDeadline(time.Now().Add(Patience))
				in := bufio.NewReader(conn)
				for sent := false; ; {
					answer, err := http.ReadResponse(in, &http.Request{Method: "POST"})
					if err != nil {
						t.Fatal(err)
					}
					if answer.StatusCode == 100 {
						if sent { // it is told twice
							continue
						}
						sent = true
						if _, err := io.WriteString(conn, body); err != nil {
							t.Fatal(err)
						}
						continue
					}
					if answer.Status[:3] != want {
						t.Errorf("status %s; want %s", answer.Status, want)
					}
					break
				}
				for range 3 {
					if next := NewClient(t).Get(w.ingress + "/next"); next.StatusCode != 200 || next.Body != "ok" {
						t.Errorf("the next request: %d %q", next.StatusCode, next.Body)
					}
				}
			}
		})
	}
	t.Cleanup(func() {
		if smuggled.Load() {
			t.Error("a body was taken for a request")
		}
	})
}
