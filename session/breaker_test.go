package session

import (
	"testing"
	"time"
)

func TestBreakerLetsOneCallTryAndTheOthersFailAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	b := &breaker{now: func() time.Time { return now }}
	call := func(o outcome) {
		t.Helper()
		probe, ok := b.enter()
		if !ok {
			t.Fatal("a call was refused")
		}
		b.leave(probe, o)
	}
	refused := func() {
		t.Helper()
		if _, ok := b.enter(); ok {
			t.Fatal("a call was let in")
		}
	}
	call(silent)
	call(silent)
	call(answered) // in between: not consecutive
	call(silent)
	call(silent)
	call(silent)
	refused()
	now = now.Add(breakerRest)
	probe, ok := b.enter()
	if !probe.probe || !ok {
		t.Fatal("nobody may try after the rest")
	}
	refused() // while one tries
	b.leave(probe, unknown)
	call(silent) // whose caller went away is no verdict: the next may try at once
	refused()
	now = now.Add(breakerRest)
	call(answered)
	call(silent)
	call(silent) // closed again, with a clean slate
}

func TestBreakerCallsFromBeforeDoNotEndAProbe(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	b := &breaker{now: func() time.Time { return now }}
	slow, _ := b.enter()
	for range breakAfter {
		probe, _ := b.enter()
		b.leave(probe, silent)
	}
	now = now.Add(breakerRest)
	probe, _ := b.enter()
	b.leave(slow, silent)
	now = now.Add(breakerRest)
	if _, ok := b.enter(); ok {
		t.Error("a second call tries while the first is on its way")
	}
	b.leave(probe, answered)
	if _, ok := b.enter(); !ok {
		t.Error("an answered probe did not close the breaker")
	}
}

func TestBreakerStaysClosedWhileOthersAreAnswered(t *testing.T) {
	t.Parallel()
	b := &breaker{now: time.Now}
	for range 2 * breakAfter {
		late, ok := b.enter()
		if !ok {
			t.Fatal("a server that answers was given up")
		}
		other, _ := b.enter()
		b.leave(other, answered)
		b.leave(late, silent)
	}
}
