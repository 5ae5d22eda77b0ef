package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"postern/config"
	"postern/proxy/forward"
)

// joinDomain makes this the SSO server of its domain, or a proxy of one; or neither.
func (h *Handler) joinDomain() (err error) {
	switch sso := h.cfg.SSO; {
	case !sso.Enabled:
		return nil
	case sso.Mode == "proxy":
		h.endpoints = proxyEndpoints[:]
		h.server, err = newSSOServer(sso, h.cfg.Outbound, h.cfg.Limits.StallTime, h.serverFailed)
	default:
		h.domain, err = newDomain(sso, h.cfg.Cookie.SameSite, h.ingresses)
		h.targets = h.domain
	}
	return err
}

func sharedName(sso config.SSO) string {
	if !sso.Enabled {
		return ""
	}
	return sso.SessionCookieName
}

// leadOn answers what is no own endpoint of an SSO server: there is no app behind it. Its front page is the login, everything else leads to
// sso.server-default-redirect-url.
func (h *Handler) leadOn(v *visit, r *http.Request) error {
	v.route = routeOwn
	v.Header().Set("Cache-Control", "no-store")
	harden(v.Header(), "")
	path := forward.RawPath(r)
	for _, in := range h.ingresses {
		if safe(r.Method) && (path == in.root() || path == in.path+"/") {
			redirect(v, in.path+ownPrefix+pathLogin)
			return nil
		}
	}
	redirect(v, h.domain.fallback)
	return nil
}

// clearFormer deletes the session cookie of a wonderwall that was the SSO server before: proxies would go on to believe it.
func (h *Handler) clearFormer(w http.ResponseWriter, r *http.Request, in *ingress) {
	for _, name := range in.cookies.sessions()[1:] {
		if value, conflict := findCookie(r.Header, name); value != "" || conflict {
			h.clearCookie(w, in, name)
		}
	}
}

// scriptMethods are the methods by which scripts of the domain's apps may use an own endpoint of the server, and see the answer.
func scriptMethods(path string) []string {
	switch strings.TrimSuffix(path, "/") {
	case pathLogin, pathLogout:
		return []string{http.MethodGet, http.MethodHead}
	case pathSession, pathSessionRefresh, pathForwardAuth:
		return []string{http.MethodGet, http.MethodPost}
	}
	return nil
}

// crossOrigin writes what the browser of an app of this domain must hear to let a script ask with credentials (Fetch, CORS protocol). It says
// whether that was all that was asked for: a preflight.
func (d *domain) crossOrigin(header http.Header, r *http.Request, path string) (preflight bool) {
	methods := scriptMethods(path)
	if methods == nil {
		return false
	}
	asked := r.Header.Get("Access-Control-Request-Method")
	preflight = r.Method == http.MethodOptions && asked != "" && r.Header.Get("Origin") != ""
	header.Add("Vary", "Origin")
	if preflight {
		header.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	}
	origins := r.Header["Origin"]
	if len(origins) != 1 || !d.hasOrigin(origins[0]) || preflight && !slices.Contains(methods, asked) {
		return preflight
	}
	header.Set("Access-Control-Allow-Origin", origins[0])
	header.Set("Access-Control-Allow-Credentials", "true")
	if preflight {
		header.Set("Access-Control-Allow-Methods", asked)
		if wanted := r.Header.Get("Access-Control-Request-Headers"); wanted != "" && headerNames(wanted) {
			header.Set("Access-Control-Allow-Headers", wanted)
		}
	}
	return preflight
}

// hasOrigin says whether an Origin, as browsers write it, is of this domain.
func (d *domain) hasOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	origin, ours := d.origin(u)
	return ours && origin == text
}

// headerNames says whether a text is names of headers, of a length that browsers send.
func headerNames(text string) bool {
	const longest = 1 << 10
	return len(text) <= longest && strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789-_, ") == ""
}
