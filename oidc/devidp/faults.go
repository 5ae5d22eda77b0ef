package devidp

import (
	"maps"
	"net/http"
	"strconv"
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
	EndpointAdmin     Endpoint = "admin" // cannot be broken
)

// Of is the same endpoint of another issuer, such as "tokenx/keys". The bare names are those of Entra ID.
func (e Endpoint) Of(i Issuer) Endpoint {
	if i == Entra || i == "" {
		return e
	}
	return Endpoint(i) + "/" + e
}

// Fault makes an endpoint misbehave. With a latency alone it is slow and right; with Status, Body, Drop or Truncate its answer is another.
type Fault struct {
	Latency     time.Duration // before anything else; ends early when the caller goes away
	Status      int           // 0 with a Body means 200
	Body        string
	ContentType string        // empty means HTML, which is what a broken proxy in between sends
	RetryAfter  time.Duration // in whole seconds
	Drop        bool          // close the connection without an answer
	Truncate    bool          // the right answer, of which the second half is missing
	After       bool          // do the work first and then lose the answer: the code is spent, the refresh token is rotated
	Times       int           // how many requests; 0 means until it is cleared
}

func (f Fault) answers() bool { return f.Status != 0 || f.Body != "" }

// faults counts requests and spoils those that were meant to be.
type faults struct {
	mu     sync.Mutex
	set    map[Endpoint]*Fault
	tokens []*plannedError
	seen   map[string]int
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

// draw takes one helping of an endpoint's fault.
func (f *faults) draw(e Endpoint) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
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
		if planned.times == 1 {
			f.tokens = append(f.tokens[:i:i], f.tokens[i+1:]...)
		} else if planned.times > 1 {
			planned.times--
		}
		err := planned.err
		return &err
	}
	return nil
}

func (f *faults) serve(e Endpoint, x *exchange, serve func(*exchange)) {
	fault, spoiled := f.draw(e)
	if !spoiled {
		serve(x)
		return
	}
	if fault.Latency > 0 {
		timer := time.NewTimer(fault.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-x.r.Context().Done():
		}
		x.now = x.idp.cfg.Now()
	}
	if fault.Truncate {
		half(x, serve)
		return
	}
	if !fault.Drop && !fault.answers() {
		serve(x)
		return
	}
	if fault.After {
		lost := *x
		lost.w = discard{http.Header{}}
		serve(&lost)
	}
	if fault.Drop {
		panic(http.ErrAbortHandler) // net/http's way to close a connection, logged by nobody
	}
	fault.write(x.w)
}

func (f Fault) write(w http.ResponseWriter) {
	kind := f.ContentType
	if kind == "" {
		kind = "text/html; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
	}
	if f.Status != 0 {
		w.WriteHeader(f.Status)
	}
	_, _ = w.Write([]byte(f.Body))
}

// half serves the right answer and leaves out the second half of the body.
func half(x *exchange, serve func(*exchange)) {
	whole := &kept{ResponseWriter: x.w}
	cut := *x
	cut.w = whole
	serve(&cut)
	_, _ = x.w.Write(whole.body[:len(whole.body)/2])
}

// kept holds a body back. The status is written by the time that it ends.
type kept struct {
	http.ResponseWriter
	body []byte
}

func (k *kept) Write(b []byte) (int, error) {
	k.body = append(k.body, b...)
	return len(b), nil
}

// discard is an answer that never arrives.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
