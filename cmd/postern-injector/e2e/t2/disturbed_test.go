package t2_test

import (
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"postern/cmd/postern-injector/e2e/cluster"
)

// replicasComeAndGo: pods are created all the time, until the last replica that had to go has been asked its last question.
func (w *world) replicasComeAndGo(t *testing.T) {
	space := w.Namespace(t, nil)
	l := w.load(t, space)
	t.Run("upgrade and rollback", func(t *testing.T) { w.upgradeAndRollback(t, space) })
	t.Run("rolling restart", w.rollingRestart)
	t.Run("eviction honours the budget", w.evictionHonoursTheBudget)
	w.drained(t)
	l.flawless()
}

func (w *world) rollingRestart(t *testing.T) {
	w.Kubectl(t, "rollout", "restart", "deployment/"+name, "-n", system)
	w.rollout(t, system, name)
	w.settled(t)
}

// drained waits until the replicas that were to end have ended: until then the API server may come by connections that it keeps.
func (w *world) drained(t *testing.T) {
	t.Helper()
	cluster.Eventually(t, "nothing is left of former replicas", func() error {
		if n := len(w.pods(t, system, "app.kubernetes.io%2Fname%3D"+name)); n != 2 {
			return errorf("%d pods", n)
		}
		return nil
	})
}

// evictionHonoursTheBudget drains both nodes at once, as a careless operator might: one replica goes, the other stays until there are two again.
func (w *world) evictionHonoursTheBudget(t *testing.T) {
	live := w.settled(t)
	evict := func(pod string) error {
		eviction := map[string]any{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": map[string]any{"name": pod, "namespace": system}}
		return w.Do(t.Context(), http.MethodPost, "/api/v1/namespaces/"+system+"/pods/"+pod+"/eviction", eviction, nil)
	}
	cluster.Eventually(t, "the budget lets one go", func() error { return evict(live[0].Name) })
	err := evict(live[1].Name)
	refused, is := errors.AsType[*cluster.StatusError](err)
	if !is || refused.Code != http.StatusTooManyRequests {
		t.Errorf("the second eviction: %v", err)
	}
	w.settled(t)
}

// replicaIsKilled: what the dead one was being asked is lost, and nothing after that.
func (w *world) replicaIsKilled(t *testing.T) {
	live := w.settled(t)
	l := w.load(t, w.Namespace(t, nil))
	w.k.Signal(t, system, live[0].Name, name, syscall.SIGKILL)
	l.more(20)
	failed := l.end()
	if len(failed) > 2 { // one of each loop
		t.Errorf("%d creates have failed: %s", len(failed), strings.Join(failed, "\n"))
	}
	for _, failure := range failed {
		if !strings.Contains(failure, "failed calling webhook") {
			t.Error(failure)
		}
	}
	cluster.Eventually(t, "it is started again", func() error {
		var p corev1.Pod
		w.Get(t, "/api/v1/namespaces/"+system+"/pods/"+live[0].Name, &p)
		if s := p.Status.ContainerStatuses; len(s) != 1 || s[0].RestartCount != 1 || !s[0].Ready {
			return errorf("%+v", s)
		}
		return nil
	})
}

// comesBackWithoutHelp: while nobody answers, pods that ask are refused and others are not, and the injector's own pods are created all the same.
func (w *world) comesBackWithoutHelp(t *testing.T) {
	space, required := w.Namespace(t, nil), w.Namespace(t, map[string]string{ask: "required"})
	before := w.trusted(t)
	w.Kubectl(t, "delete", "pods", "-n", system, "-l", "app.kubernetes.io/name="+name, "--force", "--grace-period=0")
	w.settled(t)
	w.settingsReach(t, space, sidecarImage)

	w.Kubectl(t, "scale", "deployment/"+name, "-n", system, "--replicas=0")
	cluster.Eventually(t, "nobody answers", func() error {
		_, err := w.dryRun(t.Context(), space, pod("asks", true))
		if err == nil || !strings.Contains(err.Error(), "failed calling webhook") {
			return errorf("a pod that asks: %v", err)
		}
		return nil
	})
	if _, err := w.dryRun(t.Context(), required, pod("must", false)); err == nil {
		t.Error("a naked pod has been created in a namespace that requires the sidecar")
	}
	if p, err := w.dryRun(t.Context(), space, pod("free", false)); err != nil || len(p.Spec.InitContainers) != 0 {
		t.Errorf("a pod that does not ask: %v", err)
	}
	if _, err := w.dryRun(t.Context(), "kube-system", pod("system", true)); err != nil {
		t.Errorf("a pod of kube-system: %v", err)
	}
	w.Kubectl(t, "scale", "deployment/"+name, "-n", system, "--replicas=2")
	w.settled(t)
	w.settingsReach(t, space, sidecarImage)
	if w.trusted(t) != before {
		t.Error("certificate or CA have changed")
	}
}
