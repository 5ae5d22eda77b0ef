package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	rounds      int
	duration    time.Duration // measured time of one target in one round
	warmUp      time.Duration // load before each measured turn
	connections int
	starts      int           // how many starts the median time to ready is of
	idle        time.Duration // age at which an idle Postern is looked at
	binary      string        // "" builds one
	tokens      int           // of the bearer callers that have many
	sessions    int           // in the store of a further scenario; 0: there is none
	only        string        // scenarios whose name holds this text; "" is all
	strict      bool
	gateways    gateways
	profile     string // file for a profile, instead of measuring; "" measures
}

// Exit statuses: a measurement that cannot be trusted is told apart from a target that was missed.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitMissed = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := realMain(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func realMain(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if role := os.Getenv(roleVariable); role != "" {
		return play(ctx, role, os.Stdin, stderr)
	}
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&s.rounds, "rounds", 9, "rounds; in each one every target is loaded once")
	flags.DurationVar(&s.duration, "duration", 2*time.Second, "measured time of one target in one round")
	flags.DurationVar(&s.warmUp, "warm-up", 50*time.Millisecond, "load before each measured turn")
	flags.IntVar(&s.connections, "connections", 32, "keep-alive connections, each with one request under way")
	flags.IntVar(&s.starts, "starts", 7, "starts of Postern that the time to ready is the median of")
	flags.DurationVar(&s.idle, "idle", 2*time.Second, "age of the Postern whose idle memory is read")
	flags.StringVar(&s.binary, "binary", "", "postern binary to measure, instead of building one of this tree")
	flags.IntVar(&s.tokens, "tokens", 5000, "bearer tokens of the scenarios with many, more than 50")
	flags.IntVar(&s.sessions, "sessions", 0, "sessions in Redis of a further scenario, such as 1000000 (3 GiB)")
	flags.StringVar(&s.only, "only", "", "measure the scenarios whose name holds this text, such as \"session, 1 KiB\"")
	flags.BoolVar(&s.strict, "strict", false, "exit with 3 if a target is missed")
	flags.Var(&s.gateways, "gateway", "another gateway to measure, as name=command; more than once for more. In the command {"+strings.Join(placeholders, "}, {")+"} are filled in")
	flags.StringVar(&s.profile, "profile", "", "write a CPU profile of Postern under the load of the scenarios to this file, of one -duration each, instead of measuring")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage
	}
	if s.rounds < 1 || s.connections < 1 || s.starts < 1 || s.duration <= 0 || s.tokens <= fewTokens || s.sessions != 0 && s.sessions <= someStored || flags.NArg() > 0 {
		_, _ = fmt.Fprintf(stderr, "bench: rounds, connections, starts and duration are at least 1, tokens more than %d, sessions more than %d, "+
			"and there are no arguments beside flags\n", fewTokens, someStored)
		return exitUsage
	}
	if s.profile != "" {
		if err := profile(ctx, s, stderr); err != nil {
			_, _ = fmt.Fprintln(stderr, "bench:", err)
			return exitFailed
		}
		return exitOK
	}
	result, err := bench(ctx, s, stderr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return exitFailed
	}
	if missed := result.print(stdout); missed && s.strict {
		return exitMissed
	}
	return exitOK
}

// result is everything that was measured.
type result struct {
	settings  settings
	footprint footprint
	outcomes  []outcome
	price     time.Duration // of verifying one RS256 token, on this machine; 0 without bearer scenarios
	foreign   []float64     // share of all cores that other processes took, one of each sample
}

// bench does the whole run. progress gets a line now and then.
func bench(ctx context.Context, s settings, progress io.Writer) (result, error) {
	all, callers := scenarios(s)
	if len(all) == 0 {
		return result{}, noScenario(s)
	}
	w, err := newWorld(ctx, s.binary, false, s.gateways, progress)
	if err != nil {
		return result{}, err
	}
	defer w.close()
	r := result{settings: s}
	say(progress, "footprint: %d starts, then %v of idling", s.starts, s.idle)
	if r.footprint, err = measureFootprint(ctx, w, s.starts, s.idle); err != nil {
		return r, err
	}
	if err := w.open(ctx, callers, progress); err != nil {
		return r, err
	}
	if err := w.openGateways(ctx, s.gateways, callers, progress); err != nil {
		return r, err
	}
	if i := slices.IndexFunc(callers, func(c *caller) bool { return len(c.tokens) > 0 }); i >= 0 {
		if r.price, err = priceOfVerification(ctx, w, callers[i].tokens[0]); err != nil {
			return r, err
		}
	}
	r.outcomes, r.foreign, err = measureRounds(ctx, w, s, all, progress)
	return r, err
}

func noScenario(s settings) error { return fmt.Errorf("no scenario is named %q", s.only) }

func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
