package session

import (
	"encoding/binary"
	"time"
)

// event is an entry of the log: what one replica tells the others of a session. It makes them forget and never learn, and carries nothing of
// the person (S-07, S-27).
type event struct {
	kind   eventKind
	handle handle

	revision Revision  // of what was written; for eventChanged
	ends     time.Time // until when nothing may bring the session back, in whole seconds; for eventEnded
	label    []byte    // sealed, of the session whose access tokens end, or nil
}

type eventKind byte

// An entry that begins with 0 is the first of a log and says nothing.
const (
	eventEnded   eventKind = 1
	eventChanged eventKind = 2
)

func (e *event) encode() []byte {
	entry := append([]byte{byte(e.kind)}, e.handle[:]...)
	if e.kind == eventChanged {
		return append(append(entry, e.revision[:]...), e.label...)
	}
	entry = binary.BigEndian.AppendUint64(entry, uint64(e.ends.Unix()))
	return append(entry, e.label...)
}

// maxLabel bounds a label in bytes: that of a session with as many tokens as it may have takes half of it.
const maxLabel = 1 << 10

// decodeEvent returns false for what this version does not know.
func decodeEvent(entry []byte) (e event, ok bool) {
	if len(entry) < 1+len(e.handle) {
		return event{}, false
	}
	e.kind, e.handle = eventKind(entry[0]), handle(entry[1:])
	rest := entry[1+len(e.handle):]
	switch {
	case e.kind == eventChanged && len(rest) >= RevisionSize && len(rest) <= RevisionSize+maxLabel:
		e.revision, e.label = Revision(rest), rest[RevisionSize:]
	case e.kind == eventEnded && len(rest) >= 8 && len(rest) <= 8+maxLabel:
		e.ends, e.label = time.Unix(int64(binary.BigEndian.Uint64(rest)), 0).UTC(), rest[8:]
	default:
		return event{}, false
	}
	return e, true
}
