package main

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
)

// goal is how far Go lets the heap grow (go.dev/doc/gc-guide).
func goal(percent int, h heap) uint64 {
	return max(4<<20*uint64(percent)/100, h.live+(h.live+h.roots)*uint64(percent)/100)
}

func TestHeapGrowsByTheRoomMoreThanByItself(t *testing.T) {
	t.Parallel()
	const mib, room = 1 << 20, 32 << 20
	for name, h := range map[string]heap{
		"at the start":            {0, 0},
		"nothing alive":           {0, mib},
		"a small sidecar":         {mib, mib},
		"with a thousand clients": {3 * mib, 9 * mib},
		"more roots than heap":    {mib, 14 * mib},
		"eight alive":             {8 * mib, mib},
		"thousands of tokens":     {20 * mib, 2 * mib},
		"as much as the room":     {32 * mib, 0},
		"a gibibyte":              {1 << 30, mib},
	} {
		more := int64(goal(gcPercent(room, h), h)) - int64(goal(100, h)) // #nosec G115 -- a heap
		if most := int64(room); more > most || more < min(most*3/4, most-int64(h.live+h.roots)/4) {
			t.Errorf("%s: the heap may grow by %d KiB more than Go would let it, not by about %d", name, more>>10, room>>10)
		}
	}
}

func TestWithoutRoomTheHeapIsLeftToGo(t *testing.T) {
	t.Parallel()
	for _, h := range []heap{{}, {8 << 20, 1 << 20}, {1 << 30, 1 << 20}} {
		if got := gcPercent(0, h); got != 100 {
			t.Errorf("%d MiB alive: GOGC %d, not Go's own", h.live>>20, got)
		}
	}
}

// The runtime itself, in a process of its own: GOGC is the whole process's.
func TestRuntimeKeepsTheRoom(t *testing.T) {
	t.Parallel()
	if os.Getenv("POSTERN_TEST_HEAP_ROOM") != "" {
		useHeap(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRuntimeKeepsTheRoom$") //nolint:gosec // this very binary
	cmd.Env = append(os.Environ(), "POSTERN_TEST_HEAP_ROOM=1", "GOGC=", "GOMEMLIMIT=")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// useHeap makes garbage until the goal is where it belongs; the goal is set by a goroutine of the runtime, some time after a collection.
func useHeap(t *testing.T) {
	debug.SetGCPercent(100)
	keepHeapRoom(defaultHeapRoom)
	sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	for {
		runtime.KeepAlive(make([]byte, 128<<10)) // too large for a stack
		metrics.Read(sample)
		goal, cycles := sample[0].Value.Uint64(), sample[1].Value.Uint64()
		switch settled := goal > defaultHeapRoom/2 && goal < defaultHeapRoom*3/2; {
		case cycles > 3 && settled:
			return
		case cycles > 100:
			t.Fatalf("after %d collections the heap may grow to %d KiB", cycles, goal>>10)
		}
	}
}
