package proxy

import (
	"slices"
	"strings"
	"testing"
)

func TestPackedTextsComeBack(t *testing.T) {
	t.Parallel()
	for _, texts := range [][]string{
		{}, {""}, {"a"}, {"", ""}, {"a", "", "b"}, {"a\nb", "c: d\r\n", "\x00\x00\x00\x01"}, {strings.Repeat("x", 1<<17), "y"}, slices.Repeat([]string{"text"}, 300),
	} {
		if got := packTexts(texts).unpack([]string{"before"}); !slices.Equal(got, append([]string{"before"}, texts...)) {
			t.Errorf("%d texts come back as others", len(texts))
		}
	}
}

func TestUnpackingAllocatesNothing(t *testing.T) { //nolint:paralleltest // it counts allocations
	texts := []string{"a", "bc", ""}
	packed := packTexts(texts)
	if n := testing.AllocsPerRun(100, func() { packed.unpack(texts[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
