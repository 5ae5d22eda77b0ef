package proxy

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"postern/config"
	"postern/oidc"
	"postern/oidc/correlation"
	"postern/proxy/forward"
	"postern/proxy/pages"
)

// proxyEndpoints are the own endpoints of an SSO proxy. A browser is sent on to the server, for whom only the server's own address will do; what
// scripts ask for is asked of the server in their name.
var proxyEndpoints = [...]endpoint{
	{pathLogin, "login", []string{"GET", "HEAD"}, (*Handler).loginAtServer},
	{pathCallback, "callback", []string{"GET"}, (*Handler).callbackAtProxy},
	{pathLogout, "logout", []string{"GET", "HEAD", "POST"}, (*Handler).logoutAtServer},
	{pathLogoutCallback, "logout_callback", []string{"GET"}, (*Handler).logoutAtServer},
	{pathLogoutLocal, "logout_local", []string{"GET", "HEAD", "POST"}, (*Handler).localLogoutAtServer},
	{pathFrontchannel, "logout_frontchannel", []string{"GET"}, (*Handler).askServer},
	{pathSession, routeSession, []string{"GET"}, (*Handler).askServer},
	{pathSession + "/", routeSession, []string{"GET"}, (*Handler).askServer},
	{pathSessionRefresh, "session_refresh", []string{"GET", "POST"}, (*Handler).askServer},
	{pathSessionScript, "session_script", []string{"GET", "HEAD"}, (*Handler).sessionScript},
	{pathForwardAuth, routeForwardAuth, []string{"GET"}, (*Handler).forwardAuthAtProxy},
	{pathPing, routePing, []string{"GET"}, (*Handler).ping},
	{pathKeySet, routeKeySet, []string{"GET", "HEAD"}, (*Handler).keySet},
}

// ssoServer is where the sessions of an SSO proxy are made and ended.
type ssoServer struct {
	base      string // sso.server-url, without a slash at its end
	host      string
	path      string
	forwarder *forward.Forwarder
}

// serverTime is more than a server takes that waits for its provider to renew tokens.
const serverTime = 20 * time.Second

