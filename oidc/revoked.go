package oidc

import (
	"crypto/sha256"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxRevoked bounds what is remembered: the access tokens of so many logouts within the life of a token.
const maxRevoked = 1 << 16

// Revocations are tokens that ended before their time: the access token of a session that has ended must come back neither as a bearer token
// nor as a user token, whoever in this process looks at it (S-09). Nearly always there are none, and asking then costs one load.
type Revocations struct {
	now   func() time.Time
	count atomic.Int64
	mu    sync.RWMutex
	until map[tokenHash]int64 // seconds since 1970
}

type tokenHash [sha256.Size]byte

// hashOf is the same for all spellings of a token: what its signature is over, since whoever has a token of ES256 can write its signature in
// another way; and without space around it, which a provider may overlook.
func hashOf(raw string) tokenHash {
	raw = strings.TrimSpace(raw)
	if strings.Count(raw, ".") == 2 {
		raw = raw[:strings.LastIndexByte(raw, '.')]
	}
	return sha256.Sum256([]byte(raw))
}

// NewRevocations tells the time by now; nil means time.Now.
func NewRevocations(now func() time.Time) *Revocations {
	if now == nil {
		now = time.Now
	}
	return &Revocations{now: now, until: map[tokenHash]int64{}}
}

// Has says whether a token was ended.
func (r *Revocations) Has(raw string) bool {
	if r.count.Load() == 0 {
		return false
	}
	hash := hashOf(raw)
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, found := r.until[hash]
	return found
}

// TokenHash is how a token is named where it must not be known: SHA-256 of what its signature is over.
func TokenHash(token Token) [sha256.Size]byte { return hashOf(token.Raw()) }

// AddHash ends the token of a [TokenHash], whose own end is expiry.
func (r *Revocations) AddHash(hash [sha256.Size]byte, expiry time.Time) {
	r.add(hash, expiry.Unix()+bearerLeeway, r.now().Unix())
}

// add remembers a token until it would not be accepted anyway. Without room the ones that end soonest go first.
func (r *Revocations) add(hash tokenHash, until, now int64) {
	if until < now {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.until) >= maxRevoked {
		r.makeRoom(now)
	}
	r.until[hash] = until
	r.count.Store(int64(len(r.until)))
}

func (r *Revocations) makeRoom(now int64) {
	var soonest tokenHash
	end := int64(1 << 62)
	for hash, until := range r.until {
		switch {
		case until < now:
			delete(r.until, hash)
		case until < end:
			soonest, end = hash, until
		}
	}
	if len(r.until) >= maxRevoked {
		delete(r.until, soonest)
	}
}
