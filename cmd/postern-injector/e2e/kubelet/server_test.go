package kubelet_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
	"postern/cmd/postern-injector/e2e/kubelet"
)

// talker fails once, then says three lines, the last of them when it is told to, and is done.
const talker = `
[ -e /scratch/again ] || { touch /scratch/again; echo first run; exit 1; }
echo one; echo two >&2
until [ -e /scratch/go ]; do sleep 0.1; done
printf three
`

func TestLogsAreThoseOfKubectl(t *testing.T) {
	t.Parallel()
	c, k := suite.Start(t)
	ns := c.Namespace(t, nil)
	k.Image("talker:1", kubelet.Shell(talker))
	c.Apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  restartPolicy: OnFailure
  containers:
  - {name: talker, image: "talker:1", volumeMounts: [{name: scratch, mountPath: /scratch}]}
  - {name: never, image: "missing:1"}
  volumes: [{name: scratch, emptyDir: {}}]
`)
	logs := func(flags ...string) (string, error) {
		return c.TryKubectl(t, append([]string{"logs", "talker", "--container", "talker", "--namespace", ns}, flags...)...)
	}
	cluster.Eventually(t, "the second run has begun to talk", func() error {
		if got, err := logs(); got != "one\ntwo\n" {
			return fmt.Errorf("%q, %w", got, errors.Join(err))
		}
		return nil
	})
	for flags, want := range map[string]string{
		"--previous":                          "first run\n",
		"--tail=1":                            "two\n",
		"--tail=0":                            "",
		"--tail=7":                            "one\ntwo\n",
		"--since=1h":                          "one\ntwo\n",
		"--since-time=2099-01-01T00:00:00Z":   "",
		"--limit-bytes=5":                     "one\nt",
		"--previous --tail=1 --limit-bytes=3": "fir",
	} {
		if got, err := logs(strings.Fields(flags)...); err != nil || got != want {
			t.Errorf("%s: %q, want %q (%v)", flags, got, want, err)
		}
	}
	stamped, err := logs("--timestamps", "--tail=1")
	at, text, _ := strings.Cut(stamped, " ")
	if when, bad := time.Parse(time.RFC3339Nano, at); err != nil || bad != nil || text != "two\n" || time.Since(when) > time.Hour {
		t.Errorf("--timestamps: %q (%v)", stamped, err)
	}
	for container, want := range map[string]string{"never": "waiting to start", "nobody": "nobody"} {
		if got, err := c.TryKubectl(t, "logs", "talker", "-c", container, "-n", ns); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("of the container %s: %q, %v", container, got, err)
		}
	}
	followed := make(chan string, 1)
	go func() {
		got, err := logs("--follow")
		followed <- fmt.Sprint(got, errors.Join(err))
	}()
	time.Sleep(300 * time.Millisecond) // whether it listens by then or not, all must come
	if _, err := k.Exec(t.Context(), ns, "talker", "talker", "/bin/touch", "/scratch/go"); err != nil {
		t.Fatal(err)
	}
	if got := <-followed; got != "one\ntwo\nthree<nil>" {
		t.Errorf("--follow until the end: %q", got)
	}
	if got := k.Logs(t, ns, "talker", "talker"); got != "first run\none\ntwo\nthree" {
		t.Errorf("of all runs: %q", got)
	}
}

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+)`)

// forwarded runs kubectl port-forward until the end of the test and returns where it listens.
func forwarded(t *testing.T, c *cluster.Cluster, environ []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(c.Tools, "kubectl"), append([]string{"port-forward"}, args...)...)
	cmd.Env = append(environ, "KUBECONFIG="+c.Kubeconfig, "HOME="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if found := forwarding.FindStringSubmatch(lines.Text()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return found[1]
		}
	}
	t.Fatal("kubectl port-forward has ended")
	return ""
}

func TestPortForwardReachesTheLoopbackOfAPod(t *testing.T) {
	t.Parallel()
	c, _ := suite.Start(t)
	ns := c.Namespace(t, nil)
	c.Apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: app, image: "web:1", env: [{name: POD_NAME, value: web}], readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}}]}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}
`)
	c.Kubectl(t, "wait", "--for=condition=Ready", "pod/web", "--namespace", ns, "--timeout", "60s")
	for what, test := range map[string]struct {
		environ []string
		args    []string
	}{
		"a pod, by WebSockets": {nil, []string{"pod/web", ":8080"}},
		"a pod, by SPDY":       {[]string{"KUBECTL_PORT_FORWARD_WEBSOCKETS=false"}, []string{"pod/web", ":8080"}},
		"a Service":            {nil, []string{"service/web", ":80"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			address := forwarded(t, c, test.environ, append(test.args, "--namespace", ns)...)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
					for range 3 {
						resp, err := client.Get("http://" + address + "/")
						if err != nil {
							t.Error(err)
							return
						}
						text, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						if string(text) != "web for 127.0.0.1" || err != nil {
							t.Errorf("the pod says %q (%v)", text, err)
						}
					}
				})
			}
			all.Wait()
		})
	}
	t.Run("a port that nobody listens at", func(t *testing.T) {
		t.Parallel()
		address := forwarded(t, c, nil, "pod/web", ":8081", "--namespace", ns)
		if resp, err := http.Get("http://" + address + "/"); err == nil {
			resp.Body.Close()
			t.Errorf("somebody answers %s", resp.Status)
		}
	})
	if out, err := c.TryKubectl(t, "port-forward", "pod/nobody", ":8080", "--namespace", ns); err == nil {
		t.Errorf("a pod that is not there: %s", out)
	}
}

func TestKubeletAnswersTheAPIServerAlone(t *testing.T) {
	t.Parallel()
	c, _ := suite.Start(t)
	conn, err := net.Dial("unix", c.Egress.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	address := cluster.NodeIP + ":10250"
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", address, address)
	in := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect}); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the node cannot be reached: %v", err)
	}
	client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // #nosec G402 -- whoever asks so must get nothing
	fmt.Fprintf(client, "GET /containerLogs/a/b/c HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(client), nil); err == nil {
		t.Errorf("somebody without a certificate got %s", resp.Status)
	}
}
