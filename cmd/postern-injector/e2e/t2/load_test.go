package t2_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
)

// load is a loop of creates of pods that ask for the sidecar. They are dry runs: all of admission happens, and no pod has to be run.
type load struct {
	t       *testing.T
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu      sync.Mutex
	created int
	images  map[string]int // of the sidecars
	failed  []string
}

// load begins to create pods in a namespace, in two loops. Whoever calls it must end it.
func (w *world) load(t *testing.T, namespace string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{t: t, cancel: cancel, images: map[string]int{}}
	for range 2 {
		l.workers.Go(func() {
			for ctx.Err() == nil {
				p, err := w.dryRun(context.WithoutCancel(ctx), namespace, pod("load", true))
				l.mu.Lock()
				switch {
				case err != nil:
					l.failed = append(l.failed, err.Error())
				case len(p.Spec.InitContainers) != 1 || p.Spec.InitContainers[0].Name != sidecar:
					l.failed = append(l.failed, "a pod without the sidecar")
				default:
					l.created++
					l.images[p.Spec.InitContainers[0].Image]++
				}
				l.mu.Unlock()
				time.Sleep(20 * time.Millisecond) // two cores are shared with the control plane
			}
		})
	}
	l.more(5)
	return l
}

// more waits until so many more pods have been created.
func (l *load) more(n int) {
	l.t.Helper()
	l.mu.Lock()
	from := l.created
	l.mu.Unlock()
	cluster.Eventually(l.t, "pods are created", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.created < from+n {
			return errorf("%d of %d; failures: %s", l.created-from, n, strings.Join(l.failed, "\n"))
		}
		return nil
	})
}

// end ends the loops and returns what failed.
func (l *load) end() []string {
	l.t.Helper()
	l.cancel()
	l.workers.Wait()
	l.t.Logf("%d pods created, %d failures, images %v", l.created, len(l.failed), l.images)
	return l.failed
}

// flawless ends the loops and fails the test if a single create has failed.
func (l *load) flawless() {
	l.t.Helper()
	l.more(5)
	for _, failure := range l.end() {
		l.t.Error(failure)
	}
}
