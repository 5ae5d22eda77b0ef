package session

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"time"
)

// label is what replicas and operators may know of a session without its ticket: enough to end it everywhere, and nothing of the person. It is
// kept beside the record, sealed by the key ring.
type label struct {
	created, refreshed, ends time.Time // in whole seconds

	user   handle       // the set of this person's sessions
	sid    handle       // the set of this session of the provider; zero for none
	log    [22]byte     // what logs call the session
	tokens []endedToken // access tokens that end with it
}

const labelVersion = 1

var errLabel = errors.New("label does not open")

func (l *label) encode() []byte {
	plain := []byte{labelVersion}
	for _, t := range [...]time.Time{l.created, l.refreshed, l.ends} {
		plain = binary.BigEndian.AppendUint64(plain, uint64(t.Unix()))
	}
	plain = append(plain, l.user[:]...)
	plain = append(plain, l.sid[:]...)
	plain = append(plain, l.log[:]...)
	return appendTokens(plain, l.tokens)
}

func decodeLabel(plain []byte) (l label, err error) {
	const head = 1 + 3*8 + 2*len(handle{}) + len(l.log)
	if len(plain) < head || plain[0] != labelVersion {
		return label{}, errLabel
	}
	rest := plain[1:]
	for _, t := range [...]*time.Time{&l.created, &l.refreshed, &l.ends} {
		*t, rest = time.Unix(int64(binary.BigEndian.Uint64(rest)), 0).UTC(), rest[8:]
	}
	l.user, rest = handle(rest), rest[len(l.user):]
	l.sid, rest = handle(rest), rest[len(l.sid):]
	l.log, rest = [22]byte(rest), rest[len(l.log):]
	in := reader{rest: rest}
	if l.tokens = in.tokens(); in.failed {
		return label{}, errLabel
	}
	return l, nil
}

// sealLabel seals a label for the session of a handle.
func (k *KeyRing) sealLabel(of handle, l *label) []byte {
	first := k.current.Load().keys[0]
	return first.labelAEAD().Seal(nil, nil, l.encode(), of[:]) //nolint:gosec // this AEAD makes its own random nonce
}

// openLabel opens what any key of the ring has sealed.
func (k *KeyRing) openLabel(of handle, sealed []byte) (label, error) {
	for _, each := range k.current.Load().keys {
		if plain, err := each.labelAEAD().Open(nil, nil, sealed, of[:]); err == nil {
			return decodeLabel(plain)
		}
	}
	return label{}, errLabel
}

func (k *key) labelAEAD() cipher.AEAD {
	block, err := aes.NewCipher(derive(k.secret, "seal", "label"))
	if err == nil {
		var aead cipher.AEAD
		if aead, err = cipher.NewGCMWithRandomNonce(block); err == nil {
			return aead
		}
	}
	panic("session: make cipher: " + err.Error()) // the key has 32 bytes and the block 16, which both accept
}
