package session

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	ticketVersion = 1
	idSize        = 16 // 128 bits of the system's randomness (advisory CVE-2024-21495)
	ticketSize    = 1 + idSize + keySize

	// maxTicketCookie bounds what is looked at as a session cookie, in bytes; a sealed ticket has 176.
	maxTicketCookie = 250
)

// fingerprint names a session cookie value: SHA-256 of the whole of it, data key included (S-06). A value that somebody made up to have a
// wanted fingerprint would have to carry a valid seal as well, so looking one up tells nothing by the time it takes.
type fingerprint [sha256.Size]byte

// handle names a session wherever its ticket is not: in the store, and in what replicas tell each other. It is a keyed hash of the id, so it
// opens nothing.
type handle [sha256.Size]byte

func (h handle) String() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

// storeKey is where the record is.
func (h handle) storeKey() string { return storeKey("session", h.String()) }

// ticket is what the session cookie holds: where the record is, and the key that opens it. Neither the store nor the key ring has that key.
type ticket struct {
	id      [idSize]byte
	dataKey [keySize]byte

	sealedBy *key        // the key of the ring that sealed the cookie
	cookie   fingerprint // of the cookie value
	handle   handle
	storeKey string // of the handle
	logName  string // what logs call this session (S-37)

	wonderwall bool // of a wonderwall SSO server: the place in the store is theirs to choose (S-49)
}

// newTicket takes a new id and a new data key from the source.
func newTicket(source io.Reader) (*ticket, error) {
	t := &ticket{}
	if _, err := io.ReadFull(source, t.id[:]); err != nil {
		return nil, fmt.Errorf("read random session id: %w", err)
	}
	if _, err := io.ReadFull(source, t.dataKey[:]); err != nil {
		return nil, fmt.Errorf("read random data key: %w", err)
	}
	return t, nil
}

func (t *ticket) encode() []byte {
	plain := make([]byte, 0, ticketSize)
	plain = append(plain, ticketVersion)
	plain = append(plain, t.id[:]...)
	return append(plain, t.dataKey[:]...)
}

// errNewer says that a newer Postern wrote this, which happens while versions are mixed. It is not absence: another replica can read it.
var errNewer = errors.New("written by a newer version")

func decodeTicket(plain []byte) (*ticket, error) {
	switch {
	case len(plain) > 0 && plain[0] > ticketVersion:
		return nil, errNewer
	case len(plain) != ticketSize || plain[0] != ticketVersion:
		return nil, ErrSealed
	}
	t := &ticket{}
	copy(t.id[:], plain[1:])
	copy(t.dataKey[:], plain[1+idSize:])
	return t, nil
}

// tickets seals tickets into cookie values and opens them.
type tickets struct {
	ring       *KeyRing
	sealer     *Sealer
	cookieName string
}

// clockSlack is how much longer than a session its cookie and its place in the store last: clocks of replicas and store differ.
const clockSlack = time.Minute

func newTickets(ring *KeyRing, cookieName string, lifetime time.Duration) tickets {
	return tickets{ring: ring, cookieName: cookieName, sealer: ring.Sealer("ticket", lifetime+clockSlack)}
}

func (ts tickets) issue(source io.Reader) (*ticket, string, error) {
	t, err := newTicket(source)
	if err != nil {
		return nil, "", err
	}
	value, err := ts.sealer.Seal(ts.cookieName, t.encode())
	if err != nil {
		return nil, "", fmt.Errorf("seal ticket: %w", err)
	}
	// A ring that was replaced at this very moment may seal with one key and name another; reading it back cannot.
	t, err = ts.open(value, fingerprintOf(value))
	return t, value, err
}

// open returns [ErrNoSession] for anything that is not a ticket of ours, without a call of the store.
func (ts tickets) open(value string, print fingerprint) (*ticket, error) {
	if len(value) > maxTicketCookie {
		return nil, ErrNoSession
	}
	plain, sealedBy, err := ts.sealer.open(ts.cookieName, value)
	if err != nil {
		return nil, ErrNoSession
	}
	t, err := decodeTicket(plain)
	if errors.Is(err, errNewer) {
		return nil, &StoreError{Op: "open ticket", Err: err}
	}
	if err != nil {
		return nil, ErrNoSession
	}
	t.sealedBy, t.cookie = sealedBy, print
	// By the key that sealed the ticket, not by the ring's first: rotation must not move records.
	t.handle = sealedBy.mac("session", string(t.id[:]))
	t.storeKey = t.handle.storeKey()
	t.logName = sealedBy.hash("log", string(t.id[:]))[:22]
	return t, nil
}

func fingerprintOf(cookieValue string) fingerprint {
	var buffer [maxTicketCookie]byte // a conversion to bytes would be on the heap
	return sha256.Sum256(append(buffer[:0], cookieValue...))
}

// storeKey names a place in the store by a keyed hash and nothing else (S-27). The braces keep all keys of one hash on one node of a
// Redis Cluster.
func storeKey(kind, hash string) string { return "postern:" + kind + ":{" + hash + "}" }
