package devidp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
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
	"os"
	"time"
)

// signingKey is a private key and what the key set shows of it.
type signingKey struct {
	private crypto.Signer // RSA, or ECDSA on P-256
	kid     string
	cert    string // base64 DER; only Entra ID shows one
}

func (k *signingKey) rsa() *rsa.PrivateKey {
	private, _ := k.private.(*rsa.PrivateKey)
	return private
}

// newRSAKey and newECKey take the system's randomness, never [Config.Rand] (S-41).
func newRSAKey(certified bool) (*signingKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("generate signing key: %w", err)
	}
	return present(private, certified)
}

func newECKey() (*signingKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate signing key: %w", err)
	}
	return present(private, false)
}

// readKeys reads PKCS #8 or PKCS #1 in PEM: a key for each issuer, in order, or for the first few. The errors quote nothing of the file.
func readKeys(file string) ([]*rsa.PrivateKey, error) {
	if file == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(file) //nolint:gosec // the user named it
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	var keys []*rsa.PrivateKey
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			anyKey, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
			private, _ = anyKey.(*rsa.PrivateKey)
		}
		if private == nil || private.N.BitLen() < 2048 {
			return nil, fmt.Errorf("read signing key: %s holds something that is no RSA private key of 2048 bits or more", file)
		}
		for _, other := range keys {
			if other.Equal(private) {
				return nil, fmt.Errorf("read signing key: %s holds one key twice, and two issuers must not share one", file)
			}
		}
		keys = append(keys, private)
	}
	if len(keys) == 0 || len(keys) > len(allIssuers()) {
		return nil, fmt.Errorf("read signing key: %s holds %d keys in PEM; 1 to %d are wanted", file, len(keys), len(allIssuers()))
	}
	return keys, nil
}

// present gives a key its name, which is the same one for the same key. Entra ID wraps it in a certificate and names it by that; the others
// use a UUID.
func present(private crypto.Signer, certified bool) (*signingKey, error) {
	spki, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, fmt.Errorf("encode signing key: %w", err)
	}
	sum := sha256.Sum256(spki)
	if !certified {
		return &signingKey{private: private, kid: formatUUID(sum[:16])}, nil
	}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(sum[:16]), Subject: pkix.Name{CommonName: "Postern test provider"},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, fmt.Errorf("certify signing key: %w", err)
	}
	thumbprint := sha1.Sum(der) //nolint:gosec // see the import
	return &signingKey{private, base64.RawURLEncoding.EncodeToString(thumbprint[:]), base64.StdEncoding.EncodeToString(der)}, nil
}

// jwk is what the key set shows (RFC 7517 §4, RFC 7518 §6). Entra ID writes no "alg", and "kid" equal to "x5t"; the others are plain.
func (k *signingKey) jwk(issuer string) map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	if private, ok := k.private.(*ecdsa.PrivateKey); ok {
		point, err := private.PublicKey.Bytes() // 4, x, y
		if err != nil {
			return nil // no key of P-256 does that
		}
		return map[string]any{
			"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": k.kid, "x": b64(point[1:33]), "y": b64(point[33:]),
		}
	}
	key := map[string]any{
		"kty": "RSA", "use": "sig", "kid": k.kid, "n": b64(k.rsa().N.Bytes()), "e": b64(big.NewInt(int64(k.rsa().E)).Bytes()),
	}
	if k.cert == "" {
		key["alg"] = "RS256"
		return key
	}
	key["x5t"], key["x5c"], key["issuer"] = k.kid, []string{k.cert}, issuer
	return key
}

// publicPEM is the public half as a file would hold it.
func (k *signingKey) publicPEM() ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		return nil, fmt.Errorf("encode signing key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), nil
}

var errNoSuchKey = errors.New("no such key")
