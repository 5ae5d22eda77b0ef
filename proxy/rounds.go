package proxy

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"time"

	"postern/proxy/pages"
)

// A login loop is a browser that comes back for the next login as soon as one is done: its session cookie does not stick, or the app does
// not accept the session and sends it away again. Three completed rounds to one target within a minute are a loop; the fourth login shows
// a page that names the probable cause.
const (
	loopRounds = 3
	loopWindow = time.Minute
	maxRounds  = 16
)

// round is one completed login: when, and a hash of where it went.
type round struct {
	at     int64 // unix milliseconds
	target uint32
}

const roundBytes = 12

func targetHash(target string) uint32 {
	sum := sha256.Sum256([]byte(target))
	return binary.BigEndian.Uint32(sum[:])
}

// rounds reads the sealed record of this browser's recent logins; a missing or foreign one is empty.
func (h *Handler) rounds(r *http.Request, in *ingress) []round {
	value, err := ownCookie(r, in.cookies.rounds)
	if err != nil || value == "" {
		return nil
	}
	plain, err := h.roundsSealer.Open(in.cookies.rounds, value)
	if err != nil {
		return nil
	}
	var recent []round
	oldest := h.now().Add(-h.roundsWindow()).UnixMilli()
	for ; len(plain) >= roundBytes; plain = plain[roundBytes:] {
		done := round{int64(binary.BigEndian.Uint64(plain)), binary.BigEndian.Uint32(plain[8:])}
		if done.at >= oldest {
			recent = append(recent, done)
		}
	}
	return recent
}

func (h *Handler) roundsWindow() time.Duration { return max(loopWindow, h.cfg.RateLimit.Window) }

// countRound notes a completed login in the browser.
func (h *Handler) countRound(w http.ResponseWriter, r *http.Request, in *ingress, target string) {
	recent := append(h.rounds(r, in), round{h.now().UnixMilli(), targetHash(target)})
	recent = recent[max(0, len(recent)-maxRounds):]
	var plain []byte
	for _, done := range recent {
		plain = binary.BigEndian.AppendUint64(plain, uint64(done.at))
		plain = binary.BigEndian.AppendUint32(plain, done.target)
	}
	sealed, err := h.roundsSealer.Seal(in.cookies.rounds, plain)
	if err != nil {
		return // a convenience: a login never fails for it
	}
	h.setCookie(w, in, in.cookies.rounds, sealed, h.roundsWindow())
}

// forgetRounds starts the count again: after a page that told the person, and after a logout.
func (h *Handler) forgetRounds(w http.ResponseWriter, r *http.Request, in *ingress) {
	if _, err := r.Cookie(in.cookies.rounds); err == nil {
		h.clearCookie(w, in, in.cookies.rounds)
	}
}

// breakLoop refuses a login that is the next round of a loop, or one too many for the rate limit of a browser that is signed in.
func (h *Handler) breakLoop(v *visit, r *http.Request, in *ingress, target string) error {
	recent := h.rounds(r, in)
	if len(recent) == 0 {
		return nil
	}
	same, inWindow := 0, 0
	hash, now := targetHash(target), h.now()
	for _, done := range recent {
		age := now.Sub(time.UnixMilli(done.at))
		if done.target == hash && age <= loopWindow {
			same++
		}
		if age <= h.cfg.RateLimit.Window {
			inWindow++
		}
	}
	looping := same >= loopRounds
	limited := h.cfg.RateLimit.Enabled && inWindow >= h.cfg.RateLimit.Logins
	if !looping && !limited {
		return nil
	}
	signedIn := h.hasSession(r, in)
	if !looping && !signedIn {
		return nil // the limit is for browsers that have a session already
	}
	f := &failure{
		status: http.StatusTooManyRequests, code: "login_loop", page: pages.AppSendsBack, retryAfter: h.cfg.RateLimit.Window,
		description: "The browser is signed in, and the app sends it back to log in again and again.",
		primary:     &pages.Link{Href: loginURL(in, target)},
	}
	if looping {
		h.forgetRounds(v, r, in) // the person has been told: "log in again" is no further round
	}
	switch {
	case looping && signedIn:
		f.primary.Href += "&prompt=select_account"
	case !looping:
		f.code, f.page, f.description = "too_many_logins", pages.TooManyLogins, "Too many logins in a short time."
	case !signedIn:
		f.code, f.page = "login_loop_no_cookie", pages.CookiesMissing
		f.description = "Logins succeed, and the browser does not send back the session cookie."
	}
	return f
}

// hasSession says whether the browser sends a session that can be read, alive or not.
func (h *Handler) hasSession(r *http.Request, in *ingress) bool {
	value, err := ownCookie(r, in.cookies.session)
	if err != nil || value == "" {
		return false
	}
	_, err = h.sessions.Get(r.Context(), value)
	return err == nil || !noSession(err)
}
