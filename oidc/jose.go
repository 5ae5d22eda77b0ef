package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// This is the only file that imports jwx. Its version 2 is no longer maintained and does not escape member names when it writes JSON, so it parses
// keys, verifies, and signs bytes that were encoded elsewhere; it never builds a token (S-20).

const (
	minRSABits = 2048
	maxRSABits = 8192 // verification time grows with the key
)

// allowedAlgorithm is the widest list of signatures that is ever accepted: no "none", and no HMAC, which would turn a public key into
// a shared secret (RFC 8725 §3.1).
func allowedAlgorithm(alg string) bool {
	switch alg {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA":
		return true
	}
	return false
}

// verificationKey is a public key that fits its algorithm.
type verificationKey struct {
	kid, alg string
	issuer   string // of keys of Entra ID: whose tokens they may sign (S-34)
	public   crypto.PublicKey
}

// parseKeySet reads a JWK set (RFC 7517 §5). Keys that are unknown, malformed, weak, for encryption, symmetric or private are left out.
func parseKeySet(body []byte, fallbackAlg string) ([]verificationKey, error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("parse key set: %w", err)
	}
	if set.Keys == nil {
		return nil, errors.New("parse key set: no member \"keys\"")
	}
	if len(*set.Keys) > maxKeys {
		return nil, fmt.Errorf("parse key set: more than %d keys", maxKeys)
	}
	var keys []verificationKey
	for _, raw := range *set.Keys {
		if key, ok := parseVerificationKey(raw, fallbackAlg); ok {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func parseVerificationKey(raw []byte, fallbackAlg string) (verificationKey, bool) {
	parsed, err := jwk.ParseKey(raw)
	if err != nil || parsed.KeyUsage() != "" && parsed.KeyUsage() != string(jwk.ForSignature) {
		return verificationKey{}, false
	}
	if ops := parsed.KeyOps(); len(ops) > 0 && !containsOp(ops, jwk.KeyOpVerify) {
		return verificationKey{}, false
	}
	var public any
	if err := parsed.Raw(&public); err != nil {
		return verificationKey{}, false
	}
	key := verificationKey{kid: parsed.KeyID(), alg: parsed.Algorithm().String(), public: public}
	if key.alg == "" {
		key.alg = algorithmFor(public, fallbackAlg)
	}
	if issuer, ok := parsed.Get("issuer"); ok {
		key.issuer, ok = issuer.(string)
		if !ok {
			return verificationKey{}, false
		}
	}
	return key, allowedAlgorithm(key.alg) && fits(key.alg, public)
}

func containsOp(ops jwk.KeyOperationList, want jwk.KeyOperation) bool {
	for _, op := range ops {
		if op == want {
			return true
		}
	}
	return false
}

// algorithmFor guesses for keys that name no algorithm (Entra ID's do not).
func algorithmFor(public crypto.PublicKey, fallback string) string {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if fallback != "" && fits(fallback, public) {
			return fallback
		}
		return "RS256"
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return "ES256"
		case elliptic.P384():
			return "ES384"
		case elliptic.P521():
			return "ES512"
		}
	case ed25519.PublicKey:
		return "EdDSA"
	}
	return ""
}

// fits says whether a key is of the type and strength that its algorithm needs (RFC 7518 §3). Private and symmetric keys never fit: a
// private key in a public set is a leaked one.
func fits(alg string, public crypto.PublicKey) bool {
	switch key := public.(type) {
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		return bits >= minRSABits && bits <= maxRSABits && len(alg) == 5 && (alg[:2] == "RS" || alg[:2] == "PS")
	case *ecdsa.PublicKey:
		_, err := key.ECDH() // fails for a point that is not on its curve
		return err == nil && alg == algorithmFor(public, "")
	case ed25519.PublicKey:
		return len(key) == ed25519.PublicKeySize && alg == "EdDSA" // the library does not look, and the verification would panic
	}
	return false
}

