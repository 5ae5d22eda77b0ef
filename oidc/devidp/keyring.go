package devidp

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"net/http"
	"slices"
	"sync"
)

// maxPublished is how many RSA keys the key set shows; rotating further withdraws the oldest.
const maxPublished = 4

// keyRing holds the signing keys of one issuer. The first one is made when it is needed: most runs use one or two issuers of the four.
type keyRing struct {
	certified bool // in the manner of Entra ID

	mu        sync.Mutex
	published []*signingKey // RSA; the last one signs
	withdrawn []*signingKey // still known as ours in id_token_hint
	elliptic  *signingKey   // published from the first time that it is asked for
	strangers []*signingKey // RSA and EC, never published
}

// start gives the ring its first key.
func (k *keyRing) start(private *rsa.PrivateKey) error {
	key, err := present(private, k.certified)
	if err != nil {
		return err
	}
	k.published = []*signingKey{key}
	return nil
}

// keys are the published RSA keys; the last one signs.
func (k *keyRing) keys() ([]*signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.ready()
	return slices.Clone(k.published), err
}

// ready makes the first key if there is none. The lock is held.
func (k *keyRing) ready() error {
	if len(k.published) > 0 {
		return nil
	}
	key, err := newRSAKey(k.certified)
	if err != nil {
		return err
	}
	k.published = append(k.published, key)
	return nil
}

func (k *keyRing) signer() (*signingKey, error) {
	keys, err := k.keys()
	if err != nil {
		return nil, err
	}
	return keys[len(keys)-1], nil
}

// ec is the key for ES256.
func (k *keyRing) ec() (*signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.elliptic != nil {
		return k.elliptic, nil
	}
	key, err := newECKey()
	k.elliptic = key
	return key, err
}

// stranger is a key that looks like one of the ring and is not.
func (k *keyRing) stranger(elliptic bool) (*signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.strangers == nil {
		one, err := newRSAKey(k.certified)
		if err != nil {
			return nil, err
		}
		other, err := newECKey()
		if err != nil {
			return nil, err
		}
		k.strangers = []*signingKey{one, other}
	}
	if elliptic {
		return k.strangers[1], nil
	}
	return k.strangers[0], nil
}

// lastWithdrawn is the key that was withdrawn last.
func (k *keyRing) lastWithdrawn(elliptic bool) (*signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range slices.Backward(k.withdrawn) {
		if (key.rsa() == nil) == elliptic {
			return key, nil
		}
	}
	return nil, errNoSuchKey
}

// rotate signs with a new key from now on.
func (k *keyRing) rotate() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.ready(); err != nil {
		return err
	}
	key, err := newRSAKey(k.certified)
	if err != nil {
		return err
	}
	k.published = append(k.published, key)
	if len(k.published) > maxPublished {
		k.retire(k.published[0])
		k.published = k.published[1:]
	}
	return nil
}

// keepSigner withdraws every key but the one that signs.
func (k *keyRing) keepSigner() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.elliptic != nil {
		k.retire(k.elliptic)
		k.elliptic = nil
	}
	for len(k.published) > 1 {
		k.retire(k.published[0])
		k.published = k.published[1:]
	}
}

func (k *keyRing) retire(key *signingKey) {
	k.withdrawn = append(k.withdrawn, key)
	if len(k.withdrawn) > 16 {
		k.withdrawn = k.withdrawn[1:]
	}
}

// verify checks an RS256 signature by a key that is or was ours.
func (k *keyRing) verify(kid string, signed, signature []byte) error {
	k.mu.Lock()
	ours := slices.Concat(k.published, k.withdrawn)
	k.mu.Unlock()
	return verifyRS256(ours, kid, signed, signature)
}

// verifyPublished is verify for a token that is to be believed: a key that was withdrawn is worth nothing.
func (k *keyRing) verifyPublished(kid string, signed, signature []byte) error {
	k.mu.Lock()
	ours := slices.Clone(k.published)
	k.mu.Unlock()
	return verifyRS256(ours, kid, signed, signature)
}

func verifyRS256(ours []*signingKey, kid string, signed, signature []byte) error {
	digest := sha256.Sum256(signed)
	for _, key := range ours {
		if key.kid == kid && key.rsa() != nil {
			return rsa.VerifyPKCS1v15(&key.rsa().PublicKey, crypto.SHA256, digest[:], signature)
		}
	}
	return errNoSuchKey
}

// jwks serves the key set (RFC 7517 §5).
func (p *IdP) jwks(x *exchange) {
	if !x.allow(http.MethodGet) {
		return
	}
	published, err := x.at.keys.keys()
	if err != nil {
		x.fail(p.broken(err))
		return
	}
	x.at.keys.mu.Lock()
	if ec := x.at.keys.elliptic; ec != nil {
		published = append([]*signingKey{ec}, published...)
	}
	x.at.keys.mu.Unlock()
	keys := make([]map[string]any, 0, len(published))
	for _, key := range published {
		keys = append(keys, key.jwk(x.issuer()))
	}
	x.json(http.StatusOK, map[string]any{"keys": keys})
}
