package proxy

import "strings"

// packedTexts are some texts as one: the length of each, in lengthSize bytes, and then all of them. To the garbage collector they are one thing that leads
// nowhere, and to the processor they lie together: thousands are kept, of whom each is in no cache when it is wanted again.
type packedTexts string

const lengthSize = 4

func packTexts(texts []string) packedTexts {
	size := 0
	for _, text := range texts {
		size += lengthSize + len(text)
	}
	var b strings.Builder
	b.Grow(size)
	for _, text := range texts {
		n := uint32(len(text)) // #nosec G115 -- of headers
		b.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	}
	for _, text := range texts {
		b.WriteString(text)
	}
	return packedTexts(b.String())
}

// unpack fills texts, which must have as many as were packed. It copies no text.
func (p packedTexts) unpack(texts []string) {
	lengths, rest := p[:lengthSize*len(texts)], string(p[lengthSize*len(texts):])
	for i := range texts {
		l := lengths[lengthSize*i : lengthSize*(i+1)]
		n := int(l[0])<<24 | int(l[1])<<16 | int(l[2])<<8 | int(l[3])
		texts[i], rest = rest[:n], rest[n:]
	}
}
