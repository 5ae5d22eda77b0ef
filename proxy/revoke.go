package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"postern/oidc"
	"postern/oidc/trace"
	"postern/proxy/forward"
)

const (
	revokePatience = 10 * time.Second // for one revocation, waiting for its turn included
	revokeAtOnce   = 8                // of the calls that the provider takes from us at all (S-28)
	revokeWaiting  = 1000
)

// revoker tells the provider of tokens that nobody needs any more (RFC 7009). It works behind the answer: no logout waits for it or fails with
// it. What cannot be told in time lives out its own time, as without it.
type revoker struct {
	client *oidc.Client
	log    *slog.Logger
	turns  chan struct{}

	mu      sync.Mutex // never held during a call
	waiting int
	closed  bool
	running sync.WaitGroup
}

func newRevoker(client *oidc.Client, log *slog.Logger) *revoker {
	return &revoker{client: client, log: log, turns: make(chan struct{}, revokeAtOnce)}
}

// revoke returns at once. request says which request it is for, and does not end it.
func (r *revoker) revoke(request context.Context, tokens oidc.Tokens) {
	if tokens.Refresh.Empty() && tokens.Access.Empty() || !r.enter() {
		return
	}
	work := trace.Carry(context.Background(), request)
	go func() {
		defer r.leave()
		ctx, cancel := context.WithTimeout(work, revokePatience)
		defer cancel()
		if err := r.inTurn(ctx, tokens); err != nil {
			r.log.LogAttrs(ctx, slog.LevelWarn, "tokens of an ended session could not be revoked at the provider",
				slog.String("error", forward.MaskDigits(err.Error())))
		}
	}()
}

func (r *revoker) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.waiting >= revokeWaiting {
		return false
	}
	r.waiting++
	r.running.Add(1)
	return true
}

func (r *revoker) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting--
	r.running.Done()
}

func (r *revoker) inTurn(ctx context.Context, tokens oidc.Tokens) error {
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
		return r.client.Revoke(ctx, tokens)
	case <-ctx.Done():
		return fmt.Errorf("wait for a turn: %w", ctx.Err())
	}
}

// close waits for what is under way, no longer than ctx lives. Nothing is begun after it.
func (r *revoker) close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		r.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for revocations: %w", ctx.Err())
	}
}
