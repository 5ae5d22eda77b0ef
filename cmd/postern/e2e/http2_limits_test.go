package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// flood is what a hostile client of HTTP/2 sends again and again.
type flood struct {
	name   string
	ended  bool // the server ends the connection
	silent bool // the client reads nothing
	frames int  // at most
	send   func(c *RawHTTP2, i int) error
}

// floods are those that cost a server more than its client (peers.md row 78, and the eight of CERT VU#605641).
var floods = []flood{
	{"rapid reset (CVE-2023-44487)", false, false, 20_000, func(c *RawHTTP2, i int) error {
		id := uint32(2*i + 1)
		if err := c.Open(id, true, c.Head("GET", "/flood")); err != nil {
			return err
		}
		return c.WriteRSTStream(id, http2.ErrCodeCancel)
	}},
	{"made you reset (CVE-2025-8671)", false, false, 20_000, func(c *RawHTTP2, i int) error {
		id := uint32(2*i + 1)
		if err := c.Open(id, true, c.Head("GET", "/flood")); err != nil {
			return err
		}
		return c.WriteRawFrame(http2.FrameWindowUpdate, 0, id, []byte{0, 0, 0, 0}) // an error of the stream, which the server is to reset
	}},
	{"CONTINUATION without end (CVE-2023-45288)", true, false, 20_000, func(c *RawHTTP2, i int) error {
		if i == 0 {
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.Head("GET", "/flood"), EndStream: true})
		}
		return c.WriteContinuation(1, false, c.Head("GET", "/", "x", strings.Repeat("x", 4000)))
	}},
	{"empty CONTINUATION (CVE-2024-27316)", false, false, 50_000, func(c *RawHTTP2, i int) error {
		if i == 0 {
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.Head("GET", "/flood"), EndStream: true})
		}
		return c.WriteContinuation(1, false, nil)
	}},
	{"header of references (CVE-2016-6581)", false, false, 40, func(c *RawHTTP2, i int) error {
		fields := []string{"x", strings.Repeat("x", 3000)}
		for range 4000 { // one byte each, from the table
			fields = append(fields, "x", fields[1])
		}
		return c.Open(uint32(2*i+1), true, c.Head("GET", "/flood", fields...))
	}},
	{"empty DATA of no stream (CVE-2019-9518)", true, false, 20_000, func(c *RawHTTP2, i int) error {
		if i == 0 {
			return c.Open(1, false, c.Head("POST", "/flood"))
		}
		return c.WriteRawFrame(http2.FrameData, 0, 3, nil)
	}},
	{"empty DATA (CVE-2019-9518)", false, false, 50_000, func(c *RawHTTP2, i int) error {
		if i == 0 {
			return c.Open(1, false, c.Head("POST", "/flood"))
		}
		return c.WriteData(1, false, nil)
	}},
	{"empty names (CVE-2019-9516)", false, false, 2_000, func(c *RawHTTP2, i int) error {
		return c.Open(uint32(2*i+1), true, c.Head("GET", "/flood", "", "", "", ""))
	}},
	{"PING (CVE-2019-9512)", true, true, 4_000_000, func(c *RawHTTP2, _ int) error { return c.WritePing(false, [8]byte{}) }},
	// However many there are, one acknowledgement is owed at most: nothing heaps up, and nothing has to be ended.
	{"SETTINGS (CVE-2019-9515, CVE-2026-33814)", false, true, 200_000, func(c *RawHTTP2, i int) error {
		return c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i % 100_000)}, http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16<<10 + uint32(i%2)})
	}},
	{"resets to come (CVE-2019-9514)", false, true, 50_000, func(c *RawHTTP2, i int) error {
		return c.Open(uint32(2*i+1), true, c.Head("GET", "/flood", "Upper", "case")) // each a stream error
	}},
	{"PRIORITY (CVE-2019-9513)", false, false, 50_000, func(c *RawHTTP2, i int) error {
		return c.WritePriority(uint32(2*(i%1000)+1), http2.PriorityParam{StreamDep: uint32(2 * ((i + 7) % 999)), Weight: byte(i)})
	}},
	{"answers behind a closed window (CVE-2019-9517)", false, true, 2_000, func(c *RawHTTP2, i int) error {
		if i == 0 {
			return c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		}
		return c.Open(uint32(2*i-1), true, c.Head("GET", "/flood"))
	}},
	{"window byte by byte (CVE-2019-9511)", false, false, 20_000, func(c *RawHTTP2, i int) error {
		switch i {
		case 0:
			return c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		case 1:
			return c.Open(1, true, c.Head("GET", "/flood"))
		}
		return c.WriteWindowUpdate(1, 1)
	}},
	{"window beyond 2^31 (RFC 9113 6.9.1)", true, false, 1_000, func(c *RawHTTP2, _ int) error { return c.WriteWindowUpdate(0, 1<<31-1) }},
	{"window of no growth (RFC 9113 6.9)", true, false, 1_000, func(c *RawHTTP2, _ int) error {
		return c.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, []byte{0, 0, 0, 0})
	}},
	{"frames of types that nobody knows", false, false, 50_000, func(c *RawHTTP2, _ int) error { return c.WriteRawFrame(0xbb, 0, 0, nil) }},
}