// verifySignature says whether key has signed the token. The library gets the two parts that [parseJWT] has taken apart, so that it is read
// once and in one way.
func verifySignature(jwt compactJWT, key *verificationKey) error {
	if jwt.alg != key.alg {
		return errors.New("another algorithm than the key's")
	}
	verifier, err := jws.NewVerifier(jwa.SignatureAlgorithm(key.alg))
	if err != nil {
		return fmt.Errorf("verify signature: %w", err)
	}
	return verifier.Verify([]byte(jwt.signed), jwt.signature, key.public)
}

// signingKey is the private key of a client.
type signingKey struct {
	alg     jwa.SignatureAlgorithm
	kid     string
	private crypto.Signer
}

// parseSigningKey reads a private JWK. Its errors hold nothing of the key: the library's texts are left out.
func parseSigningKey(text string) (*signingKey, error) {
	parsed, private, err := parsePrivateKey([]byte(text))
	if err != nil {
		return nil, err
	}
	alg := parsed.Algorithm().String()
	switch {
	case alg == "":
		return nil, errors.New("it has no \"alg\"")
	case !allowedAlgorithm(alg):
		return nil, errors.New("its \"alg\" is not one of RS, PS, ES 256, 384, 512 or EdDSA")
	case !fits(alg, private.Public()):
		return nil, fmt.Errorf("it is not a key for its \"alg\" %s (RSA keys need %d to %d bits)", alg, minRSABits, maxRSABits)
	}
	if key, isRSA := private.(*rsa.PrivateKey); isRSA && key.Validate() != nil {
		return nil, errors.New("its RSA members do not belong together")
	}
	return &signingKey{alg: jwa.SignatureAlgorithm(alg), kid: parsed.KeyID(), private: private}, nil
}

// parseES256Key reads a private JWK for ES256 (RFC 7518 §3.4), which it need not name. Its errors hold nothing of the key.
func parseES256Key(text []byte) (*signingKey, error) {
	parsed, private, err := parsePrivateKey(text)
	if err != nil {
		return nil, err
	}
	key, isEC := private.(*ecdsa.PrivateKey)
	alg, use, ops := parsed.Algorithm().String(), parsed.KeyUsage(), parsed.KeyOps()
	switch {
	case !isEC || key.Curve != elliptic.P256() || alg != "" && alg != string(jwa.ES256):
		return nil, errors.New("it is not a key for ES256, which is an EC key on the curve P-256")
	case use != "" && use != string(jwk.ForSignature), len(ops) > 0 && !containsOp(ops, jwk.KeyOpSign):
		return nil, errors.New("its \"use\" or \"key_ops\" says that it is not for signing")
	case !sameKeyPair(key):
		return nil, errors.New("its public and private members do not belong together")
	}
	return &signingKey{alg: jwa.ES256, kid: parsed.KeyID(), private: key}, nil
}

func parsePrivateKey(text []byte) (jwk.Key, crypto.Signer, error) {
	parsed, err := jwk.ParseKey(text)
	if err != nil {
		return nil, nil, errors.New("it is not a JSON web key")
	}
	var raw any
	if err := parsed.Raw(&raw); err != nil {
		return nil, nil, errors.New("its members do not make a key")
	}
	private, ok := raw.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New("it is not a private RSA, EC or Ed25519 key")
	}
	if key, isEd := raw.(ed25519.PrivateKey); isEd && len(key) != ed25519.PrivateKeySize {
		return nil, nil, errors.New("its members do not make a key")
	}
	return parsed, private, nil
}

// sameKeyPair says whether the public point is that of the private scalar: nobody could verify what is signed else.
func sameKeyPair(key *ecdsa.PrivateKey) bool {
	private, err := key.ECDH()
	if err != nil {
		return false
	}
	public, err := key.PublicKey.ECDH()
	return err == nil && private.PublicKey().Equal(public)
}

// sign makes a compact JWS over payload as it is.
func (k *signingKey) sign(payload []byte, typ string) (string, error) {
	header := jws.NewHeaders()
	for name, value := range map[string]string{jws.TypeKey: typ, jws.KeyIDKey: k.kid} {
		if value == "" {
			continue
		}
		if err := header.Set(name, value); err != nil {
			return "", fmt.Errorf("set header %s: %w", name, err)
		}
	}
	signed, err := jws.Sign(payload, jws.WithKey(k.alg, k.private, jws.WithProtectedHeaders(header)))
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return string(signed), nil
}
