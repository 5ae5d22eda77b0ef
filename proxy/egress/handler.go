package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
	"postern/obo"
	"postern/obo/guard"
	"postern/oidc"
	"postern/oidc/correlation"
	"postern/oidc/trace"
	"postern/proxy/forward"
)

// Config is the part of the configuration that the egress reads.
type Config struct {
	Routes   []config.EgressRoute
	Identity config.Identity // the names of its headers go no further (S-21)
	IDPorten []string        // the app's own client ids there (S-02)
	Outbound config.Outbound
}

// Tokens gets tokens for targets: *obo.Broker.
type Tokens interface {
	Machine(ctx context.Context, r obo.Request) (obo.Token, error)
	Exchange(ctx context.Context, r obo.Request) (obo.Token, error)
}

// Users knows whose a token is: *oidc.Verifier, for every provider whose users a route takes.
type Users interface {
	Verify(ctx context.Context, token string) (*oidc.Identity, error)
}

// Guard says who may speak to the listener, before anything of a call is looked at; nil for those who may go on: *guard.Guard.
type Guard interface {
	Check(r *http.Request) *guard.Refusal
}

// Deps are the egress's collaborators.
type Deps struct {
	Tokens     Tokens
	Users      Users // nil while every route is as: app
	Guard      Guard
	Roots      *x509.CertPool // who vouches for targets; nil: whom the system trusts
	Log        *slog.Logger
	Audit      *slog.Logger          // of audit events (S-38); nil: none are written
	Registerer prometheus.Registerer // nil registers nothing
	Now        func() time.Time      // nil is time.Now
	Tracer     *trace.Tracer         // nil records nothing
}

// Handler is the egress proxy: every call of its listener goes through ServeHTTP.
type Handler struct {
	cfg     Config
	tokens  Tokens
	users   Users
	guard   Guard
	log     *slog.Logger
	audit   *slog.Logger
	now     func() time.Time
	byName  map[string]*route
	byHost  map[string]*route // in lower case, without the port
	private *forward.Names
	metrics *metrics
	ids     *correlation.RequestIDs
	tracer  *trace.Tracer
}

// New builds the egress proxy. It does no I/O.
func New(cfg Config, d Deps) (*Handler, error) {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Audit == nil {
		d.Audit = slog.New(slog.DiscardHandler)
	}
	if d.Guard == nil || d.Tokens == nil {
		return nil, errors.New("egress needs a guard, since whoever reaches it gets the app's tokens, and somebody to get them from")
	}
	h := &Handler{
		cfg: cfg, tokens: d.Tokens, users: d.Users, guard: d.Guard, log: d.Log, audit: d.Audit, now: d.Now,
		byName: map[string]*route{}, byHost: map[string]*route{},
		// Apps forward all headers that they received, and targets may be anybody's: what says who is calling, by which way, or what another API may be
		// called with, goes no further (S-21), and neither does what makes a server act on another target (S-12).
		private: forward.Union(forward.NewManaged(cfg.Identity.OwnHeaders()), forward.NewRouting(nil), forward.NewForwarded(), forward.NewAddresses()),
		metrics: newMetrics(d.Registerer, cfg.Routes),
		ids:     correlation.NewRequestIDs(),
		tracer:  d.Tracer,
	}
	for i, one := range cfg.Routes {
		e, err := h.newRoute(one, d.Roots)
		if err != nil {
			return nil, fmt.Errorf("egress.routes: entry %d: %w", i+1, err)
		}
		h.byName[one.Name], h.byHost[hostOf(one)] = e, e
	}
	return h, nil
}

// Hosts are the names that calls may have in Host, for the guard: one of each route.
func Hosts(routes []config.EgressRoute) []string {
	var hosts []string
	for _, one := range routes {
		hosts = append(hosts, hostOf(one))
	}
	return hosts
}

func hostOf(route config.EgressRoute) string { return strings.ToLower(route.Name) + localhost }

// ServeHTTP takes one call out, or says why not.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{Answer: forward.Answer{ResponseWriter: w}, h: h, started: h.now(), request: r}
	v.ctx.Begin(r.Context(), h.ids, r.Header)
	v.id = v.ctx.RequestID()
	defer h.end(v, r)
	h.tracer.Begin(&v.scope, &v.ctx, r.Header, true, "egress") // who calls is the app itself, or somebody who knows the secret
	if err := h.serve(v, r); err != nil {
		h.answer(v, r, classify(err))
	}
}

func (h *Handler) serve(v *visit, r *http.Request) error {
	if no := h.guard.Check(r); no != nil {
		return refusedByGuard(no)
	}
	if problem := forward.CheckTarget(r); problem != nil {
		return fail(problem.Status, problem.Code, problem.Text)
	}
	e, rest, query, err := h.find(r)
	if err != nil {
		return err
	}
	v.route = e
	target, err := e.target(rest, query)
	if err != nil {
		return err
	}
	if !e.open && e.as != "user" && !asks(r) {
		return fail(http.StatusForbidden, "egress_header_missing",
			"This route calls as the app itself. A call must carry the header X-Postern-Egress: 1, which only code that means it can send.")
	}
	token, err := h.token(v, r, e)
	if err != nil {
		return err
	}
	v.authorization[0] = "Bearer " + token.Raw() // RFC 6750 §2.1
	if v.span = v.scope.Span().Child("target", trace.Client); v.span != nil {
		defer v.endCall()
	}
	e.forwarder.Serve(v, r, forward.Outgoing{Errand: v, Target: target})
	return nil
}

// Drain ends all streams, since the process is going away. See [forward.Forwarder.Drain].
func (h *Handler) Drain(ctx context.Context) {
	var wait sync.WaitGroup
	for _, e := range h.byName {
		wait.Go(func() { e.forwarder.Drain(ctx) })
	}
	wait.Wait()
}

// asks says whether a call means to be made with the app's own rights (S-21): somebody who only makes the app fetch an address cannot add a
// header.
func asks(r *http.Request) bool {
	values := r.Header["X-Postern-Egress"]
	return len(values) == 1 && values[0] == "1"
}

// end runs whatever happened: it turns a panic of ours into a 500 and writes the call's one event.
func (h *Handler) end(v *visit, r *http.Request) {
	cut := v.Conclude(recover(), func(err error, answered bool) {
		h.log.LogAttrs(&v.scope, slog.LevelError, "panic", slog.String("stack", string(debug.Stack())))
		if f := classify(err); answered {
			v.reason = f.reason
		} else {
			h.answer(v, r, f)
		}
	})
	if !v.Upgraded() { // else its stream does, which goes on without this goroutine
		h.finish(v, r)
	}
	if cut {
		panic(http.ErrAbortHandler)
	}
}
