package devidp

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// maxReceived is how many token requests are remembered.
const maxReceived = 100

// TokenRequest is what a token endpoint was sent, whatever came of it. Of secrets, codes and tokens there is [Hidden] in their place.
type TokenRequest struct {
	Issuer    Issuer                `json:"issuer"`
	GrantType string                `json:"grant_type"`
	At        time.Time             `json:"at"`
	Form      url.Values            `json:"form"`   // nil if it could not be read
	Tokens    map[string]TokenParts `json:"tokens"` // by parameter: client_assertion, assertion and subject_token, if they can be read
	Header    http.Header           `json:"header"` // without credentials and cookies
}

// TokenParts is what a token says, which nobody has verified. Numbers are of type json.Number.
type TokenParts struct {
	Header map[string]any `json:"header"`
	Claims map[string]any `json:"claims"`
}

// Hidden stands for what nobody should find in a log.
const Hidden = "(hidden)"

// openParameters hold no secret; those of another name might.
func openParameters() []string {
	return []string{
		"grant_type", "scope", "client_id", "client_assertion_type", "requested_token_use", "requested_token_type", "subject_token_type",
		"audience", "resource", "redirect_uri", "authorization_details", "claims",
	}
}

// note remembers a token request and returns its grant type, if this issuer has it.
func (x *exchange) note() string {
	seen := TokenRequest{Issuer: x.at.name, At: x.now, Header: x.r.Header.Clone(), Tokens: map[string]TokenParts{}}
	seen.Header.Del("Authorization")
	seen.Header.Del("Proxy-Authorization")
	seen.Header.Del("Cookie")
	raw := x.buffer()
	if form, err := url.ParseQuery(string(raw)); err == nil && len(raw) <= maxBody {
		seen.GrantType, seen.Form = form.Get("grant_type"), form
	}
	for _, name := range []string{"client_assertion", "assertion", "subject_token"} {
		if token, err := parseCompact(seen.Form.Get(name)); err == nil {
			seen.Tokens[name] = TokenParts{token.header, token.claims}
		}
	}
	for name, values := range seen.Form {
		if !slices.Contains(openParameters(), name) {
			seen.Form[name] = slices.Repeat([]string{Hidden}, len(values))
		}
	}
	p := x.idp
	p.mu.Lock()
	defer p.mu.Unlock()
	p.received = append(p.received, seen)
	if len(p.received) > maxReceived {
		p.received = slices.Delete(p.received, 0, 1)
	}
	if !slices.Contains(x.at.grants, seen.GrantType) {
		return ""
	}
	p.faults.count(string(EndpointToken.Of(x.at.name).For(seen.GrantType)))
	return seen.GrantType
}

// TokenRequests is what the token endpoints were sent, oldest first, a hundred at most. The maps are shared: look, and change nothing.
func (p *IdP) TokenRequests() []TokenRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.received)
}

// ForgetRequests starts [IdP.Counts] and [IdP.TokenRequests] anew.
func (p *IdP) ForgetRequests() {
	p.mu.Lock()
	p.received = nil
	p.mu.Unlock()
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	clear(p.faults.seen)
}

// buffer reads the body ahead, up to what is too long anyway, and leaves it to be read again. net/http notices that a caller has left only
// once the request has been read.
func (x *exchange) buffer() []byte {
	raw, err := io.ReadAll(io.LimitReader(x.r.Body, maxBody+1))
	rest := io.Reader(x.r.Body)
	if err != nil {
		rest = cutOff{err}
	}
	x.r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(raw), rest))
	return raw
}

// cutOff is the rest of a body that could not be read.
type cutOff struct{ err error }

func (c cutOff) Read([]byte) (int, error) { return 0, c.err }
