package proxy

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"postern/config"
	"postern/oidc"
	"postern/oidc/correlation"
	"postern/oidc/trace"
	"postern/proxy/forward"
	"postern/proxy/pages"
	"postern/proxy/policy"
	"postern/session"
)

// Config is the part of the configuration that the front door reads.
type Config struct {
	Front     config.Front
	Upstream  config.Upstream
	Cookie    config.Cookie
	RateLimit config.RateLimit
	Identity  config.Identity
	OpenID    config.OpenID
	Session   config.Session
	Limits    config.Limits
	SSO       config.SSO
	Outbound  config.Outbound // the way to an SSO server

	PolicyFiles    bool   // there is an access policy in files
	PolicyReports  bool   // policy-mode report: refusals are counted and not made (S-15)
	BearerExplicit bool   // the operator named bearer.providers
	AppName        string // the app's own name where no policy says one: for audience and realm

	ForwardAuthRenews bool // forward-auth renews tokens that are due: as SSO server, where nothing else does (S-16)
}

// Deps are the front door's collaborators. Client, Sessions and Ring are nil while login is off, Client also for an SSO proxy, Bearer while no
// tokens are accepted, Signer without assertions.
type Deps struct {
	Client     *oidc.Client
	Sessions   *session.Manager
	Ring       *session.KeyRing
	Bearer     *oidc.Verifier
	Signer     *oidc.Signer
	Tokens     Exchanger               // for upstream-tokens; nil without any
	SignerKept bool                    // the keys of Signer come from a file, and outlive the process
	Revoked    func(token string) bool // whether a logout has ended an access token; nil: none has
	Policy     func() *policy.Policy   // the policy in force; nil: that of an app without one
	Log        *slog.Logger
	Audit      *slog.Logger          // of audit events (S-38); nil: Log
	Registerer prometheus.Registerer // nil registers nothing
	Now        func() time.Time      // nil is time.Now

	Tracer *trace.Tracer // nil records nothing

	ForwardAuthSecret func() string // by which an ingress controller is known; nil: by none
}

// Handler is the front door: every byte of the public listener goes through ServeHTTP, and an answer of the app comes back by the same way.
type Handler struct {
	cfg   Config
	log   *slog.Logger
	audit *slog.Logger
	now   func() time.Time
	since func(time.Time) time.Duration

	loginOn      bool
	requiredACR  string     // level that every session must have; "" for none
	endpoints    []endpoint // own ones
	targets      destinations
	domain       *domain    // whose SSO server this is, or nil
	server       *ssoServer // whose SSO proxy this is, or nil
	localLogout  bool       // ID-porten has no local logout: the person would be signed in again without being asked
	protected    bool       // the app relies on Postern to keep strangers out: require-auth or a policy
	reportOnly   bool
	ingresses    ingresses
	hosts        []string // of the ingresses
	challenge    string   // how every WWW-Authenticate begins (RFC 6750 §3)
	appName      string   // see audience
	ignored      *policy.Globs
	forwarding   *forwarding
	crossSite    *crossSite
	sameOrigin   *http.CrossOriginProtection
	ownCookie    func(name string) bool
	identity     *identityHeaders
	upstream     *forward.Forwarder
	pages        func() *pages.Pages
	metrics      *metrics
	ids          *correlation.RequestIDs
	tracer       *trace.Tracer
	logins       *rate.Limiter
	frames       *rate.Limiter // front-channel logouts
	leases       leases
	policy       func() *policy.Policy
	bearer       *oidc.Verifier
	assertions   *assertions
	downstream   *downstream // nil without upstream-tokens
	signer       *oidc.Signer
	signerKept   bool
	revoked      func(token string) bool
	client       *oidc.Client
	sessions     *session.Manager
	revoker      *revoker
	ring         *session.KeyRing
	loginSealer  *session.Sealer
	logoutSealer *session.Sealer
	roundsSealer *session.Sealer
	ingressAuth  ingressAuth
}

// alwaysIgnored are asked for by browsers on their own; a login must never start from one.
var alwaysIgnored = []string{"/favicon.ico", "/robots.txt"}

