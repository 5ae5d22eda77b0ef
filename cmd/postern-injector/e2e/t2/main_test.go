package t2_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"postern/cmd/postern-injector/e2e/cluster"
	"postern/cmd/postern-injector/e2e/kubelet"
)

// Names that the chart's README uses, and the objects that come of them.
const (
	release = "postern"
	system  = "postern-system"
	name    = "postern-injector"
	app     = "registry.example.org/app:1"
)

// Images are named by digest, as users must.
var (
	injectorImage = "registry.example.org/postern-injector@sha256:" + strings.Repeat("1", 64)
	sidecarImage  = "registry.example.org/postern@sha256:" + strings.Repeat("2", 64)
	newerSidecar  = "registry.example.org/postern@sha256:" + strings.Repeat("3", 64)
)

var (
	suite kubelet.Suite
	built = struct {
		once sync.Once
		dir  string
		err  error
	}{}
)

func TestMain(m *testing.M) {
	if os.Getenv("POSTERN_TEST_APP") != "" {
		serveApp()
	}
	code := suite.Run(m)
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// serveApp is the program of the app in a pod: it answers, and has no idea who is calling.
func serveApp() {
	err := http.ListenAndServe(":8080", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getenv("HOSTNAME")+" the app") }))
	fmt.Println(err)
	os.Exit(1)
}

// world is the cluster, its nodes and the programs.
type world struct {
	*cluster.Cluster
	k    *kubelet.Kubelet
	bin  string // directory of the programs
	root string // of the repository, where the commands of the READMEs are run
}

func start(t *testing.T) *world {
	t.Helper()
	c, k := suite.Start(t)
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "postern-t2-"); built.err != nil {
			return
		}
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", built.dir, "postern/cmd/postern", "postern/cmd/postern-injector").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("build the programs: %w\n%s", err, out)
			return
		}
		if built.err = os.Chmod(built.dir, 0o755); built.err != nil { // #nosec G302 -- users of pods read the programs
			return
		}
		self, err := os.Executable()
		built.err = err
		k.Image(injectorImage, kubelet.Program(filepath.Join(built.dir, "postern-injector")))
		k.Image(sidecarImage, kubelet.Program(filepath.Join(built.dir, "postern")))
		k.Image(newerSidecar, kubelet.Program(filepath.Join(built.dir, "postern")))
		k.Image(app, kubelet.Image{Files: map[string]string{"/app": self}, Entrypoint: []string{"/app"}, Env: []string{"POSTERN_TEST_APP=web"}})
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	root, err := cluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return &world{Cluster: c, k: k, bin: built.dir, root: root}
}
