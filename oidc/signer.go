package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// Signer signs statements of Postern's own with ES256 (S-20). The first key signs, all are published, so that a key can be known to everybody
// before it is used and after. It is safe for concurrent use.
type Signer struct{ ring atomic.Pointer[signingRing] }

// signingRing is what one reading of the keys gave; it never changes.
type signingRing struct {
	first  *signingKey
	public []byte // JWK set
}

// NewSigner reads a private JWK, or a JWK set of private keys (RFC 7517 §4 and §5): EC keys on P-256, with a "kid" or called by their
// thumbprint (RFC 7638). Any other key is an error, which holds nothing of it.
func NewSigner(text string) (*Signer, error) {
	s := new(Signer)
	if err := s.Replace(text); err != nil {
		return nil, err
	}
	return s, nil
}

// NewRandomSigner makes a key that ends with the process. A nil random is crypto/rand.
func NewRandomSigner(random io.Reader) (*Signer, error) {
	if random == nil {
		random = rand.Reader
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	ring, err := newSigningRing([]*signingKey{{alg: "ES256", private: private}})
	if err != nil {
		return nil, err
	}
	s := new(Signer)
	s.ring.Store(ring)
	return s, nil
}

// Replace reads other keys, for the statements from now on; on an error the old ones stay.
func (s *Signer) Replace(text string) error {
	keys, err := readSigningKeys([]byte(text))
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	ring, err := newSigningRing(keys)
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	s.ring.Store(ring)
	return nil
}

// Sign makes a compact JWS (RFC 7515 §7.1) over payload as it is, byte for byte. typ is its "typ" header.
func (s *Signer) Sign(payload []byte, typ string) (string, error) {
	return s.ring.Load().first.sign(payload, typ)
}

// PublicKeySet is the JWK set of the public keys (RFC 7517 §5). Callers must not change it.
func (s *Signer) PublicKeySet() []byte { return s.ring.Load().public }

// readSigningKeys reads a key, or a set of them.
func readSigningKeys(text []byte) ([]*signingKey, error) {
	object, err := readObject(string(text))
	if err != nil {
		return nil, fmt.Errorf("the text %w", err)
	}
	var texts []json.RawMessage
	if err := object.decode("keys", &texts); err != nil {
		return nil, fmt.Errorf("the text %w", err)
	}
	switch {
	case !object.has("keys"):
		texts = []json.RawMessage{text}
	case len(texts) == 0:
		return nil, errors.New("the set is empty")
	case len(texts) > maxKeys:
		return nil, fmt.Errorf("the set has more than %d keys", maxKeys)
	}
	keys := make([]*signingKey, 0, len(texts))
	for i, text := range texts {
		if _, err := readObject(string(text)); err != nil {
			return nil, fmt.Errorf("key %d %w", i+1, err)
		}
		key, err := parseES256Key(text)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// newSigningRing names the keys that have no name and writes down their public parts.
func newSigningRing(keys []*signingKey) (*signingRing, error) {
	var set struct {
		Keys []publicJWK `json:"keys"`
	}
	known := map[string]bool{}
	for i, key := range keys {
		public, err := publicES256(key)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		if known[public.KeyID] {
			return nil, fmt.Errorf("key %d has the key id of another", i+1)
		}
		known[public.KeyID] = true
		key.kid = public.KeyID
		set.Keys = append(set.Keys, public)
	}
	encoded, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode public keys: %w", err)
	}
	return &signingRing{first: keys[0], public: encoded}, nil
}

// publicJWK is all that is ever published of a key, whatever else its file says about it (RFC 7517 §4, RFC 7518 §6.2.1).
type publicJWK struct {
	ecPoint
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

// ecPoint is what a thumbprint is taken of: these members in this order (RFC 7638 §3.2).
type ecPoint struct {
	Curve   string `json:"crv"`
	KeyType string `json:"kty"`
	X       string `json:"x"`
	Y       string `json:"y"`
}

func publicES256(key *signingKey) (publicJWK, error) {
	public, ok := key.private.Public().(*ecdsa.PublicKey)
	if !ok {
		return publicJWK{}, errors.New("it is not an EC key")
	}
	point, err := public.Bytes() // 0x04, X, Y: both as long as the field (SEC 1 §2.3.3)
	if err != nil {
		return publicJWK{}, errors.New("it is not on its curve")
	}
	half := len(point) / 2
	jwk := publicJWK{Use: "sig", Algorithm: "ES256", KeyID: key.kid, ecPoint: ecPoint{
		Curve: "P-256", KeyType: "EC",
		X: base64.RawURLEncoding.EncodeToString(point[1 : 1+half]),
		Y: base64.RawURLEncoding.EncodeToString(point[1+half:]),
	}}
	if jwk.KeyID == "" {
		hashed, err := json.Marshal(jwk.ecPoint)
		if err != nil {
			return publicJWK{}, fmt.Errorf("encode public key: %w", err)
		}
		sum := sha256.Sum256(hashed)
		jwk.KeyID = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return jwk, nil
}
