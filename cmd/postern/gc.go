package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// defaultHeapFloor is how far the heap may grow before a collection is worth it. A sidecar keeps a few megabytes alive, and Go would
// collect it every few dozen requests: that is a quarter to a third of all the CPU that such a process uses. Garbage that is never made
// takes no memory, so an idle sidecar stays small.
const defaultHeapFloor = 32 << 20

// keepHeapFloor holds the goal of the next collection at floor or above, whatever is alive. The floor gives way to a memory limit
// (GOMEMLIMIT), of which it takes a quarter at most; a GOGC that the operator set is left alone by not calling this.
func keepHeapFloor(floor uint64) {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		floor = min(floor, uint64(limit)/4)
	}
	current := 0
	tune := func() {
		if percent := gcPercent(floor, readHeap()); percent != current {
			current = percent
			debug.SetGCPercent(percent)
		}
	}
	tune()
	afterEachCollection(tune)
}

// heap is what the next collection is paced by, in bytes, as the last one found it.
type heap struct {
	live  uint64 // on the heap
	roots uint64 // stacks and globals: GOGC counts them too, and a small process has as much of them as of the heap
}

// gcPercent is the GOGC at which the heap may grow to floor, and no further while that is enough; never less than Go's own 100. Go lets
// it grow to live + (live+roots)*GOGC/100, and in any case to goMinimum*GOGC/100 (go.dev/doc/gc-guide).
func gcPercent(floor uint64, h heap) int {
	const lowest, goMinimum, step = 100, 4 << 20, 25 // in steps, so that it is set rarely
	percent := floor * 100 / goMinimum
	if used := h.live + h.roots; used > 0 {
		percent = min(percent, (floor-min(floor, h.live))*100/used)
	}
	return max(lowest, int(percent/step*step))
}

func readHeap() heap {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	return heap{live: samples[0].Value.Uint64(), roots: samples[1].Value.Uint64() + samples[2].Value.Uint64()}
}

// afterEachCollection calls f in a goroutine of the runtime after every collection: a dead object's cleanup runs then, and leaves the next
// object to die.
func afterEachCollection(f func()) {
	var arm func()
	arm = func() {
		sentinel := new([16]byte)
		runtime.AddCleanup(sentinel, func(struct{}) { f(); arm() }, struct{}{})
	}
	arm()
}
