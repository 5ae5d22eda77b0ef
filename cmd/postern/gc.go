package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// defaultHeapRoom is how much garbage is worth a collection. A sidecar keeps a few megabytes alive, and Go would collect it every few dozen
// requests: that is a quarter to a third of all the CPU that such a process uses. Garbage that is never made takes no memory, so an idle
// sidecar stays small.
const defaultHeapRoom = 32 << 20

// keepHeapRoom lets the heap grow by so much more than Go itself would before the next collection. Go lets it grow by what is alive, since that
// is what a collection costs: with thousands of tokens remembered, each costs more and comes less often. The room gives way to a memory limit
// (GOMEMLIMIT, or that of the control group), of which it takes a quarter at most; a GOGC that the operator set is left alone by not calling this.
func keepHeapRoom(room uint64) {
	current := 0
	tune := func() {
		room := room
		if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 { // it may change
			room = min(room, uint64(limit)/4)
		}
		if percent := gcPercent(room, readHeap()); percent != current {
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

// gcPercent is the GOGC at which the heap may grow by room more than by Go's own, 100. Go lets it grow to live + (live+roots)*GOGC/100, and in
// any case to goMinimum*GOGC/100 (go.dev/doc/gc-guide).
func gcPercent(room uint64, h heap) int {
	const own, goMinimum, step = 100, 4 << 20, 25 // in steps, so that it is set rarely
	used := max(goMinimum, h.live+h.roots)
	return own + int(room*100/used/step*step)
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
