package t3

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The nodes have nothing of this machine to give: what runs is what the image holds, as the user that it names, over a root that nobody writes to.
func TestPodsRunWhatTheImagesHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startProvider()
	w.apply(w.portal("Deployment", "", ""))
	w.rolledOut("portal")
	system := *w
	system.ns = "postern-system"
	injector := system.pods("app.kubernetes.io%2Fname=postern-injector")
	if len(injector) != 2 {
		t.Fatalf("%d injectors", len(injector))
	}
	for _, test := range []struct {
		world                  *world
		pod, container, binary string
		mounts                 []string // of the pod, and what is below them
	}{
		{w, w.pods("app=portal")[0].Name, "postern", "postern", []string{"/var/run/secrets"}},
		{&system, injector[0].Name, "postern-injector", "postern-injector", []string{"/etc/postern-injector", "/var/run/secrets"}},
	} {
		t.Run(test.binary, func(t *testing.T) {
			pid := test.world.k.PID(t, test.world.ns, test.pod, test.container)
			root := fmt.Sprintf("/proc/%d/root", pid)
			image, err := test.world.k.Root(test.world.imageOf(test.pod, test.container))
			if err != nil {
				t.Fatal(err)
			}
			if program := "/usr/bin/" + test.binary; fileSum(t, fmt.Sprintf("/proc/%d/exe", pid)) != fileSum(t, image+program) {
				t.Errorf("what runs is not %s of the image", program)
			}
			want := []string{"/etc", "/etc/group", "/etc/passwd", "/etc/ssl", "/etc/ssl/certs", "/etc/ssl/certs/ca-certificates.crt", "/tmp", "/usr", "/usr/bin", "/usr/bin/" + test.binary}
			if got := inside(t, root, append(test.mounts, "/proc", "/sys", "/dev", "/etc/hosts", "/etc/resolv.conf")); !slices.Equal(got, want) {
				t.Errorf("the container has %q,\nthe image ought to hold %q", got, want)
			}
			roots, err := os.ReadFile(root + "/etc/ssl/certs/ca-certificates.crt")
			if n := strings.Count(string(roots), "BEGIN CERTIFICATE"); err != nil || n < 100 {
				t.Errorf("%d root certificates (%v)", n, err)
			}
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range []string{"Uid:\t65532\t65532\t65532\t65532\n", "Gid:\t65532\t65532\t65532\t65532\n", "CapEff:\t0000000000000000\n", "NoNewPrivs:\t1\n"} {
				if !strings.Contains(string(status), line) {
					t.Errorf("the process lacks %q", line)
				}
			}
			mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mounts", pid))
			if err != nil || !strings.Contains(string(mounts), "overlay / overlay ro,") {
				t.Errorf("the root can be written to (%v):\n%s", err, mounts)
			}
		})
	}
}

// imageOf is the name of a container's image.
func (w *world) imageOf(pod, container string) string {
	w.t.Helper()
	p := w.pod(pod)
	for _, c := range append(p.Spec.InitContainers, p.Spec.Containers...) {
		if c.Name == container {
			return c.Image
		}
	}
	w.t.Fatalf("%s has no container %s", pod, container)
	return ""
}

// inside are the files and directories of a container, without those that are mounted and what leads only to them.
func inside(t *testing.T, root string, mounted []string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root+"/", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := "/" + strings.TrimPrefix(strings.TrimPrefix(path, root), "/")
		for _, m := range mounted {
			if name == m && e.IsDir() {
				return filepath.SkipDir
			}
			if name == m {
				return nil
			}
			if strings.HasPrefix(m, name+"/") && name != "/etc" {
				return nil
			}
		}
		if name != "/" {
			paths = append(paths, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func fileSum(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(data)
}
