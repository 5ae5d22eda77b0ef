package proxy

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"postern/config"
	"postern/oidc"
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

	PolicyFiles    bool   // there is an access policy in files
	PolicyReports  bool   // policy-mode report: refusals are counted and not made (S-15)
	BearerExplicit bool   // the operator named bearer.providers
	AppName        string // the app's own name where no policy says one: for audience and realm
}

// Deps are the front door's collaborators. Client, Sessions and Ring are nil while login is off, Bearer while no tokens are accepted, Signer
// without assertions.
type Deps struct {
	Client      *oidc.Client
	Sessions    *session.Manager
	Ring        *session.KeyRing
	Bearer      *oidc.Verifier
	Signer      *oidc.Signer
	Tokens      Exchanger             // for upstream-tokens; nil without any
	Revocations *oidc.Revocations     // told of the access tokens of ended sessions; nil: nobody is
	SignerKept  bool                  // the keys of Signer come from a file, and outlive the process
	Policy      func() *policy.Policy // the policy in force; nil: that of an app without one
	Log         *slog.Logger
	Registerer  prometheus.Registerer // nil registers nothing
	Now         func() time.Time      // nil is time.Now
}

// Handler is the front door: every byte of the public listener goes through ServeHTTP, and an answer of the app comes back by the same way.
type Handler struct {
	cfg Config
	log *slog.Logger
	now func() time.Time

	loginOn      bool
	localLogout  bool // ID-porten has no local logout: the person would be signed in again without being asked
	protected    bool // the app relies on Postern to keep strangers out: require-auth or a policy
	reportOnly   bool
	ingresses    ingresses
	hosts        []string // of the ingresses
	challenge    string   // how every WWW-Authenticate begins (RFC 6750 §3)
	appName      string   // see audience
	ignored      *policy.Globs
	managed      *forward.Names
	routing      *forward.Names
	forwarding   *forwarding
	crossSite    *crossSite
	sameOrigin   *http.CrossOriginProtection
	ownCookie    func(name string) bool
	identity     *identityHeaders
	upstream     *forward.Forwarder
	pages        *pages.Pages
	metrics      *metrics
	ids          *forward.RequestIDs
	logins       *rate.Limiter
	policy       func() *policy.Policy
	bearer       *oidc.Verifier
	revocations  *oidc.Revocations
	assertions   *assertions
	downstream   *downstream // nil without upstream-tokens
	signer       *oidc.Signer
	signerKept   bool
	client       *oidc.Client
	sessions     *session.Manager
	ring         *session.KeyRing
	loginSealer  *session.Sealer
	logoutSealer *session.Sealer
	roundsSealer *session.Sealer
}

// alwaysIgnored are asked for by browsers on their own; a login must never start from one.
var alwaysIgnored = []string{"/favicon.ico", "/robots.txt"}

// loginBurst is how many times the rate of logins may come at once (S-28).
const loginBurst = 4

// New builds the front door. It does no I/O.
func New(cfg Config, d Deps) (*Handler, error) {
	if d.Now == nil {
		d.Now = time.Now
	}
	globs, err := policy.CompileGlobs(append(alwaysIgnored[:len(alwaysIgnored):len(alwaysIgnored)], cfg.Front.AutoLoginIgnorePaths...))
	if err != nil {
		return nil, fmt.Errorf("auto-login-ignore-paths: %w", err)
	}
	rendered, err := pages.New()
	if err != nil {
		return nil, fmt.Errorf("prepare pages: %w", err)
	}
	h := &Handler{
		cfg: cfg, log: d.Log, now: d.Now,
		loginOn:     d.Client != nil,
		localLogout: cfg.OpenID.Provider != "idporten",
		protected:   cfg.Front.RequireAuth || cfg.PolicyFiles,
		reportOnly:  cfg.PolicyReports,
		policy:      d.Policy, bearer: d.Bearer, revocations: d.Revocations, signer: d.Signer, signerKept: d.SignerKept,
		ingresses:  newIngresses(cfg.Front.Ingress),
		ignored:    globs,
		managed:    forward.NewManaged(cfg.Identity.OwnHeaders()),
		sameOrigin: http.NewCrossOriginProtection(),
		ownCookie:  ownCookies(cfg.Cookie.Prefix),
		identity:   newIdentityHeaders(cfg.Identity),
		pages:      rendered,
		metrics:    newMetrics(d.Registerer),
		ids:        forward.NewRequestIDs(),
		logins:     rate.NewLimiter(rate.Limit(cfg.Front.LoginRate), loginBurst*cfg.Front.LoginRate),
		client:     d.Client, sessions: d.Sessions, ring: d.Ring,
	}
	for _, in := range h.ingresses {
		in.cookies = namesFor(in, cfg.Cookie)
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
	h.forwarding = newForwarding(cfg.Front, h.protected)
	if h.protected {
		h.routing = forward.NewRouting(cfg.Front.ForwardHeaders)
	}
	h.crossSite = newCrossSite(cfg.Front.CSRF, h.ingresses.origins(), cfg.Front.CSRFTrustedOrigins)
	h.upstream = newUpstream(cfg.Upstream, h.ownCookie, h.appFailed)
	if h.loginOn {
		h.loginSealer = d.Ring.Sealer("login", loginAge)
		h.logoutSealer = d.Ring.Sealer("logout", logoutAge)
		h.roundsSealer = d.Ring.Sealer("rounds", h.roundsWindow())
	}
	return h, nil
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

// ServeHTTP takes one request through the door: an own endpoint answers it, or the app does.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{Answer: forward.Answer{ResponseWriter: w}, id: h.ids.Of(r), started: h.now(), route: routeApp}
	defer h.end(v, r)
	if err := h.serve(v, r); err != nil {
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
	if countCookies(r.Header) > h.cfg.Limits.Cookies {
		return badRequest("too_many_cookies", "The request carries too many cookies.")
	}
	if rest, own := h.ownPath(r); own {
		return h.serveOwn(v, r, rest)
	}
	if h.bearer != nil {
		if in, is := resourcePath(forward.RawPath(r), h.ingresses, r.Host, h.forwardedHost(r)); is {
			return h.resourceMetadata(v, r, in)
		}
	}
	return h.serveApp(v, r)
}

// end runs whatever happened: it turns a panic of ours into a 500 and writes the request's one event.
func (h *Handler) end(v *visit, r *http.Request) {
	cut := v.Conclude(recover(), func(err error, answered bool) {
		h.log.LogAttrs(r.Context(), slog.LevelError, "panic", slog.String("request_id", v.id), slog.String("route", v.route),
			slog.String("stack", string(debug.Stack())))
		if f := classify(err); answered {
			v.reason = f.code
		} else {
			h.answer(v, r, f)
		}
	})
	h.finish(v, r)
	if cut {
		panic(http.ErrAbortHandler)
	}
}
