package devidp

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t is SHA-1 by RFC 7517 §4.8; it names a key and protects nothing
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"sync"
	"time"
)

// maxPublished is how many keys the key set shows; rotating further withdraws the oldest.
const maxPublished = 4

// keyRing holds the signing keys. They are made from the system's randomness, never from [Config.Rand] (S-41).
type keyRing struct {
	mu        sync.RWMutex
	published []*signingKey // the last one signs
	withdrawn []*signingKey // still known as ours in id_token_hint
}

// signingKey carries what Entra ID shows of a key: no "alg", and "kid" equal to "x5t".
type signingKey struct {
	private *rsa.PrivateKey
	kid     string
	cert    string // base64 DER
}

func newKeyRing(file string) (*keyRing, error) {
	if file == "" {
		key, err := generateKey()
		return &keyRing{published: []*signingKey{key}}, err
	}
	key, err := readKey(file)
	return &keyRing{published: []*signingKey{key}}, err
}

func generateKey() (*signingKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("generate signing key: %w", err)
	}
	return certify(private)
}

// readKey reads PKCS #8 or PKCS #1 in PEM. The errors quote nothing of the file.
func readKey(file string) (*signingKey, error) {
	raw, err := os.ReadFile(file) //nolint:gosec // the user named it
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("read signing key: %s is not PEM", file)
	}
	private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		anyKey, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
		private, _ = anyKey.(*rsa.PrivateKey)
	}
	if private == nil || private.N.BitLen() < 2048 {
		return nil, fmt.Errorf("read signing key: %s holds no RSA private key of 2048 bits or more", file)
	}
	return certify(private)
}

// certify wraps the key in a certificate of its own. It is the same one for the same key, and so is the kid.
func certify(private *rsa.PrivateKey) (*signingKey, error) {
	spki, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encode signing key: %w", err)
	}
	serial := sha256.Sum256(spki)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:16]), Subject: pkix.Name{CommonName: "Postern test provider"},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, fmt.Errorf("certify signing key: %w", err)
	}
	thumbprint := sha1.Sum(der) //nolint:gosec // see the import
	return &signingKey{private, base64.RawURLEncoding.EncodeToString(thumbprint[:]), base64.StdEncoding.EncodeToString(der)}, nil
}

func (k *keyRing) signer() *signingKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.published[len(k.published)-1]
}

func (k *keyRing) add(key *signingKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.published = append(k.published, key)
	if len(k.published) > maxPublished {
		k.retire(k.published[0])
		k.published = k.published[1:]
	}
}

// keepSigner withdraws every key but the one that signs.
func (k *keyRing) keepSigner() {
	k.mu.Lock()
	defer k.mu.Unlock()
	last := len(k.published) - 1
	for _, key := range k.published[:last] {
		k.retire(key)
	}
	k.published = k.published[last:]
}

func (k *keyRing) retire(key *signingKey) {
	k.withdrawn = append(k.withdrawn, key)
	if len(k.withdrawn) > 16 {
		k.withdrawn = k.withdrawn[1:]
	}
}

// verify checks an RS256 signature by a key that is or was ours.
func (k *keyRing) verify(kid string, signed, signature []byte) error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	digest := sha256.Sum256(signed)
	for _, keys := range [][]*signingKey{k.published, k.withdrawn} {
		for _, key := range keys {
			if key.kid == kid {
				return rsa.VerifyPKCS1v15(&key.private.PublicKey, crypto.SHA256, digest[:], signature)
			}
		}
	}
	return errors.New("no such key")
}

// jwks serves the key set (RFC 7517).
func (p *IdP) jwks(x *exchange) {
	if !x.allow(http.MethodGet) {
		return
	}
	p.keys.mu.RLock()
	defer p.keys.mu.RUnlock()
	keys := make([]map[string]any, 0, maxPublished)
	for _, key := range p.keys.published {
		keys = append(keys, map[string]any{
			"kty": "RSA", "use": "sig", "kid": key.kid, "x5t": key.kid, "x5c": []string{key.cert}, "issuer": x.issuer(),
			"n": base64.RawURLEncoding.EncodeToString(key.private.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.private.E)).Bytes()),
		})
	}
	x.json(http.StatusOK, map[string]any{"keys": keys})
}
