package webhook

import "context"

const (
	smallBody = 256 << 10 // nearly all pods are far smaller
	maxSmall  = 128       // at once, so that their bodies take 32 MiB at most
	maxLarge  = 2         // at once
)

// gate bounds how many bodies are held at once. Large ones wait for each other, never small ones for large ones.
type gate struct{ small, large chan struct{} }

func newGate() *gate {
	return &gate{small: make(chan struct{}, maxSmall), large: make(chan struct{}, maxLarge)}
}

// enter waits for room until ctx ends. A body of unknown length (-1) is taken for a large one.
func (g *gate) enter(ctx context.Context, length int64) (release func(), ok bool) {
	room := g.small
	if length < 0 || length > smallBody {
		room = g.large
	}
	select {
	case room <- struct{}{}:
		return func() { <-room }, true
	case <-ctx.Done():
		return nil, false
	}
}
