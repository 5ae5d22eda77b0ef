package session

import (
	"context"
	"errors"
	"time"

	"postern/oidc"
	"postern/oidc/trace"
)

const (
	grantBudget  = 15 * time.Second // of one grant, and of waiting for the lock before it
	keepBudget   = 2 * time.Minute  // of writing tokens that were granted; the old ones may be worth nothing any more
	refreshPause = 5 * time.Second  // after trouble, per session
	longestPause = time.Minute      // whatever Retry-After says
)

// renew joins the refresh of a session that is under way, or starts one. It goes on without the request that started it, so a client that
// goes away harms nobody.
func (m *Manager) renew(ctx context.Context, o *opened, now time.Time, why purpose) *flight {
	f, isNew := m.flights.join(o.ticket.storeKey, now)
	if isNew {
		work, span := trace.Start(trace.Carry(m.background, ctx), "session refresh", trace.Internal)
		begun := m.tasks.run(func() {
			m.flights.leave(o.ticket.storeKey, f, m.fly(work, f, o, why))
			span.End(f.err) // it has landed
		})
		if !begun {
			f.land(nil, &oidc.TroubleError{Provider: m.cfg.Provider, Op: "renew tokens", Err: errClosed})
			m.flights.leave(o.ticket.storeKey, f, time.Time{})
		}
	}
	return f
}

// fly is one refresh, under a context that lives as long as the manager: have the session alone, read what is there now, ask the provider, keep
// what it answers. It returns when the next one may start, zero for at any time.
func (m *Manager) fly(work context.Context, f *flight, o *opened, why purpose) (retryAt time.Time) {
	ctx, cancel := context.WithTimeout(work, grantBudget)
	defer cancel()
	needed := func(o *opened) bool {
		s := o.snapshot()
		return s.renewable(m.now()) && (why == onRequest || s.due(m.now()))
	}
	o, release, err := m.exclusive(ctx, o, needed)
	if err != nil {
		if trouble(err) {
			m.metrics.refreshed(refreshStore)
		}
		f.land(nil, err)
		return time.Time{}
	}
	defer release()
	if !needed(o) {
		m.metrics.refreshed(refreshElsewhere)
		f.land(o, nil) // somebody else was faster
		return time.Time{}
	}
	// Not what waiting has left of the time: a grant that is cut off may have used up the refresh token.
	asking, asked := context.WithTimeout(work, grantBudget)
	defer asked()
	grant, err := m.refresher.Refresh(asking, oidc.Grant{Tokens: o.session.Tokens(), Identity: o.session.identity})
	if err != nil {
		return m.refused(work, f, o, err)
	}
	if other := grant.Identity; other.Subject() != o.session.identity.Subject() || other.Tenant() != o.session.identity.Tenant() ||
		other.Object() != o.session.identity.Object() { // whatever the refresher says: a record never changes hands
		return m.refused(work, f, o, oidc.ErrOtherPerson)
	}
	return m.keep(work, f, o, grant)
}

// keep writes new tokens. The provider may have ended the old ones, so it goes on trying for a while when the store is in trouble; those
// who wait are served meanwhile, and so are those who come: the flight is not over.
func (m *Manager) keep(work context.Context, f *flight, o *opened, grant oidc.Grant) (retryAt time.Time) {
	ctx, cancel := context.WithTimeout(work, keepBudget)
	defer cancel()
	fresh := m.renewed(o.record, grant)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		kept, err := m.keepOnce(ctx, o, fresh)
		switch {
		case err == nil:
			m.metrics.refreshed(refreshRenewed)
			f.land(kept, nil)
			m.announce(ctx, kept)
			return time.Time{}
		case errors.Is(err, ErrNoSession): // ended meanwhile: what was granted is dropped
			f.land(nil, err)
			return time.Time{}
		case kept == nil: // nothing that could be a session
			return m.refused(work, f, o, err)
		}
		f.land(kept, nil)
		m.log.WarnContext(ctx, "new tokens could not be kept yet", "session", o.ticket.logName, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			m.metrics.refreshed(refreshLost)
			m.log.ErrorContext(ctx, "new tokens could not be kept and are lost", "session", o.ticket.logName, "error", err)
			return time.Time{}
		}
	}
}

