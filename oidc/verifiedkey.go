package oidc

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
)

// verifiedKey is what a token is known by under the settings that it was verified with: a hash of both.
type verifiedKey [16]byte

// verifiedHash makes keys by GMAC (NIST SP 800-38D) with a secret of its own. Without the secret nobody finds two tokens of one key but by chance,
// of less than 2^-117 a pair (at most 1026 blocks, appendix A), and it takes a fifth of the time of SHA-256. That each has the same nonce is
// what makes it a hash, and would betray the secret to somebody who sees the keys: they are in no log and in no store, and end with the process.
type verifiedHash struct {
	secret [32]byte
	mac    cipher.AEAD // nil: HMAC with SHA-256 does it
	work   sync.Pool   // of *hashing
}

// hashing is the memory of one call: what goes through an interface would be allocated each time.
type hashing struct {
	text []byte
	sum  verifiedKey
}

var oneNonce = make([]byte, 12)

func newVerifiedHash() *verifiedHash {
	h := &verifiedHash{work: sync.Pool{New: func() any { return new(hashing) }}}
	_, _ = rand.Read(h.secret[:]) // never fails
	block, err := aes.NewCipher(h.secret[:])
	if err != nil {
		panic(err) // of a secret of another length
	}
	if mac, err := cipher.NewGCM(block); err == nil { // else GODEBUG=fips140=only, which takes no nonce but a random one
		h.mac = mac
	}
	return h
}

// of is the key of a token. The settings have one length, so that nothing of them can be taken for a part of the token.
func (h *verifiedHash) of(settings *[sha256.Size]byte, raw string) verifiedKey {
	w := h.work.Get().(*hashing)
	defer h.work.Put(w)
	w.text = append(append(w.text[:0], settings[:]...), raw...)
	if h.mac == nil {
		mac := hmac.New(sha256.New, h.secret[:])
		_, _ = mac.Write(w.text)
		return verifiedKey(mac.Sum(nil))
	}
	h.mac.Seal(w.sum[:0], oneNonce, nil, w.text) // #nosec G407 -- a hash: see above
	return w.sum
}
