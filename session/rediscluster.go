package session

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// oneKeyEach is a hook of a Cluster's client. Before each command that does not say how far apart its keys are, the library asks a node for
// what it knows of all commands (COMMAND). Ours have one key each, or keys of one slot. So nobody waits for that answer, and a user that may
// not ask, whose refusal the library asks for again and again, one call after the other, is not slower than others.
type oneKeyEach struct{}

// ProcessHook implements [redis.Hook].
func (oneKeyEach) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		cmd.SetStepCount(1)
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (oneKeyEach) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// DialHook implements [redis.Hook].
func (oneKeyEach) DialHook(next redis.DialHook) redis.DialHook { return next }
