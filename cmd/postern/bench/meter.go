package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"
)

// meter measures one target in one round. What the target has used and what others say that it did is read before and after each turn.
type meter struct {
	world    *world
	caller   *caller
	target   *process
	requests [][]byte
	load     *load

	used    time.Duration // CPU of the target, within measured time
	others  time.Duration // CPU of other processes, as above
	elapsed time.Duration
	done    witnessed
	got     sample
}

// witnessed is what others than the load say about the requests so far.
type witnessed struct {
	seen   counts        // by the app, if the requests are for it
	tokens verifications // by the target, if it looks at tokens
	bought int           // by the provider: tokens that it was asked for, if the requests are for tokens or bring them
	stored storeCalls    // by Redis, if the sessions are there
}

// add is for what came between two looks.
func (w *witnessed) add(before, after witnessed) {
	w.seen.Requests += after.seen.Requests - before.seen.Requests
	w.seen.Identified += after.seen.Identified - before.seen.Identified
	w.seen.Handed += after.seen.Handed - before.seen.Handed
	w.tokens.known += after.tokens.known - before.tokens.known
	w.tokens.anew += after.tokens.anew - before.tokens.anew
	w.bought += after.bought - before.bought
	w.stored.commands += after.stored.commands - before.stored.commands
	w.stored.during += after.stored.at.Sub(before.stored.at)
}

func newMeter(w *world, sc scenario, target *process) *meter {
	return &meter{world: w, caller: sc.caller, target: target, requests: sc.requests}
}

func (m *meter) connect(ctx context.Context, connections int) (err error) {
	m.load, err = newLoad(ctx, m.target.address, m.requests, connections)
	return err
}

// verifies says whether the target is one that looks at tokens.
func (m *meter) verifies() bool { return m.caller.bearer > 0 && m.target == m.caller.postern }

// asksStore says whether the target is one that has sessions in Redis.
func (m *meter) asksStore() bool { return m.caller.stored > 0 && m.target == m.caller.postern }

// look asks those who know.
func (m *meter) look(ctx context.Context) (w witnessed, err error) {
	if m.caller.tokenAPI {
		w.bought, err = m.world.boughtTokens(ctx)
		return w, err
	}
	if m.caller.exchange {
		if w.bought, err = m.world.boughtTokens(ctx); err != nil {
			return w, err
		}
	}
	if m.verifies() {
		if w.tokens, err = verificationsOf(ctx, m.target); err != nil {
			return w, err
		}
	}
	if m.asksStore() {
		if w.stored, err = storeCallsOf(ctx, m.caller.redis); err != nil {
			return w, err
		}
	}
	w.seen, err = countsOf(ctx, m.world.app)
	return w, err
}

// turn loads the target for a while.
func (m *meter) turn(ctx context.Context, warmUp, duration time.Duration) error {
	before, err := m.look(ctx)
	if err != nil {
		return err
	}
	var edges []reading
	err = m.load.run(ctx, warmUp, duration, func() error {
		r, err := m.read()
		edges = append(edges, r)
		return err
	})
	if err != nil {
		return err
	}
	begin, end := edges[0], edges[1]
	m.used += end.used[0] - begin.used[0]
	m.elapsed += end.at.Sub(begin.at)
	m.others += end.busy - begin.busy
	for i := range end.used {
		m.others -= end.used[i] - begin.used[i]
	}
	if m.got.memory, err = m.target.resident(); err != nil {
		return err
	}
	after, err := m.look(ctx)
	m.done.add(before, after)
	return err
}

// reading is the CPU time so far.
type reading struct {
	at   time.Time
	used [3]time.Duration // of the target, the app and the load
	busy time.Duration    // of the whole machine
}

func (m *meter) read() (r reading, err error) {
	r.at = time.Now()
	if r.used[0], err = m.target.cpu(); err != nil {
		return r, err
	}
	for i, pid := range []int{m.world.app.pid(), os.Getpid()} {
		if r.used[i+1], err = cpuOf(pid); err != nil {
			return r, err
		}
	}
	r.busy, err = busyCPU()
	return r, err
}

// finish makes the sample, if what was measured can be believed.
func (m *meter) finish(duration time.Duration) error {
	all, ok, times := m.load.tally()
	if err := m.believe(all, ok); err != nil {
		return err
	}
	if len(times) == 0 {
		return fmt.Errorf("no answer within %v", duration)
	}
	m.got.cpu = m.used / time.Duration(len(times))
	m.got.rate = float64(len(times)) / m.elapsed.Seconds()
	m.got.p50, m.got.p99 = times[len(times)/2], times[len(times)*99/100]
	return nil
}

// believe makes sure that the measured work was done.
func (m *meter) believe(all, ok int) error {
	if m.caller.tokenAPI {
		return plausibleMemory(all, ok, m.done.bought)
	}
	if m.caller.foreign {
		return plausibleReach(all, ok, m.done.seen)
	}
	if err := plausible(all, ok, m.done.seen, m.caller.somebody); err != nil {
		return err
	}
	switch {
	case m.caller.exchange:
		return plausibleExchange(all, m.done.seen, m.done.bought)
	case m.verifies():
		return plausibleTokens(all, m.done.tokens, m.caller.cold)
	case m.asksStore():
		return plausibleStore(all, m.done.stored, m.caller.cold)
	}
	return nil
}

// foreign is the share of all cores that other processes took.
func (m *meter) foreign() float64 {
	return max(0, m.others.Seconds()/m.elapsed.Seconds()/float64(runtime.NumCPU()))
}

// nearlyAll is 99.9 %.
func nearlyAll(all int) int64 { return int64(all - all/1000) }

// plausibleReach makes sure that answers are the app's: an error page would be quick too.
func plausibleReach(all, ok int, seen counts) error {
	switch least := nearlyAll(all); {
	case int64(ok) < least:
		return fmt.Errorf("only %d of %d answers are 200", ok, all)
	case seen.Requests < least:
		return fmt.Errorf("only %d of %d requests reached the app", seen.Requests, all)
	}
	return nil
}

// plausible makes sure that the measured work was done.
func plausible(all, ok int, seen counts, somebody bool) error {
	if err := plausibleReach(all, ok, seen); err != nil {
		return err
	}
	switch least := nearlyAll(all); {
	case somebody && seen.Identified < least:
		return fmt.Errorf("only %d of %d requests told the app who is calling", seen.Identified, all)
	case !somebody && seen.Identified > 0:
		return fmt.Errorf("%d requests of nobody told the app a name", seen.Identified)
	}
	return nil
}

// plausibleTokens makes sure that tokens which are to be known were, and that new ones were verified.
func plausibleTokens(all int, tokens verifications, cold bool) error {
	switch least := nearlyAll(all); {
	case cold && tokens.anew < least:
		return fmt.Errorf("only %d of %d tokens were verified anew", tokens.anew, all)
	case !cold && tokens.known < least:
		return fmt.Errorf("only %d of %d tokens were known", tokens.known, all)
	}
	return nil
}
