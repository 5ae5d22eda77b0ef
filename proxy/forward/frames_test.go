package forward

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// frameOf is a frame of a server, or with a key of a client, with as short a length as can be.
func frameOf(first byte, payload []byte, key []byte) []byte {
	mask := byte(0)
	if key != nil {
		mask = maskBit
		payload = bytes.Clone(payload)
		for i := range payload {
			payload[i] ^= key[i%4]
		}
	}
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, mask|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, mask|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, mask|127), uint64(n))
	}
	return append(append(frame, key...), payload...)
}

// boundariesOf reads a whole conversation at once, as a receiver would, and says where a frame may be put in.
func boundariesOf(all []byte, masked bool) map[int]bool {
	found, at := map[int]bool{0: true}, 0
	for {
		rest := all[at:]
		if len(rest) < 2 {
			return found
		}
		first, second := rest[0], rest[1]
		size, extra := int64(second&0x7f), 0
		if size >= 126 {
			if extra = 2; size == 127 {
				extra = 8
			}
			if len(rest) < 2+extra {
				return found
			}
			size = 0
			for _, b := range rest[2 : 2+extra] {
				size = size<<8 | int64(b)
			}
		}
		control := first&0x08 != 0
		switch kind := first & 0x0f; {
		case size < 0, second&0x80 == 0 == masked, kind >= 3 && kind <= 7, kind >= 0xb, control && (size > 125 || first&0x80 == 0), kind == 8:
			return found
		}
		whole := int64(2+extra) + size
		if masked {
			whole += 4
		}
		if whole < 0 || whole > int64(len(rest)) {
			return found
		}
		at += int(whole)
		found[at] = true
	}
}

// FuzzFarewell: whatever passes in whatever pieces comes out as it went in, and a farewell that is asked for at any time stands between two
// frames or is not said.
func FuzzFarewell(f *testing.F) {
	key := []byte{1, 2, 3, 4}
	talk := bytes.Join([][]byte{
		frameOf(0x81, []byte("hei"), nil), frameOf(0x01, []byte("frag"), nil), frameOf(0x89, nil, nil), frameOf(0x80, []byte("ment"), nil),
		frameOf(0x82, make([]byte, 300), nil),
		{0xc2, 127, 0, 0, 0, 0, 0, 0, 0, 3, 'a', 'b', 'c'},
		{0x82, 0},
	}, nil)
	f.Add(talk, uint16(3), uint32(7), false)
	f.Add(talk, uint16(1), uint32(0), false)
	f.Add(append(bytes.Clone(talk), frameOf(0x88, []byte{3, 232}, nil)...), uint16(1000), uint32(len(talk)+4), false)
	f.Add(bytes.Join([][]byte{frameOf(0x81, []byte("hei"), key), frameOf(0x82, make([]byte, 200), key), frameOf(0x8a, nil, key)}, nil), uint16(5), uint32(9), true)
	f.Add([]byte{0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255, 1}, uint16(2), uint32(3), false)
	f.Add([]byte{0x82, 127, 127, 255, 255, 255, 255, 255, 255, 255, 1}, uint16(2), uint32(3), false)
	f.Add([]byte("SSH-2.0-OpenSSH_9.9\r\n"), uint16(4), uint32(5), false)
	f.Add([]byte{0x89, 126, 0, 126}, uint16(4), uint32(4), false)
	f.Add([]byte{0x09, 0, 0x83, 0}, uint16(4), uint32(4), false)
	f.Fuzz(func(t *testing.T, all []byte, piece uint16, asked uint32, masked bool) {
		for _, strict := range []bool{false, true} {
			sayFarewell(t, all, int(piece)+1, int(asked), masked, strict)
		}
	})
}

// TestFarewellAtEveryByte asks for it everywhere in two conversations with every kind of length.
func TestFarewellAtEveryByte(t *testing.T) {
	t.Parallel()
	for _, key := range [][]byte{nil, []byte("key!")} {
		long := frameOf(0x82, []byte("abc"), key)
		long[1] = long[1]&maskBit | 127 // a length of eight bytes that could be shorter
		long = append(append(bytes.Clone(long[:2]), 0, 0, 0, 0, 0, 0, 0, 3), long[2:]...)
		all := bytes.Join([][]byte{
			frameOf(0x01, []byte("frag"), key), frameOf(0x89, nil, key), frameOf(0x80, []byte("ment"), key), long, frameOf(0x82, make([]byte, 300), key), long,
			frameOf(0x88, []byte{3, 232}, key), []byte("and more"),
		}, nil)
		if n := len(boundariesOf(all, key != nil)); n != 7 {
			t.Fatalf("%d boundaries", n)
		}
		for asked := range len(all) + 1 {
			for _, piece := range []int{1, 7, len(all)} {
				sayFarewell(t, all, piece, asked, key != nil, false)
				sayFarewell(t, all, piece, asked, key != nil, true)
			}
		}
	}
}

// sayFarewell passes bytes in pieces, and asks for a farewell when so many have passed.
func sayFarewell(t *testing.T, all []byte, piece, asked int, masked, strict bool) {
	t.Helper()
	var out bytes.Buffer
	farewell := []byte("FAREWELL")
	h := &half{to: &out, frames: frames{masked: masked}, strict: strict}
	said, when := false, -1 // bytes that had passed when it was asked for
	for rest := all; ; {
		if passed := len(all) - len(rest); !said && passed >= asked {
			h.say(farewell)
			h.end()
			said, when = true, passed
		}
		if len(rest) == 0 {
			break
		}
		n := min(len(rest), piece)
		if written, err := h.Write(rest[:n]); written != n || err != nil {
			t.Fatal(written, err)
		}
		rest = rest[n:]
	}
	check(t, all, out.Bytes(), farewell, boundariesOf(all, masked), when, strict)
}

func check(t *testing.T, in, out, farewell []byte, boundaries map[int]bool, asked int, strict bool) {
	t.Helper()
	if asked < 0 {
		if !bytes.Equal(in, out) {
			t.Fatalf("%d bytes went in, and %d others came out", len(in), len(out))
		}
		return
	}
	where := asked
	for !strict && where <= len(in) && !boundaries[where] {
		where++
	}
	if boundaries[where] {
		if want := append(bytes.Clone(in[:where]), farewell...); !bytes.Equal(out, want) {
			t.Fatalf("asked at %d, boundary at %d: %d bytes came out, want %d", asked, where, len(out), len(want))
		}
		return
	}
	if !bytes.HasPrefix(in, out) || len(out) < asked || strict && len(out) > asked {
		t.Fatalf("asked at %d, no boundary after it: %d bytes of %d came out, or not those that went in", asked, len(out), len(in))
	}
}

func TestCloseFrame(t *testing.T) {
	t.Parallel()
	if got, want := closeFrame(1008, "hei", nil), []byte("\x88\x05\x03\xf0hei"); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	key := []byte{0x37, 0xfa, 0x21, 0x3d}
	if got, want := closeFrame(1001, "hei", key), frameOf(0x88, []byte("\x03\xe9hei"), key); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	if got := closeFrame(1008, string(make([]byte, 500)), nil); len(got) != 127 {
		t.Errorf("%d bytes: a control frame has 125 of payload at most", len(got))
	}
}

func TestFollowingFramesAllocatesNothing(t *testing.T) {
	talk := append(frameOf(0x81, []byte("hei"), nil), frameOf(0x82, make([]byte, 4000), nil)...)
	var f frames
	if n := testing.AllocsPerRun(100, func() { f.pass(talk) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
