package main

import (
	"testing"
	"testing/fstest"

	"postern/config"
)

func TestCachesTakeAShareOfTheMemoryLimit(t *testing.T) {
	t.Parallel()
	const root, self = "sys/fs/cgroup", "proc/self/cgroup"
	const v2, v1 = root + "/memory.max", root + "/memory/memory.limit_in_bytes"
	for _, test := range []struct {
		name       string
		files      map[string]string
		configured int64
		want       int64
	}{
		{"256 MiB, version 2", map[string]string{v2: "268435456\n"}, 0, 268435456 / 100 * 30 / 2},
		{"256 MiB, version 1", map[string]string{v1: "268435456\n"}, 0, 268435456 / 100 * 30 / 2},
		{"nested, version 2", map[string]string{
			self: "0::/kubepods/pod7/c1\n", root + "/kubepods/pod7/c1/memory.max": "536870912\n", root + "/kubepods/pod7/memory.max": "268435456\n", root + "/kubepods/memory.max": "max\n",
		}, 0, 268435456 / 100 * 30 / 2},
		{"nested, version 1", map[string]string{
			self: "9:name=systemd:/x\n4:cpu,memory:/docker/c1\n0::/\n", root + "/memory/docker/c1/memory.limit_in_bytes": "268435456\n",
			root + "/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 0, 268435456 / 100 * 30 / 2},
		{"namespaced, version 2", map[string]string{self: "0::/\n", v2: "268435456\n"}, 0, 268435456 / 100 * 30 / 2},
		{"seen from a sibling", map[string]string{self: "0::/../pod8/c2\n", v2: "268435456\n"}, 0, 268435456 / 100 * 30 / 2},
		{"both versions, the lower one counts", map[string]string{self: "4:memory:/a\n0::/b\n", root + "/unified/b/memory.max": "999999999\n", root + "/memory/a/memory.limit_in_bytes": "268435456\n"}, 0, 268435456 / 100 * 30 / 2},
		{"nonsense", map[string]string{self: "nonsense\n::\n", v2: "-1\n", v1: "a lot\n"}, 0, 0},
		{"no limit, version 2", map[string]string{v2: "max\n"}, 0, 0},
		{"no limit, version 1", map[string]string{v1: "9223372036854771712\n"}, 0, 0},
		{"no control group", nil, 0, 0},
		{"said by the operator", map[string]string{v2: "268435456\n"}, 10 << 20, 5 << 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{}
			for name, text := range test.files {
				files[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := cacheBudget(test.configured, memoryLimit(files), 2); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}

// Whatever is on, the caches together stay within what was said.
func TestCachesShareTheirMemory(t *testing.T) {
	t.Parallel()
	everything := &config.Config{
		OpenID: config.OpenID{ClientID: "c"}, Bearer: config.Bearer{Accepted: []string{"tokenx"}},
		Providers: config.Providers{TokenX: config.Provider{Enabled: true}}, Egress: config.Egress{Routes: make([]config.EgressRoute, 1)},
	}
	for caches, cfg := range map[int]*config.Config{
		0: {OpenID: config.OpenID{Provider: "openid"}},
		1: {OpenID: config.OpenID{Provider: "openid", ClientID: "c"}},
		2: {OpenID: config.OpenID{Provider: "openid"}, Providers: config.Providers{TokenX: config.Provider{Enabled: true}}},
		5: everything,
	} {
		if got := cachesOf(cfg); got != caches {
			t.Errorf("%d caches, want %d", got, caches)
		}
		if all := int64(caches) * cacheBudget(100<<20, 0, caches); all > 100<<20 {
			t.Errorf("%d caches may take %d bytes", caches, all)
		}
	}
}
