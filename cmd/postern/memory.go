package main

import (
	"io/fs"
	"math"
	"runtime/debug"
	"strconv"
	"strings"

	"postern/config"
)

// cacheShare is the part of the memory limit that all caches may take together, in hundredths (cache.max-memory).
const cacheShare = 30

// cacheBudget is what each of so many caches may take; 0 leaves it to the cache. limit is 0 if there is none.
func cacheBudget(configured, limit int64, caches int) int64 {
	if configured == 0 {
		configured = limit / 100 * cacheShare
	}
	return configured / int64(max(caches, 1))
}

// memoryLimit is the bytes that this process may use, 0 for no limit: GOMEMLIMIT, else that of its control group (cgroups(7), version 2, else
// 1). files is the file system that these are mounted in.
func memoryLimit(files fs.FS) int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	for _, name := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			continue
		}
		const unlimited = 1 << 60 // version 1 writes a number near the largest for "none", version 2 the word "max"
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && limit < unlimited {
			return limit
		}
	}
	return 0
}

// cachesOf counts the caches that a configuration needs: sessions, verified tokens, tokens for the next hop, introspected ones, and the
// users' tokens of egress.
func cachesOf(cfg *config.Config) (caches int) {
	for _, on := range []bool{cfg.LoginEnabled(), cfg.Bearer.Enabled(), wantsTokens(cfg), cfg.TokenAPIEnabled(), len(cfg.Egress.Routes) > 0} {
		if on {
			caches++
		}
	}
	return caches
}
