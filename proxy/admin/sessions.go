package admin

import (
	"context"
	"net/http"
	"time"
)

// listed is a session as an operator sees it: enough to find it in the log, and nothing that opens it.
type listed struct {
	ID        string    `json:"id"` // what the log calls the session
	Created   time.Time `json:"created_at"`
	Ends      time.Time `json:"ends_at"`
	Refreshed time.Time `json:"refreshed_at"`
}

// search answers POST /sessions/search.
func (h *Handler) search(c *call, r *http.Request) error {
	of, err := readSelector(r.Body)
	if err != nil {
		return err
	}
	c.selector = of
	found, err := h.sessions.List(r.Context(), of)
	if err != nil {
		return err
	}
	all := make([]listed, 0, len(found)) // [] rather than null
	for _, s := range found {
		all = append(all, listed{s.HashedID, s.Created, s.Ends, s.Refreshed})
	}
	c.affected = len(all)
	return c.answer(http.StatusOK, struct {
		Count    int      `json:"count"`
		Sessions []listed `json:"sessions"`
	}{len(all), all})
}

// end answers POST /sessions/end. What was begun is finished, whether or not somebody waits for the answer.
func (h *Handler) end(c *call, r *http.Request) error {
	of, err := readSelector(r.Body)
	if err != nil {
		return err
	}
	c.selector = of
	if c.affected, err = h.sessions.EndAll(context.WithoutCancel(r.Context()), of); err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]int{"ended": c.affected})
}

// count answers GET /sessions/count. It walks over the whole store, so one at a time does.
func (h *Handler) count(c *call, r *http.Request) error {
	select {
	case h.counting <- struct{}{}:
		defer func() { <-h.counting }()
	default:
		return &problem{http.StatusTooManyRequests, "count_running", "Sessions are being counted already.", http.Header{"Retry-After": {"5"}}, nil}
	}
	var err error
	if c.affected, err = h.sessions.Count(r.Context()); err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]int{"count": c.affected})
}
