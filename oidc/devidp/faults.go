package devidp

import (
	"maps"
	"sync"
	"time"
)

// Endpoint names a part of the provider for [IdP.SetFault] and [IdP.Counts].
type Endpoint string

// The endpoints.
const (
	EndpointFront     Endpoint = "front"
	EndpointMetadata  Endpoint = "metadata"
	EndpointKeys      Endpoint = "keys"
	EndpointAuthorize Endpoint = "authorize"
	EndpointLogin     Endpoint = "login"
	EndpointToken     Endpoint = "token"
	EndpointLogout    Endpoint = "logout"
	EndpointPAR       Endpoint = "par"
	EndpointRevoke    Endpoint = "revoke"
	EndpointAdmin     Endpoint = "admin" // cannot be broken
)

// Of is the same endpoint of another issuer, such as "tokenx/keys". The bare names are those of Entra ID.
func (e Endpoint) Of(i Issuer) Endpoint {
	if i == Entra || i == "" {
		return e
	}
	return Endpoint(i) + "/" + e
}

// For is the token endpoint for requests of one grant type alone, such as "token/refresh_token" or "tokenx/token/urn:ietf:…".
func (e Endpoint) For(grantType string) Endpoint { return e + "/" + Endpoint(grantType) }

// Fault makes an endpoint misbehave. With a latency alone it is slow and right; with anything else its answer is another.
type Fault struct {
	Latency     time.Duration // before anything else; ends early when the caller goes away
	Hang        bool          // no answer until the caller goes away or the faults are cleared, which closes the connection
	Status      int           // 0 with a Body means 200
	Body        string
	ContentType string         // empty means HTML, which is what a broken proxy in between sends
	RetryAfter  time.Duration  // in whole seconds
	Drop        bool           // close the connection without an answer
	Truncate    bool           // the right answer, of which the second half is missing
	Members     map[string]any // laid over the members of the right answer: another shape; nil takes one away
	Pad         int            // bytes of white space in front of the right answer: a huge one
	After       bool           // do the work first and then lose the answer: the code is spent, the refresh token is rotated
	Times       int            // how many requests; 0 means until it is cleared
}

func (f Fault) answers() bool { return f.Status != 0 || f.Body != "" }

// faults counts requests and spoils those that were meant to be.
type faults struct {
	mu     sync.Mutex
	set    map[Endpoint]*Fault
	tokens []*plannedError
	seen   map[string]int
	mended chan struct{} // closed when all faults are cleared, and then another one
}

type plannedError struct {
	issuer    Issuer
	grantType string
	err       oauthError
	times     int
}

func (f *faults) count(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[name]++
}

func (f *faults) counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.seen)
}

// draw takes one helping of an endpoint's fault. One for the grant type goes first.
func (f *faults) draw(e Endpoint, grantType string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if grantType != "" && f.set[e.For(grantType)] != nil {
		e = e.For(grantType)
	}
	fault := f.set[e]
	if fault == nil || e == EndpointAdmin {
		return Fault{}, false
	}
	if fault.Times == 1 {
		delete(f.set, e)
	} else if fault.Times > 1 {
		fault.Times--
	}
	return *fault, true
}

// tokenError takes one helping of the first planned error for a grant type of an issuer.
func (f *faults) tokenError(at Issuer, grantType string) *oauthError {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, planned := range f.tokens {
		if planned.issuer != at || (planned.grantType != "" && planned.grantType != grantType) {
			continue
		}
		if planned.times == 1 { // a negative one stays
			f.tokens = append(f.tokens[:i:i], f.tokens[i+1:]...)
		} else if planned.times > 1 {
			planned.times--
		}
		err := planned.err
		return &err
	}
	return nil
}
