package devidp

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// Draft is a token before it is signed. A hook set with [IdP.AlterTokens] may change it in any way.
type Draft struct {
	Issuer       Issuer
	Kind         string // "id_token", "access_token", "logout_token", or "minted"
	Header       map[string]any
	Claims       map[string]any
	BadSignature bool // sign something else
}

// sign writes a JWS with the newest key of the issuer.
func (s site) sign(d Draft) (string, error) {
	key, err := s.at.keys.signer()
	if err != nil {
		return "", err
	}
	return s.signBy(key, "RS256", "", &d)
}

// signBy writes a JWS in compact form (RFC 7515 §7.1). The payload is encoded by encoding/json and signed as bytes, so that a member
// name with quotes stays a name; a raw one takes the place of the claims. The draft is left as it was signed.
func (s site) signBy(key *signingKey, alg, raw string, d *Draft) (string, error) {
	d.Issuer = s.at.name
	if d.Header == nil {
		d.Header = map[string]any{}
	}
	for name, value := range map[string]any{"typ": "JWT", "alg": alg, "kid": key.kid} {
		if _, given := d.Header[name]; !given {
			d.Header[name] = value
		}
	}
	s.idp.mu.Lock()
	alter := s.idp.alterToken
	s.idp.mu.Unlock()
	if alter != nil {
		alter(d)
	}
	maps.DeleteFunc(d.Header, func(_ string, value any) bool { return value == nil })
	header, err := json.Marshal(d.Header)
	if err != nil {
		return "", fmt.Errorf("encode token header: %w", err)
	}
	payload := []byte(raw)
	if raw == "" {
		if payload, err = json.Marshal(d.Claims); err != nil {
			return "", fmt.Errorf("encode token claims: %w", err)
		}
	}
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signed := []byte(input)
	if d.BadSignature {
		signed = append(signed, '!')
	}
	signature, err := signature(alg, key, signed)
	if err != nil {
		return "", err
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
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
