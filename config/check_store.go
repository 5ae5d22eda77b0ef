package config

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

func (l *loader) checkSessions() {
	s := &l.c.Session
	if s.MaxLifetime == 0 {
		l.missing("session.max-lifetime", "must be longer than 0s")
	}
	if s.Inactivity && s.InactivityTimeout == 0 {
		l.missing("session.inactivity-timeout", "must be longer than 0s")
	}
	if s.Inactivity && s.InactivityTimeout > s.MaxLifetime {
		l.warn("session.inactivity-timeout", "has no effect, it is longer than session.max-lifetime")
	}
}

// checkKeys is S-39: without a key of its own each replica would seal what no other can open.
func (l *loader) checkKeys() {
	keys := l.c.Encryption.Keys
	for _, why := range keyProblems(keys) {
		l.missing("encryption-key", "%s", why)
	}
	if len(keys) == 0 && l.c.Redis.Enabled() && !l.offline {
		l.missing("encryption-key", "required with Redis, or every restart and every other replica would lose all sessions (wonderwall only warns)")
	}
}

func keyProblems(keys []Secret) []string {
	var out []string
	var decoded [][]byte
	for i, key := range keys {
		raw, err := base64.StdEncoding.DecodeString(key.Reveal())
		if err != nil || len(raw) != 32 {
			out = append(out, fmt.Sprintf("entry %d must be base64 of 32 bytes", i+1))
			continue
		}
		for _, other := range decoded {
			if bytes.Equal(raw, other) {
				out = append(out, fmt.Sprintf("entry %d is the same key as an earlier one", i+1))
			}
		}
		decoded = append(decoded, raw)
	}
	return out
}

func (l *loader) checkRedis() {
	r := &l.c.Redis
	if !r.URI.Empty() {
		if why := redisProblem(r.URI.Reveal()); why != "" {
			l.problem("redis.uri", "%s", why)
		} else if strings.HasSuffix(r.URI.Reveal(), "://") {
			l.doubt("redis.uri", "must name a host")
		}
		if l.said("redis.tls") {
			l.warn("redis.tls", "has no effect beside redis.uri; rediss:// means TLS")
		}
	}
	if r.Address != "" {
		l.warn("redis.address", "is the older way; give redis.uri")
		if !r.URI.Empty() {
			l.warn("redis.address", "not used, redis.uri wins")
		} else {
			l.checkHostPort("redis.address", []string{r.Address})
		}
	}
	sentinel, cluster := len(r.SentinelAddresses) > 0, len(r.ClusterAddresses) > 0
	l.checkHostPort("redis.sentinel-addresses", r.SentinelAddresses)
	l.checkHostPort("redis.cluster-addresses", r.ClusterAddresses)
	if sentinel && r.SentinelMaster == "" {
		l.missing("redis.sentinel-master", "required with redis.sentinel-addresses")
	}
	if !sentinel && r.SentinelMaster != "" {
		l.missing("redis.sentinel-addresses", "required with redis.sentinel-master")
	}
	if sentinel && cluster {
		l.problem("redis.cluster-addresses", "must not be given together with redis.sentinel-addresses")
	}
	if r.Address != "" && (sentinel || cluster) {
		l.problem("redis.address", "must not be given together with redis.sentinel-addresses or redis.cluster-addresses")
	}
	if plain := !r.URI.Empty() && !strings.HasPrefix(r.URI.Reveal(), "rediss:") || r.URI.Empty() && r.Address != "" && !r.TLS; plain && r.CAFile != "" {
		l.problem("redis.ca-file", "needs TLS: write redis.uri as rediss://")
	}
	if !r.Enabled() && (r.Username != "" || !r.Password.Empty() || r.CAFile != "") {
		l.problem("redis.uri", "required, since other options of redis are given")
	}
}

func (l *loader) checkHostPort(name string, addresses []string) {
	for i, address := range addresses {
		host, port, err := net.SplitHostPort(address)
		number, numberErr := strconv.ParseUint(port, 10, 16)
		if err != nil || numberErr != nil || number == 0 || host == "" {
			l.problem(name, "entry %d must be host:port", i+1)
		}
	}
}

// redisProblem looks at the parts of the address that go-redis would refuse, without its messages: they quote the address, password and all.
func redisProblem(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "must be an address such as rediss://host:6379/0"
	}
	switch u.Scheme {
	case "redis", "rediss":
		database := strings.Trim(u.Path, "/")
		if _, err := strconv.ParseUint(database, 10, 16); database != "" && err != nil {
			return "must end in the number of a database, or have no path"
		}
	case "unix":
		if !filepath.IsAbs(u.Path) {
			return "must hold an absolute path, such as unix:///run/redis.sock"
		}
	default:
		return "must begin with redis://, rediss:// or unix://"
	}
	if u.Fragment != "" {
		return "must have no fragment"
	}
	return ""
}
