package session

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// The log is a stream, and what is put aside a sorted set by the end, both on one node of a Cluster. Reading takes read commands only, so that
// a replica without the right to write hears as well.
const (
	logKey    = "postern:{log}"
	logAside  = "postern:{log}:ended"
	logLength = 16384 // entries, roughly: more than come in while a replica's memory lasts
	logField  = "e"

	tailBudget = 400 * time.Millisecond // less than the time for which a proof is good
)

// appendScript writes both at once. What has ended goes.
const appendScript = `
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'e', ARGV[2])
if ARGV[3] ~= '0' then
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[4])
end
return 1`

// Append implements [Shared].
func (s *RedisStore) Append(ctx context.Context, entry []byte, aside time.Duration) error {
	until := int64(0)
	if aside > 0 {
		until = s.now().Add(aside).Unix()
	}
	write := func(ctx context.Context, to redis.Cmdable) error {
		return s.append.Run(ctx, to, []string{logKey, logAside}, logLength, entry, until, s.now().Unix()).Err()
	}
	return s.do(ctx, "append to log", func(ctx context.Context) error {
		if aside > 0 { // of a Cluster the log may be elsewhere than the session, with replicas of its own (S-08)
			return s.writeAcknowledged(ctx, logKey, write)
		}
		return write(ctx, s.client)
	})
}

// Tail implements [Shared]. The range begins with the last entry that is known: only if it is there, nothing is missing between it and the next.
func (s *RedisStore) Tail(ctx context.Context, after Position) (entries [][]byte, next Position, err error) {
	bounded, cancel := context.WithTimeoutCause(ctx, tailBudget, errBudget)
	defer cancel()
	if after == (Position{}) {
		next, err = s.logEnd(bounded)
		return nil, next, err
	}
	var found []redis.XMessage
	err = s.do(bounded, "read log", func(ctx context.Context) (err error) {
		found, err = s.client.XRangeN(ctx, logKey, after.ID, "+", LogPage+1).Result()
		return err
	})
	if err != nil {
		return nil, after, err
	}
	if len(found) == 0 || position(found[0]) != after {
		return nil, Position{}, ErrGap
	}
	for _, message := range found[1:] {
		next := position(message)
		entries = append(entries, []byte(next.Entry))
	}
	return entries, position(found[len(found)-1]), nil
}

// logEnd is the position of the last entry.
func (s *RedisStore) logEnd(ctx context.Context) (end Position, err error) {
	err = s.do(ctx, "read log", func(ctx context.Context) error {
		last, err := s.client.XRevRangeN(ctx, logKey, "+", "-", 1).Result()
		if err != nil {
			return err
		}
		if len(last) == 0 {
			return redis.Nil
		}
		end = position(last[0])
		return nil
	})
	return end, err
}

func position(m redis.XMessage) Position {
	entry, _ := m.Values[logField].(string)
	return Position{ID: m.ID, Entry: entry}
}

// Wait implements [Shared].
func (s *RedisStore) Wait(ctx context.Context, after Position, most time.Duration) {
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, most+tailBudget)
	defer cancel()
	_, err := s.client.XRead(bounded, &redis.XReadArgs{Streams: []string{logKey, after.ID}, Count: 1, Block: most}).Result()
	if err != nil && !errors.Is(err, redis.Nil) { // refused, or out of reach: the time passes all the same
		select {
		case <-ctx.Done():
		case <-time.After(most - time.Since(began)):
		}
	}
}

// Kept implements [Shared]. Those that end last come first, so that nothing moves across the pages when something ends meanwhile.
func (s *RedisStore) Kept(ctx context.Context, offset int) (entries [][]byte, err error) {
	err = s.do(ctx, "read what has ended", func(ctx context.Context) error {
		found, err := s.client.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: logAside, ByScore: true, Rev: true, Start: "+inf", Stop: "(" + strconv.FormatInt(s.now().Unix(), 10), Offset: int64(offset), Count: LogPage,
		}).Result()
		for _, entry := range found {
			entries = append(entries, []byte(entry))
		}
		return err
	})
	return entries, err
}
