package kubelet

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"postern/cmd/postern-injector/e2e/cluster"
)

// waitingError is why a container is not started, as its status says it.
type waitingError struct{ reason, message string }

func (e waitingError) Error() string { return e.reason + ": " + e.message }

// waits shows why the container cannot be started now.
func (c *container) waits(err error) {
	why, ok := errors.AsType[waitingError](err)
	if !ok {
		why = waitingError{"RunContainerError", err.Error()}
	}
	same := false
	c.pod.mu.Lock()
	if w := c.status.State.Waiting; w != nil {
		same = w.Reason == why.reason && w.Message == why.message
	}
	c.pod.mu.Unlock()
	if same {
		return
	}
	c.record(Waiting, why.Error())
	c.change(func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: why.reason, Message: why.message}}
	})
}

// ended shows how the process ended, and whether another one follows.
func (c *container) ended(p *process, begun time.Time, again bool) {
	t := &corev1.ContainerStateTerminated{
		ExitCode: int32(p.code), Signal: int32(p.signal), Reason: "Completed", StartedAt: metav1.NewTime(begun), FinishedAt: metav1.Now(),
	}
	if p.code != 0 {
		t.Reason = "Error"
		if c.spec.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
			t.Message = c.lastWords()
		}
	}
	c.change(func(s *corev1.ContainerStatus) {
		state := corev1.ContainerState{Terminated: t}
		s.Ready, s.Started = c.init && !c.sidecar && p.code == 0, new(bool)
		if !again {
			s.State = state
			return
		}
		s.LastTerminationState = state
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "restarted soon"}}
		s.RestartCount++
	})
}

// lastWords are the end of the log, as much of it as a status may hold.
func (c *container) lastWords() string {
	said := c.output(false)
	if said == nil {
		return ""
	}
	text := said.text()
	return text[max(0, len(text)-2048):]
}

// change changes the status of the container and publishes it.
func (c *container) change(f func(*corev1.ContainerStatus)) {
	c.pod.mu.Lock()
	f(&c.status)
	c.pod.mu.Unlock()
	c.pod.publish()
}

func (c *container) exitCode() int {
	c.pod.mu.Lock()
	defer c.pod.mu.Unlock()
	if t := c.status.State.Terminated; t != nil {
		return int(t.ExitCode)
	}
	return 137 // it never ran, or is gone without a word
}

// publish tells the API server how the pod is.
func (p *pod) publish() {
	p.publishing.Lock() // in their order
	defer p.publishing.Unlock()
	p.mu.Lock()
	status := p.status()
	p.mu.Unlock()
	body := m{"metadata": m{"uid": p.object.UID}, "status": status} // the uid: a new pod of this name has its own kubelet
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := p.k.cluster.Do(ctx, http.MethodPatch, podPath(p.object)+"/status", cluster.Patch{Type: "application/strategic-merge-patch+json", Body: body}, nil)
		cancel()
		if err == nil {
			return
		}
		if status, ok := errors.AsType[*cluster.StatusError](err); ok && status.Code < 500 && status.Code != http.StatusTooManyRequests {
			return // it is gone
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// status is the pod's, as it is now. The mutex is held.
func (p *pod) status() corev1.PodStatus {
	s := corev1.PodStatus{
		Phase: p.phase, PodIP: p.ip, PodIPs: []corev1.PodIP{{IP: p.ip}}, HostIP: nodeIP, HostIPs: []corev1.HostIP{{IP: nodeIP}},
		StartTime: &metav1.Time{Time: p.object.CreationTimestamp.Time},
	}
	initialized, ready := true, p.phase == corev1.PodRunning
	for _, c := range p.inits {
		s.InitContainerStatuses = append(s.InitContainerStatuses, *c.status.DeepCopy())
		if c.sidecar {
			ready = ready && c.status.Ready
			initialized = initialized && (*c.status.Started || p.phase != corev1.PodPending)
		} else {
			initialized = initialized && c.status.State.Terminated != nil && c.status.State.Terminated.ExitCode == 0
		}
	}
	for _, c := range p.apps {
		s.ContainerStatuses = append(s.ContainerStatuses, *c.status.DeepCopy())
		ready = ready && c.status.Ready
	}
	for _, gate := range p.object.Spec.ReadinessGates {
		ready = ready && gate.ConditionType == "" // nothing here opens one
	}
	s.Conditions = []corev1.PodCondition{
		p.condition(corev1.PodReadyToStartContainers, p.prepared), p.condition(corev1.PodInitialized, initialized),
		p.condition(corev1.ContainersReady, ready), p.condition(corev1.PodReady, ready),
	}
	return s
}

// condition keeps the time of the last change.
func (p *pod) condition(kind corev1.PodConditionType, is bool) corev1.PodCondition {
	status := corev1.ConditionFalse
	if is {
		status = corev1.ConditionTrue
	}
	if p.since[kind].Status != status {
		p.since[kind] = corev1.PodCondition{Type: kind, Status: status, LastTransitionTime: metav1.Now()}
	}
	return p.since[kind]
}

// buffer collects what a program says while others read it.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
