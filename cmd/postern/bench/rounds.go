package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// scenario is one kind of request, and the two that answer it.
type scenario struct {
	name    string
	path    string
	caller  string
	request []byte
	bare    *process
	postern *process
}

// sample is what one target did in one round.
type sample struct {
	cpu     time.Duration // of the target, for one request
	rate    float64       // requests a second
	p50     time.Duration
	p99     time.Duration
	memory  int64   // resident bytes, under load
	foreign float64 // share of all cores that other processes took
}

// outcome is all rounds of a scenario; sample i of both is of the same round.
type outcome struct {
	scenario      scenario
	bare, postern []sample
}

// ratios are Postern's CPU per request to that of the bare proxy in the same round, sorted.
func (o outcome) ratios() []float64 {
	var all []float64
	for i := range o.postern {
		all = append(all, float64(o.postern[i].cpu)/float64(o.bare[i].cpu))
	}
	slices.Sort(all)
	return all
}

func scenarios(w *world) []scenario {
	var all []scenario
	for _, caller := range []string{anonymous, session} {
		for _, body := range []struct{ path, size string }{{pathSmall, "1 KiB"}, {pathLarge, "64 KiB"}} {
			all = append(all, scenario{
				name: caller + ", " + body.size, path: body.path, caller: caller, request: requestBytes(body.path+"?tab=notes", w.sent[caller]),
				bare: w.targets[caller], postern: w.targets[postern],
			})
		}
	}
	return all
}

// measureRounds loads the two targets of every scenario right after each other, and the other one first in every second round: what
// changes slowly on the machine meets both, and the ratio of a round is of one time.
func measureRounds(ctx context.Context, w *world, s settings, progress io.Writer) ([]outcome, []float64, error) {
	var outcomes []outcome
	for _, sc := range scenarios(w) {
		if strings.Contains(sc.name, s.only) {
			outcomes = append(outcomes, outcome{scenario: sc})
		}
	}
	if len(outcomes) == 0 {
		return nil, nil, fmt.Errorf("no scenario is named %q", s.only)
	}
	var foreign []float64
	for round := range s.rounds {
		say(progress, "round %d of %d", round+1, s.rounds)
		for i := range outcomes {
			o := &outcomes[i]
			pair := []struct {
				target *process
				to     *[]sample
			}{{o.scenario.bare, &o.bare}, {o.scenario.postern, &o.postern}}
			if round%2 == 1 {
				slices.Reverse(pair)
			}
			for _, one := range pair {
				got, err := measure(ctx, w, o.scenario, one.target, s)
				if err != nil {
					return nil, nil, fmt.Errorf("%s, %s, round %d: %w", o.scenario.name, one.target.name, round+1, err)
				}
				*one.to = append(*one.to, got)
				foreign = append(foreign, got.foreign)
			}
		}
	}
	return outcomes, foreign, nil
}

// measure loads one target once.
func measure(ctx context.Context, w *world, sc scenario, target *process, s settings) (sample, error) {
	before, err := countsOf(ctx, w.app)
	if err != nil {
		return sample{}, err
	}
	l, err := startLoad(ctx, target.address, sc.request, s.connections, s.warmUp+s.duration+patience)
	if err != nil {
		return sample{}, err
	}
	got, err := watch(ctx, l, w, target, s)
	l.stop()
	if err != nil {
		return sample{}, err
	}
	after, err := countsOf(ctx, w.app)
	if err != nil {
		return sample{}, err
	}
	all, ok, times := l.tally()
	if err := plausible(all, ok, after.since(before), sc.caller); err != nil {
		return sample{}, err
	}
	if len(times) == 0 {
		return sample{}, fmt.Errorf("no answer within %v", s.duration)
	}
	got.rate = float64(len(times)) / s.duration.Seconds()
	got.p50, got.p99 = times[len(times)/2], times[len(times)*99/100]
	got.cpu /= time.Duration(len(times))
	return got, nil
}

// watch warms the target up and reads what the measured time costs it; cpu is still that of all requests.
func watch(ctx context.Context, l *load, w *world, target *process, s settings) (got sample, err error) {
	if err := l.pause(ctx, s.warmUp); err != nil {
		return got, err
	}
	usedBefore, busyBefore, err := usage(w, target)
	if err != nil {
		return got, err
	}
	begun := time.Now()
	l.enter(measuring)
	if err := l.pause(ctx, s.duration); err != nil {
		return got, err
	}
	l.enter(warming)
	elapsed := time.Since(begun)
	usedAfter, busyAfter, err := usage(w, target)
	if err != nil {
		return got, err
	}
	got.cpu = usedAfter[0] - usedBefore[0]
	others := busyAfter - busyBefore
	for i := range usedAfter {
		others -= usedAfter[i] - usedBefore[i]
	}
	got.foreign = max(0, others.Seconds()/elapsed.Seconds()/float64(runtime.NumCPU()))
	got.memory, err = residentOf(target.pid())
	return got, err
}

// usage is the CPU time so far of the target, the app and the load, and of the whole machine.
func usage(w *world, target *process) (used [3]time.Duration, busy time.Duration, err error) {
	for i, pid := range []int{target.pid(), w.app.pid(), os.Getpid()} {
		if used[i], err = cpuOf(pid); err != nil {
			return used, 0, err
		}
	}
	busy, err = busyCPU()
	return used, busy, err
}

// plausible makes sure that the measured work was done: an error page would be quick too.
func plausible(all, ok int, seen counts, caller string) error {
	least := int64(all - all/1000) // 99.9 %
	switch {
	case int64(ok) < least:
		return fmt.Errorf("only %d of %d answers are 200", ok, all)
	case seen.Requests < least:
		return fmt.Errorf("only %d of %d requests reached the app", seen.Requests, all)
	case caller == session && seen.Identified < least:
		return fmt.Errorf("only %d of %d requests told the app who is calling", seen.Identified, all)
	case caller == anonymous && seen.Identified > 0:
		return fmt.Errorf("%d requests without a session told the app a name", seen.Identified)
	}
	return nil
}
