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
}

func namesFor(in *ingress, cfg config.Cookie) cookieNames {
	prefix := cfg.Prefix
	switch {
	case !cfg.Secure:
	case in.path == "":
		prefix = "__Host-" + prefix
	default:
		prefix = "__Secure-" + prefix
	}
	return cookieNames{
		session: prefix + ".session", login: prefix + ".callback.", logout: prefix + ".logout", rounds: prefix + ".logincount",
	}
}

// ownCookies says which cookies are ours, whatever version or ingress they came from: the family of the prefix, never the app's business.
func ownCookies(prefix string) func(name string) bool {
	family := prefix + "."
	return func(name string) bool {
		name = strings.TrimPrefix(name, "__Host-")
		name = strings.TrimPrefix(name, "__Secure-")
		return len(name) > len(family) && strings.EqualFold(name[:len(family)], family)
	}
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
	return &http.Cookie{ //nolint:gosec // Secure is the operator's choice, for http on localhost
		Name: name, Value: value, Path: in.root(), MaxAge: maxAge,
		HttpOnly: true, Secure: h.cfg.Cookie.Secure, SameSite: http.SameSiteLaxMode,
	}
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
