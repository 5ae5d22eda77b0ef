package demoapp

import (
	"context"
	"net/http"
)

// Trier makes calls to the protected API of the demo, as one of a cast of callers. The app does not know how: it only shows what came out.
type Trier interface {
	// Callers and Requests are what there is to choose from, in the order of the page; callers of one group stand together.
	Callers() []TryCaller
	Requests() []TryRequest
	// Try makes the call, by the IDs of the two. An error means that there was no answer at all; it names no token.
	Try(ctx context.Context, caller, request string) (*Tried, error)
	// Policy is the policy file as it is now.
	Policy() TryPolicy
}

// TryCaller is somebody who calls.
type TryCaller struct {
	ID    string // short and plain, for the address
	Group string // heading that it stands under
	Name  string
	About string // one sentence
}

// TryRequest is something to ask for.
type TryRequest struct {
	ID           string // short and plain, for the address
	Method, Path string
	About        string // a few words
}

// TryPolicy is a policy file.
type TryPolicy struct {
	Path string
	Text string
}

// Tried is a call that was made, and everything that is known of it.
type Tried struct {
	Token  *TryToken   // what it carried; nil for nothing
	Status int         // of the answer
	Header http.Header // of the answer
	Body   string      // of the answer, as it came

	Reached  bool        // the API got the request
	Received http.Header // what the API got, if it did: its identity headers (Header.Get finds them), and Authorization with its value left out

	Why TryExplanation
}

// TryExplanation is how a decision came about.
type TryExplanation struct {
	Steps   []TryStep
	Advice  string // what would have to change; empty if nothing has to
	Printed string // the whole as `postern explain` prints it; empty if it does not
}

// TryToken is a token without the part that makes it one: its signature.
type TryToken struct {
	Header, Claims []byte // JSON objects
	Length         int    // bytes of the whole
}

// TryStep is one thing that was looked at.
type TryStep struct {
	OK     bool
	Rule   string // of the policy; empty for a general check
	Claim  string // of the token, or "path" or "method"; empty if none decided
	Detail string // a sentence
}
