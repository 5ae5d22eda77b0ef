package oidc

import (
	"log/slog"
	"time"
)

// Token is a raw token that never shows itself: not in logs, JSON, errors or %v.
type Token struct{ raw string }

// NewToken wraps a raw token.
func NewToken(raw string) Token { return Token{raw} }

// Raw returns the bytes to send to the one party that may see them.
func (t Token) Raw() string { return t.raw }

// Empty says whether there is no token.
func (t Token) Empty() bool { return t.raw == "" }

func (t Token) String() string {
	if t.raw == "" {
		return ""
	}
	return "[token]"
}

// GoString keeps %#v from printing the field.
func (t Token) GoString() string { return "oidc.Token(" + t.String() + ")" }

// MarshalText serves encoding/json.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// LogValue implements [slog.LogValuer].
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Tokens are what a token endpoint answered (RFC 6749 §5.1).
type Tokens struct {
	Access  Token
	Refresh Token // empty if the provider gave none
	ID      Token
	Expiry  time.Time // of the access token
}

// Grant is the verified outcome of a login or of a refresh: tokens, and the person that they belong to.
type Grant struct {
	Tokens   Tokens
	Identity *Identity
}
