package meter

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// Other stands for every value beyond a bound.
const Other = "other"

const longestValue = 120 // bytes of a label

// Bounded lets through at most so many values of a label that the program does not know beforehand; all further ones are [Other].
type Bounded struct {
	most int

	mu   sync.Mutex
	seen map[string]bool
}

// NewBounded lets through so many values.
func NewBounded(most int) *Bounded { return &Bounded{most: most, seen: map[string]bool{}} }

// Label is the label for a value: itself, cut to a length that a label may have, or [Other].
func (b *Bounded) Label(value string) string {
	if len(value) > longestValue {
		cut := longestValue
		for cut > 0 && !utf8.RuneStart(value[cut]) {
			cut--
		}
		value = value[:cut]
	}
	value = strings.ToValidUTF8(value, "?")
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.seen[value] && len(b.seen) >= b.most {
		return Other
	}
	b.seen[strings.Clone(value)] = true
	return value
}
