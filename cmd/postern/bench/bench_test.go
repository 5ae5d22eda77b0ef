package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The test binary plays the parts of the processes that it starts, as the benchmark's own does.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(context.Background(), role, os.Stdin, os.Stderr))
	}
	os.Exit(m.Run())
}

// One short run of everything: the numbers mean nothing, but they must be there.
func TestBenchMeasuresEveryScenario(t *testing.T) {
	needLinux(t)
	var errs strings.Builder
	s := settings{rounds: 1, duration: 200 * time.Millisecond, warmUp: 20 * time.Millisecond, connections: 8, starts: 1, idle: 100 * time.Millisecond, tokens: 120, sessions: 10_100}
	r, err := bench(t.Context(), s, &errs)
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	var names []string
	for _, o := range r.outcomes {
		names = append(names, o.scenario.name)
		if ratios := o.ratios(); len(ratios) != 1 || !(ratios[0] > 0 && ratios[0] < 1000) {
			t.Errorf("%s: ratios %v", o.scenario.name, ratios)
		}
		for _, got := range append(o.peer, o.postern...) {
			if got.cpu <= 0 || got.rate <= 0 || got.p50 <= 0 || got.p99 < got.p50 || got.memory < 1<<20 {
				t.Errorf("%s: implausible sample %+v", o.scenario.name, got)
			}
		}
	}
	want := []string{
		"anonymous, 1 KiB", "anonymous, 64 KiB", "session, 1 KiB", "session, 64 KiB",
		"session, 1 in Redis, 1 KiB", "session, 10000 in Redis, 1 KiB", "session, 10100 in Redis, 1 KiB", "session, first sight, 1 KiB",
		"bearer, 50 tokens, 1 KiB", "bearer, 50 tokens, 64 KiB", "bearer, 120 tokens, 1 KiB", "bearer, new tokens, 1 KiB",
		"exchange, 1 KiB", "exchange, 64 KiB",
		"token API, cached token", "token API, cached exchange", "token API, introspection",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	f := r.footprint
	if f.binary < 1<<20 || f.idle < 1<<20 || f.ready <= 0 || f.slow < f.ready {
		t.Errorf("implausible footprint %+v", f)
	}
	var out strings.Builder
	r.print(&out)
	rows := 0
	for line := range strings.Lines(out.String()) {
		for _, target := range []string{roleBare, roleConstant, postern} {
			if name, _, found := strings.Cut(line, "  "+target+"  "); found && slices.Contains(want, strings.TrimSpace(name)) {
				rows++
			}
		}
	}
	if rows != 2*len(want) {
		t.Errorf("%d rows, want %d:\n%s", rows, 2*len(want), out.String())
	}
	for _, line := range []string{
		"CPU, session, 1 KiB", "CPU, bearer, 120 tokens, 1 KiB", "CPU, bearer, new tokens", "CPU, token API, introspection",
		"idle memory", "stripped binary", "exec to ready",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no line about %q:\n%s", line, out.String())
		}
	}
}

func needLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/proc is missing: the benchmark runs on Linux")
	}
}

func TestUnusableFlagsAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-rounds=0"}, {"-connections=0"}, {"-duration=0"}, {"-tokens=50"}, {"-sessions=100"}, {"-unknown"}, {"extra"}} {
		if code := realMain(t.Context(), args, io.Discard, io.Discard); code != exitUsage {
			t.Errorf("%v: exit status %d", args, code)
		}
	}
}

