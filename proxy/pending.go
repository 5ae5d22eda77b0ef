package proxy

import (
	"cmp"
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/oidc"
)

const (
	loginAge        = time.Hour // the login cookie ends inside its seal (S-23)
	maxPendingBytes = 6 << 10   // of their cookies together: ingress controllers refuse a Cookie line of more than 8 KiB
	maxPending      = 5         // logins of one browser under way; the oldest goes first
	maxDeepLink     = 1500      // bytes; a longer one would not fit a cookie and is dropped (S-58)
)

// pending is a login under way, as its sealed cookie keeps it.
type pending struct {
	oidc.PendingLogin
	At       int64  // unix microseconds, to tell the oldest: a browser can start two within a millisecond
	Target   string // where to go afterwards, validated
	Prompted bool   // the person asked to be asked: does not count as a round of a loop
}

// savePending seals a login into a cookie of its own. Tabs that start a login at the same moment do not see each other's Set-Cookie, so
// one common cookie would lose all but the last.
func (h *Handler) savePending(w http.ResponseWriter, r *http.Request, in *ingress, p pending) error {
	p.At = h.now().UnixMicro()
	if len(p.Target) > maxDeepLink {
		p.Target = h.targets.home(in)
	}
	name := in.cookies.login + stateTag(p.State)
	sealed, err := sealJSON(h.loginSealer, name, p)
	if err != nil { // too long once encoded: the login matters more (S-58)
		p.Target = h.targets.home(in)
		sealed, err = sealJSON(h.loginSealer, name, p)
	}
	if err != nil {
		return fmt.Errorf("seal pending login: %w", err)
	}
	h.setCookie(w, in, name, sealed, loginAge)
	h.pruneLogins(w, r, in, len(sealed))
	return nil
}

// pruneLogins keeps the youngest logins of this browser beside the new one, whose cookie has size bytes, and clears what no longer opens.
func (h *Handler) pruneLogins(w http.ResponseWriter, r *http.Request, in *ingress, size int) {
	type old struct {
		name    string
		started int64
		size    int
	}
	var olds []old
	for _, cookie := range r.Cookies() {
		if !strings.HasPrefix(cookie.Name, in.cookies.login) {
			continue
		}
		var p pending
		if openJSON(h.loginSealer, cookie.Name, cookie.Value, &p) {
			olds = append(olds, old{cookie.Name, p.At, len(cookie.Value)})
		} else {
			h.clearCookie(w, in, cookie.Name)
		}
	}
	slices.SortFunc(olds, func(a, b old) int { return cmp.Compare(b.started, a.started) })
	for i, o := range olds {
		if size += o.size; i >= maxPending-1 || size > maxPendingBytes {
			h.clearCookie(w, in, o.name)
		}
	}
}

// findPending opens the login that a state belongs to; found is false if this browser has none.
func (h *Handler) findPending(r *http.Request, in *ingress, state string) (p pending, found bool, err error) {
	name := in.cookies.login + stateTag(state)
	value, err := ownCookie(r, name)
	if err != nil || value == "" {
		return pending{}, false, err
	}
	if !openJSON(h.loginSealer, name, value, &p) || subtle.ConstantTimeCompare([]byte(p.State), []byte(state)) != 1 {
		return pending{}, false, nil
	}
	return p, true, nil
}

// forgetPending clears the cookie of one login and of no other (S-32).
func (h *Handler) forgetPending(w http.ResponseWriter, in *ingress, p pending) {
	h.clearCookie(w, in, in.cookies.login+stateTag(p.State))
}
