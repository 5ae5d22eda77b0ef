package devidp

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Draft is a token before it is signed. A hook set with [IdP.AlterTokens] may change it in any way.
type Draft struct {
	Kind         string // "id_token", "access_token", or "minted"
	Header       map[string]any
	Claims       map[string]any
	BadSignature bool // sign something else
}

// sign writes a JWS in compact form (RFC 7515 §7.1). The payload is encoded by encoding/json and signed as bytes, so that a member
// name with quotes stays a name.
func (p *IdP) sign(d Draft) (string, error) {
	key := p.keys.signer()
	if d.Header == nil {
		d.Header = map[string]any{}
	}
	for name, value := range map[string]any{"typ": "JWT", "alg": "RS256", "kid": key.kid} {
		if _, given := d.Header[name]; !given {
			d.Header[name] = value
		}
	}
	p.mu.Lock()
	alter := p.alterToken
	p.mu.Unlock()
	if alter != nil {
		alter(&d)
	}
	header, err := json.Marshal(d.Header)
	if err != nil {
		return "", fmt.Errorf("encode token header: %w", err)
	}
	claims, err := json.Marshal(d.Claims)
	if err != nil {
		return "", fmt.Errorf("encode token claims: %w", err)
	}
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	digest := sha256.Sum256([]byte(input))
	if d.BadSignature {
		digest[0] ^= 1
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, key.private, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// signForGraph signs as Entra ID does for Graph: over a header whose nonce is hashed, but sent with the nonce itself. So nobody but
// Graph can verify the token, and a client has to treat it as opaque.
func (p *IdP) signForGraph(claims map[string]any) (string, error) {
	nonce := p.secret()
	hashed := sha256.Sum256([]byte(nonce))
	token, err := p.sign(Draft{Kind: "access_token", Claims: claims, Header: map[string]any{
		"nonce": base64.RawURLEncoding.EncodeToString(hashed[:]),
	}})
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(token, ".")
	header, err := json.Marshal(map[string]any{"typ": "JWT", "alg": "RS256", "kid": p.keys.signer().kid, "nonce": nonce})
	if err != nil {
		return "", fmt.Errorf("encode token header: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(header) + "." + rest, nil
}

const maxToken = 64 << 10

// compact is a JWS that has been taken apart and not been verified.
type compact struct {
	header, claims map[string]any
	signed         []byte
	signature      []byte
}

// parseCompact reads three parts of strict base64url, the first two JSON objects without doubled members.
func parseCompact(raw string) (c compact, err error) {
	parts := strings.Split(raw, ".")
	if len(raw) > maxToken || len(parts) != 3 {
		return c, errors.New("not a JWS in compact form")
	}
	var decoded [3][]byte
	for i, part := range parts {
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return c, errors.New("not base64url")
		}
	}
	if c.header, err = parseObject(decoded[0]); err != nil {
		return c, fmt.Errorf("read header: %w", err)
	}
	if c.claims, err = parseObject(decoded[1]); err != nil {
		return c, fmt.Errorf("read claims: %w", err)
	}
	c.signed, c.signature = []byte(parts[0]+"."+parts[1]), decoded[2]
	return c, nil
}

func text(object map[string]any, name string) string {
	s, _ := object[name].(string)
	return s
}

// seconds reads a NumericDate (RFC 7519 §2); ok is false if it is absent or no number.
func seconds(object map[string]any, name string) (at int64, ok bool) {
	n, isNumber := object[name].(json.Number)
	if !isNumber {
		return 0, false
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f > 1<<40 {
		return 0, false
	}
	return int64(f), true
}
