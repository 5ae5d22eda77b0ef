package oidc

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxRevoked bounds what is remembered: the access tokens of so many logouts within the life of a token.
const maxRevoked = 1 << 16

// revoked are tokens that ended before their time (S-09). Nearly always there are none, and asking then costs one load.
type revoked struct {
	count atomic.Int64
	mu    sync.RWMutex
	until map[verifiedKey]int64 // seconds since 1970
}

func (r *revoked) has(key verifiedKey) bool {
	if r.count.Load() == 0 {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, found := r.until[key]
	return found
}

// add remembers a token until it would not be accepted anyway. Without room the ones that end soonest go first.
func (r *revoked) add(key verifiedKey, until, now int64) {
	if until < now {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until == nil {
		r.until = map[verifiedKey]int64{}
	}
	if len(r.until) >= maxRevoked {
		r.makeRoom(now)
	}
	r.until[key] = until
	r.count.Store(int64(len(r.until)))
}

func (r *revoked) makeRoom(now int64) {
	var soonest verifiedKey
	end := int64(1 << 62)
	for key, until := range r.until {
		switch {
		case until < now:
			delete(r.until, key)
		case until < end:
			soonest, end = key, until
		}
	}
	if len(r.until) >= maxRevoked {
		delete(r.until, soonest)
	}
}

// Revoke ends a token before its time, for this process: the access token of a session that has ended must not come back as a bearer token.
// expiry is that of the token.
func (v *Verifier) Revoke(token Token, expiry time.Time) {
	if token.Empty() || len(token.Raw()) > maxBearer {
		return
	}
	v.revoked.add(v.cache.keyOf(token.Raw()), expiry.Unix()+bearerLeeway, v.deps.Now().Unix())
}

// IsRevoked says whether a token was ended before its time, for those who look at it in another way than [Verifier.Verify].
func (v *Verifier) IsRevoked(raw string) bool {
	return v.revoked.count.Load() != 0 && len(raw) <= maxBearer && v.revoked.has(v.cache.keyOf(raw))
}
