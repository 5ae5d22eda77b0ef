package doctor

import "context"

const (
	smallMemory = 64 << 20
	mebibyte    = 1 << 20
)

// memory compares the caches with what the process may have.
func (w World) memory(context.Context) []Finding {
	const check = "memory"
	limit, caches := w.MemoryLimit, w.Config.Server.CacheMaxMemory
	switch {
	case limit == 0:
		return []Finding{ok(check, "no limit is set here, by GOMEMLIMIT or a control group")}
	case caches > limit/2:
		return []Finding{problem(check, "Lower cache.max-memory to a third of the limit, or raise the container's memory limit.",
			"cache.max-memory is %d MiB of a limit of %d MiB: the kernel ends the process when they fill", caches/mebibyte, limit/mebibyte)}
	case limit < smallMemory:
		return []Finding{warning(check, "Give the container 64 MiB or more.", "the limit is %d MiB", limit/mebibyte)}
	}
	return []Finding{ok(check, "limit %d MiB", limit/mebibyte)}
}
