package kubelet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"postern/cmd/postern-injector/e2e/cluster"
	"postern/cmd/postern-injector/e2e/kubelet"
)

var suite = kubelet.Suite{Options: kubelet.Options{Images: map[string]kubelet.Image{"web:1": self("web"), "work:1": self("work")}}}

func TestMain(m *testing.M) {
	app()
	os.Exit(suite.Run(m))
}

func self(name string) kubelet.Image {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return kubelet.Image{Files: map[string]string{"/app": path}, Entrypoint: []string{"/app"}, Env: []string{"POSTERN_TEST_APP=" + name}}
}

func TestDeploymentAnswersThroughItsService(t *testing.T) {
	t.Parallel()
	c, k := suite.Start(t)
	ns := c.Namespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	c.Apply(t, ns, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 12345, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: app
        image: web:1
        ports: [{name: http, containerPort: 8080}]
        env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: LIMIT, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
        - {name: GREETING, value: "$(POD_NAME) has $$(LIMIT) $(NOTHING)"}
        resources: {limits: {memory: 64Mi}}
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
        securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
`)
	c.Kubectl(t, "rollout", "status", "deployment/web", "--namespace", ns, "--timeout", "60s")
	host := "http://web." + ns + ".svc"
	seen := map[string]bool{}
	cluster.Eventually(t, "both replicas answer", func() error {
		name, from, _ := strings.Cut(get(t, k, host+"/"), " for ")
		seen[name] = true
		if len(seen) != 2 || from != "10.244.255.254" {
			return fmt.Errorf("seen %v, as %s", seen, from)
		}
		return nil
	})
	if got := get(t, k, host+"/env/GREETING"); !strings.HasPrefix(got, "web-") || !strings.HasSuffix(got, " has $(LIMIT) $(NOTHING)") {
		t.Errorf("GREETING=%q", got)
	}
	if got := get(t, k, host+"/env/LIMIT"); got != "64" {
		t.Errorf("LIMIT=%q", got)
	}
	for _, name := range []string{"web", "web." + ns, "web." + ns + ".svc.cluster.local"} {
		if got := get(t, k, host+"/via/"+name); got != "status 200" {
			t.Errorf("from one pod to another by the name %s: %s", name, got)
		}
	}
	status := get(t, k, host+"/file/proc/self/status")
	for _, want := range []string{"Pid:\t1\n", "Uid:\t12345\t12345\t12345\t12345\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n"} {
		if !strings.Contains(status, want) {
			t.Errorf("the process lacks %q:\n%s", want, status)
		}
	}
	resp, err := k.Client().Post(host+"/file/tmp/x", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); !strings.Contains(string(text), "read-only file system") {
		t.Errorf("a write to the root: %d %s", resp.StatusCode, text)
	}
	if resp, err := http.Get("http://" + k.Forward(t, "web."+ns+".svc:80") + "/"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("through a local port: %v", err)
	}
	// A replica that is not ready gets nothing more.
	pod := strings.Split(get(t, k, host+"/"), " ")[0]
	if _, err := k.Client().Post("http://"+pod+"."+ns+".pod:8080/break", "", nil); err != nil {
		t.Fatal(err)
	}
	cluster.Eventually(t, "the broken replica is left out", func() error {
		for range 4 {
			if name := get(t, k, host+"/"); strings.HasPrefix(name, pod) {
				return errors.New(name)
			}
		}
		return nil
	})
}

func TestJobWithSidecarCompletes(t *testing.T) {
	t.Parallel()
	c, k := suite.Start(t)
	ns := c.Namespace(t, nil)
	c.Apply(t, ns, `
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec:
      restartPolicy: Never
      initContainers:
      - {name: sidecar, image: "web:1", restartPolicy: Always, startupProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1, failureThreshold: 60}}
      containers: [{name: job, image: "work:1"}]
`)
	c.Kubectl(t, "wait", "--for=condition=Complete", "job/once", "--namespace", ns, "--timeout", "60s")
	var pods corev1.PodList
	c.Get(t, "/api/v1/namespaces/"+ns+"/pods", &pods)
	pod := pods.Items[0]
	if pod.Status.Phase != corev1.PodSucceeded {
		t.Errorf("phase %s", pod.Status.Phase)
	}
	if log := k.Logs(t, ns, pod.Name, "job"); log != "done\n" {
		t.Errorf("the job said %q", log)
	}
	inOrder(t, k.Events(ns, pod.Name), "sidecar started", "sidecar ready", "job started", "job exited", "sidecar asked", "sidecar exited")
}

func TestConfigMapVolumeIsUpdatedWhileThePodRuns(t *testing.T) {
	t.Parallel()
	c, k := suite.Start(t)
	ns := c.Namespace(t, nil)
	c.Apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - name: app
    image: web:1
    volumeMounts: [{name: settings, mountPath: /etc/settings}, {name: later, mountPath: /var/run/later}, {name: scratch, mountPath: /scratch}]
  volumes:
  - {name: settings, configMap: {name: settings}}
  - {name: later, configMap: {name: later, optional: true}}
  - {name: scratch, emptyDir: {}}
`)
	cluster.Eventually(t, "the pod says what it waits for", func() error {
		_, err := k.Exec(t.Context(), ns, "web", "app", "/app")
		if got := c.Kubectl(t, "get", "pod", "web", "--namespace", ns, "-o", "jsonpath={.status.containerStatuses[0].state.waiting.message}"); !strings.Contains(got, `configmap "settings" not found`) {
			return fmt.Errorf("%q, %w", got, err)
		}
		return nil
	})
	write := func(name, text string) {
		c.Apply(t, ns, "{apiVersion: v1, kind: ConfigMap, metadata: {name: "+name+"}, data: {file: "+text+"}}")
	}
	write("settings", "one")
	c.Kubectl(t, "wait", "--for=condition=Ready", "pod/web", "--namespace", ns, "--timeout", "60s")
	base := "http://web." + ns + ".pod:8080"
	reads := func(path, want string) {
		t.Helper()
		cluster.Eventually(t, path+" is "+want, func() error {
			if got := get(t, k, base+"/file"+path); got != want {
				return errors.New(got)
			}
			return nil
		})
	}
	reads("/etc/settings/file", "one")
	write("settings", "two")
	write("later", "here")
	reads("/etc/settings/file", "two")
	reads("/var/run/later/file", "here")
	if resp, err := k.Client().Post(base+"/file/scratch/x", "", nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("a write to an emptyDir: %v, %v", resp, err)
	}
	if token := get(t, k, base+"/file/var/run/secrets/kubernetes.io/serviceaccount/token"); strings.Count(token, ".") != 2 {
		t.Errorf("the token of the service account is %q", token)
	}
}