// Row 78, by HTTP/2 with prior knowledge and by TLS: what costs the server more than the client is cut off or slowed down, most of it never reaches
// the app, whoever else comes is served meanwhile, and neither memory nor CPU time of the process says that there was a flood.
func TestAdvisoryCVE2023_44487HTTP2Floods(t *testing.T) {
	t.Parallel()
	const (
		memory = 96 << 20 // of all floods at once, more than before them
		cpu    = 1.0      // seconds of the process for each flood
	)
	for name, w := range ways(t, map[string]string{"POSTERN_LOG_LEVEL": "info", "POSTERN_LIMITS_STALL_TIME": "2s", "POSTERN_LIMITS_HEADER_TIME": "2s"}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, beforeCPU := w.rss(t), w.cpu(t)
			t.Run("all", func(t *testing.T) {
				for _, f := range floods {
					t.Run(f.name, func(t *testing.T) {
						t.Parallel()
						w.flood(t, f)
					})
				}
			})
			after, spent := w.rss(t), w.cpu(t)-beforeCPU
			t.Logf("%.1f MiB before, %.1f after; %.1f s of CPU time", mib(before), mib(after), spent)
			if after > before+memory {
				t.Errorf("%.1f MiB after %.1f", mib(after), mib(before))
			}
			if spent > cpu*float64(len(floods)) {
				t.Errorf("%.1f s of CPU time", spent)
			}
			reached := 0
			for _, seen := range w.app.Requests() {
				if seen.URI == "/flood" {
					reached++
				}
			}
			if reached > 15_000 { // of more than 90 000
				t.Errorf("%d requests reached the app", reached)
			}
		})
	}
}

// flood sends one flood, and has others ask meanwhile.
func (w way) flood(t *testing.T, f flood) {
	c := w.dialHTTP2(t)
	if f.silent {
		_ = c.SetDeadline(time.Now().Add(Patience / 4))
	}
	ended := make(chan string, 1)
	if !f.silent {
		go func() { ended <- c.EndOf() }()
	}
	cut := false
	for i := range f.frames {
		if err := f.send(c, i); err != nil {
			cut = true
			break
		}
		if i == f.frames/2 {
			other := w.dialHTTP2(t)
			if err := other.Open(1, true, other.Head("GET", "/meanwhile")); err != nil {
				t.Fatal(err)
			}
			if status := other.StatusOf(1); status != "200" {
				t.Errorf("somebody else: %s", status)
			}
			other.Conn.Close()
		}
	}
	switch {
	case f.silent:
		if f.ended && !cut {
			t.Error("everything was taken")
		}
	case f.ended:
		if how := <-ended; how == "timeout" {
			t.Error("the connection was not ended")
		}
	default: // slowed down, or harmless: the connection may serve on
		c.Conn.Close()
		<-ended
	}
}

// cpu is the CPU time of the process, in seconds.
func (p *Process) cpu(t testing.TB) float64 {
	t.Helper()
	p.rss(t) // skips where there is no /proc
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	if err != nil {
		t.Fatal(err)
	}
	return (user + system) / 100 // USER_HZ of every Linux that Go runs on
}

// Row 78: streams beyond limits.streams are refused and never reach the app; those that are open go on.
func TestRow78TooManyStreams(t *testing.T) {
	t.Parallel()
	const most = 5
	for name, w := range ways(t, map[string]string{"POSTERN_LIMITS_STREAMS": strconv.Itoa(most)}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := w.dialHTTP2(t)
			for i := range most + 1 { // nobody has heard yet how many there may be
				if err := c.Open(uint32(2*i+1), false, c.Head("POST", "/open")); err != nil {
					t.Fatal(err)
				}
			}
			if got := c.StatusOf(2*most + 1); got != "reset REFUSED_STREAM" && got != "reset PROTOCOL_ERROR" {
				t.Errorf("one too many: %s", got)
			}
			if err := c.WriteData(1, true, []byte("whole")); err != nil {
				t.Fatal(err)
			}
			if got := c.StatusOf(1); got != "200" {
				t.Errorf("the first one: %s", got)
			}
		})
	}
}
