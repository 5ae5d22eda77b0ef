package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrNotReady says that a provider's metadata or keys have not been read yet. It always comes wrapped in a [TroubleError].
var ErrNotReady = errors.New("metadata and keys not read yet")

// ErrCredential says that the client's credential could not be made or read. It always comes wrapped in a [TroubleError].
var ErrCredential = errors.New("client credential cannot be used")

// TroubleError is an infrastructure fault on the way to a provider: no connection, time-out, 429, 5xx, nonsense. It says nothing about
// the caller, so it must become a 503 and never a 401 or a logout.
type TroubleError struct {
	Provider   string
	Op         string        // verb phrase: "redeem code", "fetch metadata"
	RetryAfter time.Duration // 0 if the provider did not say
	Err        error

	Status    int           // of the provider's answer; 0 if there was none
	Malformed bool          // there was an answer, and nobody can make sense of it
	Answer    *RefusalError // what the provider itself said of its trouble (RFC 6749 §5.2); nil if nothing

	again bool // the request was never sent: it may be sent once more whatever it was
	fault bool // the provider answered with a status of its own trouble
}

// Timeout says that there was no answer in time.
func (e *TroubleError) Timeout() bool {
	var timed interface{ Timeout() bool }
	return errors.Is(e.Err, context.DeadlineExceeded) || errors.As(e.Err, &timed) && timed.Timeout()
}

func (e *TroubleError) Error() string {
	return fmt.Sprintf("%s: %s: %v", e.Provider, e.Op, e.Err)
}

func (e *TroubleError) Unwrap() error { return e.Err }

// RefusalError is a provider's refusal by the OAuth error codes (RFC 6749 §4.1.2.1 and §5.2). Description is for logs and developers,
// it is never shown in a page.
type RefusalError struct {
	Provider    string
	Op          string
	Status      int    // of the token endpoint; 0 for an authorization response
	Code        string // "invalid_grant", "access_denied", …
	Description string
	Claims      string // claims challenge of Entra ID, for the next login

	// For the app that asked, never for a log:
	Words         string          // the description as it came, but for our secrets
	Suberror      string          // of Entra ID, as are the next two
	ErrorCodes    json.RawMessage // a JSON list of numbers, nil if absent
	CorrelationID string
}

func (e *RefusalError) Error() string {
	return fmt.Sprintf("%s: %s refused: %s (%s)", e.Provider, e.Op, e.Code, e.Description)
}

// OurFault says that the refusal is about this client or its set-up and not about the person: credentials, an unknown scope, and all codes
// that are not known to be about a person (S-30). It is for an alert: 500 at a login, 503 at a refresh, and it ends nobody's session.
func (e *RefusalError) OurFault() bool {
	switch e.Code {
	case "access_denied", "invalid_grant", // RFC 6749 §4.1.2.1, §5.2
		"interaction_required", "login_required", "account_selection_required", "consent_required", // OIDC Core §3.1.2.6
		"unmet_authentication_requirements": // OIDC Unmet Authentication Requirements §2
		return false
	}
	return true
}

// ErrOtherPerson is in the [InvalidTokenError] of a refresh whose tokens are somebody else's.
var ErrOtherPerson = errors.New("tokens of another person")

// InvalidTokenError says that a token was read and is not acceptable. Reason is a short text without any of the token's bytes.
type InvalidTokenError struct {
	Reason string
	Err    error
}

func (e *InvalidTokenError) Error() string {
	if e.Err == nil {
		return "invalid token: " + e.Reason
	}
	return fmt.Sprintf("invalid token: %s: %v", e.Reason, e.Err)
}

func (e *InvalidTokenError) Unwrap() error { return e.Err }

func invalid(reason string) error { return &InvalidTokenError{Reason: reason} }
