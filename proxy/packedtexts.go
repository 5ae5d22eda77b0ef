package proxy

import "strings"

// packedTexts are some texts as one: how many there are and the length of each, in numberSize bytes, and then all of them. To the garbage collector they
// are one thing that leads nowhere, and to the processor they lie together: thousands are kept, of whom each is in no cache when it is wanted again.
type packedTexts string

const numberSize = 4

func packTexts(texts []string) packedTexts {
	size := numberSize
	for _, text := range texts {
		size += numberSize + len(text)
	}
	var b strings.Builder
	b.Grow(size)
	write := func(n int) { b.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) } // #nosec G115 -- of headers
	write(len(texts))
	for _, text := range texts {
		write(len(text))
	}
	for _, text := range texts {
		b.WriteString(text)
	}
	return packedTexts(b.String())
}

// unpack appends the texts. It copies none of them.
func (p packedTexts) unpack(to []string) []string {
	count := p.number(0)
	lengths, rest := p[numberSize:numberSize*(1+count)], string(p[numberSize*(1+count):])
	for i := range count {
		n := lengths.number(i)
		to, rest = append(to, rest[:n]), rest[n:]
	}
	return to
}

func (p packedTexts) number(i int) int {
	n := p[numberSize*i : numberSize*(i+1)]
	return int(n[0])<<24 | int(n[1])<<16 | int(n[2])<<8 | int(n[3])
}
