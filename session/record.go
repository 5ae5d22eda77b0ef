package session

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/oidc"
)

// record is a session as the store keeps it, in the clear.
type record struct {
	created   time.Time
	ends      time.Time
	timeout   time.Time // idle timeout; zero for none
	refreshed time.Time // when the tokens were issued
	expiry    time.Time // of the access token

	access, refresh, id oidc.Token

	provider string
	claims   string // JSON, verified by oidc
	granted  string // JSON of the access token's claims that count, or empty (S-18)
	sid      string // the provider's name for its session

	superseded []endedToken // access tokens before this one that are still good elsewhere (S-09)

	endedBy   string // the provider's error code that ended the session; empty while it lives
	challenge string // the claims challenge that came with it
}

// maxRecord bounds a record in bytes, sealed or not.
const maxRecord = 256 << 10

var errTooLarge = fmt.Errorf("session record is over %d KiB", maxRecord>>10)

// encode writes the record: five times of 8 bytes (nanoseconds since 1970, 0 for none), then each text behind its length, the last of them the
// superseded tokens. Claims that are the payload of the id token, as they mostly are, are not written twice.
func (r *record) encode() ([]byte, error) {
	claims := r.claims
	if payload, err := payloadOf(r.id); err == nil && payload == claims {
		claims = ""
	}
	texts := [...]string{
		r.access.Raw(), r.refresh.Raw(), r.id.Raw(), r.provider, claims, r.granted, r.sid, r.endedBy, r.challenge,
		string(appendTokens(nil, r.superseded)),
	}
	size := 5 * 8
	for _, text := range texts {
		size += binary.MaxVarintLen32 + len(text)
	}
	if size > maxRecord {
		return nil, errTooLarge
	}
	plain := make([]byte, 0, size)
	for _, t := range [...]time.Time{r.created, r.ends, r.timeout, r.refreshed, r.expiry} {
		plain = binary.BigEndian.AppendUint64(plain, uint64(nanos(t)))
	}
	for _, text := range texts {
		plain = appendFramed(plain, text)
	}
	return plain, nil
}

var errMalformed = errors.New("session record is malformed")

// decodeRecord reads what encode wrote in this version of the format and the one before, which knew no superseded tokens.
func decodeRecord(version byte, plain []byte) (record, error) {
	if version != recordVersion && version != recordVersion-1 {
		return record{}, errMalformed
	}
	var r record
	in := reader{rest: plain, whole: string(plain)}
	for _, t := range [...]*time.Time{&r.created, &r.ends, &r.timeout, &r.refreshed, &r.expiry} {
		*t = in.time()
	}
	r.access, r.refresh, r.id = oidc.NewToken(in.text()), oidc.NewToken(in.text()), oidc.NewToken(in.text())
	r.provider = strings.Clone(in.text())
	r.claims, r.granted = strings.Clone(in.text()), strings.Clone(in.text())
	r.sid, r.endedBy, r.challenge = strings.Clone(in.text()), strings.Clone(in.text()), strings.Clone(in.text())
	if version > 1 {
		list := reader{rest: in.bytes()}
		r.superseded = list.tokens()
		in.failed = in.failed || list.failed
	}
	if in.failed || len(in.rest) > 0 {
		return record{}, errMalformed
	}
	if r.claims == "" {
		payload, err := payloadOf(r.id)
		if err != nil {
			return record{}, errMalformed
		}
		r.claims = payload
	}
	return r, nil
}

// payloadOf is the claims of a JWT whose signature was checked before it came here.
func payloadOf(t oidc.Token) (string, error) {
	parts := strings.Split(t.Raw(), ".")
	if len(parts) != 3 {
		return "", errMalformed
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	return string(payload), err
}

// appendFramed writes a text behind its length, so that no two lists of texts are written alike (advisory CVE-2023-35941).
func appendFramed(to []byte, text string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}

// reader takes a record apart and remembers whether anything was missing. Texts are parts of one string; what outlives the tokens is copied.
type reader struct {
	rest   []byte
	whole  string // ends with rest
	failed bool
}

func (in *reader) time() time.Time {
	if len(in.rest) < 8 {
		in.failed = true
		return time.Time{}
	}
	nano := int64(binary.BigEndian.Uint64(in.rest))
	in.rest = in.rest[8:]
	if nano == 0 {
		return time.Time{}
	}
	return time.Unix(0, nano).UTC()
}

// bytes returns nil for an empty text.
func (in *reader) bytes() []byte {
	length, width := binary.Uvarint(in.rest)
	if in.failed || width <= 0 || length > uint64(len(in.rest)-width) {
		in.failed = true
		return nil
	}
	text := in.rest[width : width+int(length)]
	in.rest = in.rest[width+int(length):]
	if length == 0 {
		return nil
	}
	return text
}

func (in *reader) text() string {
	length := len(in.bytes())
	end := len(in.whole) - len(in.rest)
	return in.whole[end-length : end]
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
