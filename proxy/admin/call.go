package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"postern/oidc/correlation"
	"postern/proxy/forward"
	"postern/session"
)

// call is one request, and what its audit event says of it.
type call struct {
	forward.Answer

	ctx      correlation.Context // of its log lines, and of what is asked of sessions
	id       string
	action   string
	outcome  string // "done", or the code of the refusal
	err      error
	selector session.Selector
	affected int // sessions that were found, ended or counted
}

// problem is an answer that refuses. The texts are ours, nothing of the request is in them.
type problem struct {
	status            int
	code, description string
	header            http.Header
	err               error
}

func (p *problem) Error() string { return p.code }

func (p *problem) Unwrap() error { return p.err }

func badRequest(description string) *problem {
	return &problem{http.StatusBadRequest, "invalid_request", description, nil, nil}
}

func errMethod(allowed string) *problem {
	return &problem{http.StatusMethodNotAllowed, "method_not_allowed", "The method is not allowed here.", http.Header{"Allow": {allowed}}, nil}
}

// classify finds the answer to an error. Trouble of the store says nothing about sessions: the same call can be made again.
func classify(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if _, ok := errors.AsType[*session.StoreError](err); ok {
		return &problem{
			http.StatusServiceUnavailable, "store_unavailable", "The store of the sessions cannot be asked right now. The same call can be made again.",
			http.Header{"Retry-After": {"2"}},
			err,
		}
	}
	if errors.Is(err, context.Canceled) {
		return &problem{forward.StatusClientGone, "client_gone", "", nil, nil}
	}
	return &problem{http.StatusInternalServerError, "internal_error", "Something went wrong here.", nil, err}
}

func (c *call) refuse(err error) {
	p := classify(err)
	c.outcome, c.err = p.code, p.err
	if c.Wrote || p.status == forward.StatusClientGone {
		panic(http.ErrAbortHandler)
	}
	for name, values := range p.header {
		c.Header()[name] = values
	}
	_ = c.answer(p.status, map[string]string{"error": p.code, "error_description": p.description, "request_id": c.id}) // who asked may be gone
}

func (c *call) answer(status int, body any) error {
	c.Header().Set("Content-Type", "application/json")
	c.Header().Set(correlation.HeaderRequestID, c.id)
	c.WriteHeader(status)
	return json.NewEncoder(c).Encode(body)
}

// audit writes the event of a call (S-38), those that were refused as well. It is the one place that names a person; personal numbers are in
// no log at all (S-37).
func (h *Handler) audit(c *call, r *http.Request) {
	attrs := []slog.Attr{
		slog.Bool("audit", true), slog.String("action", c.action), slog.String("outcome", c.outcome),
		slog.String("method", forward.MaskDigits(r.Method)), slog.String("peer", r.RemoteAddr),
	}
	if c.selector.Subject != "" {
		attrs = append(attrs, slog.String("subject", forward.MaskDigits(c.selector.Subject)))
	}
	if c.selector.SID != "" {
		attrs = append(attrs, slog.String("sid", forward.MaskDigits(c.selector.SID)))
	}
	if c.outcome == "done" && c.action != "profile" {
		attrs = append(attrs, slog.Int("sessions", c.affected))
	}
	if c.err != nil {
		attrs = append(attrs, slog.String("error", forward.MaskDigits(c.err.Error())))
	}
	h.events.LogAttrs(&c.ctx, slog.LevelInfo, "admin call", attrs...)
}
