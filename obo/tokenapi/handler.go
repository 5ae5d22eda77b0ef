package tokenapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/obo"
	"postern/obo/guard"
	"postern/oidc"
	"postern/oidc/correlation"
	"postern/oidc/trace"
)

const defaultBodyBytes = 2 << 20 // Texas' limit

// Config is what the operator may say. The zero value works.
type Config struct {
	BodyBytes int64 // of a request; 0: 2 MiB
	OpenID    bool  // the login provider "openid" can be asked for tokens too
}

// Deps are what the handler needs from outside.
type Deps struct {
	Broker       Broker
	Introspector Introspector
	Guard        *guard.Guard             // nil: one that answers this machine only
	CacheSize    func(exchanged bool) int // tokens in the broker's cache, for a metric; nil: not shown
	Log          *slog.Logger             // nil: silent
	Audit        *slog.Logger             // of audit events (S-38); nil: none are written
	Registerer   prometheus.Registerer    // nil: metrics are not registered
	Now          func() time.Time         // nil: time.Now
	Tracer       *trace.Tracer            // nil records nothing
}

// Broker gets tokens.
type Broker interface {
	Machine(context.Context, obo.Request) (obo.Token, error)
	Exchange(context.Context, obo.Request) (obo.Token, error)
}

// Introspector looks into tokens. Its only errors are troubles.
type Introspector interface {
	Introspect(ctx context.Context, provider, token string) (oidc.Introspection, error)
}

// Handler is the token API. Any number of goroutines may use it.
type Handler struct {
	deps      Deps
	limit     int
	providers []*provider // in the order in which the texts list them
	expected  string      // that list
	endpoints []*endpoint
	metrics   *metrics
	ids       *correlation.RequestIDs
	buffers   sync.Pool // of *[]byte

	// Header values that all answers share; nobody appends to them.
	typeJSON, noStore, noSniff []string
}

// provider is an identity provider by all names that callers have for it.
type provider struct {
	name, alias string
	counts      map[*endpoint]counts
}

// New makes the handler; it does no I/O.
func New(cfg Config, d Deps) *Handler {
	if d.Guard == nil {
		d.Guard = guard.New(guard.Config{})
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Audit == nil {
		d.Audit = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	h := &Handler{
		deps: d, limit: int(cfg.BodyBytes), endpoints: newEndpoints(), ids: correlation.NewRequestIDs(),
		typeJSON: []string{contentJSON}, noStore: []string{"no-store"}, // RFC 6749 §5.1
		noSniff: []string{"nosniff"},
	}
	if h.limit <= 0 {
		h.limit = defaultBodyBytes
	}
	h.providers = []*provider{
		{name: oidc.EntraID, alias: "azuread"}, {name: oidc.TokenX}, {name: oidc.Maskinporten}, {name: oidc.IDPorten},
	}
	h.expected = "`azuread`, `entra_id`, `tokenx`, `maskinporten`, `idporten`"
	if cfg.OpenID {
		h.providers = append(h.providers, &provider{name: oidc.OpenID})
		h.expected += ", `openid`"
	}
	h.metrics = newMetrics(d.Registerer, d.CacheSize)
	for _, p := range h.providers {
		p.counts = make(map[*endpoint]counts, len(h.endpoints))
		for _, e := range h.endpoints {
			p.counts[e] = h.metrics.of(e, p.name)
		}
	}
	h.buffers.New = func() any { b := make([]byte, 0, 4<<10); return &b }
	return h
}

// find knows a provider by its names, in exactly these letters.
func (h *Handler) find(name string) *provider {
	for _, p := range h.providers {
		if name == p.name || name == p.alias && name != "" {
			return p
		}
	}
	return nil
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{h: h, w: w, r: r, began: h.deps.Now()}
	v.ctx.Begin(r.Context(), h.ids, r.Header)
	defer h.end(v)
	h.deps.Tracer.Begin(&v.scope, &v.ctx, r.Header, true, "token API") // who asks is the app itself, or somebody who knows the secret
	h.serve(v)
}

// end runs whatever happened: a panic of ours is a 500, and its text, which may quote the request, is written nowhere.
func (h *Handler) end(v *visit) {
	if panicked := recover(); panicked != nil {
		h.deps.Log.ErrorContext(&v.ctx, "panic", "where", "token API", "stack", string(debug.Stack()))
		if v.status != 0 { // something was said: cutting the connection is all that is left
			panic(http.ErrAbortHandler)
		}
		err := fmt.Errorf("panic of type %T", panicked)
		v.fail(obo.Explain(err), "Panic", err)
	}
	h.finish(v)
}

func (h *Handler) serve(v *visit) {
	path := v.r.URL.Path
	for _, e := range h.endpoints {
		if e.path == path && v.r.URL.RawPath == "" { // in one spelling
			v.endpoint = e
		}
	}
	refusal := h.deps.Guard.Check(v.r)
	switch {
	case refusal != nil:
		v.refuse(refusal)
	case v.endpoint != nil && v.r.Method == http.MethodPost:
		v.endpoint.serve(v)
	case v.endpoint != nil:
		v.empty(http.StatusMethodNotAllowed, http.MethodPost)
	case path == openAPIPath && (v.r.Method == http.MethodGet || v.r.Method == http.MethodHead):
		v.json(http.StatusOK, openAPI)
	case path == openAPIPath:
		v.empty(http.StatusMethodNotAllowed, "GET, HEAD")
	default:
		v.empty(http.StatusNotFound, "")
	}
}
