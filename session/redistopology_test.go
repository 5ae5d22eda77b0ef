package session_test

import (
	"strings"
	"testing"
	"time"

	"postern/config"
	"postern/session/redistest"
	"postern/session/storetest"
)

func conforms(t *testing.T, cfg config.Redis) {
	t.Helper()
	store := redisStore(t, cfg)
	storetest.Run(t, func(*testing.T) storetest.Harness { return storetest.Harness{Store: store, Elapse: time.Sleep} })
}

func TestRedisStoreConformsOnSentinel(t *testing.T) {
	t.Parallel()
	conforms(t, storetest.ConfigOfSentinel(redistest.StartSentinel(t, redistest.SentinelOptions{})))
}

func TestRedisStoreConformsOnCluster(t *testing.T) {
	t.Parallel()
	conforms(t, storetest.ConfigOfCluster(redistest.StartCluster(t, redistest.ClusterOptions{Replicas: true})))
}

func TestRedisStoreConformsOverTLS(t *testing.T) {
	t.Parallel()
	a := redistest.NewAuthority(t)
	cfg := storetest.ConfigOf(redistest.StartTLS(t, a))
	cfg.CAFile = a.CAFile
	conforms(t, cfg)
}

// storeCommands are what session/README.md says that a user of Redis must be allowed.
var storeCommands = strings.Fields("+get +set +del +eval +evalsha +getrange +ping +wait +info +scan +xadd +xrange +xrevrange +xread " +
	"+zadd +zrange +zrem +zremrangebyscore +zcard +ttl +expire")

// A user who may do what the README names, on keys of ours alone, is enough. Nothing else is tried: each refusal would be a question more.
func TestRedisStoreConformsWithAUserWhoMayDoWhatTheReadmeNames(t *testing.T) {
	t.Parallel()
	user := append([]string{"--user", "sessions", "on", ">sesame", "~postern:*", "-@all"}, storeCommands...)
	t.Run("one server", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t, user...)
		nothingRefused(t, server)
		cfg := storetest.ConfigOf(server)
		cfg.Username, cfg.Password = "sessions", config.NewSecret("sesame")
		conforms(t, cfg)
	})
	t.Run("Cluster", func(t *testing.T) {
		t.Parallel()
		servers := redistest.StartCluster(t, redistest.ClusterOptions{Args: append(user, "+cluster|slots")})
		nothingRefused(t, servers.Nodes...)
		cfg := storetest.ConfigOfCluster(servers)
		cfg.Username, cfg.Password = "sessions", config.NewSecret("sesame")
		conforms(t, cfg)
	})
}

// nothingRefused fails at the end of the test if a user tried what it may not.
func nothingRefused(t *testing.T, servers ...*redistest.Server) {
	t.Helper()
	t.Cleanup(func() {
		for _, server := range servers {
			if refused := server.Refused(t); len(refused) > 0 {
				t.Errorf("refused: %s", refused)
			}
		}
	})
}

// redis.uri gives credentials and TLS also for Sentinel and Cluster, whose nodes present certificates for their own names.
func TestRedisSentinelAndClusterSpeakTLS(t *testing.T) {
	t.Parallel()
	a := redistest.NewAuthority(t)
	sentinel := storetest.ConfigOfSentinel(redistest.StartSentinel(t, redistest.SentinelOptions{Authority: a, Args: []string{"--requirepass", "sesame", "--masterauth", "sesame"}}))
	cluster := storetest.ConfigOfCluster(redistest.StartCluster(t, redistest.ClusterOptions{Authority: a, Args: []string{"--requirepass", "sesame"}}))
	for name, cfg := range map[string]config.Redis{"Sentinel": sentinel, "Cluster": cluster} {
		cfg.URI, cfg.CAFile = config.NewSecret("rediss://:sesame@somebody-else.example"), a.CAFile
		store := redisStore(t, cfg)
		for range 8 { // keys of every node
			value, _ := storetest.NewValue(t, 100)
			if err := store.Create(t.Context(), storetest.NewKey(t), value, time.Minute); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A certificate that the CA did not sign, or for another name, is trouble and says so; nothing is sent to whoever presents it.
func TestRedisCertificateThatIsNotTrustedIsTrouble(t *testing.T) {
	t.Parallel()
	a, other := redistest.NewAuthority(t), redistest.NewAuthority(t)
	server := redistest.StartTLS(t, a, "--requirepass", "sesame")
	_, port, _ := strings.Cut(server.Addr, ":")
	for name, cfg := range map[string]config.Redis{
		"another CA":   {URI: config.NewSecret("rediss://:sesame@" + server.Addr), CAFile: other.CAFile},
		"no CA named":  {URI: config.NewSecret("rediss://:sesame@" + server.Addr)},
		"another name": {URI: config.NewSecret("rediss://:sesame@127.0.0.2:" + port), CAFile: a.CAFile},
		"no TLS":       {URI: config.NewSecret("redis://:sesame@" + server.Addr)},
	} {
		err := redisStore(t, cfg).Ping(t.Context())
		if !isTrouble(err) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v, want trouble", name, err)
		}
	}
	if info, err := server.Client(t).Info(t.Context(), "commandstats").Result(); err != nil || strings.Contains(info, "cmdstat_auth") {
		t.Errorf("a password was sent: %v", err)
	}
}
