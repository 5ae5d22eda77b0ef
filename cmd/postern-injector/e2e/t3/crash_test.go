package t3

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
	"postern/cmd/postern-injector/e2e/kubelet"
	"postern/cmd/postern/e2e"
)

// lingering is what every app behind a Service needs, with a sidecar or without: for a moment after its end was decided, requests still come.
const lingering = "lifecycle: {preStop: {sleep: {seconds: 2}}}"

// signedIn is a world with the portal, whose app has more to its container, and somebody who has logged in there.
func signedIn(t *testing.T, more string) (*world, *e2e.Client) {
	t.Helper()
	w := newWorld(t)
	w.startProvider()
	w.apply(w.portal("Deployment", "", more))
	w.rolledOut("portal")
	b := w.browser("")
	w.login(b, "gunnar")
	return w, b
}

func TestKilledSidecarComesBackWithItsSessions(t *testing.T) {
	t.Parallel()
	w, b := signedIn(t, "")
	pod := w.pods("app=portal")[0].Name
	w.k.Signal(t, w.ns, pod, "postern", syscall.SIGKILL)
	cluster.Eventually(t, "the sidecar was restarted", func() error {
		if got := w.pod(pod).Status.InitContainerStatuses[0].RestartCount; got != 1 {
			return fmt.Errorf("%d restarts", got)
		}
		return nil
	})
	w.ready(pod, true)
	if r := w.at(pod, b).Navigate("http://portal.localhost/"); r.StatusCode != http.StatusOK || !strings.Contains(r.Body, "Hostname: "+pod+"\n") {
		t.Errorf("the session after the restart: status %d", r.StatusCode)
	}
	if got := w.pod(pod).Status.ContainerStatuses[0].RestartCount; got != 0 {
		t.Errorf("the app was restarted %d times", got)
	}
	w.inOrder(pod, "postern started", "app started", "postern exited 137", "postern started", "postern ready")
	w.story("The sidecar was killed, and is back:", pod)
}

// The app ends first, and the sidecar serves until it has: a request that is under way is answered.
func TestDeletedPodFinishesTheRequestUnderWay(t *testing.T) {
	t.Parallel()
	w, b := signedIn(t, "")
	pod := w.pods("app=portal")[0].Name
	direct := w.at(pod, b)
	answer := make(chan string, 1)
	go func() {
		r, err := direct.Try(http.MethodGet, "http://portal.localhost/slow/3s", "")
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- r.Body
	}()
	cluster.Eventually(t, "the slow request has reached the app", func() error {
		if len(w.logged(pod, "app", "slow: begun")) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	w.kubectl("delete", "pod", pod, "--wait=false")
	if got := <-answer; got != "slow and done" {
		t.Errorf("the request under way got %q", got)
	}
	cluster.Eventually(t, "the pod has ended", func() error {
		if !slices.ContainsFunc(w.k.Events(w.ns, pod), func(e kubelet.Event) bool { return e.Kind == kubelet.Finished }) {
			return errors.New("not yet")
		}
		return nil
	})
	w.inOrder(pod, "app asked", "app exited 0", "postern asked", "postern exited 0")
	app, sidecar := w.eventAt(pod, "app", kubelet.Asked), w.eventAt(pod, "postern", kubelet.Exited)
	if took := sidecar.Sub(app); took > 25*time.Second {
		t.Errorf("the end took %v, more than the grace period", took)
	}
	for _, e := range w.k.Events(w.ns, pod) {
		if e.Kind == kubelet.Killed {
			t.Errorf("%s was killed", e.Container)
		}
	}
	w.story("The app ended first, with the request under way answered, then the sidecar:", pod,
		slices.Concat(w.logged(pod, "app", ": "), w.logged(pod, "postern", "shut"))...)
}

// A rolling restart under load loses nothing: not one request is answered by anything but the app.
func TestRollingRestartUnderLoadLosesNoRequest(t *testing.T) {
	t.Parallel()
	w, b := signedIn(t, lingering)
	var good atomic.Int64
	var mu sync.Mutex
	bad := map[string]int{}
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
				r, err := b.Try(http.MethodGet, "http://portal.localhost/x", "", "Connection", "close")
				switch {
				case err != nil:
					mu.Lock()
					bad[err.Error()]++
					mu.Unlock()
				case r.StatusCode != http.StatusOK || !strings.Contains(r.Body, "Hostname: portal-"):
					mu.Lock()
					bad[r.Status]++
					mu.Unlock()
				default:
					good.Add(1)
				}
			}
		})
	}
	before := w.pods("app=portal")
	w.kubectl("rollout", "restart", "deployment/portal")
	w.rolledOut("portal")
	for _, p := range before {
		cluster.Eventually(t, p.Name+" has ended", func() error {
			if !slices.ContainsFunc(w.k.Events(w.ns, p.Name), func(e kubelet.Event) bool { return e.Kind == kubelet.Finished }) {
				return errors.New("not yet")
			}
			return nil
		})
		w.inOrder(p.Name, "app prestop", "app asked", "app exited 0", "postern asked", "postern exited 0")
	}
	close(stop)
	load.Wait()
	if len(bad) > 0 || good.Load() < 50 {
		t.Errorf("%d requests were answered; lost were %v", good.Load(), bad)
	}
	w.story(fmt.Sprintf("A rolling restart: %d requests answered by the app, none lost", good.Load()), before[0].Name)
}

// readyz is what the sidecar of a pod says of itself.
func (w *world) readyz(pod string) (status int, answer struct {
	Status   string
	Degraded []struct{ Dependency, Reason string }
},
) {
	w.t.Helper()
	r := w.get("http://" + pod + "." + w.ns + ".pod:7566/readyz")
	if err := json.Unmarshal([]byte(r.Body), &answer); err != nil {
		w.t.Fatalf("%v: %s", err, r.Body)
	}
	return r.StatusCode, answer
}

// An app that does not end is killed when the grace period is over; the sidecar, which has been kept waiting, still ends by itself.
func TestGracePeriodEndsAnAppThatDoesNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startProvider()
	manifest := strings.Replace(w.portal("Deployment", "", ""), "terminationGracePeriodSeconds: 25", "terminationGracePeriodSeconds: 3", 1)
	w.apply(strings.Replace(manifest, "env: [", `env: [{name: DEAF, value: "yes"}, `, 1))
	w.rolledOut("portal")
	pod := w.pods("app=portal")[0].Name
	w.kubectl("delete", "pod", pod, "--timeout", "60s")
	w.inOrder(pod, "app asked", "app killed", "app exited 137") // both are over at the same moment, in either order
	w.inOrder(pod, "app asked", "postern asked", "postern exited 0")
	asked, killed := w.eventAt(pod, "app", kubelet.Asked), w.eventAt(pod, "app", kubelet.Killed)
	if waited := killed.Sub(asked); waited < 2500*time.Millisecond {
		t.Errorf("the app had %v of its 3 s", waited)
	}
	w.story("An app that does not end:", pod)
}
