package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// sentinels know which server is the primary. All are asked at once and every time, because one that hangs, or that has not yet heard of a
// failover, must not decide: whoever knows of the latest one is right (its config-epoch is the highest).
type sentinels struct {
	master  string
	clients []*redis.SentinelClient
}

func newSentinels(master string, addrs []string, like *redis.UniversalOptions) *sentinels {
	s := &sentinels{master: master}
	for _, addr := range addrs {
		s.clients = append(s.clients, redis.NewSentinelClient(&redis.Options{
			Addr: addr, TLSConfig: like.TLSConfig, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, PoolSize: 2,
			DialTimeout: dialTimeout / 2, ReadTimeout: dialTimeout / 2, WriteTimeout: dialTimeout / 2, PoolTimeout: dialTimeout / 2,
			DisableIdentity: true, PipelinePoolSize: -1, ReadBufferSize: 4 << 10, WriteBufferSize: 4 << 10,
			MaintNotificationsConfig: like.MaintNotificationsConfig,
		}))
	}
	return s
}

// says is the answer of one sentinel.
type says struct {
	addr  string
	epoch int
	err   error
}

// primary is the address of the primary: of the answers that came while the slowest still had time, the one of the latest failover.
func (s *sentinels) primary(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout/2)
	defer cancel()
	answers := make(chan says, len(s.clients))
	for _, client := range s.clients {
		go func() { answers <- s.ask(ctx, client) }()
	}
	best := says{epoch: -1}
	var errs []error
	for range s.clients {
		if got := <-answers; got.err != nil {
			errs = append(errs, got.err)
		} else if got.epoch > best.epoch {
			best = got
		}
	}
	if best.addr == "" {
		return "", fmt.Errorf("no sentinel says who is the primary: %w", errors.Join(errs...))
	}
	return best.addr, nil
}

func (s *sentinels) ask(ctx context.Context, client *redis.SentinelClient) says {
	// Not the address that "master" has: while a failover is under way that is still the old one.
	addr, err := client.GetMasterAddrByName(ctx, s.master).Result()
	if err != nil {
		return says{err: err}
	}
	if len(addr) != 2 {
		return says{err: errors.New("a sentinel answers with no address")}
	}
	answer := says{addr: net.JoinHostPort(addr[0], addr[1])}
	if master, err := client.Master(ctx, s.master).Result(); err == nil {
		answer.epoch, _ = strconv.Atoi(master["config-epoch"]) // one that does not say is believed last
	}
	return answer
}

func (s *sentinels) close() {
	for _, client := range s.clients {
		_ = client.Close()
	}
}
