package doctor

import (
	"net/http"
	"sync"
	"time"
)

const (
	skewWarning = 10 * time.Second // Maskinporten refuses grants beyond about this
	skewProblem = time.Minute      // beyond this assertions of 30 s have ended before they arrive, and most providers refuse tokens
)

// clock is an [http.RoundTripper] that compares this machine's time with the Date of answers (RFC 9110 §6.6.1).
type clock struct {
	next http.RoundTripper
	now  func() time.Time

	mu       sync.Mutex
	answered bool
	seen     bool          // an answer that told the time
	skew     time.Duration // by how much we are ahead, of the answer that came the fastest
	took     time.Duration
}

// RoundTrip implements [http.RoundTripper].
func (c *clock) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := c.now()
	response, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	took := c.now().Sub(asked)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered = true
	date, dateErr := http.ParseTime(response.Header.Get("Date"))
	if dateErr != nil || response.Header.Get("Age") != "" { // a cache's answer tells the time at which it was stored
		return response, nil
	}
	if !c.seen || took < c.took {
		// Date is cut to a second: on average half of one later.
		c.seen, c.took, c.skew = true, took, asked.Add(took/2).Sub(date.Add(time.Second/2))
	}
	return response, nil
}

// finding judges what was seen. Half the way of the answer and the cut second are nobody's fault.
func (c *clock) finding(check string) Finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.answered {
		return unchecked(check, "", "the provider does not answer")
	}
	if !c.seen {
		return unchecked(check, "", "the provider says no Date")
	}
	direction := "ahead of"
	if c.skew < 0 {
		direction = "behind"
	}
	off := max(c.skew.Abs()-c.took/2-time.Second/2, 0).Round(time.Second)
	const advice = "Set the clock of this machine by NTP (chrony, systemd-timesyncd): tokens and client assertions are refused by the time in them."
	switch {
	case off > skewProblem:
		return problem(check, advice, "this machine is %v %s the provider", off, direction)
	case off > skewWarning:
		return warning(check, advice, "this machine is %v %s the provider", off, direction)
	}
	return ok(check, "the same time as the provider's, to %v", max(off, time.Second))
}
