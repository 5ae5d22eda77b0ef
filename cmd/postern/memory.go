package main

import (
	"context"
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

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

// memoryLimit is the bytes that this process may use, 0 for no limit: GOMEMLIMIT, else that of its control group. files is the root of the file
// system.
func memoryLimit(files fs.FS) int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	return cgroupLimit(files)
}

// heapShare is the part of a control group's limit, in hundredths, that Go's own memory may reach before it collects harder: the kernel counts
// more than that, and ends the process at the limit.
const heapShare = 90

// limitRecheck is how soon a limit that was changed while the container runs is noticed.
const limitRecheck = time.Minute

// keepWithin tells Go's collector of the limit of the control group, until ctx ends: it may be changed at run time. Do not call it where the
// operator has set GOMEMLIMIT.
func keepWithin(ctx context.Context, files fs.FS) {
	told := int64(0)
	for {
		if limit := cgroupLimit(files); limit != told {
			told = limit
			if limit == 0 {
				limit = math.MaxInt64
			} else {
				limit = limit / 100 * heapShare
			}
			debug.SetMemoryLimit(limit)
		}
		if !pause(ctx, limitRecheck) {
			return
		}
	}
}

// cgroupLimit is the lowest memory limit, in bytes, of this process's control group and of those that hold it (cgroups(7)); 0 if there is none. A
// container sees its own group as the root, or all of the host's with its own path in /proc/self/cgroup; either may be of version 1 or 2.
func cgroupLimit(files fs.FS) int64 {
	lowest := int64(math.MaxInt64)
	take := func(mount, group, file string) {
		for dir := path.Join("/", group); ; dir = path.Dir(dir) {
			if limit := readLimit(files, path.Join(mount, dir, file)); limit > 0 {
				lowest = min(lowest, limit)
			}
			if dir == "/" {
				return
			}
		}
	}
	v1, v2 := "/", "/"
	if membership, err := fs.ReadFile(files, "proc/self/cgroup"); err == nil {
		for line := range strings.Lines(string(membership)) {
			parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // hierarchy, controllers, path
			if len(parts) < 3 {
				continue
			}
			for controller := range strings.SplitSeq(parts[1], ",") {
				switch {
				case controller == "memory":
					v1 = parts[2]
				case controller == "" && parts[0] == "0":
					v2 = parts[2]
				}
			}
		}
	}
	take("sys/fs/cgroup", v2, "memory.max")
	take("sys/fs/cgroup/unified", v2, "memory.max")
	take("sys/fs/cgroup/memory", v1, "memory.limit_in_bytes")
	if lowest == math.MaxInt64 {
		return 0
	}
	return lowest
}

// readLimit reads a limit in bytes; 0 for none.
func readLimit(files fs.FS, name string) int64 {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return 0
	}
	const unlimited = 1 << 60 // version 1 writes a number near the largest for "none", version 2 the word "max"
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || limit <= 0 || limit >= unlimited {
		return 0
	}
	return limit
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