func TestSecretThatComesLateHealsThePod(t *testing.T) {
	t.Parallel()
	c, k := suite.Start(t)
	ns := c.Namespace(t, nil)
	c.Apply(t, ns, `{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: app, image: "web:1", envFrom: [{secretRef: {name: login}}], readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}}]}}`)
	cluster.Eventually(t, "the pod says what is missing", func() error {
		got := c.Kubectl(t, "get", "pod", "web", "--namespace", ns, "-o", "jsonpath={.status.containerStatuses[0].state.waiting}")
		if !strings.Contains(got, "CreateContainerConfigError") || !strings.Contains(got, `secret \"login\" not found`) {
			return errors.New(got)
		}
		return nil
	})
	c.Apply(t, ns, `{apiVersion: v1, kind: Secret, metadata: {name: login}, stringData: {CLIENT: me}}`)
	c.Kubectl(t, "wait", "--for=condition=Ready", "pod/web", "--namespace", ns, "--timeout", "60s")
	if got := get(t, k, "http://web."+ns+".pod:8080/env/CLIENT"); got != "me" {
		t.Errorf("CLIENT=%q", got)
	}
}

func TestDeletionEndsTheAppBeforeTheSidecars(t *testing.T) {
	t.Parallel()
	c, k := suite.Start(t)
	ns := c.Namespace(t, nil)
	c.Apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 20
  initContainers:
  - {name: first, image: "web:1", restartPolicy: Always, env: [{name: ADDRESS, value: ":8081"}], startupProbe: {tcpSocket: {port: 8081}}}
  - {name: second, image: "web:1", restartPolicy: Always, env: [{name: ADDRESS, value: ":8082"}], startupProbe: {exec: {command: [/bin/sh, -c, "test -e /proc/self/status"]}}}
  containers:
  - {name: app, image: "web:1", lifecycle: {preStop: {exec: {command: [/bin/sh, -c, "echo > /tmp/x; sleep 0.3"]}}}, livenessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}, readinessProbe: {httpGet: {path: /ready, port: 8080}}}
