package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// scenario is one kind of request, and who asks.
type scenario struct {
	name     string
	path     string
	caller   *caller
	requests [][]byte
}

// sample is what one target did in one round.
type sample struct {
	cpu    time.Duration // of the target, for one request
	rate   float64       // requests a second
	p50    time.Duration
	p99    time.Duration
	memory int64 // resident bytes, under load
}

// outcome is all rounds of a scenario; sample i of both is of the same round.
type outcome struct {
	scenario      scenario
	peer, postern []sample
	others        [][]sample // of each of the caller's entrants
}

// ratios are Postern's CPU per request to that of its peer in the same round, sorted.
func (o outcome) ratios() []float64 { return o.ratiosOf(o.postern) }

// ratiosOf are those of another target.
func (o outcome) ratiosOf(samples []sample) []float64 {
	var all []float64
	for i := range samples {
		all = append(all, float64(samples[i].cpu)/float64(o.peer[i].cpu))
	}
	slices.Sort(all)
	return all
}

// scenarios are those that are asked for, with nobody to answer them yet, and their callers.
func scenarios(s settings) (all []scenario, of []*caller) {
	for _, c := range callers(s.tokens, s.sessions) {
		for _, ask := range c.asks {
			if name := c.name + ", " + ask.name; strings.Contains(name, s.only) {
				all = append(all, scenario{name: name, path: ask.path, caller: c})
			}
		}
		if len(all) > 0 && all[len(all)-1].caller == c {
			of = append(of, c)
		}
	}
	return all, of
}

// measureRounds measures every scenario in every round; the peer goes first in one round and Postern in the next.
func measureRounds(ctx context.Context, w *world, s settings, all []scenario, progress io.Writer) ([]outcome, []float64, error) {
	var outcomes []outcome
	for _, sc := range all {
		sc.requests = sc.caller.requests(sc.path)
		outcomes = append(outcomes, outcome{scenario: sc, others: make([][]sample, len(sc.caller.entrants))})
	}
	var foreign []float64
	for round := range s.rounds {
		say(progress, "round %d of %d", round+1, s.rounds)
		for i := range outcomes {
			o := &outcomes[i]
			targets, err := measureOnce(ctx, w, o.scenario, s, round%2 == 1)
			for again := 0; again < mostAgain; again++ {
				if _, stoodStill := errors.AsType[readAgain](err); !stoodStill {
					break
				}
				say(progress, "%s: %v; once more", o.scenario.name, err)
				targets, err = measureOnce(ctx, w, o.scenario, s, round%2 == 1)
			}
			if err != nil {
				return nil, nil, fmt.Errorf("%s, round %d: %w", o.scenario.name, round+1, err)
			}
			o.peer, o.postern = append(o.peer, targets[0].got), append(o.postern, targets[1].got)
			for n, m := range targets {
				if foreign = append(foreign, m.foreign()); n > 1 {
					o.others[n-2] = append(o.others[n-2], m.got)
				}
			}
		}
	}
	return outcomes, foreign, nil
}

// mostAgain is how often a round is measured again that says nothing.
const mostAgain = 2

// measureOnce measures all targets of a scenario in one round: the peer, Postern, and the entrants.
func measureOnce(ctx context.Context, w *world, sc scenario, s settings, swapped bool) ([]*meter, error) {
	targets := []*meter{newMeter(w, sc, sc.caller.peer), newMeter(w, sc, sc.caller.postern)}
	for _, e := range sc.caller.entrants {
		own := scenario{name: sc.name, path: sc.path, caller: e.caller, requests: e.caller.requests(sc.path)}
		targets = append(targets, newMeter(w, own, e.gateway.process))
	}
	return targets, measure(ctx, targets, s, swapped)
}

// turns is how often the two targets of a scenario are loaded in a round, in turn and for a short time each: whatever else happens on the
// machine meets both.
const turns = 8

func measure(ctx context.Context, targets []*meter, s settings, swapped bool) error {
	for _, m := range targets {
		if err := m.connect(ctx, s.connections); err != nil {
			return err
		}
		defer m.load.close()
	}
	for turn := range turns {
		for i := range targets {
			if swapped != (turn%2 == 1) { // and who goes first changes with every turn
				i = len(targets) - 1 - i
			}
			if err := targets[i].turn(ctx, s.warmUp, s.duration/turns); err != nil {
				return fmt.Errorf("%s: %w", targets[i].target.name, err)
			}
		}
	}
	for _, m := range targets {
		if err := m.finish(s.duration); err != nil {
			return fmt.Errorf("%s: %w", m.target.name, err)
		}
	}
	return nil
}
