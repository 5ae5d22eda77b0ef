package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A value in the store:
//
//	version  1 byte
//	place    8 bytes, SHA-256 of the store key: a reply that belongs to another key shows at once
//	nonce   12 bytes, random
//	label   behind its length in 2 bytes: what replicas may know without the ticket, sealed by the key ring
//	sealed  AES-256-GCM of the record, by a key derived from the ticket's data key
//
// The associated data names the purpose, the store key, the version, the session id and the label, each behind its length, so that a value
// opens at its own place only. The first RevisionSize bytes are never twice the same: they are the revision by which [Store.Replace] knows what it replaces.
const (
	recordVersion = 2
	placeSize     = 8
	sealedHead    = 1 + placeSize
	nonceSize     = 12
	labelHead     = 2
	tagSize       = 16

	// RevisionSize is the length of a [Revision] in bytes.
	RevisionSize = sealedHead + nonceSize
)

// Revision identifies one state of one record.
type Revision [RevisionSize]byte

// errForeign says that a value is at its place and does not open: the ticket has the id of this session and not its data key, or the
// value is damaged. Which of the two cannot be told, and neither is a session of this ticket.
var errForeign = errors.New("record does not open with this ticket")

// errMisplaced says that the reply is for another key (advisory CVE-2025-29923: replies out of order).
var errMisplaced = errors.New("reply belongs to another key")

func sealRecord(t *ticket, r *record, label []byte) ([]byte, error) {
	plain, err := r.encode()
	if err != nil {
		return nil, err
	}
	sealed := t.aead().Seal(nil, nil, plain, t.associated(recordVersion, label)) //nolint:gosec // this AEAD makes its own random nonce
	value := make([]byte, 0, RevisionSize+labelHead+len(label)+len(sealed))
	value = append(value, recordVersion)
	value = append(value, place(t.storeKey)...)
	value = append(value, sealed[:nonceSize]...)
	value = binary.BigEndian.AppendUint16(value, uint16(len(label)))
	value = append(value, label...)
	return append(value, sealed[nonceSize:]...), nil
}

// splitRecord finds the label and what is sealed of a value of at least RevisionSize bytes. Version 1 has no label.
func splitRecord(value []byte) (label, sealed []byte, ok bool) {
	rest := value[RevisionSize:]
	if value[0] > 1 {
		if len(rest) < labelHead {
			return nil, nil, false
		}
		length := int(binary.BigEndian.Uint16(rest))
		if rest = rest[labelHead:]; length > len(rest) {
			return nil, nil, false
		}
		label, rest = rest[:length], rest[length:]
	}
	return label, slices.Concat(value[sealedHead:RevisionSize], rest), true
}

// openRecord returns errForeign, or another error that is trouble: errNewer, errMisplaced.
func openRecord(t *ticket, value []byte) (record, Revision, error) {
	switch {
	case len(value) > 0 && value[0] > recordVersion:
		return record{}, Revision{}, errNewer
	case len(value) < RevisionSize+tagSize || value[0] == 0:
		return record{}, Revision{}, errForeign
	case string(value[1:sealedHead]) != string(place(t.storeKey)):
		return record{}, Revision{}, errMisplaced
	}
	label, sealed, ok := splitRecord(value)
	if !ok {
		return record{}, Revision{}, errForeign
	}
	plain, err := t.aead().Open(nil, nil, sealed, t.associated(value[0], label))
	if err != nil {
		return record{}, Revision{}, errForeign
	}
	r, err := decodeRecord(value[0], plain)
	if err != nil {
		return record{}, Revision{}, fmt.Errorf("%w: %w", errForeign, err)
	}
	return r, Revision(value), nil
}

func (t *ticket) aead() cipher.AEAD {
	block, err := aes.NewCipher(derive(t.dataKey[:], "seal", "session record"))
	if err == nil {
		var aead cipher.AEAD
		if aead, err = cipher.NewGCMWithRandomNonce(block); err == nil {
			return aead
		}
	}
	panic("session: make cipher: " + err.Error()) // the key has 32 bytes and the block 16, which both accept
}

func (t *ticket) associated(version byte, label []byte) []byte {
	var framed []byte
	for _, part := range [...]string{"session record", t.storeKey, string([]byte{version}), string(t.id[:])} {
		framed = appendFramed(framed, part)
	}
	if version > 1 {
		framed = appendFramed(framed, string(label))
	}
	return framed
}

func place(storeKey string) []byte {
	sum := sha256.Sum256([]byte(storeKey))
	return sum[:placeSize]
}
