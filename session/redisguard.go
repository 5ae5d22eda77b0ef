package session

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// errBudget is why a call's context ends when its budget is spent, as opposed to a caller that had no more time.
var errBudget = errors.New("no answer within the budget")

// guard stands before one server, as a hook of its client: of a Cluster each node has its own, so that a node that is gone takes its own
// keys away and no others.
type guard struct {
	breaker
	gone func() // the server has been silent, or is a primary no more: connections to it are worth nothing, and others may know better
}

// handshake are the commands that a new connection begins with. They belong to the call that the connection is made for.
var handshake = map[string]bool{"hello": true, "auth": true, "select": true, "client": true, "readonly": true}

// ProcessHook implements [redis.Hook].
func (g *guard) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if handshake[cmd.Name()] {
			return next(ctx, cmd)
		}
		if cmd.Name() == "xread" && g.open() { // it may be long before this one is answered, and others wait for the verdict
			return errBreakerOpen
		}
		return g.call(ctx, func() error { return next(ctx, cmd) })
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (g *guard) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) == 0 || handshake[cmds[0].Name()] {
			return next(ctx, cmds)
		}
		err := g.call(ctx, func() error { return next(ctx, cmds) })
		if errors.Is(err, errBreakerOpen) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

// DialHook implements [redis.Hook].
func (g *guard) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *guard) call(ctx context.Context, call func() error) error {
	entry, ok := g.enter()
	if !ok {
		return errBreakerOpen
	}
	err := call()
	o := outcomeOf(ctx, err)
	opened := g.leave(entry, o)
	if opened && o == silent || redis.HasErrorPrefix(err, "READONLY") {
		g.gone()
	}
	return err
}

// outcomeOf says what an error tells of the server.
func outcomeOf(ctx context.Context, err error) outcome {
	if err == nil {
		return answered
	}
	if _, replied := errors.AsType[redis.Error](err); replied {
		for _, prefix := range []string{"LOADING", "MASTERDOWN", "BUSY"} {
			if redis.HasErrorPrefix(err, prefix) {
				return useless
			}
		}
		return answered // a refusal of this call, such as OOM, or of this connection: others may be good
	}
	switch {
	case errors.Is(err, redis.ErrPoolTimeout): // those who hold the connections will tell
		return unknown
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errBudget): // the caller went away, or gave less time than any store needs
		return unknown
	}
	return silent
}
