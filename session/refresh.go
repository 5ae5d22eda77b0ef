package session

import (
	"context"
	"errors"
	"time"

	"postern/oidc"
)

const (
	grantBudget  = 15 * time.Second // of one refresh, until the provider's answer is there
	keepBudget   = 2 * time.Minute  // of writing tokens that were granted; the old ones may be worth nothing any more
	refreshPause = 5 * time.Second  // after trouble, per session
	longestPause = time.Minute      // whatever Retry-After says
)

// renew joins the refresh of a session that is under way, or starts one. It goes on without the request that started it, so a client that
// goes away harms nobody.
func (m *Manager) renew(o *opened, now time.Time, why purpose) *flight {
	f, isNew := m.flights.join(o.ticket.storeKey, now)
	if isNew {
		m.running.Go(func() { m.flights.leave(o.ticket.storeKey, f, m.fly(f, o, why)) })
	}
	return f
}

// fly is one refresh: read what is there now, ask the provider, keep what it answers. It returns when the next one may start, zero for at
// any time.
func (m *Manager) fly(f *flight, o *opened, why purpose) (retryAt time.Time) {
	ctx, cancel := context.WithTimeout(m.background, grantBudget)
	defer cancel()
	o, err := m.read(ctx, o.ticket, o)
	if err == nil {
		err = o.state(m.now())
	}
	if err != nil {
		f.land(nil, err)
		return time.Time{}
	}
	if s := o.snapshot(); !s.renewable(m.now()) || why == automatically && !s.due(m.now()) {
		f.land(o, nil) // somebody else was faster
		return time.Time{}
	}
	grant, err := m.refresher.Refresh(ctx, oidc.Grant{Tokens: o.session.Tokens(), Identity: o.session.identity})
	if err != nil {
		return m.refused(f, o, err)
	}
	if other := grant.Identity; other.Subject() != o.session.identity.Subject() || other.Tenant() != o.session.identity.Tenant() ||
		other.Object() != o.session.identity.Object() { // whatever the refresher says: a record never changes hands
		return m.refused(f, o, oidc.ErrOtherPerson)
	}
	return m.keep(f, o, grant)
}

// keep writes new tokens. The provider may have ended the old ones, so it goes on trying for a while when the store is in trouble; those
// who wait are served meanwhile, and so are those who come: the flight is not over.
func (m *Manager) keep(f *flight, o *opened, grant oidc.Grant) (retryAt time.Time) {
	ctx, cancel := context.WithTimeout(m.background, keepBudget)
	defer cancel()
	fresh := m.renewed(o.record, grant)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		kept, err := m.keepOnce(ctx, o, fresh)
		switch {
		case err == nil:
			m.metrics.count(refreshRenewed)
			f.land(kept, nil)
			return time.Time{}
		case errors.Is(err, ErrNoSession): // ended meanwhile: what was granted is dropped
			f.land(nil, err)
			return time.Time{}
		case kept == nil: // nothing that could be a session
			return m.refused(f, o, err)
		}
		f.land(kept, nil)
		m.log.WarnContext(ctx, "new tokens could not be kept yet", "session", o.ticket.logName, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			m.metrics.count(refreshLost)
			m.log.ErrorContext(ctx, "new tokens could not be kept and are lost", "session", o.ticket.logName, "error", err)
			return time.Time{}
		}
	}
}

// keepOnce writes the new tokens onto the newest state of the record. In trouble it returns that state as it was to be, beside the error.
func (m *Manager) keepOnce(ctx context.Context, o *opened, fresh record) (*opened, error) {
	for {
		written, err := m.write(ctx, o, merge(o.record, fresh))
		switch {
		case errors.Is(err, ErrNotFound):
			m.cache.forget(o.ticket.cookie)
			return nil, ErrNoSession
		case !errors.Is(err, ErrConflict):
			return written, err
		}
		newest, err := m.read(ctx, o.ticket, o)
		if err != nil {
			return written, err
		}
		if newest.record.refreshed.After(fresh.refreshed) {
			return newest, nil
		}
		o = newest
	}
}

// renewed is a record with the tokens of a grant. The session's own times stay.
func (m *Manager) renewed(r record, grant oidc.Grant) record {
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

func (m *Manager) refused(f *flight, o *opened, err error) (retryAt time.Time) {
	if ended := endsSession(err); ended != nil {
		return m.ended(f, o, ended)
	}
	m.metrics.count(refreshTrouble)
	m.log.WarnContext(m.background, "tokens could not be renewed", "session", o.ticket.logName, "error", err)
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
func (m *Manager) ended(f *flight, o *opened, ended *EndedError) (retryAt time.Time) {
	name := o.ticket.logName
	m.metrics.count(refreshEnded)
	m.log.InfoContext(m.background, "the provider ended a session", "session", name, "code", ended.Code)
	ctx, cancel := context.WithTimeout(m.background, grantBudget)
	defer cancel()
	asked := o.record.refreshed
	for {
		r := o.record
		r.endedBy, r.challenge = ended.Code, ended.Claims
		r.access, r.refresh = oidc.Token{}, oidc.Token{}
		_, err := m.write(ctx, o, r)
		if errors.Is(err, ErrConflict) {
			if o, err = m.read(ctx, o.ticket, o); err == nil && !o.record.refreshed.After(asked) {
				continue // a touch
			} else if err == nil {
				f.land(o, nil) // another replica's refresh was faster, and the refusal is about a token that it used up
				return time.Time{}
			}
		}
		if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoSession) {
			f.land(nil, ended)
			return time.Time{}
		}
		// The provider will be asked once more after the pause, and will say the same.
		m.log.WarnContext(ctx, "the end of a session could not be written", "session", name, "error", err)
		f.land(nil, ended)
		return m.now().Add(refreshPause)
	}
}
