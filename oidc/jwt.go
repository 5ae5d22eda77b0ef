package oidc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	maxToken = 64 << 10 // before anything is decoded (CVE-2025-30204 and its kin)
	maxKeyID = 512
)

// compactJWT is a signed token in compact form (RFC 7515 §7.1) whose shape is sound. Nothing in it is verified.
type compactJWT struct {
	raw           string
	alg, kid, typ string
	signed        string // what the signature is over
	payload       []byte
	signature     []byte
	claims        members
}

// parseJWT looks at the shape only: size, exactly two dots, base64url, JSON objects without doubled members, no "crit".
// Names in the header are exact; those of claims are for the caller to hold to (see [members.noTwins]).
func parseJWT(raw string) (compactJWT, error) {
	none := compactJWT{}
	if len(raw) > maxToken {
		return none, errors.New("it is larger than 64 KiB")
	}
	if strings.Count(raw, ".") != 2 {
		return none, errors.New("it is not a signed token in compact form")
	}
	parts := strings.SplitN(raw, ".", 3)
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		// Strict: no line breaks, no padding, no stray bits at the end, so that a token has one spelling.
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || part == "" || strings.ContainsAny(part, "\r\n") {
			return none, errors.New("a part of it is not base64url")
		}
	}
	header, err := readObject(decoded[0])
	if err != nil {
		return none, fmt.Errorf("its header %w", err)
	}
	if header.has("crit") || header.has("b64") { // RFC 7515 §4.1.11: we understand no extension
		return none, errors.New("its header has critical extensions")
	}
	if err := header.noTwinsOf([]string{"alg", "kid", "typ", "crit", "b64", "enc"}); err != nil {
		return none, fmt.Errorf("its header %w", err)
	}
	jwt := compactJWT{raw: raw, signed: raw[:strings.LastIndexByte(raw, '.')], payload: decoded[1], signature: decoded[2]}
	// "jku", "x5u", "jwk" and "x5c" are not even read: keys come from the provider's metadata (RFC 8725 §3.10).
	for name, target := range map[string]*string{"alg": &jwt.alg, "kid": &jwt.kid, "typ": &jwt.typ} {
		if err := header.decode(name, target); err != nil {
			return none, fmt.Errorf("its header %w", err)
		}
	}
	if len(jwt.kid) > maxKeyID {
		return none, errors.New("its key id is too long")
	}
	if jwt.claims, err = readObject(jwt.payload); err != nil {
		return none, fmt.Errorf("its claims: it %w", err)
	}
	return jwt, nil
}

// UnverifiedExpiry is "exp" of a token that nobody has verified, for those who keep something no longer than it lives; zero if it has none
// that can be read.
func UnverifiedExpiry(raw string) time.Time {
	parts := strings.Split(raw[:min(len(raw), maxToken)], ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	m, err := readObject(payload)
	if err != nil {
		return time.Time{}
	}
	at, present, err := m.seconds("exp")
	if err != nil || !present {
		return time.Time{}
	}
	return time.Unix(at, 0)
}
