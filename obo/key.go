package obo

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// key names a token by everything that it depends on. It is a hash, so that no user token is kept as a key.
type key [sha256.Size]byte

// keyBuffers are reused: the token of a user is some thousand bytes, and is hashed with each request.
var keyBuffers = sync.Pool{New: func() any { return new([]byte) }}

const maxKeyBuffer = 64 << 10 // a larger one is not kept for reuse

// keyOf frames every field by its length, so that no two requests have the same bytes. An absent parameter is none of the present ones.
func keyOf(use use, r Request) key {
	buffer := keyBuffers.Get().(*[]byte)
	b := append((*buffer)[:0], byte(use))
	b = frame(b, r.Provider)
	b = frame(b, r.Target)
	b = frame(b, r.UserToken)
	if r.Resource != nil {
		b = frame(append(b, 'r'), *r.Resource)
	}
	if r.AuthorizationDetails != nil {
		b = frame(append(b, 'd'), r.AuthorizationDetails)
	}
	made := sha256.Sum256(b)
	if cap(b) <= maxKeyBuffer {
		*buffer = b
		keyBuffers.Put(buffer)
	}
	return made
}

// userKey names what a user asks for, whatever token they ask with.
func userKey(use use, r Request) key {
	r.UserToken = r.User
	return keyOf(byName|use, r)
}

// byName keeps a user's name from being taken for a token.
const byName use = 0x80

func frame[T string | []byte](b []byte, field T) []byte {
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...)
}