// keepOnce writes the new tokens onto the newest state of the record. In trouble it returns that state as it was to be, beside the error. A
// refresh that was written meanwhile stays: whoever made it had the session after us, so its tokens are the provider's latest.
func (m *Manager) keepOnce(ctx context.Context, o *opened, fresh record) (*opened, error) {
	base := o.record.refreshed
	for {
		written, err := m.write(ctx, o, merge(o.record, fresh))
		switch {
		case errors.Is(err, ErrNotFound):
			m.cache.forget(o.ticket.handle)
			return nil, ErrNoSession
		case !errors.Is(err, ErrConflict):
			return written, err
		}
		newest, err := m.read(ctx, o.ticket, o, true)
		if err != nil {
			return written, err
		}
		if !newest.record.refreshed.Equal(base) {
			return newest, nil
		}
		o = newest
	}
}

// renewed is a record with the tokens of a grant. The session's own times stay.
func (m *Manager) renewed(r record, grant oidc.Grant) record {
	r.superseded = r.supersede(m.now())
	r.refreshed, r.expiry = m.time(), grant.Tokens.Expiry.UTC().Round(0)
	if r.expiry.IsZero() {
		r.expiry = r.ends
	}
	r.access = grant.Tokens.Access
	if !grant.Tokens.ID.Empty() {
		r.id = grant.Tokens.ID
	}
	if !grant.Tokens.Refresh.Empty() { // no new one means that the old one stays good (RFC 6749 §6)
		r.refresh = grant.Tokens.Refresh
	}
	r.claims, r.granted = grant.Identity.ClaimsJSON(), grant.Identity.GrantedJSON()
	return r
}

// merge puts fresh tokens onto a record that somebody may have changed since: a touch moved the timeout, another replica ended the session
// because its own refresh came too late. A grant is the provider's newest word.
func merge(current, fresh record) record {
	fresh.timeout = current.timeout
	return fresh
}

// endsSession are the answers by which a provider ends a session (S-30). Everything else says nothing about the person.
func endsSession(err error) *EndedError {
	if errors.Is(err, oidc.ErrOtherPerson) { // whoever mixed them up (S-18, advisory of peers.md row 49)
		return &EndedError{Code: "subject_changed"}
	}
	refusal, ok := errors.AsType[*oidc.RefusalError](err)
	if !ok {
		return nil
	}
	switch refusal.Code {
	case "invalid_grant", "interaction_required", "login_required", "consent_required", "account_selection_required":
		return &EndedError{Code: refusal.Code, Claims: refusal.Claims}
	}
	return nil
}

func (m *Manager) refused(work context.Context, f *flight, o *opened, err error) (retryAt time.Time) {
	if ended := endsSession(err); ended != nil {
		return m.ended(work, f, o, ended)
	}
	m.metrics.refreshed(refreshTrouble)
	m.log.WarnContext(work, "tokens could not be renewed", "session", o.ticket.logName, "error", err)
	pause := refreshPause
	if trouble, ok := errors.AsType[*oidc.TroubleError](err); ok {
		pause = min(max(pause, trouble.RetryAfter), longestPause)
	} else {
		err = &oidc.TroubleError{Provider: m.cfg.Provider, Op: "renew tokens", Err: err}
	}
	f.land(nil, err)
	return m.now().Add(pause)
}

// ended marks the session as ended for good, so that nobody asks the provider again. The id token stays, as the hint for a logout.
func (m *Manager) ended(work context.Context, f *flight, o *opened, ended *EndedError) (retryAt time.Time) {
	name := o.ticket.logName
	m.metrics.refreshed(refreshEnded)
	m.log.InfoContext(work, "the provider ended a session", "session", name, "code", ended.Code)
	m.auditRefused(work, o, ended)
	ctx, cancel := context.WithTimeout(work, grantBudget)
	defer cancel()
	asked := o.record.refreshed
	for {
		r := o.record
		r.endedBy, r.challenge = ended.Code, ended.Claims
		r.superseded = r.supersede(m.now()) // a logout still ends the access token (S-09)
		r.access, r.refresh = oidc.Token{}, oidc.Token{}
		written, err := m.write(ctx, o, r)
		if err == nil {
			m.announce(ctx, written)
		}
		if errors.Is(err, ErrConflict) {
			if o, err = m.read(ctx, o.ticket, o, true); err == nil && !o.record.refreshed.After(asked) {
				continue // a touch
			} else if err == nil {
				f.land(o, nil) // another replica's refresh was faster, and the refusal is about a token that it used up
				return time.Time{}
			}
		}
		if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoSession) {
			if err == nil {
				m.metrics.end(endedProvider)
			}
			f.land(nil, ended)
			return time.Time{}
		}
		// The provider will be asked once more after the pause, and will say the same.
		m.log.WarnContext(ctx, "the end of a session could not be written", "session", name, "error", err)
		f.land(nil, ended)
		return m.now().Add(refreshPause)
	}
}
