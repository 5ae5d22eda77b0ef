package redistest

import (
	"sync"
	"time"
)

const (
	watchStep  = 5 * time.Millisecond
	watchUsual = 15 * time.Millisecond // what a step comes late on a machine that works
)

// machine is what the watch has seen. Its lock is held for the reading of a clock and a sum only.
var machine struct {
	sync.Mutex
	seen  time.Time // zero before the watch begins
	stood time.Duration
}

var watch = sync.OnceFunc(func() {
	machine.seen = time.Now()
	go watchMachine()
})

// watchMachine sleeps a little, again and again. Whoever comes far too late has been kept by the machine.
func watchMachine() {
	for {
		time.Sleep(watchStep)
		machine.Lock()
		now := time.Now()
		machine.stood += standing(now)
		machine.seen = now
		machine.Unlock()
	}
}

// standing is for how long the machine has stood still since the watch last looked, or 0. The lock is held.
func standing(now time.Time) time.Duration {
	if late := now.Sub(machine.seen) - watchStep; late > watchUsual {
		return late
	}
	return 0
}

// moment is the time, and for how long the machine has stood still until then. Who asks may have woken up before the watch has: what it has not
// noted yet counts too.
func moment() (time.Time, time.Duration) {
	watch()
	machine.Lock()
	defer machine.Unlock()
	now := time.Now()
	return now, machine.stood + standing(now)
}

// StoodStill is for how long the machine has stood still since somebody asked for the first time. No bound on what a program takes can hold it
// responsible for that.
func StoodStill() time.Duration {
	_, stood := moment()
	return stood
}

// Clock tells the time that passes, but for that for which the machine stands still.
type Clock struct {
	began  time.Time
	before time.Duration
}

// StartClock starts one.
func StartClock() Clock {
	now, stood := moment()
	return Clock{now, stood}
}

// Elapsed is what has passed since.
func (c Clock) Elapsed() time.Duration {
	now, stood := moment()
	return now.Sub(c.began) - (stood - c.before)
}

// Took is what do takes by such a clock.
func Took(do func()) time.Duration {
	c := StartClock()
	do()
	return c.Elapsed()
}
