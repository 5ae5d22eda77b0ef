package doctor

import (
	"context"
	"time"
)

// Limit is the longest that all checks together take: they run at once, each with a limit of its own below this.
const Limit = 20 * time.Second

const (
	shortLimit    = 6 * time.Second  // one exchange with somebody else
	providerLimit = 16 * time.Second // metadata and keys, then the client and its redirect URI
	stepLimit     = 7 * time.Second  // of a provider
)

// section is a group of findings that one look gives, in the order in which they are told.
type section struct {
	name  string
	limit time.Duration
	look  func(ctx context.Context) []Finding
}

// Run tries everything that the configuration of w speaks of.
func Run(ctx context.Context, w World) Report {
	return report(runAll(ctx, w.sections(), Limit), secretsIn(w.Config))
}

// runAll runs all at once and returns their findings in the order of the sections. One that does not heed its limit is not waited for.
func runAll(ctx context.Context, sections []section, limit time.Duration) []Finding {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make([]chan []Finding, len(sections))
	for i, s := range sections {
		done[i] = make(chan []Finding, 1)
		go func() { done[i] <- s.within(ctx) }()
	}
	var all []Finding
	for i := range sections {
		all = append(all, <-done[i]...)
	}
	return all
}

func (s section) within(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	found := make(chan []Finding, 1)
	go func() { found <- s.look(ctx) }()
	select {
	case all := <-found:
		return all
	case <-ctx.Done():
	}
	select { // a moment for what just heard that its time is over
	case all := <-found:
		return all
	case <-time.After(200 * time.Millisecond):
		return []Finding{unchecked(s.name, "Run it again; if it stays so, look at what is slow there.", "not finished within %v", s.limit)}
	}
}
