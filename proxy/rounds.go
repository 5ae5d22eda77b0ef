package proxy

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"time"
)

// rounds.go keeps the sealed record of what this browser did about logins lately; loop.go decides by it.

// roundKind is what happened.
type roundKind byte

const (
	loginStarted   roundKind = 1 // by a browser that had a session: what the rate limit counts
	loginCompleted roundKind = 2
	sentBack       roundKind = 3 // the app answered somebody who was signed in with a redirect to the login
)

const (
	loopWindow = time.Minute
	minRounds  = 24
	maxRounds  = 150 // as many as fit a cookie
)

// round is one thing that happened: what, when, and a hash of the place that the login was to lead to.
type round struct {
	kind   roundKind
	at     int64 // unix milliseconds
	target uint32
}

const roundBytes = 1 + 8 + 4

func targetHash(target string) uint32 {
	sum := sha256.Sum256([]byte(target))
	return binary.BigEndian.Uint32(sum[:])
}

// rounds reads the record; a missing or foreign one is empty.
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
		one := round{roundKind(plain[0]), int64(binary.BigEndian.Uint64(plain[1:])), binary.BigEndian.Uint32(plain[9:])}
		if one.at >= oldest {
			recent = append(recent, one)
		}
	}
	return recent
}

func (h *Handler) roundsWindow() time.Duration { return max(loopWindow, h.cfg.RateLimit.Window) }

// countRound returns the cookie of the record with one more round, or nil where it cannot be sealed: a convenience, for which nothing fails.
func (h *Handler) countRound(r *http.Request, in *ingress, kind roundKind, target string) *http.Cookie {
	recent := append(h.rounds(r, in), round{kind, h.now().UnixMilli(), targetHash(target)})
	recent = recent[max(0, len(recent)-min(max(minRounds, 2*h.cfg.RateLimit.Logins), maxRounds)):]
	var plain []byte
	for _, one := range recent {
		plain = append(plain, byte(one.kind))
		plain = binary.BigEndian.AppendUint64(plain, uint64(one.at))
		plain = binary.BigEndian.AppendUint32(plain, one.target)
	}
	sealed, err := h.roundsSealer.Seal(in.cookies.rounds, plain)
	if err != nil {
		return nil
	}
	return h.cookie(in, in.cookies.rounds, sealed, int(h.roundsWindow()/time.Second))
}

// noteRound is countRound into an answer of ours.
func (h *Handler) noteRound(w http.ResponseWriter, r *http.Request, in *ingress, kind roundKind, target string) {
	if cookie := h.countRound(r, in, kind, target); cookie != nil {
		http.SetCookie(w, cookie)
	}
}

// forgetRounds starts the count again: after a page that told the person, and after a logout.
func (h *Handler) forgetRounds(w http.ResponseWriter, r *http.Request, in *ingress) {
	if _, err := r.Cookie(in.cookies.rounds); err == nil {
		h.clearCookie(w, in, in.cookies.rounds)
	}
}

// count is how many rounds of a kind there were within a time; with a target, of those that were to lead there.
func count(rounds []round, kind roundKind, since time.Time, target *uint32) int {
	n := 0
	for _, one := range rounds {
		if one.kind == kind && one.at >= since.UnixMilli() && (target == nil || one.target == *target) {
			n++
		}
	}
	return n
}
