package proxy

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"postern/oidc"
	"postern/proxy/forward"
)

const (
	headerAssertion   = "X-Postern-Assertion"
	assertionType     = "postern-identity+jwt" // "typ": no other token is taken for one of these, nor the reverse (RFC 8725 §3.11)
	assertionLifetime = time.Minute
)

// assertions makes signed statements of who is calling, for apps that can be reached beside Postern: there, plain headers prove nothing
// (contract 4.4, S-05). It is made once and safe for concurrent use.
type assertions struct {
	signer *oidc.Signer
	issuer string
	now    func() time.Time
	random io.Reader
}

// newAssertions: an empty issuer is the audience of each statement. random must be safe for concurrent use, as [crypto/rand.Reader] is.
func newAssertions(signer *oidc.Signer, issuer string, now func() time.Time, random io.Reader) *assertions {
	return &assertions{signer, issuer, now, random}
}

// assertion is all of a statement. No member name comes from a token: what a token says is in the one object "caller" (S-20).
type assertion struct {
	Issuer   string          `json:"iss"`
	Audience string          `json:"aud"`
	IssuedAt int64           `json:"iat"`
	Expiry   int64           `json:"exp"`
	ID       string          `json:"jti"`
	Subject  string          `json:"sub,omitempty"` // absent for Maskinporten
	Kind     oidc.Kind       `json:"kind"`
	Provider string          `json:"provider"`
	Client   string          `json:"client,omitempty"` // absent for a session
	Method   string          `json:"htm"`              // as in RFC 9449 §4.2
	Target   string          `json:"htu"`              // base64url of the SHA-256 of path and query as sent, unlike RFC 9449
	Caller   json.RawMessage `json:"caller"`
}

// sign states to audience, the app, that id makes the request r and no other. An error is a fault of ours: no assertion, no request.
func (a *assertions) sign(id *oidc.Identity, audience string, r *http.Request) (string, error) {
	var random [16]byte
	if _, err := io.ReadFull(a.random, random[:]); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	now := a.now().Unix()
	target := sha256.Sum256([]byte(forward.RawTarget(r)))
	statement := assertion{
		Issuer: a.issuer, Audience: audience,
		IssuedAt: now, Expiry: now + int64(assertionLifetime/time.Second), ID: base64.RawURLEncoding.EncodeToString(random[:]),
		Kind: id.Kind(), Provider: id.Provider(), Client: id.Client(),
		Method: r.Method, Target: base64.RawURLEncoding.EncodeToString(target[:]),
		Caller: json.RawMessage(id.ClaimsJSON()),
	}
	if statement.Issuer == "" {
		statement.Issuer = audience
	}
	if id.Provider() != oidc.Maskinporten {
		statement.Subject = id.Subject()
	}
	payload, err := json.Marshal(statement)
	if err != nil {
		return "", fmt.Errorf("encode identity assertion: %w", err)
	}
	signed, err := a.signer.Sign(payload, assertionType)
	if err != nil {
		return "", fmt.Errorf("sign identity assertion: %w", err)
	}
	return signed, nil
}
