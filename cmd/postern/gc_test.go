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

func TestHeapGrowsByTheRoomAndNotBeyond(t *testing.T) {
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
	} {
		got := goal(gcPercent(room, h), h) - h.live
		if got > room || got < room*3/4 {
			t.Errorf("%s: the heap may grow by %d KiB, not by about %d", name, got>>10, room>>10)
		}
	}
}

func TestHeapAboveTheRoomIsLeftToGo(t *testing.T) {
	t.Parallel()
	for _, h := range []heap{{32 << 20, 0}, {1 << 30, 1 << 20}} {
		if got := gcPercent(32<<20, h); got != 100 {
			t.Errorf("%d MiB alive: GOGC %d, not Go's own", h.live>>20, got)
		}
	}
	if got := gcPercent(0, heap{}); got != 100 {
		t.Errorf("no room: GOGC %d", got)
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
		switch settled := goal > defaultHeapRoom/2 && goal < defaultHeapRoom*5/4; {
		case cycles > 3 && settled:
			return
		case cycles > 100:
			t.Fatalf("after %d collections the heap may grow to %d KiB", cycles, goal>>10)
		}
	}
}
