package main

import (
	"testing"
	"testing/fstest"
)

func TestCachesTakeAShareOfTheMemoryLimit(t *testing.T) {
	t.Parallel()
	const v2, v1 = "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"
	for _, test := range []struct {
		name       string
		files      map[string]string
		configured int64
		want       int64
	}{
		{"256 MiB, version 2", map[string]string{v2: "268435456\n"}, 0, 268435456 / 100 * 30 / 2},
		{"256 MiB, version 1", map[string]string{v1: "268435456\n"}, 0, 268435456 / 100 * 30 / 2},
		{"no limit, version 2", map[string]string{v2: "max\n"}, 0, 0},
		{"no limit, version 1", map[string]string{v1: "9223372036854771712\n"}, 0, 0},
		{"no control group", nil, 0, 0},
		{"said by the operator", map[string]string{v2: "268435456\n"}, 10 << 20, 5 << 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{}
			for name, text := range test.files {
				files[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := cacheBudget(test.configured, memoryLimit(files), 2); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}
