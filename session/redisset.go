package session

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// addScript keeps a set as long as its last member. What has ended goes.
const addScript = `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('EXPIRE', KEYS[1], ARGV[4]) end
return redis.call('ZCARD', KEYS[1])`

// Add implements [Store].
func (s *RedisStore) Add(ctx context.Context, set, member string, ttl time.Duration) (members int, err error) {
	now := s.now()
	err = s.do(ctx, "add to set", func(ctx context.Context) (err error) {
		members, err = s.add.Run(ctx, s.client, []string{set}, member, now.Add(ttl).UnixMilli(), now.UnixMilli(), int64(ttl/time.Second)+1).Int()
		return err
	})
	return members, err
}

// Members implements [Store].
func (s *RedisStore) Members(ctx context.Context, set string) (members []Member, err error) {
	now := s.now()
	err = s.do(ctx, "read set", func(ctx context.Context) error {
		found, err := s.client.ZRangeWithScores(ctx, set, 0, -1).Result()
		for _, z := range found {
			if ends := time.UnixMilli(int64(z.Score)); now.Before(ends) {
				name, _ := z.Member.(string)
				members = append(members, Member{Name: name, Ends: ends})
			}
		}
		return err
	})
	return members, err
}

// Remove implements [Store].
func (s *RedisStore) Remove(ctx context.Context, set, member string) error {
	return s.do(ctx, "remove from set", func(ctx context.Context) error { return s.client.ZRem(ctx, set, member).Err() })
}

// countBudget is the longest that counting may take: it walks over all keys, and an operator waits for it.
const countBudget = 20 * time.Second

// Count implements [Store].
func (s *RedisStore) Count(ctx context.Context, prefix string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, countBudget)
	defer cancel()
	var n atomic.Int64
	walk := func(ctx context.Context, node *redis.Client) error {
		for cursor := uint64(0); ; {
			keys, next, err := node.Scan(ctx, cursor, prefix+"*", 1000).Result()
			if err != nil {
				return err
			}
			n.Add(int64(len(keys)))
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	}
	var err error
	switch client := s.client.(type) {
	case *redis.ClusterClient:
		err = client.ForEachMaster(ctx, walk)
	case *redis.Client:
		err = walk(ctx, client)
	}
	if err != nil {
		s.metrics.failed("count sessions")
		return 0, &StoreError{Op: "count sessions", Err: err}
	}
	return int(n.Load()), nil
}
