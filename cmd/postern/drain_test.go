package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// All that happens at the end has its time within shutdown-graceful-period, however the two periods are set.
func TestDrainKeepsToItsTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, c := range []struct {
		wait, graceful     time.Duration
		refreshes          bool
		farewell, requests time.Duration
	}{
		{0, 30 * time.Second, true, 27 * time.Second, 28 * time.Second},
		{0, 30 * time.Second, false, 29 * time.Second, 30 * time.Second},
		{20 * time.Second, 24 * time.Second, true, 22250 * time.Millisecond, 23 * time.Second},
		{1900 * time.Millisecond, 2 * time.Second, true, 1956250 * time.Microsecond, 1975 * time.Millisecond},
	} {
		s := scheduleOf(now, c.wait, c.graceful, c.refreshes)
		if s.wait.Sub(now) != c.wait || s.farewell.Sub(now) != c.farewell || s.requests.Sub(now) != c.requests || s.end.Sub(now) != c.graceful {
			t.Errorf("%v of %v: until %v, farewell %v, requests %v, end %v", c.wait, c.graceful,
				s.wait.Sub(now), s.farewell.Sub(now), s.requests.Sub(now), s.end.Sub(now))
		}
	}
}

// A panic in the background ends the process, by a line that does not say what it says.
func TestPanicInTheBackgroundEndsTheProcess(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := newRunning()
	func() {
		defer r.crashed(slog.New(slog.NewJSONHandler(&out, nil)))
		panic("code=4711")
	}()
	select {
	case err := <-r.failed:
		if strings.Contains(err.Error()+out.String(), "4711") || !strings.Contains(out.String(), `"msg":"panic"`) {
			t.Errorf("%v %s", err, out.String())
		}
	default:
		t.Error("it goes on")
	}
}
