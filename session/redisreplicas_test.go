package session_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
	"postern/session"
	"postern/session/redistest"
	"postern/session/storetest"
)

const unacknowledged = "postern_session_store_unacknowledged_total"

// watched is a store whose metrics and log a test can see.
type watched struct {
	*session.RedisStore
	t        *testing.T
	registry *prometheus.Registry
	log      *bytes.Buffer
}

func newWatched(t *testing.T, cfg config.Redis) *watched {
	t.Helper()
	w := &watched{t: t, registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	store, err := session.NewRedisStore(cfg, session.Deps{Registerer: w.registry, Log: slog.New(slog.NewTextHandler(w.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w.RedisStore = store
	return w
}

func (w *watched) unacknowledged() float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == unacknowledged {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	w.t.Fatalf("no metric %s", unacknowledged)
	return 0
}

// written makes a session and returns its key.
func (w *watched) written() string {
	w.t.Helper()
	key := storetest.NewKey(w.t)
	value, _ := storetest.NewValue(w.t, 100)
	if err := w.Create(w.t.Context(), key, value, time.Minute); err != nil {
		w.t.Fatal(err)
	}
	return key
}

func (w *watched) identity() string {
	w.t.Helper()
	id, err := w.Identity(w.t.Context())
	if err != nil || id == "" {
		w.t.Fatalf("identity %q, %v", id, err)
	}
	return id
}

// deleteTakes deletes a key and returns how long that took.
func (w *watched) deleteTakes(key string) time.Duration {
	w.t.Helper()
	began := time.Now()
	if err := w.Delete(w.t.Context(), key); err != nil {
		w.t.Fatal(err)
	}
	return time.Since(began)
}

// deletesAtOnce deletes keys until one was deleted without a wait for replicas, which a machine that stands still needs more than one try for.
func (w *watched) deletesAtOnce(written func() string) (key string) {
	w.t.Helper()
	var took []time.Duration
	for range 10 {
		key = written()
		before := w.unacknowledged()
		took = append(took, w.deleteTakes(key))
		if took[len(took)-1] < 150*time.Millisecond && w.unacknowledged() == before {
			return key
		}
	}
	w.t.Errorf("no delete was done at once, they took %v, %v unacknowledged", took, w.unacknowledged())
	return key
}

// P4 of threats.md: the replication link is a black hole, a delete is answered, the primary dies, and the ended session is there again. The
// client of the store knows that it may be.
func TestS08ALogoutThatNoReplicaAcknowledgedIsNoticed(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t, redistest.SentinelOptions{BreakableLinks: true})
	store := newWatched(t, storetest.ConfigOfSentinel(s))
	first := store.identity()
	lost, later := store.written(), store.written()
	s.AwaitSynced(t)
	ended := store.deletesAtOnce(store.written)
	before := store.unacknowledged()
	for _, link := range s.Links {
		link.Set(redistest.Fault{BlackHole: true})
	}
	if took := store.deleteTakes(lost); took < 150*time.Millisecond || took > callLimit {
		t.Errorf("a delete that nobody acknowledges took %v", took)
	}
	if n := store.unacknowledged(); n != before+1 {
		t.Errorf("%v deletes are counted as unacknowledged, want %v", n, before+1)
	}
	store.deleteTakes(later)
	if n := strings.Count(store.log.String(), "level=WARN"); n != 1 || strings.Contains(store.log.String(), lost) {
		t.Errorf("%d warnings, want one that names no session:\n%s", n, store.log)
	}
	if store.identity() != first {
		t.Error("the store changed its identity by itself")
	}
	s.Nodes[0].Kill(t)
	s.AwaitFailover(t, s.Nodes[0])
	recovers(t, store.RedisStore, 2*back)
	if _, err := store.Read(t.Context(), lost); err != nil {
		t.Errorf("the ended session did not come back (%v): this test shows nothing", err)
	}
	if _, err := store.Read(t.Context(), ended); err == nil {
		t.Error("a session whose end was acknowledged came back")
	}
	if store.identity() == first {
		t.Error("another server answers, and its identity is the same")
	}
}

func TestS08OneServerIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := newWatched(t, storetest.ConfigOf(server))
	for range 5 {
		store.deletesAtOnce(store.written)
	}
	if n := store.unacknowledged(); n != 0 {
		t.Errorf("%v unacknowledged, with no replicas", n)
	}
	if info, err := server.Client(t).Info(t.Context(), "commandstats").Result(); err != nil || strings.Contains(info, "cmdstat_wait") ||
		!strings.Contains(info, "cmdstat_info:calls=1,") {
		t.Errorf("asked more than once, or waited: %v\n%s", err, info)
	}
	first := store.identity()
	server.Restart(t)
	recovers(t, store.RedisStore, back)
	if store.identity() == first {
		t.Error("a server that was restarted has the same identity")
	}
}

func TestS08AClusterAcknowledgesOnTheNodeOfTheKey(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{Replicas: true})
	store := newWatched(t, storetest.ConfigOfCluster(c))
	first := store.identity()
	for i := range c.Nodes {
		store.deletesAtOnce(func() string { return store.keyWhere(c, func(node int) bool { return node == i }) })
	}
	before := store.unacknowledged()
	for i, node := range c.Nodes {
		info, err := node.Client(t).Info(t.Context(), "commandstats").Result()
		if err != nil || !strings.Contains(info, "cmdstat_wait") {
			t.Errorf("node %d was never waited on: %v", i, err)
		}
	}
	key := store.written()
	owner := c.Owner(t, key)
	c.Replicas[owner].Freeze()
	if store.deleteTakes(key); store.unacknowledged() != before+1 {
		t.Errorf("%v unacknowledged, want %v", store.unacknowledged(), before+1)
	}
	store.deletesAtOnce(func() string { return store.keyWhere(c, func(node int) bool { return node != owner }) }) // the other nodes' keys do not wait
	c.Replicas[owner].Resume()
	slot := store.written()
	c.MoveSlot(t, slot, c.Owner(t, slot), (c.Owner(t, slot)+1)%3) // which the client has not heard of
	store.deleteTakes(slot)
	if _, err := store.Read(t.Context(), slot); err == nil {
		t.Error("a session that moved was not deleted")
	}
	if store.identity() != first {
		t.Error("the Cluster's identity changed, and its servers did not")
	}
}

// keyWhere writes keys until one is on a node that will do.
func (w *watched) keyWhere(c *redistest.Cluster, will func(node int) bool) string {
	for {
		if key := w.written(); will(c.Owner(w.t, key)) {
			return key
		}
	}
}

// A user who may not ask ends sessions all the same.
func TestS08TightRightsDoNotStopALogout(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t, redistest.SentinelOptions{
		Args: []string{"--user", "sessions", "on", ">sesame", "~postern:*", "-@all", "+get", "+set", "+del", "+ping"},
	})
	cfg := storetest.ConfigOfSentinel(s)
	cfg.Username, cfg.Password = "sessions", config.NewSecret("sesame")
	store := newWatched(t, cfg)
	key := store.written()
	store.deleteTakes(key)
	if _, err := store.Read(t.Context(), key); err == nil {
		t.Error("the session was not deleted")
	}
	if id, err := store.Identity(t.Context()); id != "" || err != nil {
		t.Errorf("identity %q, %v; want none and no error", id, err)
	}
}

// A server that answers a moment too late does not keep a logout from being done: the connection is lost, and another one is there.
func TestS08AStandstillOfTheServerDoesNotFailALogout(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var err error
	for range 5 { // a machine that is busy besides makes it longer than a logout may take
		store := newWatched(t, storetest.ConfigOf(server)) // which has not asked for replicas
		key := store.written()
		server.Freeze()
		resumed := time.AfterFunc(500*time.Millisecond, server.Resume) // an answer may take 400 ms
		err = store.Delete(t.Context(), key)
		resumed.Stop()
		server.Resume()
		if err == nil {
			return
		}
	}
	t.Errorf("a logout is trouble: %v", err)
}
