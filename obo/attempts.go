package obo

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"postern/oidc"
)

const (
	defaultRetries = 3
	firstPause     = 50 * time.Millisecond  // before the first repetition; each further one waits about twice as long
	shortAttempt   = 100 * time.Millisecond // with less time than this left an attempt is not worth its pause
)

// ask sends a question until there is an answer, or no time for another attempt. Tokens can be asked for twice without harm: the provider
// merely makes one more.
func (b *Broker) ask(ctx context.Context, s *source, use use, q question) (answer oidc.TokenResponse, err error) {
	probe, err := s.enter()
	if err != nil {
		return oidc.TokenResponse{}, err
	}
	defer func() { s.leave(probe, err) }() // also if it panics: nobody else could ever try otherwise
	return b.attempts(ctx, s, use, q)
}

func (b *Broker) attempts(ctx context.Context, s *source, use use, q question) (answer oidc.TokenResponse, err error) {
	endpoint, op := s.endpoint, oidc.OpGetToken
	if use == onBehalf {
		op = oidc.OpExchange
	}
	if q.credential != nil {
		endpoint = endpoint.With(q.credential)
	}
	retries := defaultRetries
	if b.cfg.MaxRetries != nil {
		retries = *b.cfg.MaxRetries
	}
	pause := firstPause
	for ; ; retries-- {
		answer, err = endpoint.Attempt(ctx, op, q.form)
		after, again := worthAnother(err)
		if !again || retries <= 0 {
			return answer, err
		}
		wait := max(after, time.Duration((0.5+b.deps.Jitter())*float64(pause)))
		pause *= 2
		if end, _ := ctx.Deadline(); time.Until(end) < wait+shortAttempt {
			return answer, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return answer, err
		}
	}
}

// randomShare spreads pauses, so that callers that failed together do not come back together.
func randomShare() float64 {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	return float64(binary.BigEndian.Uint16(b[:])) / (1 << 16)
}

// worthAnother says whether the trouble may be over in a moment: no connection, no answer in time, or a status that says so. after is
// what the provider asks to wait (RFC 9110 §10.2.3).
func worthAnother(err error) (after time.Duration, again bool) {
	t, ok := errors.AsType[*oidc.TroubleError](err)
	if !ok || t.Malformed || errors.Is(err, oidc.ErrNotReady) || errors.Is(err, oidc.ErrCredential) {
		return 0, false
	}
	passing := t.Status == 0 || t.Status >= 500 || t.Status == http.StatusRequestTimeout || t.Status == http.StatusTooManyRequests ||
		t.Answer != nil // "temporarily_unavailable" in some other status
	return t.RetryAfter, passing
}
