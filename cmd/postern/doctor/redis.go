package doctor

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/session"
)

// redis tries what sessions need, then looks at how the servers are set up.
func (w World) redis(ctx context.Context) []Finding {
	store, err := session.NewRedisStore(w.Config.Redis, session.Deps{Now: w.Now})
	if err != nil {
		return []Finding{problem("redis.reach", "Correct the options redis.*.", "%v", err)}
	}
	defer func() { _ = store.Close() }()
	var found []Finding
	for i, trial := range store.Sentinels(ctx) {
		if trial.Err != nil {
			found = append(found, problem("redis.sentinel", "Check the address, the name in redis.sentinel-master, and the firewall.",
				"%s (%s) does not name the primary: %v%s", trial.Name, w.Config.Redis.SentinelAddresses[i], bareStore(trial.Err), explainDial(trial.Err)))
		}
	}
	trials := patiently(func() []session.Trial { return store.Try(ctx) })
	if first := trials[0]; first.Err != nil {
		return append(found, w.unreachableRedis(ctx, first.Err), unchecked("redis.commands", "", "there is no connection"),
			unchecked("redis.server", "", "there is no connection"))
	}
	found = append(found, ok("redis.reach", "it answers, and lets this user in"))
	found = append(found, judgeCommands(trials)...)
	servers, err := store.Servers(ctx)
	if err != nil {
		return append(found, unchecked("redis.server", "Allow INFO, if its set-up is to be checked (and replicas are to be waited for).", "it does not tell about itself: %v", bareStore(err)))
	}
	for _, server := range servers {
		found = append(found, judgeServer(server)...)
	}
	return found
}

// patiently tries again if there was no answer in time: the first connection may be slow on a busy machine, and it is not known then what is wrong.
func patiently(try func() []session.Trial) []session.Trial {
	trials := try()
	if timedOut(trials[0].Err) {
		trials = try()
	}
	return trials
}

func (w World) unreachableRedis(ctx context.Context, err error) Finding {
	const check = "redis.reach"
	text := bareStore(err).Error()
	switch {
	case strings.Contains(text, "WRONGPASS"), strings.Contains(text, "NOAUTH"), strings.Contains(text, "invalid password"), strings.Contains(text, "AUTH <password> called without"):
		return problem(check, "Check redis.username and redis.password (or those in redis.uri), and that the user is on at the server.", "it refuses user or password: %s", text)
	case strings.Contains(text, "NOPERM"):
		return problem(check, "Allow the user PING and the commands of session/README.md.", "the user may not even PING: %s", text)
	case strings.Contains(text, "first record does not look like a TLS handshake"), w.speaksPlainly(ctx):
		return problem(check, "Write redis:// where the server speaks no TLS, or switch TLS on there.", "it does not speak TLS")
	case text == "EOF", strings.Contains(text, "connection reset"):
		return problem(check, "Write rediss:// if the server speaks TLS alone.", "it ends the connection without an answer")
	}
	advice := adviseDial(err, "Check the address, DNS, NetworkPolicy and TLS (rediss://); until then every session is answered 503.")
	if advice == adviseTrust {
		advice = "Name the certificate (PEM) of its CA in redis.ca-file, or have the server send its intermediate certificates."
	}
	return problem(check, advice, "it does not answer: %s%s", text, explainDial(err))
}

// speaksPlainly says whether the server of redis.uri answers without the TLS that the URI asks for: such a server waits for more of what it takes
// for a command, and so do we for its part of the handshake. Nothing but PING is sent.
func (w World) speaksPlainly(ctx context.Context) bool {
	u, err := url.Parse(w.Config.Redis.URI.Reveal())
	if err != nil || u.Scheme != "rediss" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "6379")))
	if err != nil {
		return false
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	answer := make([]byte, 1)
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	_, err = conn.Read(answer)
	return err == nil && (answer[0] == '+' || answer[0] == '-')
}

func judgeCommands(trials []session.Trial) []Finding {
	const check = "redis.commands"
	var found []Finding
	for _, trial := range trials {
		switch {
		case trial.Err == nil:
		case strings.Contains(bareStore(trial.Err).Error(), "READONLY"):
			return append(found, problem(check, "Give the address of the primary, or Sentinel or Cluster, so that it is found after a failover.", "this server is a replica, which takes no writes"))
		case strings.Contains(bareStore(trial.Err).Error(), "OOM"):
			return append(found, problem(check, "Raise maxmemory: new logins fail.", "it is full: %v", bareStore(trial.Err)))
		case trial.Name == "INFO" || trial.Name == "WAIT" || trial.Name == "SCAN":
			found = append(found, warning(check, "Allow it: INFO and WAIT keep an ended session ended over a failover, SCAN counts sessions for the admin API.",
				"%s is refused: %v", trial.Name, bareStore(trial.Err)))
		case errors.Is(trial.Err, session.ErrNotFound):
			found = append(found, problem(check, "Something else deletes keys, or reads go to a replica that lags; give the primary.", "%s: what was just written is not there", trial.Name))
		default:
			found = append(found, problem(check, "Allow the user the keys postern:* and the command, with what its script calls (ACL SETUSER); session/README.md lists all of them.",
				"%s is refused: %v", trial.Name, bareStore(trial.Err)))
		}
	}
	return judged(found, check, "all %d that sessions need (tried with keys of its own, which are deleted again)", len(trials))
}

func bareStore(err error) error {
	if trouble, is := errors.AsType[*session.StoreError](err); is {
		err = trouble.Err
	}
	if refused, is := errors.AsType[redis.Error](err); is {
		return refused
	}
	return err
}
