package session

import (
	"context"
	"time"
)

// A lock is a key with the owner's name. What must hold whoever has it is not left to the lock: records are replaced by revision.
const (
	lockScript = `
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

	unlockScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`
)

// Lock implements [Shared].
func (s *RedisStore) Lock(ctx context.Context, key, owner string, ttl time.Duration) (got bool, err error) {
	err = s.do(ctx, "lock", func(ctx context.Context) error {
		n, err := s.lock.Run(ctx, s.client, []string{key}, owner, ttl.Milliseconds()).Int()
		got = n == 1
		return err
	})
	return got, err
}

// Unlock implements [Shared].
func (s *RedisStore) Unlock(ctx context.Context, key, owner string) error {
	return s.do(ctx, "unlock", func(ctx context.Context) error { return s.unlock.Run(ctx, s.client, []string{key}, owner).Err() })
}
