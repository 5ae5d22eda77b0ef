package session

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// Replication of Redis is asynchronous: a failover can lose a write that was answered, and a session that was ended is then there again
// (S-08). So a write that must not be lost waits for a replica, where there is one.
const (
	acknowledgeWithin = 200 * time.Millisecond
	replicasRecheck   = 10 * time.Second // how often a server is asked whether it has replicas
	replicasMissed    = 10 * time.Minute // a server that had replicas so lately should have them now
	unackedWarning    = time.Minute
)

// replicas is what is known of the replicas of each server, and of what they did not acknowledge.
type replicas struct {
	log            *slog.Logger
	now            func() time.Time
	unacknowledged prometheus.Counter

	mu     sync.Mutex
	known  map[*redis.Client]replicaView // of a Cluster each node
	warned time.Time
}

type replicaView struct{ asked, seen time.Time }

func newReplicas(d Deps) *replicas {
	r := &replicas{
		log: d.Log, now: d.Now, known: map[*redis.Client]replicaView{},
		unacknowledged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postern_session_store_unacknowledged_total",
			Help: "Writes of ended sessions that no replica of the store acknowledged in time: a failover may lose them.",
		}),
	}
	register(d.Registerer, r.unacknowledged)
	return r
}

// deleteAcknowledged removes a key as writeAcknowledged does.
func (s *RedisStore) deleteAcknowledged(ctx context.Context, key string) error {
	return s.do(ctx, "delete session", func(ctx context.Context) error {
		return s.writeAcknowledged(ctx, key, func(ctx context.Context, to redis.Cmdable) error { return to.Del(ctx, key).Err() })
	})
}

// writeAcknowledged makes a write on a key, and then waits a moment until a replica has it too, if there are replicas. Without the
// acknowledgement the write still is one: that is counted and warned of. It belongs into a call of [RedisStore.do].
func (s *RedisStore) writeAcknowledged(ctx context.Context, key string, write func(context.Context, redis.Cmdable) error) error {
	owner, err := s.owner(ctx, key)
	if err != nil {
		return err
	}
	conn := owner.Conn()                // WAIT speaks of the writes of its own connection
	defer func() { _ = conn.Close() }() // which gives it back
	expected := s.replicas.expected(ctx, owner)
	err = write(ctx, conn)
	if moved(err) || unanswered(err) {
		_ = conn.Close()
		if err = write(ctx, s.client); err == nil && expected { // the client follows, and has other connections, but then nobody was waited for
			s.replicas.missed(ctx)
		}
		return err
	}
	if err != nil || !expected {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, acknowledgeWithin+acknowledgeWithin/2)
	defer cancel()
	if n, err := conn.Wait(waiting, 1, acknowledgeWithin).Result(); err != nil || n == 0 {
		s.replicas.missed(ctx)
	}
	return nil
}

// owner is the client of the server that has a key.
func (s *RedisStore) owner(ctx context.Context, key string) (*redis.Client, error) {
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, key)
	}
	return s.client.(*redis.Client), nil // there is no third kind
}

func moved(err error) bool {
	return redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK")
}

// unanswered says that it is the connection that has failed. One that WAIT is to follow on is not replaced by the library; to write the same once
// more does no harm.
func unanswered(err error) bool {
	_, replied := errors.AsType[redis.Error](err)
	return err != nil && !replied
}

// expected says whether a server should have replicas. It is asked once in a while; one that must not be asked (its ACL) is taken to have
// none.
func (r *replicas) expected(ctx context.Context, server *redis.Client) bool {
	now := r.now()
	r.mu.Lock()
	view := r.known[server]
	ask := view.asked.IsZero() || now.Sub(view.asked) >= replicasRecheck
	if ask {
		view.asked = now
		r.known[server] = view // others go on with what is known
	}
	r.mu.Unlock()
	if ask {
		info, err := server.Info(ctx, "replication").Result() // not by a connection that is needed afterwards: it may fail
		if n, _ := strconv.Atoi(infoField(info, "connected_slaves")); err == nil && n > 0 {
			view.seen = now
			r.mu.Lock()
			r.known[server] = view
			r.mu.Unlock()
		}
	}
	return !view.seen.IsZero() && now.Sub(view.seen) < replicasMissed
}

// missed counts, and warns once in a while.
func (r *replicas) missed(ctx context.Context) {
	r.unacknowledged.Inc()
	now := r.now()
	r.mu.Lock()
	warn := r.warned.IsZero() || now.Sub(r.warned) >= unackedWarning
	if warn {
		r.warned = now
	}
	r.mu.Unlock()
	if warn {
		r.log.WarnContext(ctx, "no replica of the session store has acknowledged that a session ended: a failover now would bring it back")
	}
}

// Identity implements [Shared]. It changes when another server answers than before, or the same one after a restart: it may have lost what was written. In a
// Cluster it is that of all primaries together. It is empty where the store does not say.
func (s *RedisStore) Identity(ctx context.Context) (id string, err error) {
	err = s.do(ctx, "identify", func(ctx context.Context) error {
		cluster, ok := s.client.(*redis.ClusterClient)
		if !ok {
			id, err = identityOf(ctx, s.client)
			return err
		}
		var mu sync.Mutex
		var all []string
		err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			one, err := identityOf(ctx, node)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, one)
			return err
		})
		slices.Sort(all)
		id = strings.Join(all, " ")
		return err
	})
	return strings.TrimSpace(id), err
}

func identityOf(ctx context.Context, server redis.Cmdable) (string, error) {
	info, err := server.Info(ctx, "server", "replication").Result()
	if _, refused := errors.AsType[redis.Error](err); refused { // by its ACL, or it does not know the question
		return "", nil
	}
	return infoField(info, "run_id") + infoField(info, "master_replid"), err
}

// infoField is one line of INFO.
func infoField(info, name string) string {
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			return value
		}
	}
	return ""
}
