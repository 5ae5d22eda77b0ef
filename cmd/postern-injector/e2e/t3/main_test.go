package t3

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"postern/cmd/postern-injector/e2e/cluster"
	"postern/cmd/postern-injector/e2e/kubelet"
)

var suite kubelet.Suite

func TestMain(m *testing.M) {
	app()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	defer func() {
		if person != nil {
			person.close()
		}
	}()
	return suite.Run(m)
}

// Images as the manifests of the tests name them. Those of this tree are built, pushed and pulled; the others are programs of this machine.
const (
	appImage   = "registry.example.org/app:1"
	redisImage = "redis:7"
)

// What all tests of the package share: the desk of the person who has installed the chart, and the image of the sidecar.
var (
	installed    sync.Once
	person       *desk
	sidecarImage string
)

// start is the cluster with the images and the chart, built, pushed and installed as charts/README.md says.
func start(t *testing.T) (*cluster.Cluster, *kubelet.Kubelet) {
	t.Helper()
	c, k := suite.Start(t)
	ok := false
	installed.Do(func() {
		redis, err := exec.LookPath("redis-server")
		if err != nil {
			cluster.Need(t, fmt.Errorf("%w: redis-server: apt-get install redis-server", cluster.ErrMissing))
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		k.Image(appImage, kubelet.Image{Files: map[string]string{"/app": self}, Entrypoint: []string{"/app"}, Env: []string{"POSTERN_TEST_APP=web"}})
		k.Image("traefik/whoami:v1.11", kubelet.Image{Files: map[string]string{"/whoami": self}, Entrypoint: []string{"/whoami"}, Env: []string{"POSTERN_TEST_APP=web"}})
		k.Image(redisImage, kubelet.Image{Files: map[string]string{"/redis-server": redis}, Entrypoint: []string{"/redis-server", "--protected-mode", "no", "--save", ""}})
		if person, err = newDesk(t.Context(), c, k); err != nil {
			t.Fatal(err)
		}
		person.sh(t, blockWith(t, "-push").text)
		sidecarImage = strings.TrimSpace(person.sh(t, "cat dist/postern.ref"))
		person.sh(t, blockWith(t, "helm install").text)
		person.hasInjector(t)
		ok = true
	})
	if !ok && !chartIsReady(t, c) {
		t.Fatal("the chart could not be installed; the first test says why")
	}
	return c, k
}

// hasInjector puts the program into the PATH, as `go install ./cmd/postern-injector` does: the one that the image holds.
func (d *desk) hasInjector(t *testing.T) {
	t.Helper()
	root, err := d.k.Root(strings.TrimSpace(d.sh(t, "cat dist/postern-injector.ref")))
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(root, "usr", "bin", "postern-injector"))
	if err != nil {
		t.Fatal(err)
	}
	if err := writeProgram(d.path("bin/postern-injector"), program); err != nil {
		t.Fatal(err)
	}
}

// writeProgram lets nobody fork meanwhile: the child would hold the file open for writing, and nobody could run it (ETXTBSY).
func writeProgram(path string, program []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, program, 0o755) // #nosec G306 -- a program
}

func chartIsReady(t *testing.T, c *cluster.Cluster) bool {
	t.Helper()
	ready, err := c.TryKubectl(t, "get", "deployment", "--namespace", "postern-system", "-o", "jsonpath={.items[*].status.readyReplicas}")
	return err == nil && ready == "2"
}
