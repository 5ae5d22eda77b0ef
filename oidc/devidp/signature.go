package devidp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384 and SHA-512 by number
	"fmt"
)

// mintAlgorithms are what a token can be signed with here (RFC 7518 §3.1). The last two are what must never be believed.
func mintAlgorithms() []string {
	return []string{"RS256", "PS256", "RS384", "RS512", "ES256", "HS256", "none"}
}

// signature signs bytes with a key that fits the algorithm. HS256 takes the public key as a secret that everybody knows, which a verifier
// believes if it lets the token choose the algorithm (RFC 8725 §2.1).
func signature(alg string, key *signingKey, input []byte) ([]byte, error) {
	var hash crypto.Hash
	switch alg {
	case "none":
		return nil, nil
	case "HS256":
		secret, err := key.publicPEM()
		if err != nil {
			return nil, err
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write(input)
		return mac.Sum(nil), nil
	case "RS256", "PS256", "ES256":
		hash = crypto.SHA256
	case "RS384":
		hash = crypto.SHA384
	case "RS512":
		hash = crypto.SHA512
	default:
		return nil, fmt.Errorf("sign token: unknown algorithm; known are %v", mintAlgorithms())
	}
	h := hash.New()
	h.Write(input)
	digest := h.Sum(nil)
	var (
		signed []byte
		err    error
	)
	switch private := key.private.(type) {
	case *ecdsa.PrivateKey:
		signed, err = signES256(private, digest)
	case *rsa.PrivateKey:
		if alg == "PS256" { // RFC 7518 §3.5: the salt is as long as the hash
			signed, err = rsa.SignPSS(rand.Reader, private, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signed, err = rsa.SignPKCS1v15(rand.Reader, private, hash, digest)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}

// signES256 writes r and s one after the other, 32 bytes each (RFC 7518 §3.4).
func signES256(private *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, private, digest)
	if err != nil {
		return nil, fmt.Errorf("sign with P-256: %w", err)
	}
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return out, nil
}
