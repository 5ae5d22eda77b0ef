package doctor

import (
	"slices"
	"strconv"
	"strings"

	"postern/session"
)

// oldestRedis is the first version whose commands are all there.
const oldestRedis = 7

// judgeServer looks at how one primary is set up.
func judgeServer(server session.ServerInfo) []Finding {
	const check = "redis.server"
	f := server.Fields
	var found []Finding
	version := f["redis_version"]
	if major, _, _ := strings.Cut(version, "."); version != "" {
		if n, err := strconv.Atoi(major); err == nil && n < oldestRedis {
			found = append(found, problem(check, "Use Redis 7.0 or later, or Valkey.", "version %s is too old", version))
		}
	}
	if f["role"] == "slave" {
		found = append(found, problem(check, "Give the address of the primary, or Sentinel or Cluster, so that it is found after a failover.", "%s is a replica", server.Name))
	}
	if policy := f["maxmemory_policy"]; policy != "" && !slices.Contains([]string{"noeviction", "volatile-ttl"}, policy) {
		found = append(found, problem(check, "Set maxmemory-policy to noeviction: an evicted session is a logout.", "maxmemory-policy is %s", policy))
	}
	used, _ := strconv.ParseFloat(f["used_memory"], 64)
	limit, _ := strconv.ParseFloat(f["maxmemory"], 64)
	if limit > 0 && used > 0.8*limit {
		found = append(found, warning(check, "Raise maxmemory before nobody can log in any more.", "%.0f %% of maxmemory are used", 100*used/limit))
	}
	if replicas := f["connected_slaves"]; f["aof_enabled"] == "0" && !server.Saves && (replicas == "0" || replicas == "") {
		found = append(found, warning(check, "Switch on appendonly, or add a replica.", "it keeps nothing on disk and has no replica: its restart signs everybody out"))
	}
	if f["loading"] == "1" {
		found = append(found, warning(check, "Wait until it has read its data.", "it is still loading"))
	}
	return judged(found, check, "%s: version %s, %s, eviction %s, %s replicas", server.Name, version, f["role"], f["maxmemory_policy"], f["connected_slaves"])
}
