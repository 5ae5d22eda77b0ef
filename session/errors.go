package session

import (
	"errors"
	"fmt"
)

// What a request may learn about its session. Each of these means "nobody is logged in"; everything else that a [Manager] returns is
// trouble and says nothing about the caller.
var (
	// ErrNoSession says that the cookie does not open, or that what it names is not there.
	ErrNoSession = errors.New("no session")
	// ErrEnded says that the session is over: its lifetime has passed, or the provider has ended it ([*EndedError]).
	ErrEnded = errors.New("session has ended")
	// ErrInactive says that the idle timeout has passed.
	ErrInactive = errors.New("session is inactive")
	// ErrOvertaken says that the provider logged this person out while the login was under way (S-33).
	ErrOvertaken = errors.New("logged out while logging in")
	// ErrTokenExpired says that the access token has expired and nothing can renew it: the provider gave no refresh token, or tokens are
	// renewed elsewhere. It is an [ErrEnded] too, as an app can no longer be called with this session.
	ErrTokenExpired = fmt.Errorf("access token has expired: %w", ErrEnded)
)

// ErrSealed is all that anybody learns about a sealed value that does not open (peers.md row 40b: one answer for every flaw).
var ErrSealed = errors.New("sealed value does not open")

// What a [Store] answers, beside what was asked for and trouble.
var (
	ErrNotFound = errors.New("key not found")
	ErrConflict = errors.New("value was changed by somebody else")
	ErrGap      = errors.New("log has lost the position")
)

// errClosed says that the process is about to end.
var errClosed = errors.New("closed")

// StoreError is trouble with the store: unreachable, slow, full, or answering what this version cannot read. It says nothing about the
// caller, so it must become a 503 and never a 401, a login or an anonymous request.
type StoreError struct {
	Op  string // verb phrase: "read session"
	Err error
}

func (e *StoreError) Error() string { return fmt.Sprintf("store: %s: %v", e.Op, e.Err) }

func (e *StoreError) Unwrap() error { return e.Err }

// EndedError says that the provider ended the session when its tokens were to be renewed (S-30). It is an [ErrEnded].
type EndedError struct {
	Code   string // "invalid_grant", "interaction_required", …
	Claims string // the provider's claims challenge for the next login; empty if it sent none
}

func (e *EndedError) Error() string { return "session ended by the provider: " + e.Code }

// Is makes errors.Is(err, ErrEnded) true.
func (e *EndedError) Is(target error) bool { return target == ErrEnded }