func newSSOServer(cfg config.SSO, out config.Outbound, stall time.Duration, onError func(http.ResponseWriter, *http.Request, forward.Error)) (*ssoServer, error) {
	u, err := url.Parse(cfg.ServerURL)
	if err != nil || u.Host == "" {
		return nil, errors.New("sso.server-url cannot be read") // the error would quote it
	}
	webProxy := oidc.WebProxy(out)
	by, err := webProxy(&http.Request{URL: u})
	if err != nil {
		return nil, err
	}
	way := forward.Way{Dial: oidc.DialLocalNames(&net.Dialer{Timeout: forward.DialTimeout}), WebProxy: webProxy, Timeout: serverTime}
	if u.Scheme == "https" {
		way.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	server := forward.Server{
		Scheme: u.Scheme, Host: u.Host, Transport: forward.NewTransport(way), Withheld: forward.NewForwarded(), Stall: stall,
		Absolute: by != nil && u.Scheme == "http" && strings.HasPrefix(by.Scheme, "http"),
	}
	keep := func(http.Header) {} // the cookies that it sets are ours too
	return &ssoServer{
		base: strings.TrimRight(cfg.ServerURL, "/"), host: u.Host, path: strings.TrimRight(u.EscapedPath(), "/"),
		forwarder: forward.New(server, keep, onError),
	}, nil
}

// send is the redirect to an endpoint of the server.
func (s *ssoServer) send(w http.ResponseWriter, path string, query url.Values) {
	location := s.base + ownPrefix + path
	if len(query) > 0 {
		location += "?" + query.Encode()
	}
	redirect(w, location)
}

// longestHint bounds what is passed on without being understood: the server judges it.
const longestHint = 256

func passOn(to url.Values, name, value string) {
	if value != "" && len(value) <= longestHint {
		to.Set(name, value)
	}
}

// loginAtServer answers GET /oauth2/login: the server logs in, and sends the browser back to this app.
func (h *Handler) loginAtServer(v *visit, r *http.Request) error {
	if err := mustNavigate(r); err != nil {
		return err
	}
	in, err := h.ingressOf(r)
	if err != nil {
		return err
	}
	query, mine := r.URL.Query(), h.cfg.OpenID
	ask := url.Values{"redirect": {in.origin + localTarget(query.Get("redirect"), in, in.root())}}
	passOn(ask, "level", cmp.Or(query.Get("level"), mine.ACRValues))
	passOn(ask, "locale", cmp.Or(query.Get("locale"), mine.UILocales))
	passOn(ask, "prompt", query.Get("prompt"))
	passOn(ask, "domain_hint", cmp.Or(query.Get("domain_hint"), mine.DomainHint))
	h.server.send(v, pathLogin, ask)
	return nil
}

// callbackAtProxy answers GET /oauth2/callback. No login was started here, so that there is none to complete.
func (h *Handler) callbackAtProxy(v *visit, r *http.Request) error {
	in, err := h.ingressOf(r)
	if err != nil {
		return err
	}
	redirect(v, loginURL(in, in.root()))
	return nil
}

// logoutAtServer answers /oauth2/logout: the server ends the session, and asks first where another site made the browser come (S-32).
func (h *Handler) logoutAtServer(v *visit, r *http.Request) error {
	in, err := h.ingressOf(r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		_, err = h.confirmLogout(v, r, in, pathLogout)
	} else {
		err = mustNavigate(r)
	}
	if err != nil {
		return err
	}
	query, ask := r.URL.Query(), url.Values{}
	if target := localTarget(query.Get("redirect"), in, ""); target != "" {
		ask.Set("redirect", in.origin+target)
	}
	passOn(ask, "logout_hint", query.Get("logout_hint"))
	h.server.send(v, pathLogout, ask)
	return nil
}

// localLogoutAtServer answers /oauth2/logout/local. Whether another site asks can only be seen here.
func (h *Handler) localLogoutAtServer(v *visit, r *http.Request) error {
	in, err := h.ingressOf(r)
	if err != nil {
		return err
	}
	if asked, err := h.confirmLogout(v, r, in, pathLogoutLocal); asked || err != nil {
		return err
	}
	return h.askServer(v, r)
}

// forwardAuthAtProxy answers GET /oauth2/session/forwardauth: to an ingress controller that can show its secret by what this app's policy says, to
// anybody else as the server does.
func (h *Handler) forwardAuthAtProxy(v *visit, r *http.Request) error {
	if _, given := r.Header[headerForwardAuth]; given && h.ingressAuth.secret != nil {
		return h.forwardAuth(v, r)
	}
	return h.askServer(v, r)
}

// askServer has the server answer a request, by the session cookie that came with it.
func (h *Handler) askServer(v *visit, r *http.Request) error {
	in, err := h.ingressOf(r)
	if err != nil {
		return err
	}
	for _, name := range in.cookies.sessions() {
		if _, err := ownCookie(r, name); err != nil {
			return err // two of one name: neither is believed, whoever the server is (S-23)
		}
	}
	rest, _ := h.ownPath(r)
	target := h.server.path + ownPrefix + strings.TrimSuffix(rest, "/")
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	for _, name := range slices.Concat(noStoreHeaders[:], hardened[:]) {
		v.Header().Del(name) // they come with the server's answer
	}
	h.server.forwarder.Serve(v, r, forward.Outgoing{Errand: errandToServer{h, v}, Target: target})
	return nil
}

// errandToServer makes a request one to the SSO server.
type errandToServer struct {
	h *Handler
	v *visit
}

// Prepare implements [forward.Errand]. The server learns the session cookie, and neither the app's cookies nor who else was on the way.
func (e errandToServer) Prepare(out, in *http.Request) {
	out.Host = e.h.server.host
	onlyOwnCookies(out.Header, e.h.ownCookie)
	out.Header.Del("Authorization")
	if e.v.route == "logout_local" { // it was judged here by what only this host's browser can say
		out.Header.Del("Origin")
		out.Header.Del("Sec-Fetch-Site")
	}
	out.Header[correlation.HeaderRequestID] = []string{e.v.id}
}

// Answered implements [forward.Errand].
func (e errandToServer) Answered(res *http.Response) {
	noStore(res.Header)
	harden(res.Header, e.v.endpoint)
}

// Opened implements [forward.Errand]: no endpoint of the server is a stream.
func (errandToServer) Opened(*forward.Stream) func(*forward.Ending) { return nil }

// serverFailed answers for an SSO server that did not: nobody is signed out by that.
func (h *Handler) serverFailed(w http.ResponseWriter, r *http.Request, err forward.Error) {
	f := &failure{
		status: http.StatusServiceUnavailable, code: "sso_server_unavailable", page: pages.ProviderTrouble, retryAfter: providerRetry, err: err,
		description: "The login service cannot be reached right now. Try again in a moment.",
	}
	switch err.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestTimeout:
		f = badRequest("invalid_body", "The body of the request is malformed, too long, or did not come in time.")
		f.status, f.err = err.Status, err
	case forward.StatusClientGone:
		f.status = err.Status
	}
	h.answer(w.(*visit), r, f)
}
