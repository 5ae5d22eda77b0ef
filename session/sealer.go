package session

import (
	"bytes"
	"encoding/base64"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/securecookie"
)

// maxSealed is the longest cookie value that is made or looked at, in bytes: what browsers keep (RFC 6265 §6.1).
const maxSealed = 4096

// Sealer encrypts and authenticates the values of one kind of cookie. A value opens under the cookie name and purpose that it was sealed
// for and no other, until it is older than the sealer's age, while its key is in the ring.
type Sealer struct {
	ring    *KeyRing
	purpose string
	seconds int
	codecs  atomic.Pointer[codecSet]
}

// codecSet is the codecs for one state of the ring.
type codecSet struct {
	of     *keySet
	codecs []*securecookie.SecureCookie
}

// Sealer makes the sealer for a purpose ("ticket", "login", "logout"). It follows the ring when that is replaced. The age is in whole
// seconds, at least one.
func (k *KeyRing) Sealer(purpose string, maxAge time.Duration) *Sealer {
	return &Sealer{ring: k, purpose: purpose, seconds: int(max(maxAge, time.Second) / time.Second)}
}

// Seal makes a cookie value of at most 4096 bytes; plain may have about 2,200 bytes.
func (s *Sealer) Seal(cookieName string, plain []byte) (string, error) {
	// securecookie encrypts in place, so it gets a copy.
	return s.current().codecs[0].Encode(s.name(cookieName), bytes.Clone(plain))
}

// Open returns what was sealed, or [ErrSealed] whatever is wrong.
func (s *Sealer) Open(cookieName, value string) ([]byte, error) {
	plain, _, err := s.open(cookieName, value)
	return plain, err
}

// open also says which key of the ring it was.
func (s *Sealer) open(cookieName, value string) ([]byte, *key, error) {
	if !canonical(value) {
		return nil, nil, ErrSealed
	}
	set, name := s.current(), s.name(cookieName)
	for i, codec := range set.codecs {
		var plain []byte
		if err := codec.Decode(name, value, &plain); err == nil {
			return plain, set.of.keys[i], nil
		}
	}
	return nil, nil, ErrSealed
}

// canonical refuses the other spellings that a lenient base64 decoder reads as the same bytes: set bits in the padding, line breaks. One
// sealed value has one spelling, so a memory that is keyed by the spelling cannot be asked for a forgotten value by another name.
func canonical(value string) bool {
	if len(value) < 4 || len(value)%4 != 0 || len(value) > maxSealed || strings.ContainsAny(value, "\r\n") {
		return false
	}
	_, err := base64.URLEncoding.Strict().DecodeString(value[len(value)-4:])
	return err == nil
}

// name puts the purpose into what is authenticated (S-58). Purposes hold no colon.
func (s *Sealer) name(cookieName string) string { return s.purpose + ":" + cookieName }

func (s *Sealer) current() *codecSet {
	keys := s.ring.current.Load()
	if set := s.codecs.Load(); set != nil && set.of == keys {
		return set
	}
	set := &codecSet{of: keys, codecs: make([]*securecookie.SecureCookie, len(keys.keys))}
	for i, k := range keys.keys {
		set.codecs[i] = securecookie.New(derive(k.secret, "mac", s.purpose), derive(k.secret, "cipher", s.purpose)).
			SetSerializer(securecookie.NopEncoder{}).MaxLength(maxSealed).MaxAge(s.seconds)
	}
	s.codecs.Store(set)
	return set
}
