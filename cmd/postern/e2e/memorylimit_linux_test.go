package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The limit of the container's control group, of whichever version this machine has, is what the caches are measured by and what Go's collector is
// told of; GOMEMLIMIT wins. Nested groups count too.
func TestMemoryLimitIsThatOfTheControlGroup(t *testing.T) {
	t.Parallel()
	const limit = 256 << 20
	group := controlGroup(t, limit)
	for name, c := range map[string]struct {
		variable string
		want     string // go_gc_gomemlimit_bytes
	}{
		"of the group":  {"", fmt.Sprintf("%g", float64(limit/100*90))},
		"by GOMEMLIMIT": {"100MiB", fmt.Sprintf("%g", float64(100<<20))},
		"switched off":  {"off", "9.223372036854776e+18"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Process{Log: newLog(), ProbeAddr: "127.0.0.1:" + FreePort(t), MetricsAddr: "127.0.0.1:" + FreePort(t)}
			app := App(t, nil)
			env := map[string]string{
				"POSTERN_BIND_ADDRESS": "127.0.0.1:" + FreePort(t), "POSTERN_PROBE_BIND_ADDRESS": p.ProbeAddr, "POSTERN_METRICS_BIND_ADDRESS": p.MetricsAddr,
				"POSTERN_UPSTREAM_HOST": app.Addr,
			}
			if c.variable != "" {
				env["GOMEMLIMIT"] = c.variable
			}
			const enter = `echo $$ > "$1" || exit 9; shift; exec "$@"`
			p.child = spawn(t, &p.Log.out, &p.Log.err, t.TempDir(), env, "/bin/sh", "-c", enter, "sh", filepath.Join(group, "cgroup.procs"), Build(t))
			p.WaitReady(t)
			Eventually(t, "the collector is told", func() error {
				if metrics := p.Metrics(t); !strings.Contains(metrics, "\ngo_gc_gomemlimit_bytes "+c.want+"\n") {
					_, rest, _ := strings.Cut(metrics, "\ngo_gc_gomemlimit_bytes ")
					return errorf("%.30q", rest)
				}
				return nil
			})
			p.signal(syscall.SIGTERM)
			if code := p.wait(t, stopLimit); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// controlGroup is the directory of a group inside another one that has the limit.
func controlGroup(t *testing.T, limit int) string {
	t.Helper()
	for root, file := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		if controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers")); file == "memory.max" && (err != nil || !strings.Contains(string(controllers), "memory")) {
			continue
		}
		outer, err := os.MkdirTemp(root, "postern-test-")
		if err != nil {
			continue
		}
		inner := filepath.Join(outer, "inner")
		t.Cleanup(func() {
			for _, dir := range []string{inner, outer} {
				if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
			}
		})
		if err := errors.Join(os.WriteFile(filepath.Join(outer, file), fmt.Append(nil, limit), 0o600), os.Mkdir(inner, 0o700)); err == nil {
			return inner
		}
	}
	t.Skip("no control group can be made here (it takes root and a cgroup file system that may be written)")
	return ""
}