// loginBurst is how many times the rate of logins may come at once (S-28).
const loginBurst = 4

// New builds the front door. It does no I/O.
func New(cfg Config, d Deps) (*Handler, error) {
	since := time.Since // it takes half the time of a look at the clock
	if d.Now == nil {
		d.Now = time.Now
	} else {
		since = func(then time.Time) time.Duration { return d.Now().Sub(then) }
	}
	if d.Audit == nil {
		d.Audit = d.Log
	}
	if d.Revoked == nil {
		d.Revoked = func(string) bool { return false }
	}
	globs, err := policy.CompileGlobs(append(alwaysIgnored[:len(alwaysIgnored):len(alwaysIgnored)], cfg.Front.AutoLoginIgnorePaths...))
	if err != nil {
		return nil, fmt.Errorf("auto-login-ignore-paths: %w", err)
	}
	h := &Handler{
		cfg: cfg, log: d.Log, audit: d.Audit, now: d.Now, since: since,
		loginOn:     d.Sessions != nil,
		endpoints:   endpoints[:],
		targets:     ownAddresses{},
		localLogout: cfg.OpenID.Provider != "idporten",
		protected:   cfg.Front.RequireAuth || cfg.PolicyFiles,
		reportOnly:  cfg.PolicyReports,
		policy:      d.Policy, bearer: d.Bearer, signer: d.Signer, signerKept: d.SignerKept, revoked: d.Revoked,
		ingresses:  newIngresses(cfg.Front.Ingress),
		ignored:    globs,
		sameOrigin: http.NewCrossOriginProtection(),
		ownCookie:  ownCookies(cfg.Cookie.Prefix, sharedName(cfg.SSO)),
		identity:   newIdentityHeaders(cfg.Identity),
		pages:      sync.OnceValue(readPages),
		metrics:    newMetrics(d.Registerer),
		ids:        correlation.NewRequestIDs(),
		tracer:     d.Tracer,
		logins:     rate.NewLimiter(rate.Limit(cfg.Front.LoginRate), loginBurst*cfg.Front.LoginRate),
		frames:     rate.NewLimiter(rate.Limit(cfg.Front.LoginRate), loginBurst*cfg.Front.LoginRate),
		client:     d.Client, sessions: d.Sessions, ring: d.Ring,
		ingressAuth: ingressAuth{secret: d.ForwardAuthSecret},
	}
	h.ingressAuth.names = toldToApps(h.identity, &h.cfg)
	for _, in := range h.ingresses {
		in.cookies = namesFor(in, cfg.Cookie, cfg.SSO)
		h.hosts = append(h.hosts, in.host)
		if err := h.sameOrigin.AddTrustedOrigin(in.origin); err != nil {
			return nil, fmt.Errorf("ingress: %w", err)
		}
	}
	if h.downstream, err = newDownstream(cfg.Identity.UpstreamTokens, d.Tokens); err != nil {
		return nil, err
	}
	if h.policy == nil {
		none := policy.WithoutFile(policy.Settings{RequireAuth: cfg.Front.RequireAuth})
		h.policy = func() *policy.Policy { return none }
	}
	h.nameApp()
	notSaid := []*forward.Names{forward.NewManaged(cfg.Identity.OwnHeaders())}
	if h.protected {
		notSaid = append(notSaid, forward.NewRouting(cfg.Front.ForwardHeaders))
	}
	h.forwarding = newForwarding(cfg.Front, h.protected, notSaid...)
	h.crossSite = newCrossSite(cfg.Front.CSRF, h.ingresses.origins(), cfg.Front.CSRFTrustedOrigins)
	h.upstream = newUpstream(cfg.Upstream, h.forwarding.withheld, cfg.Limits.StallTime, h.ownCookie, h.appFailed)
	if err := h.joinDomain(); err != nil {
		return nil, err
	}
	if h.loginOn {
		h.metrics.wonderwall = newWonderwall(d.Registerer, cfg.OpenID.Provider)
		h.requiredACR = oidc.RequiredACR(cfg.OpenID)
		h.loginSealer = d.Ring.Sealer("login", loginAge)
		h.logoutSealer = d.Ring.Sealer("logout", logoutAge)
		h.roundsSealer = d.Ring.Sealer("rounds", h.roundsWindow())
		h.revoker = newRevoker(d.Client, d.Log)
	}
	return h, nil
}

