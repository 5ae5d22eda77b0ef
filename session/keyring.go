package session

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"postern/config"
)

const keySize = 32

// KeyRing is the operator's encryption keys: the first seals, all open (S-39). None of them is used itself; each purpose has a key of its
// own, derived by HKDF (RFC 5869), so that nothing sealed or hashed for one purpose means anything to another.
//
// Rotation without losing anybody: add the new key as second on every replica, then make it first, then drop the old one when
// session.max-lifetime has passed.
type KeyRing struct{ current atomic.Pointer[keySet] }

// keySet is one state of the ring. It does not change; a key that stays in the ring keeps its pointer, which is its identity.
type keySet struct {
	keys   []*key // in the operator's order
	sorted []*key // in an order that replicas agree on whatever the operator's is
}

type key struct {
	secret []byte
	hashes sync.Map // purpose to the derived hash key; purposes are words of the program, so it stays small
}

// NewKeyRing reads base64 keys of 256 bits each. There must be at least one, and no two may be alike.
func NewKeyRing(keys []config.Secret) (*KeyRing, error) {
	k := &KeyRing{}
	if err := k.Replace(keys); err != nil {
		return nil, err
	}
	return k, nil
}

// RandomKey makes a key for a ring that need not outlive the process. A nil source means crypto/rand.
func RandomKey(source io.Reader) (config.Secret, error) {
	if source == nil {
		source = rand.Reader
	}
	secret := make([]byte, keySize)
	if _, err := io.ReadFull(source, secret); err != nil {
		return config.Secret{}, fmt.Errorf("read random key: %w", err)
	}
	return config.NewSecret(base64.StdEncoding.EncodeToString(secret)), nil
}

// Replace exchanges the keys, all at once or not at all. What was sealed with a key that is gone no longer opens, in memory neither.
func (k *KeyRing) Replace(keys []config.Secret) error {
	next, err := parseKeys(keys)
	if err != nil {
		return err
	}
	if old := k.current.Load(); old != nil {
		for i, fresh := range next.keys {
			if kept := slices.IndexFunc(old.keys, fresh.equal); kept >= 0 {
				next.keys[i] = old.keys[kept]
			}
		}
	}
	next.sorted = slices.SortedFunc(slices.Values(next.keys), func(a, b *key) int { return bytes.Compare(a.hashKey("order"), b.hashKey("order")) })
	k.current.Store(next)
	return nil
}

func parseKeys(keys []config.Secret) (*keySet, error) {
	var problems []error
	set := &keySet{}
	for i, text := range keys {
		secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text.Reveal()))
		fresh := &key{secret: secret}
		switch {
		case err != nil: // the cause would quote a byte of the key
			problems = append(problems, fmt.Errorf("encryption key %d is not base64", i+1))
		case len(secret) != keySize:
			problems = append(problems, fmt.Errorf("encryption key %d has %d bits, not 256", i+1, 8*len(secret)))
		case slices.ContainsFunc(set.keys, fresh.equal):
			problems = append(problems, fmt.Errorf("encryption key %d is the same as one before it", i+1))
		default:
			set.keys = append(set.keys, fresh)
		}
	}
	if len(keys) == 0 {
		problems = append(problems, errors.New("there is no encryption key"))
	}
	return set, errors.Join(problems...)
}

// Hash is a keyed hash (HMAC-SHA256, base64url, 43 characters) by the first key, for logs and short-lived codes: equal values have equal
// hashes until that key changes, and without the key nobody can tell which value it was (S-27, S-37).
func (k *KeyRing) Hash(purpose, value string) string {
	return k.current.Load().keys[0].hash(purpose, value)
}

// hashAll is the hashes of a value under every key, in an order on which all replicas with the same keys agree.
func (k *KeyRing) hashAll(purpose, value string) []string {
	set := k.current.Load()
	hashes := make([]string, len(set.sorted))
	for i, each := range set.sorted {
		hashes[i] = each.hash(purpose, value)
	}
	return hashes
}

// has says whether a key is in the ring now.
func (k *KeyRing) has(wanted *key) bool { return slices.Contains(k.current.Load().keys, wanted) }

func (k *key) equal(other *key) bool { return hmac.Equal(k.secret, other.secret) }

func (k *key) hash(purpose, value string) string {
	sum := k.mac(purpose, value)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (k *key) mac(purpose, value string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, k.hashKey(purpose))
	mac.Write([]byte(value))
	mac.Sum(sum[:0])
	return sum
}

func (k *key) hashKey(purpose string) []byte {
	if kept, ok := k.hashes.Load(purpose); ok {
		return kept.([]byte)
	}
	derived := derive(k.secret, "hash", purpose)
	k.hashes.Store(purpose, derived)
	return derived
}

// derive makes the key for one use and purpose. The use is one of ours and holds no space, so the two cannot run into each other.
func derive(secret []byte, use, purpose string) []byte {
	derived, err := hkdf.Key(sha256.New, secret, nil, "postern/v1 "+use+" "+purpose, keySize)
	if err != nil {
		panic("session: derive key: " + err.Error()) // only for a length that HKDF cannot give, and 32 it can
	}
	return derived
}
