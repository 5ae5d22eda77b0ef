package session

import (
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/config"
)

// callBudget is the longest that one call of the store may take, retry included, so that a request is answered within 2 seconds whatever
// happens to Redis (contract 3.4).
const callBudget = 900 * time.Millisecond

// RedisStore keeps sessions in Redis 7.0 or later, or Valkey: one server, Sentinel, or Cluster.
type RedisStore struct {
	client      redis.UniversalClient
	credentials *credentials
	sentinels   *sentinels // nil without
	replicas    *replicas
	metrics     *storeMetrics
	now         func() time.Time
	rand        io.Reader

	guarded sync.Mutex
	guards  []*guard // of every server that was found

	replace, append, add, lock, unlock *redis.Script
}

// replaceScript is a compare-and-swap on the first bytes. The same call a second time, after its answer was lost, succeeds again.
const replaceScript = `
local head = redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1)
if head == '' then return 0 end
if head == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'XX', 'KEEPTTL')
  return 1
end
if head == string.sub(ARGV[2], 1, #ARGV[1]) then return 1 end
return -1`

// NewRedisStore connects to nothing yet: a Redis that is down does not stop the start. It returns an error for a configuration that cannot
// work. Close it to close its connections.
func NewRedisStore(cfg config.Redis, d Deps) (*RedisStore, error) {
	d = d.withDefaults()
	s := &RedisStore{
		metrics: newStoreMetrics(d.Registerer), replicas: newReplicas(d), now: d.Now, rand: d.Rand,
		replace: newScript(replaceScript), append: newScript(appendScript), add: newScript(addScript),
		lock: newScript(lockScript), unlock: newScript(unlockScript),
	}
	if err := s.connect(cfg, d.Now); err != nil {
		return nil, err
	}
	s.showState(d.Registerer)
	return s, nil
}

// newScript hashes a script by SHA-1, which is how Redis names it and protects nothing: GODEBUG=fips140=only is not about that.
func newScript(text string) (script *redis.Script) {
	fips140.WithoutEnforcement(func() { script = redis.NewScript(text) })
	return script
}

// Close closes the connections.
func (s *RedisStore) Close() error {
	err := s.client.Close()
	if s.sentinels != nil {
		s.sentinels.close()
	}
	return err
}

// Ping asks whether Redis answers; of a Cluster, whether every primary does.
func (s *RedisStore) Ping(ctx context.Context) error {
	return s.do(ctx, "ping", func(ctx context.Context) error {
		if cluster, ok := s.client.(*redis.ClusterClient); ok {
			return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return node.Ping(ctx).Err() })
		}
		return s.client.Ping(ctx).Err()
	})
}

// Create implements [Store].
func (s *RedisStore) Create(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.do(ctx, "create session", func(ctx context.Context) error { return s.client.Set(ctx, key, value, ttl).Err() })
}

// Read implements [Store].
func (s *RedisStore) Read(ctx context.Context, key string) (value []byte, err error) {
	err = s.do(ctx, "read session", func(ctx context.Context) error {
		value, err = s.client.Get(ctx, key).Bytes()
		return err
	})
	return value, err
}

// Replace implements [Store].
func (s *RedisStore) Replace(ctx context.Context, key string, old Revision, value []byte) error {
	var result int
	err := s.do(ctx, "replace session", func(ctx context.Context) (err error) {
		result, err = s.replace.Run(ctx, s.client, []string{key}, old[:], value).Int()
		return err
	})
	switch {
	case err != nil:
		return err
	case result == 0:
		return ErrNotFound
	case result < 0:
		return ErrConflict
	}
	return nil
}

// Delete implements [Store].
func (s *RedisStore) Delete(ctx context.Context, key string) error {
	return s.deleteAcknowledged(ctx, key)
}

// Mark implements [Store]. The mark is a random text, by which a call that is made again after its answer was lost knows its own.
func (s *RedisStore) Mark(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	var random [16]byte
	if _, err := io.ReadFull(s.rand, random[:]); err != nil {
		return false, fmt.Errorf("read random mark: %w", err)
	}
	own, found := string(random[:]), ""
	err := s.do(ctx, "mark", func(ctx context.Context) (err error) {
		found, err = s.client.SetArgs(ctx, key, own, redis.SetArgs{Mode: "NX", Get: true, TTL: ttl}).Result()
		return err
	})
	if errors.Is(err, ErrNotFound) { // nothing was there before
		return true, nil
	}
	return found == own, err
}

// do makes one call within its budget and sorts what comes of it.
func (s *RedisStore) do(ctx context.Context, op string, call func(context.Context) error) error {
	bounded, cancel := context.WithTimeoutCause(ctx, callBudget, errBudget)
	defer cancel()
	began := s.now()
	err := call(bounded)
	if ended := s.now(); !errors.Is(err, errBreakerOpen) {
		s.metrics.called(ctx, op, ended, ended.Sub(began), err == nil || errors.Is(err, redis.Nil))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redis.Nil):
		return ErrNotFound
	case errors.Is(ctx.Err(), context.Canceled): // the caller went away
		return fmt.Errorf("%s: %w", op, context.Canceled)
	}
	s.metrics.failed(op)
	return &StoreError{Op: op, Err: err}
}
