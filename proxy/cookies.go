package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"postern/config"
	"postern/session"
)

// cookieNames are the own cookies of one ingress. The prefixes are promises that browsers keep: no sibling domain can set a "__Host-"
// cookie, nor a plain-http page a "__Secure-" one (S-23, RFC 6265bis §4.1.3).
type cookieNames struct {
	session string // the ticket
	login   string // prefix of the pending logins: one cookie each, so that tabs cannot overwrite each other's
	logout  string // where to go after the provider's logout page
	rounds  string // recent logins, to break loops

	all [2]string // of the session: ours, and where it has another name that of a wonderwall SSO server
}

// sessions are the names under which a session can come, the one that counts first.
func (c *cookieNames) sessions() []string {
	if c.all[1] == "" {
		return c.all[:1]
	}
	return c.all[:]
}

// namesFor also names what is shared over a domain: by sso.session-cookie-name, and never with "__Host-".
func namesFor(in *ingress, cfg config.Cookie, sso config.SSO) cookieNames {
	family, ticket := cfg.Prefix, cfg.Prefix+".session"
	if sso.Enabled {
		family, ticket = sso.SessionCookieName, sso.SessionCookieName
	}
	promise := "__Secure-"
	switch {
	case !cfg.Secure:
		promise = ""
	case in.path == "" && !sso.Enabled:
		promise = "__Host-"
	}
	names := cookieNames{
		session: promise + ticket, login: promise + family + ".callback.", logout: promise + family + ".logout", rounds: promise + family + ".logincount",
	}
	names.all[0] = names.session
	if sso.Enabled && names.session != ticket {
		names.all[1] = ticket
	}
	return names
}

// ownCookies says which cookies are ours, whatever version or ingress they came from: the family of the prefix, never the app's business. shared is
// sso.session-cookie-name, or "".
func ownCookies(prefix, shared string) func(name string) bool {
	family, sharedFamily := prefix+".", shared+"."
	return func(name string) bool {
		name = strings.TrimPrefix(name, "__Host-")
		name = strings.TrimPrefix(name, "__Secure-")
		return within(name, family) || shared != "" && (strings.EqualFold(name, shared) || within(name, sharedFamily))
	}
}

func within(name, family string) bool {
	return len(name) > len(family) && strings.EqualFold(name[:len(family)], family)
}

// setCookie sets an own cookie. With age 0 it lives as long as the browser's session.
func (h *Handler) setCookie(w http.ResponseWriter, in *ingress, name, value string, age time.Duration) {
	http.SetCookie(w, h.cookie(in, name, value, int(age/time.Second)))
}

// clearCookie deletes an own cookie by the very attributes that it was set with: a browser ignores a deletion that differs.
func (h *Handler) clearCookie(w http.ResponseWriter, in *ingress, name string) {
	cookie := h.cookie(in, name, "", -1) //nolint:gosec // as it was set
	cookie.Expires = time.Unix(0, 0)
	http.SetCookie(w, cookie)
}

func (h *Handler) cookie(in *ingress, name, value string, maxAge int) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // Secure is the operator's choice, for http on localhost
		Name: name, Value: value, Path: in.root(), MaxAge: maxAge,
		HttpOnly: true, Secure: h.cfg.Cookie.Secure, SameSite: http.SameSiteLaxMode,
	}
	if h.domain != nil {
		h.domain.share(c, in)
	}
	return c
}

// ownCookie reads an own cookie that must be there at most once. Two values under one name mean that somebody else may write cookies for
// this host; neither is believed (S-23).
func ownCookie(r *http.Request, name string) (string, error) {
	value, conflict := findCookie(r.Header, name)
	if conflict {
		return "", errTwoCookies()
	}
	return value, nil
}

// sealJSON seals what a cookie keeps. A value that does not fit a cookie is an error.
func sealJSON(sealer *session.Sealer, name string, kept any) (string, error) {
	plain, err := json.Marshal(kept)
	if err != nil {
		return "", fmt.Errorf("encode cookie: %w", err)
	}
	return sealer.Seal(name, plain)
}

// openJSON opens what sealJSON sealed; false for anything else.
func openJSON(sealer *session.Sealer, name, value string, into any) bool {
	plain, err := sealer.Open(name, value)
	return err == nil && json.Unmarshal(plain, into) == nil
}
