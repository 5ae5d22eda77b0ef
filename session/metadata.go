package session

import "time"

// Constants of wonderwall that front-ends know.
const (
	refreshLeeway   = 30 * time.Second // tokens are renewed so long before they expire
	refreshCooldown = time.Minute      // at least so long after they were issued; half their life if that is at most twice as long
)

// Metadata is the JSON of /oauth2/session, byte for byte as wonderwall writes it: times in RFC 3339, seconds rounded down and never below
// 0, -1 and the zero time for "there is none".
type Metadata struct {
	Session SessionTimes `json:"session"`
	Tokens  TokenTimes   `json:"tokens"`
}

// SessionTimes is how long the session lasts.
type SessionTimes struct {
	CreatedAt        time.Time `json:"created_at"`
	EndsAt           time.Time `json:"ends_at"`
	TimeoutAt        time.Time `json:"timeout_at"`
	EndsInSeconds    int64     `json:"ends_in_seconds"`
	Active           bool      `json:"active"`
	TimeoutInSeconds int64     `json:"timeout_in_seconds"`
}

// TokenTimes is how long the access token lasts, and when it is renewed.
type TokenTimes struct {
	ExpireAt                 time.Time `json:"expire_at"`
	RefreshedAt              time.Time `json:"refreshed_at"`
	ExpireInSeconds          int64     `json:"expire_in_seconds"`
	NextAutoRefreshInSeconds int64     `json:"next_auto_refresh_in_seconds"`
	RefreshCooldown          bool      `json:"refresh_cooldown"`
	RefreshCooldownSeconds   int64     `json:"refresh_cooldown_seconds"`
}

// Metadata says how long the session and its tokens last, seen from now.
func (s *Session) Metadata(now time.Time) Metadata {
	m := Metadata{
		Session: SessionTimes{
			CreatedAt: s.record.created, EndsAt: s.record.ends, TimeoutAt: s.timeout,
			EndsInSeconds: secondsUntil(s.record.ends, now), Active: s.active(now), TimeoutInSeconds: -1,
		},
		Tokens: TokenTimes{
			ExpireAt: s.record.expiry, RefreshedAt: s.record.refreshed, NextAutoRefreshInSeconds: -1,
			RefreshCooldownSeconds: secondsUntil(s.cooldownEnd(), now), RefreshCooldown: now.Before(s.cooldownEnd()),
		},
	}
	if !s.timeout.IsZero() {
		m.Session.TimeoutInSeconds = secondsUntil(s.timeout, now)
		if s.timeout.Before(m.Tokens.ExpireAt) {
			m.Tokens.ExpireAt = s.timeout // the tokens are of no use to an inactive session
		}
	}
	m.Tokens.ExpireInSeconds = secondsUntil(m.Tokens.ExpireAt, now)
	if s.autoRenew && s.renews {
		m.Tokens.NextAutoRefreshInSeconds = secondsUntil(s.nextRefresh(), now)
	}
	return m
}

func (s *Session) active(now time.Time) bool {
	return s.record.endedBy == "" && now.Before(s.record.ends) && (s.timeout.IsZero() || !now.After(s.timeout))
}

func (s *Session) expired(now time.Time) bool { return !now.Before(s.record.expiry) }

// cooldownEnd is when tokens may be renewed again, also on request.
func (s *Session) cooldownEnd() time.Time {
	life := s.record.expiry.Sub(s.record.refreshed)
	if life <= 2*refreshCooldown {
		return s.record.refreshed.Add(life / 2)
	}
	return s.record.refreshed.Add(refreshCooldown)
}

// nextRefresh is when a request makes the tokens be renewed: some time before they expire, or half-way to the idle timeout, so that what
// is decided on stays fresh for those who come back.
func (s *Session) nextRefresh() time.Time {
	next := s.record.expiry.Add(-refreshLeeway)
	if !s.timeout.IsZero() {
		if halfway := s.record.refreshed.Add(s.timeout.Sub(s.record.refreshed) / 2); halfway.Before(next) {
			next = halfway
		}
	}
	if cooldown := s.cooldownEnd(); next.Before(cooldown) {
		next = cooldown
	}
	return next
}

func secondsUntil(t, now time.Time) int64 { return max(0, int64(t.Sub(now)/time.Second)) }
