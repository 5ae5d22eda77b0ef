package t3

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"postern/cmd/postern-injector/e2e/cluster"
	"postern/cmd/postern-injector/e2e/kubelet"
)

// worker is the template of a pod whose init container and main container both need a token of Maskinporten, and fail without one.
func worker(policy, env string) string {
	return strings.NewReplacer("IMAGE", appImage, "POLICY", policy, "ENV", env).Replace(`
metadata:
  labels: {app: worker, postern.dev/inject: "true"}
  annotations: {postern.dev/secrets: portal, postern.dev/tokens: maskinporten}
spec:
  restartPolicy: POLICY
  initContainers:
  - {name: prepare, image: "IMAGE", env: [{name: POSTERN_TEST_APP, value: work}, {name: ROLE, value: prepare}]}
  containers:
  - name: work
    image: "IMAGE"
    env: [{name: POSTERN_TEST_APP, value: work}, {name: ROLE, value: work}ENV]
    volumeMounts: [{name: scratch, mountPath: /scratch}]
  volumes: [{name: scratch, emptyDir: {}}]
`)
}

func indented(text, by string) string { return strings.ReplaceAll(text, "\n", "\n"+by) }

func TestJobsFetchTokensAndComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startProvider()
	for _, test := range []struct {
		name, object, env string
		policy            corev1.RestartPolicy
		restarts          int32
	}{
		{"never", "job", "", corev1.RestartPolicyNever, 0},
		{"onfailure", "job", ", {name: FAIL_ONCE, value: /scratch/failed}", corev1.RestartPolicyOnFailure, 1},
		{"cron", "cronjob", "", corev1.RestartPolicyNever, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := *w
			w.t = t
			template := worker(string(test.policy), test.env)
			if test.object == "job" {
				w.apply("apiVersion: batch/v1\nkind: Job\nmetadata: {name: " + test.name + "}\nspec:\n  template:" + indented(template, "    "))
			} else {
				w.apply("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: " + test.name + "}\nspec:\n  schedule: \"0 0 1 1 *\"\n  jobTemplate:\n    spec:\n" +
					"      template:" + indented(template, "        "))
				w.kubectl("create", "job", "--from=cronjob/"+test.name, test.name)
			}
			if out, err := w.c.TryKubectl(t, "wait", "--for=condition=Complete", "job/"+test.name, "--timeout", "60s", "--namespace", w.ns); err != nil {
				w.story("The job is not complete: "+w.kubectl("describe", "job", test.name), "")
				t.Fatal(out, err)
			}
			pods := w.pods("batch.kubernetes.io/job-name=" + test.name)
			if len(pods) != 1 || pods[0].Status.Phase != corev1.PodSucceeded || pods[0].Spec.InitContainers[0].Name != "postern" {
				t.Fatalf("%d pods: %+v", len(pods), pods)
			}
			pod := pods[0]
			if got := pod.Status.ContainerStatuses[0].RestartCount; got != test.restarts {
				t.Errorf("the work was restarted %d times, want %d", got, test.restarts)
			}
			w.inOrder(pod.Name, "postern started", "prepare started", "prepare exited 0", "work started", "work exited 0", "postern asked", "postern exited 0")
			w.story("A job with its sidecar: "+w.kubectl("get", "job", test.name), pod.Name, slices.Concat(
				w.logged(pod.Name, "prepare", "prepare:"), w.logged(pod.Name, "work", "work:"))...)
		})
	}
}

func TestStatefulSetAndBarePodAreInjected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startProvider()
	manifest := strings.Replace(w.portal("StatefulSet", "", ""), "  replicas: 2", "  replicas: 2\n  serviceName: portal\n  podManagementPolicy: Parallel", 1)
	w.orders()
	w.apply(manifest)
	w.kubectl("rollout", "status", "statefulset/portal", "--timeout", "90s")
	w.ordersAnswers()
	b := w.browser("")
	w.login(b, "gunnar")
	for _, name := range []string{"portal-0", "portal-1"} {
		if r := w.at(name, b).Navigate("http://portal.localhost/"); !strings.Contains(r.Body, "Hostname: "+name+"\n") {
			t.Errorf("the session at %s: status %d", name, r.StatusCode)
		}
	}
	if r := b.Navigate("http://portal.localhost/egress/orders/x"); r.StatusCode != 200 || !strings.Contains(r.Body, "Hostname: orders\n") {
		t.Errorf("the bare pod: status %d\n%s", r.StatusCode, hidden(r.Body))
	}
	w.story("A StatefulSet and a bare pod, with sidecars:", "portal-0")
}

// inOrder fails the test unless each "container kind detail" is among a pod's events, after the one before it. The detail may be left out.
func (w *world) inOrder(pod string, want ...string) {
	w.t.Helper()
	events := w.k.Events(w.ns, pod)
	rest := events
	for _, what := range want {
		i := slices.IndexFunc(rest, func(e kubelet.Event) bool {
			said := e.Container + " " + string(e.Kind)
			return said == what || said+" "+e.Detail == what
		})
		if i < 0 {
			w.t.Errorf("no %q after what came before it: %+v", what, events)
			return
		}
		rest = rest[i+1:]
	}
}

// ready waits until a pod is ready, or is not.
func (w *world) ready(pod string, want bool) {
	w.t.Helper()
	cluster.Eventually(w.t, fmt.Sprintf("%s is ready: %v", pod, want), func() error {
		if w.isReady(pod) != want {
			return errors.New("not yet")
		}
		return nil
	})
}

func (w *world) isReady(pod string) bool {
	w.t.Helper()
	for _, c := range w.pod(pod).Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
