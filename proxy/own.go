package proxy

import (
	"net/http"
	"slices"
	"strings"

	"postern/proxy/forward"
	"postern/proxy/pages"
)

// ownPrefix is the tree that Postern owns below the path of every ingress while login is on.
const ownPrefix = "/oauth2"

// Paths below the own prefix.
const (
	pathLogin          = "/login"
	pathCallback       = "/callback"
	pathLogout         = "/logout"
	pathLogoutCallback = "/logout/callback"
	pathLogoutLocal    = "/logout/local"
	pathBackchannel    = "/logout/backchannel"
	pathFrontchannel   = "/logout/frontchannel"
	pathSession        = "/session"
	pathSessionRefresh = "/session/refresh"
	pathSessionScript  = "/session.js"
	pathForwardAuth    = "/session/forwardauth"
	pathPing           = "/ping"
	pathKeySet         = "/jwks"
)

// Names of the routes in logs and metrics.
const (
	routeApp         = "app"
	routeOwn         = "own" // below the own prefix, without an endpoint
	routeSession     = "session"
	routeForwardAuth = "forward_auth"
	routePing        = "ping"
	routeKeySet      = "jwks"
	routeMeta        = "protected_resource" // RFC 9728, the one endpoint beside the own prefix
)

type endpoint struct {
	path    string
	route   string
	methods []string
	serve   func(h *Handler, v *visit, r *http.Request) error
}

// endpoints is every own endpoint: its path, its methods, its handler. An SSO proxy has those of ssoproxy.go.
var endpoints = [...]endpoint{
	{pathLogin, "login", []string{"GET", "HEAD"}, (*Handler).login},
	{pathCallback, "callback", []string{"GET"}, (*Handler).callback},
	{pathLogout, "logout", []string{"GET", "HEAD", "POST"}, (*Handler).logout},
	{pathLogoutCallback, "logout_callback", []string{"GET"}, (*Handler).logoutCallback},
	{pathLogoutLocal, "logout_local", []string{"GET", "HEAD", "POST"}, (*Handler).logoutLocal},
	{pathBackchannel, "logout_backchannel", []string{"POST"}, (*Handler).logoutBackchannel},
	{pathFrontchannel, "logout_frontchannel", []string{"GET"}, (*Handler).logoutFrontchannel},
	{pathSession, routeSession, []string{"GET"}, (*Handler).sessionInfo},
	{pathSession + "/", routeSession, []string{"GET"}, (*Handler).sessionInfo},
	{pathSessionRefresh, "session_refresh", []string{"GET", "POST"}, (*Handler).sessionRefresh},
	{pathSessionScript, "session_script", []string{"GET", "HEAD"}, (*Handler).sessionScript},
	{pathForwardAuth, routeForwardAuth, []string{"GET"}, (*Handler).forwardAuth},
	{pathPing, routePing, []string{"GET"}, (*Handler).ping},
	{pathKeySet, routeKeySet, []string{"GET", "HEAD"}, (*Handler).keySet},
}

func allRoutes() []string {
	routes := []string{routeApp, routeOwn, routeMeta}
	for _, e := range slices.Concat(endpoints[:], proxyEndpoints[:]) {
		if !slices.Contains(routes, e.route) {
			routes = append(routes, e.route)
		}
	}
	return routes
}

// ownPath says whether a request is for the own tree of one of the ingress paths, and what follows "/oauth2". The path is compared as it
// came: a spelling that only decodes to ours is the app's. Without login the key set is all that is owned (contract 2), also where there is no
// ingress: the app asks for it directly.
func (h *Handler) ownPath(r *http.Request) (rest string, own bool) {
	path := forward.RawPath(r)
	if !h.loginOn && h.signer == nil || !strings.Contains(path, ownPrefix) {
		return "", false
	}
	for _, in := range h.ingresses {
		if root := in.path + ownPrefix; underPath(path, root) {
			rest = path[len(root):]
			return rest, h.loginOn || rest == pathKeySet
		}
	}
	return pathKeySet, h.signer != nil && path == ownPrefix+pathKeySet
}

// serveOwn answers a request for the own tree. Nothing below it ever reaches the app.
func (h *Handler) serveOwn(v *visit, r *http.Request, rest string) error {
	v.route = routeOwn
	noStore(v.Header())
	harden(v.Header(), rest)
	if h.domain != nil && h.domain.crossOrigin(v.Header(), r, rest) {
		v.WriteHeader(http.StatusNoContent)
		return nil
	}
	for i := range h.endpoints {
		e := &h.endpoints[i]
		if e.path != rest || !h.serves(e) {
			continue
		}
		v.route, v.endpoint, v.own = e.route, e.path, e
		if !slices.Contains(e.methods, r.Method) {
			return errMethod(strings.Join(e.methods, ", "))
		}
		r.Body = http.MaxBytesReader(v, r.Body, h.cfg.Limits.BodyBytes)
		if e.route != routeForwardAuth { // which has a way of its own, and is asked for each request of an ingress
			r = r.WithContext(v.context())
		}
		return e.serve(h, v, r)
	}
	return errNoEndpoint()
}

// serves says whether an endpoint is there with this configuration.
func (h *Handler) serves(e *endpoint) bool {
	switch e.path {
	case pathLogoutLocal:
		return h.localLogout
	case pathKeySet:
		return h.signer != nil
	case pathBackchannel:
		return h.cfg.Session.BackchannelLogout
	case pathForwardAuth:
		return h.cfg.Session.ForwardAuth || h.ingressAuth.secret != nil || h.server != nil // the SSO server says
	}
	return true
}

func errNoEndpoint() *failure {
	return &failure{status: http.StatusNotFound, code: "not_found", page: pages.NotFound, description: "There is no such endpoint."}
}

// noStore keeps every cache away from the answers of own endpoints, ingress controllers' included.
func noStore(header http.Header) {
	for i, name := range noStoreHeaders {
		header[name] = []string{noStoreValues[i]}
	}
}

var (
	noStoreHeaders = [...]string{"Cache-Control", "Expires", "Pragma", "X-Accel-Expires"}
	noStoreValues  = [...]string{"no-cache, no-store, no-transform, must-revalidate, private, max-age=0", "Thu, 01 Jan 1970 00:00:00 GMT", "no-cache", "0"}
)

// keySet answers GET /oauth2/jwks: the keys of the signed assertion (contract 4.4).
func (h *Handler) keySet(v *visit, _ *http.Request) error {
	serveKeySet(v, h.signer, h.signerKept)
	return nil
}

// resourceMetadata answers GET /.well-known/oauth-protected-resource (RFC 9728 §3).
func (h *Handler) resourceMetadata(v *visit, r *http.Request, in *ingress) error {
	v.route = routeMeta
	harden(v.Header(), "")
	if !safe(r.Method) {
		return errMethod("GET, HEAD, OPTIONS")
	}
	current := h.policy()
	serveResource(v, resourceDocument(in, h.bearer.Issuers(), current.Scopes(), current.App().Name))
	return nil
}

func (h *Handler) ping(v *visit, _ *http.Request) error {
	v.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := v.Write([]byte("pong"))
	return err
}
