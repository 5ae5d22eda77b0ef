package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// footprint is what Postern costs while it does nothing.
type footprint struct {
	binary int64         // bytes on disk
	idle   int64         // resident bytes some time after the start
	ready  time.Duration // from exec to the first 200 of /readyz, median
	slow   time.Duration // the slowest start
}

// measureFootprint starts Postern a few times with the provider up, and lets the last one idle.
func measureFootprint(ctx context.Context, w *world, starts int, idle time.Duration) (footprint, error) {
	info, err := os.Stat(w.binary)
	if err != nil {
		return footprint{}, fmt.Errorf("look at the binary: %w", err)
	}
	f := footprint{binary: info.Size()}
	var took []time.Duration
	for n := range starts {
		p, ready, err := w.startWithLogin(ctx)
		if err != nil {
			return f, err
		}
		took = append(took, ready)
		if n == starts-1 {
			f.idle, err = idleMemory(ctx, p, idle)
		}
		p.stop()
		if err != nil {
			return f, err
		}
	}
	slices.Sort(took)
	f.ready, f.slow = took[len(took)/2], took[len(took)-1]
	return f, nil
}

func idleMemory(ctx context.Context, p *process, age time.Duration) (int64, error) {
	select {
	case <-time.After(age - time.Since(p.begun)):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return residentOf(p.pid())
}