// readPages is for the first page: many an app never shows one, and its texts are a tenth of what a start would allocate.
func readPages() *pages.Pages {
	p, err := pages.New()
	if err != nil {
		panic(err) // of texts that are part of the program
	}
	return p
}

// nameApp finds what to call the app: in challenges (realm), and in assertions where no policy names it.
func (h *Handler) nameApp() {
	h.appName = h.cfg.AppName
	realm, issuer := cmp.Or(h.policy().App().Name, h.appName), h.cfg.Identity.AssertionIssuer
	if len(h.cfg.Front.Ingress) > 0 {
		first := newIngresses(h.cfg.Front.Ingress[:1])[0]
		realm, issuer, h.appName = cmp.Or(realm, first.host), cmp.Or(issuer, first.url("")), cmp.Or(h.appName, first.url(""))
	}
	h.challenge = "Bearer realm=" + forward.Quoted(cmp.Or(realm, "postern"))
	if h.signer != nil {
		h.assertions = newAssertions(h.signer, issuer, h.now, rand.Reader)
	}
}

// Close waits for what goes on behind answered requests, no longer than ctx lives. Call it when the last request is answered.
func (h *Handler) Close(ctx context.Context) error {
	if h.revoker == nil {
		return nil
	}
	return h.revoker.close(ctx)
}

// ServeHTTP takes one request through the door: an own endpoint answers it, or the app does.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.receive(w, r, routeApp, (*Handler).serve)
}

// receive opens and ends the visit that serve is about.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, route string, serve func(*Handler, *visit, *http.Request) error) {
	v := &visit{Answer: forward.Answer{ResponseWriter: w}, started: h.now(), route: route}
	v.waits.Context = r.Context()
	v.ctx.Begin(&v.waits, h.ids, r.Header)
	v.id = v.ctx.RequestID()
	defer h.end(v, r)
	h.tracer.Begin(&v.scope, &v.ctx, r.Header, h.tracer != nil && h.forwarding.trusts(r.RemoteAddr), "")
	forward.AwaitBody(w, r, h.cfg.Limits.StallTime)
	if err := serve(h, v, r); err != nil {
		h.answer(v, r, classify(err))
	}
}

func (h *Handler) serve(v *visit, r *http.Request) error {
	if problem := forward.CheckTarget(r, h.hosts...); problem != nil {
		if problem.Status == http.StatusMethodNotAllowed {
			return errMethod("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		}
		f := badRequest(problem.Code, problem.Text)
		if h.bearer != nil && problem.Code == "invalid_request" { // RFC 6750 §3.1
			f.header = h.challengeHeader(nil, problem.Code, problem.Text, "", "")
		}
		return f
	}
	if err := h.checkCookies(r); err != nil {
		return err
	}
	if rest, own := h.ownPath(r); own {
		return h.serveOwn(v, r, rest)
	}
	if h.domain != nil {
		return h.leadOn(v, r)
	}
	if h.bearer != nil {
		if in, is := resourcePath(forward.RawPath(r), h.ingresses, r.Host, h.forwardedHost(r)); is {
			return h.resourceMetadata(v, r, in)
		}
	}
	return h.serveApp(v, r)
}

func (h *Handler) checkCookies(r *http.Request) error {
	if countCookies(r.Header) > h.cfg.Limits.Cookies {
		return badRequest("too_many_cookies", "The request carries too many cookies.")
	}
	return nil
}

// end runs whatever happened: it turns a panic of ours into a 500 and writes the request's one event.
func (h *Handler) end(v *visit, r *http.Request) {
	cut := v.Conclude(recover(), func(err error, answered bool) {
		h.log.LogAttrs(v.context(), slog.LevelError, "panic", slog.String("route", v.route), slog.String("stack", string(debug.Stack())))
		if f := classify(err); answered {
			v.reason = f.code
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