func TestPlausibleRefusesWorkThatWasNotDone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		all, ok  int
		seen     counts
		somebody bool
		want     string // part of the error; "" for none
	}{
		"a session":                    {10000, 10000, counts{Requests: 10000, Identified: 10000}, true, ""},
		"nobody":                       {10000, 9995, counts{Requests: 10000, Identified: 0}, false, ""},
		"error pages":                  {10000, 9989, counts{Requests: 10000, Identified: 10000}, true, "200"},
		"answers without the app":      {10000, 10000, counts{Requests: 9000, Identified: 9000}, true, "reached the app"},
		"a session that was lost":      {10000, 10000, counts{Requests: 10000, Identified: 9000}, true, "who is calling"},
		"a name of nobody":             {10000, 10000, counts{Requests: 10000, Identified: 1}, false, "of nobody"},
		"a single failure among a few": {10, 9, counts{Requests: 10, Identified: 10}, true, "200"},
	} {
		err := plausible(c.all, c.ok, c.seen, c.somebody)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlausibleStoreCallsAreThoseOfTheScenario(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		calls int64
		cold  bool
		want  string // part of the error; "" for none
	}{
		"from memory":                    {100, false, ""},
		"from memory, some read again":   {250, false, "250 calls"},
		"from memory, and yet asked":     {5000, false, "5000 calls"},
		"first sight":                    {10050, true, ""},
		"first sight, and yet in memory": {100, true, "only 100 calls"},
		"two calls for a first sight":    {20000, true, "20000 calls"},
	} {
		err := plausibleStore(10000, storeCalls{commands: c.calls, during: 2 * time.Second}, c.cold)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBareProxySendsWhatPosternSent(t *testing.T) {
	t.Parallel()
	sent := http.Header{"Host": {"app.localhost"}, "Accept": {"*/*"}, "Cookie": {"a=b; own=1"}, "X-Dropped": {"x"}}
	got := http.Header{"Accept": {"*/*"}, "Cookie": {"a=b"}, "Authorization": {"Bearer t"}, "X-Postern-Subject": {"s"}}
	app := httptest.NewServer(newApp())
	t.Cleanup(app.Close)
	bare := httptest.NewServer(newBare(sendAlike(app.Listener.Addr().String(), sent, got)))
	t.Cleanup(bare.Close)
	var echoed http.Header
	if err := getJSON(t.Context(), bare.URL+pathHeaders, sent, &echoed); err != nil {
		t.Fatal(err)
	}
	delete(echoed, "User-Agent") // of the client of this test
	if diff := cmp.Diff(got, echoed); diff != "" {
		t.Error(diff)
	}
}

func TestLoadCountsAnswers(t *testing.T) {
	t.Parallel()
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, r.URL.Path+" "+r.Header.Get("Cookie")) // short enough for a Content-Length
	}))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := newLoadClient(conn)
	t.Cleanup(func() { _ = conn.Close() })
	request := requestBytes("/x", http.Header{"Host": {"h"}, "Cookie": {"a=b"}}, "")
	for _, want := range []int{200, 503, 200} {
		if status, err := c.ask(request); err != nil || status != want {
			t.Errorf("status %d, want %d: %v", status, want, err)
		}
	}
}

func TestLoadRefusesAnswersThatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"chunked":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"another protocol": "SSH-2.0-server of some length\r\n\r\n",
		"a strange length": "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"cut off":          "HTTP/1.1 200 OK\r\nContent-Le",
		"a short body":     "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
	} {
		client, server := net.Pipe()
		go func() {
			_, _ = server.Read(make([]byte, 1<<10))
			_, _ = io.WriteString(server, answer)
			_ = server.Close()
		}()
		if status, err := newLoadClient(client).ask(requestBytes("/", http.Header{"Host": {"h"}}, "")); err == nil {
			t.Errorf("%s: status %d and no error", name, status)
		}
		_ = client.Close()
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	needLinux(t)
	before, err := cpuOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	busyBefore, err := busyCPU()
	if err != nil {
		t.Fatal(err)
	}
	for cpu := before; cpu < before+10*tick; { // until it shows
		if cpu, err = cpuOf(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if busy, err := busyCPU(); err != nil || busy-busyBefore < 5*tick {
		t.Errorf("the machine was busy for %v: %v", busy-busyBefore, err)
	}
	if rss, err := residentOf(os.Getpid()); err != nil || rss < 1<<20 || rss > 1<<32 {
		t.Errorf("%d bytes resident: %v", rss, err)
	}
	if _, err := cpuOf(-1); err == nil {
		t.Error("CPU time of no process")
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	values := []float64{3, 1, 2}
	if got := median(values); got != 2 || !slices.Equal(values, []float64{3, 1, 2}) {
		t.Errorf("median %v, values %v", got, values)
	}
}

func TestABinaryThatCannotRunFailsTheRun(t *testing.T) {
	t.Parallel()
	needLinux(t)
	var errs strings.Builder
	for _, binary := range []string{"/bin/false", "/nowhere"} {
		if code := realMain(t.Context(), []string{"-binary=" + binary}, io.Discard, &errs); code != exitFailed {
			t.Errorf("%s: exit status %d: %s", binary, code, errs.String())
		}
	}
	if text := errs.String(); !strings.Contains(text, "ended before it answered") || !strings.Contains(text, "start postern idp") {
		t.Errorf("the errors: %s", text)
	}
}
