package forward

import "encoding/binary"

// frames follows the frames of one direction of a WebSocket (RFC 6455 §5.2) as their bytes pass by, in whatever pieces, to know where a frame
// of ours may stand. It keeps no payload.
type frames struct {
	masked bool // the direction is that of the client, who masks all frames, and the other side none (RFC 6455 §5.1)

	head   [14]byte
	have   uint8  // bytes of the head that have passed
	left   uint64 // bytes of the payload that have not
	closed bool   // a Close frame has passed: nothing may follow it (RFC 6455 §5.5.1)
	lost   bool   // these are no frames of a WebSocket
}

const (
	finalBit    = 0x80
	opcodeBits  = 0x0f
	maskBit     = 0x80
	lengthBits  = 0x7f
	opcodeClose = 0x8
	controlBit  = 0x8 // of the opcode
	maxControl  = 125 // bytes of payload of a control frame (RFC 6455 §5.5)
)

// atBoundary says whether a control frame may stand here, which is between any two frames, also those of one message (RFC 6455 §5.4).
func (f *frames) atBoundary() bool { return f.have == 0 && !f.lost && !f.closed }

// pass follows all of p.
func (f *frames) pass(p []byte) {
	for len(p) > 0 {
		p = p[f.next(p):]
	}
}

// next follows p up to the end of the frame that it is in, or up to its own end, and returns how far that was.
func (f *frames) next(p []byte) (n int) {
	if f.lost || f.closed {
		return len(p)
	}
	for f.have < f.headLength() {
		if n == len(p) {
			return n
		}
		f.head[f.have] = p[n]
		f.have++
		n++
		if f.have == f.headLength() && !f.readHead() {
			f.lost = true
			return len(p)
		}
	}
	passing := min(f.left, uint64(len(p)-n))
	f.left -= passing
	n += int(passing)
	if f.left == 0 {
		f.have, f.closed = 0, f.head[0]&opcodeBits == opcodeClose
	}
	return n
}

// headLength is how long the head is, as far as can be told from what has passed of it.
func (f *frames) headLength() uint8 {
	if f.have < 2 {
		return 2
	}
	length := uint8(2)
	switch f.head[1] & lengthBits {
	case 126:
		length += 2
	case 127:
		length += 8
	}
	if f.masked {
		length += 4
	}
	return length
}

// readHead reads a complete head. What cannot be one is a reason to say nothing in between, rather than anywhere.
func (f *frames) readHead() bool {
	opcode, length := f.head[0]&opcodeBits, f.head[1]&lengthBits
	switch length {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(f.head[2:])
	default:
		f.left = uint64(length)
	}
	switch {
	case f.head[1]&maskBit != 0 != f.masked,
		f.left>>63 != 0,                               // RFC 6455 §5.2: the most significant bit must be 0
		opcode > 2 && opcode < 8 || opcode > 10,       // reserved
		opcode&controlBit != 0 && f.left > maxControl, // RFC 6455 §5.5, like the next one
		opcode&controlBit != 0 && f.head[0]&finalBit == 0:
		return false
	}
	return true
}

// closeFrame is a Close frame with a status code and a reason (RFC 6455 §5.5.1), masked by the key of a client, or without a key that of a server.
func closeFrame(code uint16, reason string, key []byte) []byte {
	payload := append(binary.BigEndian.AppendUint16(nil, code), reason[:min(len(reason), maxControl-2)]...)
	frame := []byte{finalBit | opcodeClose, byte(len(payload))}
	if key != nil {
		frame[1] |= maskBit
		frame = append(frame, key...)
		for i := range payload { // RFC 6455 §5.3
			payload[i] ^= key[i%len(key)]
		}
	}
	return append(frame, payload...)
}
