package kubelet

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Kind of an [Event].
type Kind string

// What happens to a container, or to a pod where the event names no container.
const (
	Started  Kind = "started"  // its process runs
	Ready    Kind = "ready"    // its readiness probe has succeeded, or it has none and its startup is over
	Unready  Kind = "unready"  // its readiness probe has failed
	PreStop  Kind = "prestop"  // its preStop hook begins
	Asked    Kind = "asked"    // it was sent SIGTERM
	Killed   Kind = "killed"   // it was sent SIGKILL: the grace period was over
	Exited   Kind = "exited"   // its process has ended; Detail is the exit code
	Waiting  Kind = "waiting"  // it cannot be started; Detail is the reason
	Unwell   Kind = "unwell"   // its startup probe has not succeeded yet, or it or the liveness probe has failed too often; Detail says how
	Finished Kind = "finished" // the pod has ended and everything of it is gone
	Failed   Kind = "failed"   // the pod cannot be run at all
)

// Event is something that happened, with the time by which tests prove an order.
type Event struct {
	Time                      time.Time
	Namespace, Pod, Container string
	Kind                      Kind
	Detail                    string
}

func (k *Kubelet) record(e Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e.Time = time.Now() // under the lock: the order of the list is the order of the times
	k.events = append(k.events, e)
}

// Events are those of a pod, oldest first, also after it is gone. An empty name means every pod of the namespace.
func (k *Kubelet) Events(namespace, pod string) (events []Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.events {
		if e.Namespace == namespace && (pod == "" || e.Pod == pod) {
			events = append(events, e)
		}
	}
	return events
}

// Logs are all that a container has said since the pod's beginning, also before a restart and after its end.
func (k *Kubelet) Logs(t testing.TB, namespace, pod, container string) string {
	t.Helper()
	k.mu.Lock()
	runs := slices.Clone(k.said[logName(namespace, pod, container)])
	k.mu.Unlock()
	if len(runs) == 0 {
		t.Fatalf("the container %s of %s/%s has not been started", container, namespace, pod)
	}
	var all strings.Builder
	for _, r := range runs {
		all.WriteString(r.text())
	}
	return all.String()
}

func logName(namespace, pod, container string) string { return namespace + "_" + pod + "_" + container }

// listen is where the next run of a container says what it says.
func (c *container) listen() *output {
	o := newOutput()
	k, name := c.pod.k, logName(c.pod.object.Namespace, c.pod.object.Name, c.spec.Name)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.said[name] = append(k.said[name], o)
	c.runs = append(c.runs, o)
	return o
}

// output is that of the last run, or of the one before it; nil if there was none.
func (c *container) output(previous bool) *output {
	c.pod.k.mu.Lock()
	defer c.pod.k.mu.Unlock()
	n := len(c.runs) - 1
	if previous {
		n--
	}
	if n < 0 {
		return nil
	}
	return c.runs[n]
}