`)
	c.Kubectl(t, "wait", "--for=condition=Ready", "pod/web", "--namespace", ns, "--timeout", "60s")

	// A crash of a sidecar, and an app that is no longer alive, are followed by a restart, and by nothing else.
	k.Signal(t, ns, "web", "second", syscall.SIGKILL)
	if _, err := k.Client().Post("http://web."+ns+".pod:8080/break", "", nil); err != nil {
		t.Fatal(err)
	}
	cluster.Eventually(t, "both are restarted", func() error {
		var pod corev1.Pod
		c.Get(t, "/api/v1/namespaces/"+ns+"/pods/web", &pod)
		s := pod.Status
		sidecar, app := s.InitContainerStatuses[1], s.ContainerStatuses[0]
		if s.InitContainerStatuses[0].RestartCount != 0 || sidecar.RestartCount != 1 || app.RestartCount != 1 || !app.Ready || !sidecar.Ready {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})

	begun := time.Now()
	c.Kubectl(t, "delete", "pod", "web", "--namespace", ns, "--timeout", "60s")
	events := slices.DeleteFunc(k.Events(ns, "web"), func(e kubelet.Event) bool { return e.Time.Before(begun) })
	inOrder(t, events, "app prestop", "app asked", "app exited", "second asked", "second exited", "first asked", "first exited")
	if log := k.Logs(t, ns, "web", "first"); !strings.HasSuffix(log, "asked to end\n") {
		t.Errorf("the first sidecar said %q", log)
	}
}

func TestContainerThatIgnoresSIGTERMIsKilled(t *testing.T) {
	t.Parallel()
	c, k := suite.Start(t)
	ns := c.Namespace(t, nil)
	image := k.UniqueImage(t, kubelet.Shell("trap '' TERM; echo up; while :; do sleep 1; done"))
	c.Apply(t, ns, `{apiVersion: v1, kind: Pod, metadata: {name: deaf}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: "`+image+`"}]}}`)
	c.Kubectl(t, "wait", "--for=condition=Ready", "pod/deaf", "--namespace", ns, "--timeout", "60s")
	pid := k.PID(t, ns, "deaf", "app")
	c.Kubectl(t, "delete", "pod", "deaf", "--namespace", ns, "--timeout", "60s")
	inOrder(t, k.Events(ns, "deaf"), "app asked", "app killed", "app exited")
	if alive(pid) {
		t.Error("its process is still there")
	}
}

func TestMappedServiceIsReachedFromAPod(t *testing.T) {
	t.Parallel()
	c, k := suite.Start(t)
	ns := c.Namespace(t, nil)
	c.Apply(t, ns, `
{apiVersion: v1, kind: Service, metadata: {name: outside}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: app, image: "web:1", readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}}]}}
`)
	k.MapService("outside."+ns+".svc:80", k.Forward(t, "web."+ns+".pod:8080"))
	c.Kubectl(t, "wait", "--for=condition=Ready", "pod/web", "--namespace", ns, "--timeout", "60s")
	cluster.Eventually(t, "the pod reaches it", func() error {
		if got := get(t, k, "http://web."+ns+".pod:8080/via/outside"); got != "status 200" {
			return errors.New(got)
		}
		return nil
	})
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	c := cluster.StartFor(t, cluster.Options{Controllers: true})
	k, err := kubelet.Start(c, kubelet.Options{Nodes: 1, Images: map[string]kubelet.Image{"sleep:1": kubelet.Shell("sleep 1000 & sleep 1000")}})
	cluster.Need(t, err)
	t.Cleanup(k.Stop)
	c.Apply(t, "default", `{apiVersion: v1, kind: Pod, metadata: {name: sleep}, spec: {containers: [{name: app, image: "sleep:1"}]}}`)
	c.Kubectl(t, "wait", "--for=condition=Ready", "pod/sleep", "--timeout", "60s")
	pid := k.PID(t, "default", "sleep", "app")
	namespaces, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		t.Fatal(err)
	}
	k.Stop()
	if alive(pid) {
		t.Error("a container is still there")
	}
	all, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if n, err := os.Readlink("/proc/" + p.Name() + "/ns/net"); err == nil && n == namespaces {
			t.Errorf("process %s is still in the pod's namespace", p.Name())
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), "kubelet-") {
		t.Errorf("mounts of a pod can be seen outside of it: %v", err)
	}
}

func get(t testing.TB, k *kubelet.Kubelet, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), cluster.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := k.Client().Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// inOrder fails the test unless each "container kind" is among the events, after the one before it.
func inOrder(t testing.TB, events []kubelet.Event, want ...string) {
	t.Helper()
	rest := events
	for _, w := range want {
		i := slices.IndexFunc(rest, func(e kubelet.Event) bool { return e.Container+" "+string(e.Kind) == w })
		if i < 0 {
			t.Errorf("no %q after what came before it: %+v", w, events)
			return
		}
		rest = rest[i+1:]
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
