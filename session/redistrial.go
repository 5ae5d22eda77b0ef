package session

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// trialLife is how long keys of a trial last that could not be deleted.
const trialLife = 10 * time.Second

// Trial is one thing that sessions need of Redis.
type Trial struct {
	Name string // the commands, or the server
	Err  error  // nil if it was had
}

// Try does once what sessions need of Redis, by the same calls, with keys of its own: their names begin with "postern:doctor:", they end by
// themselves, and they are deleted at the end. It stops at trouble that is no refusal.
func (s *RedisStore) Try(ctx context.Context) []Trial {
	var random [16]byte
	if _, err := io.ReadFull(s.rand, random[:]); err != nil {
		return []Trial{{"random bytes", err}}
	}
	key := "postern:doctor:{" + hex.EncodeToString(random[:]) + "}"
	record, mark, lock, set, stream, aside := key+":record", key+":mark", key+":lock", key+":set", key+":log", key+":log:ended"
	defer s.forget(ctx, record, mark, lock, set, stream, aside)
	value := make([]byte, len(Revision{})+1)
	raw := func(call func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error { return s.do(ctx, "try", call) }
	}
	steps := []struct {
		name string
		call func(context.Context) error
	}{
		{"PING", s.Ping},
		{"SET PX", func(ctx context.Context) error { return s.Create(ctx, record, value, trialLife) }},
		{"GET", func(ctx context.Context) error { return discard(s.Read(ctx, record)) }},
		{"EVALSHA, EVAL: GETRANGE, SET XX KEEPTTL", func(ctx context.Context) error { return s.Replace(ctx, record, Revision{}, value) }},
		{"SET NX GET", func(ctx context.Context) error { return discard(s.Mark(ctx, mark, trialLife)) }},
		{"EVALSHA, EVAL: GET, SET PX", func(ctx context.Context) error { return discard(s.Lock(ctx, lock, "doctor", trialLife)) }},
		{"EVALSHA, EVAL: GET, DEL", func(ctx context.Context) error { return s.Unlock(ctx, lock, "doctor") }},
		{"EVALSHA, EVAL: ZADD, ZREMRANGEBYSCORE, TTL, EXPIRE, ZCARD", func(ctx context.Context) error { return discard(s.Add(ctx, set, "doctor", trialLife)) }},
		{"ZRANGE", func(ctx context.Context) error { return discard(s.Members(ctx, set)) }},
		{"ZREM", func(ctx context.Context) error { return s.Remove(ctx, set, "doctor") }},
		{"EVALSHA, EVAL: XADD, ZADD, ZREMRANGEBYSCORE", raw(func(ctx context.Context) error {
			now := s.now()
			return s.append.Run(ctx, s.client, []string{stream, aside}, logLength, "doctor", now.Add(trialLife).Unix(), now.Unix()).Err()
		})},
		{"EXPIRE", raw(func(ctx context.Context) error {
			return errors.Join(s.client.Expire(ctx, stream, trialLife).Err(), s.client.Expire(ctx, aside, trialLife).Err())
		})},
		{"XRANGE", raw(func(ctx context.Context) error { return s.client.XRangeN(ctx, stream, "-", "+", 1).Err() })},
		{"XREVRANGE", raw(func(ctx context.Context) error { return s.client.XRevRangeN(ctx, stream, "+", "-", 1).Err() })},
		{"XREAD", raw(func(ctx context.Context) error {
			return s.client.XRead(ctx, &redis.XReadArgs{Streams: []string{stream, "0"}, Count: 1, Block: -1}).Err()
		})},
		{"SCAN", raw(func(ctx context.Context) error { return s.client.Scan(ctx, 0, key+"*", 1).Err() })},
		{"INFO", raw(func(ctx context.Context) error { return s.client.Info(ctx, "replication").Err() })},
		{"WAIT", s.tryWait},
		{"DEL", func(ctx context.Context) error { return s.Delete(ctx, record) }},
	}
	var trials []Trial
	for _, step := range steps {
		err := step.call(ctx)
		if errors.Is(err, ErrNotFound) && !slices.Contains([]string{"GET", "EVALSHA, EVAL: GETRANGE, SET XX KEEPTTL"}, step.name) {
			err = nil // an empty answer where one may be
		}
		trials = append(trials, Trial{step.name, err})
		if _, refused := errors.AsType[redis.Error](err); err != nil && !refused && !errors.Is(err, ErrNotFound) {
			break
		}
	}
	return trials
}

func discard[T any](_ T, err error) error { return err }

// tryWait asks for the acknowledgement of no replica, which every server can give at once.
func (s *RedisStore) tryWait(ctx context.Context) error {
	owner, err := s.owner(ctx, logKey)
	if err != nil {
		return err
	}
	return s.do(ctx, "try", func(ctx context.Context) error {
		conn := owner.Conn()
		defer func() { _ = conn.Close() }()
		return conn.Wait(ctx, 0, time.Millisecond).Err()
	})
}

// forget deletes keys one by one: one that must not be deleted keeps no other.
func (s *RedisStore) forget(ctx context.Context, keys ...string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callBudget)
	defer cancel()
	for _, key := range keys {
		_ = s.client.Del(ctx, key).Err()
	}
}

// ServerInfo is what a primary says of itself.
type ServerInfo struct {
	Name   string            // its address
	Fields map[string]string // of INFO
	Saves  bool              // CONFIG GET save names a time, or it may not be asked
}

// Servers asks every primary about itself: one, or those of a Cluster.
func (s *RedisStore) Servers(ctx context.Context) (all []ServerInfo, err error) {
	var mu sync.Mutex
	look := func(ctx context.Context, node *redis.Client) error {
		text, err := node.Info(ctx).Result()
		if err != nil {
			return err
		}
		one := ServerInfo{Name: node.Options().Addr, Fields: infoFields(text), Saves: true}
		if save, err := node.ConfigGet(ctx, "save").Result(); err == nil {
			one.Saves = save["save"] != ""
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, one)
		return nil
	}
	err = s.do(ctx, "ask servers", func(ctx context.Context) error {
		switch client := s.client.(type) {
		case *redis.ClusterClient:
			return client.ForEachMaster(ctx, look)
		case *redis.Client:
			return look(ctx, client)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b ServerInfo) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

func infoFields(info string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// Sentinels asks each of them for the primary, in the order of the configuration; there are none without Sentinel.
func (s *RedisStore) Sentinels(ctx context.Context) []Trial {
	if s.sentinels == nil {
		return nil
	}
	trials := make([]Trial, len(s.sentinels.clients))
	var wait sync.WaitGroup
	for i, client := range s.sentinels.clients {
		wait.Go(func() {
			said := s.sentinels.ask(ctx, client)
			trials[i] = Trial{Name: fmt.Sprintf("sentinel %d", i+1), Err: said.err}
		})
	}
	wait.Wait()
	return trials
}
