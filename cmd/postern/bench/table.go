package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// Targets.
const (
	mostRatio  = 1.15                   // CPU per request with a session or a known token, to the bare proxy's
	mostMemory = 1.3                    // CPU per request of the token API for what it remembers, to the constant handler's
	mostNew    = 50 * time.Microsecond  // CPU that a new token costs more than a known one, on the machine that the figure is of
	mostIdle   = 18 << 20               // resident bytes
	mostBinary = 28 << 20               // bytes
	mostReady  = 150 * time.Millisecond // from exec
)

// print writes the tables, and says whether a target was missed.
func (r result) print(w io.Writer) (missed bool) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, cell := range cells {
			_, _ = fmt.Fprintf(table, "%v\t", cell)
		}
		_, _ = fmt.Fprintln(table)
	}
	row("scenario", "target", "CPU us/req", "ratio", "spread", "req/s", "p50 ms", "p99 ms", "RSS MiB")
	for _, o := range r.outcomes {
		line := func(target string, s []sample, ratio, spread string) {
			row(o.scenario.name, target, fmt.Sprintf("%.1f", micros(medianOf(s, func(s sample) time.Duration { return s.cpu }))), ratio, spread,
				fmt.Sprintf("%.0f", medianOf(s, func(s sample) float64 { return s.rate })),
				fmt.Sprintf("%.2f", micros(medianOf(s, func(s sample) time.Duration { return s.p50 }))/1000),
				fmt.Sprintf("%.1f", micros(medianOf(s, func(s sample) time.Duration { return s.p99 }))/1000),
				mebibytes(medianOf(s, func(s sample) int64 { return s.memory })))
		}
		compared := func(target string, s []sample) {
			ratios := o.ratiosOf(s)
			line(target, s, fmt.Sprintf("%.2f", median(ratios)), fmt.Sprintf("%.2f-%.2f", ratios[0], ratios[len(ratios)-1]))
		}
		line(o.scenario.caller.peerRole(), o.peer, "1.00", "")
		compared(postern, o.postern)
		for i, e := range o.scenario.caller.entrants {
			compared(e.gateway.name, o.others[i])
		}
	}
	_ = table.Flush()
	_, _ = fmt.Fprintf(w, "\nMedians of %d rounds of %v with %d connections; \"ratio\" is the median of the rounds' to the first line of the scenario, \"spread\" its range.\n",
		r.settings.rounds, r.settings.duration, r.settings.connections)
	_, _ = fmt.Fprintf(w, "Other processes took %.0f %% of all cores (median; %.0f %% at worst): beyond 10 %%, small differences mean nothing.\n\n",
		100*median(r.foreign), 100*slices.Max(r.foreign))
	return r.printTargets(w)
}

// printTargets compares with what was promised.
func (r result) printTargets(w io.Writer) (missed bool) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	check := func(what, got, most string, ok bool) {
		verdict := "ok"
		if !ok {
			verdict, missed = "MISSED", true
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t(at most %s)\t%s\n", what, got, most, verdict)
	}
	for _, o := range r.outcomes {
		c, most := o.scenario.caller, mostRatio
		if c.tokenAPI {
			most = mostMemory
		}
		if c.tokenAPI || c.somebody && !c.cold && !c.exchange {
			ratio := median(o.ratios())
			check("CPU, "+o.scenario.name, fmt.Sprintf("%.2f x %s", ratio, c.peerRole()), fmt.Sprint(most), ratio <= most)
		}
	}
	if extra, verification, ok := r.costOfNewTokens(); ok {
		more := fmt.Sprintf("%.1f us more than known ones", micros(extra))
		check("CPU, "+alwaysNew, more, fmt.Sprintf("%.0f us; hash and RS256 signature alone, in a loop: %.1f us here", micros(mostNew), micros(r.price)), extra <= mostNew)
		check("CPU, "+alwaysNew+", by go-oidc", more, fmt.Sprintf("one verification, %.1f us here", micros(verification)), extra <= verification)
	}
	f := r.footprint
	check("idle memory, "+r.settings.idle.String()+" after start", mebibytes(f.idle)+" MiB", mebibytes(mostIdle), f.idle < mostIdle)
	check("stripped binary", mebibytes(f.binary)+" MiB", mebibytes(mostBinary), f.binary < mostBinary)
	check(fmt.Sprintf("exec to ready, median of %d", r.settings.starts),
		fmt.Sprintf("%.0f ms (slowest %.0f)", micros(f.ready)/1000, micros(f.slow)/1000), mostReady.String(), f.ready <= mostReady)
	_ = table.Flush()
	return missed
}

// costOfNewTokens is what Postern takes for a request with a new token beyond one with a known token, of as many: the median of the rounds. It is
// to be compared with what one verification takes, and not there unless all of it was measured.
func (r result) costOfNewTokens() (extra, verification time.Duration, ok bool) {
	var known, fresh []sample
	for _, o := range r.outcomes {
		switch c := o.scenario.caller; {
		case c.cold && c.bearer > 0:
			fresh = o.postern
			verification, ok = o.costOfVerification()
		case c.bearer == r.settings.tokens:
			known = o.postern
		}
	}
	if !ok || len(known) == 0 || len(fresh) != len(known) {
		return 0, 0, false
	}
	var all []time.Duration
	for i := range fresh {
		all = append(all, fresh[i].cpu-known[i].cpu)
	}
	return median(all), verification, true
}

func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func medianOf[T cmp.Ordered](samples []sample, of func(sample) T) T {
	var values []T
	for _, s := range samples {
		values = append(values, of(s))
	}
	return median(values)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func mebibytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }
