package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"postern/obo/guard"
	"postern/oidc/correlation"
	"postern/proxy/forward"
	"postern/session"
)

// Sessions is what is asked for: [*session.Manager].
type Sessions interface {
	EndAll(ctx context.Context, of session.Selector) (ended int, err error)
	List(ctx context.Context, of session.Selector) ([]session.Listed, error)
	Count(ctx context.Context) (int, error)
}

// Config says what there is.
type Config struct {
	Profiles  bool  // pprof-enabled
	BodyBytes int64 // of a request; more is refused
}

// Deps are the API's collaborators.
type Deps struct {
	Sessions   Sessions // nil while login is off
	Guard      *guard.Guard
	Log        *slog.Logger
	Audit      *slog.Logger          // of the event of each call (S-38); nil: Log
	Registerer prometheus.Registerer // nil registers nothing
}

// Handler is the admin API. Any number of goroutines may use it.
type Handler struct {
	cfg      Config
	sessions Sessions
	guard    *guard.Guard
	log      *slog.Logger
	events   *slog.Logger
	ids      *correlation.RequestIDs
	calls    *prometheus.CounterVec
	counting chan struct{} // holds one value while somebody counts
}

// New does no I/O.
func New(cfg Config, d Deps) *Handler {
	if d.Audit == nil {
		d.Audit = d.Log
	}
	h := &Handler{
		cfg: cfg, sessions: d.Sessions, guard: d.Guard, log: d.Log, events: d.Audit, ids: correlation.NewRequestIDs(), counting: make(chan struct{}, 1),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_admin_calls_total", Help: "Calls of the admin API by action and outcome: done, or the code of the refusal.",
		}, []string{"action", "outcome"}),
	}
	if d.Registerer != nil {
		d.Registerer.MustRegister(h.calls)
	}
	return h
}

// action is one thing that can be asked for. Its name is a label and stands in the audit event.
type action struct {
	path, method, name string
	serve              func(*Handler, *call, *http.Request) error
}

var actions = [...]action{
	{"/sessions/search", http.MethodPost, "sessions.search", (*Handler).search},
	{"/sessions/end", http.MethodPost, "sessions.end", (*Handler).end},
	{"/sessions/count", http.MethodGet, "sessions.count", (*Handler).count},
}

// none is the name of a call that asks for nothing that there is.
const none = "none"

// ServeHTTP answers one call, and writes its audit event.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Answer: forward.Answer{ResponseWriter: w}, action: none, outcome: "done"}
	c.ctx.Begin(r.Context(), h.ids, r.Header)
	c.id = c.ctx.RequestID()
	defer h.conclude(c, r)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if err := h.serve(c, r.WithContext(&c.ctx)); err != nil {
		c.refuse(err)
	}
}

func (h *Handler) serve(c *call, r *http.Request) error {
	if refusal := h.guard.Check(r); refusal != nil {
		return &problem{refusal.Status, refusal.Code, refusal.Description, http.Header{"Www-Authenticate": challenge(refusal)}, errors.New(refusal.Reason)}
	}
	if strings.HasPrefix(r.URL.Path, profilesPath) && h.cfg.Profiles {
		c.action = "profile"
		return h.profile(c, r)
	}
	for i := range actions {
		a := &actions[i]
		if a.path != r.URL.Path {
			continue
		}
		if h.sessions == nil {
			return &problem{http.StatusNotFound, "not_found", "There are no sessions: login is off.", nil, nil}
		}
		c.action = a.name
		if r.Method != a.method {
			return errMethod(a.method)
		}
		r.Body = http.MaxBytesReader(c, r.Body, h.cfg.BodyBytes)
		return a.serve(h, c, r)
	}
	return &problem{http.StatusNotFound, "not_found", "There is no such endpoint.", nil, nil}
}

func challenge(refusal *guard.Refusal) []string {
	if refusal.Challenge == "" {
		return nil
	}
	return []string{refusal.Challenge}
}

// conclude runs whatever happened. A panic of ours is a 500; the profiles of net/http/pprof never panic.
func (h *Handler) conclude(c *call, r *http.Request) {
	cut := c.Conclude(recover(), func(err error, answered bool) {
		h.log.LogAttrs(&c.ctx, slog.LevelError, "panic", slog.String("stack", string(debug.Stack())))
		if c.outcome = "internal_error"; !answered {
			c.refuse(err)
		}
	})
	h.calls.WithLabelValues(c.action, c.outcome).Inc()
	h.audit(c, r)
	if cut {
		panic(http.ErrAbortHandler)
	}
}
