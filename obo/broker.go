package obo

import (
	"context"
	"time"

	"postern/oidc"
)

// Token is a token for the next hop.
type Token struct {
	Access oidc.Token
	Expiry time.Time // its own end, or that of the user token that bought it, whichever comes first
	Cached bool
}

// use is what a token is for: two that differ in it are never the same.
type use byte

const (
	machine  use = 'm' // the app's own
	onBehalf use = 'u' // of a user
)

// Broker gets tokens at the providers of the app. It may be used by any number of goroutines.
type Broker struct{}

// Machine gets a token of the app's own.
func (b *Broker) Machine(ctx context.Context, r Request) (Token, error) { panic("not yet") }

// Exchange gets a token on behalf of the user whose token is given.
func (b *Broker) Exchange(ctx context.Context, r Request) (Token, error) { panic("not yet") }
