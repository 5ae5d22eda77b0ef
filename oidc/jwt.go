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
	payload       string
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
	decoded, err := decodeParts(raw)
	if err != nil {
		return none, err
	}
	header, err := readObject(string(decoded[0]))
	if err != nil {
		return none, fmt.Errorf("its header %w", err)
	}
	if header.has("crit") || header.has("b64") { // RFC 7515 §4.1.11: we understand no extension
		return none, errors.New("its header has critical extensions")
	}
	if err := header.noTwinsOf(headerNames); err != nil {
		return none, fmt.Errorf("its header %w", err)
	}
	jwt := compactJWT{raw: raw, signed: raw[:strings.LastIndexByte(raw, '.')], payload: string(decoded[1]), signature: decoded[2]}
	// "jku", "x5u", "jwk" and "x5c" are not even read: keys come from the provider's metadata (RFC 8725 §3.10).
	for _, member := range [...]struct {
		name   string
		target *string
	}{{"alg", &jwt.alg}, {"kid", &jwt.kid}, {"typ", &jwt.typ}} {
		if *member.target, err = header.text(member.name); err != nil {
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
	m, err := readObject(string(payload))
	if err != nil {
		return time.Time{}
	}
	at, present, err := m.seconds("exp")
	if err != nil || !present {
		return time.Time{}
	}
	return time.Unix(at, 0)
}

// headerNames are the members of a header that something is decided on.
var headerNames = newNameSet("alg", "kid", "typ", "crit", "b64", "enc")

// base64url is strict: no padding and no stray bits at the end, so that a token has one spelling.
var base64url = base64.RawURLEncoding.Strict()

// decodeParts takes apart what has two dots.
func decodeParts(raw string) (decoded [3][]byte, err error) {
	const notBase64 = "a part of it is not base64url"
	if strings.IndexByte(raw, '\n') >= 0 || strings.IndexByte(raw, '\r') >= 0 { // encoding/base64 leaves line breaks out
		return decoded, errors.New(notBase64)
	}
	i := 0
	for part := range strings.SplitSeq(raw, ".") {
		if decoded[i], err = base64url.DecodeString(part); err != nil || part == "" {
			return decoded, errors.New(notBase64)
		}
		i++
	}
	return decoded, nil
}
