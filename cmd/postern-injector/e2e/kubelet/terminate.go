package kubelet

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// minimumGrace is what a container has after SIGTERM even when its hooks, or the containers before it, have used up the pod's grace period.
const minimumGrace = 2 * time.Second

// stop ends all containers as a kubelet does. The preStop hooks of all begin at once. The apps get SIGTERM as soon as their own hook is over,
// a sidecar only when the apps and all sidecars after it have ended. All share one grace period.
func (p *pod) stop(grace time.Duration) {
	deadline := time.Now().Add(grace)
	var before []*container
	for _, c := range p.apps {
		go c.end(deadline, nil)
		before = append(before, c)
	}
	for _, c := range slices.Backward(p.inits) {
		go c.end(deadline, slices.Clone(before))
		before = append(before, c)
	}
	for _, c := range before {
		<-c.finished
	}
}

// end ends a container for good: its hook, its turn, SIGTERM, and when the time is up SIGKILL.
func (c *container) end(deadline time.Time, before []*container) {
	c.cancel()
	c.mu.Lock()
	p, never := c.process, !c.supervised
	c.supervised = true // no start from now on
	c.mu.Unlock()
	if never {
		close(c.finished)
		return
	}
	if p != nil && p.running() {
		c.endProcess(p, deadline, before)
	}
	<-c.finished
}

// endProcess ends one process of a container, which may be followed by another.
func (c *container) endProcess(p *process, deadline time.Time, before []*container) {
	c.preStop(p, deadline)
	turn, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	for _, b := range before {
		select {
		case <-b.finished:
		case <-p.exited:
			return
		case <-turn.Done():
		}
	}
	if !p.running() {
		return
	}
	c.record(Asked, "")
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(max(time.Until(deadline), minimumGrace)):
		c.record(Killed, "")
		p.kill()
	}
}

// preStop runs the container's hook, for as long as the grace period lasts at most.
func (c *container) preStop(p *process, deadline time.Time) {
	if c.spec.Lifecycle == nil || c.spec.Lifecycle.PreStop == nil {
		return
	}
	c.record(PreStop, "")
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	go func() {
		select {
		case <-p.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	hook := c.spec.Lifecycle.PreStop
	var err error
	switch {
	case hook.Sleep != nil:
		pause(ctx, time.Duration(hook.Sleep.Seconds)*time.Second)
	case hook.Exec != nil:
		_, err = c.exec(ctx, hook.Exec.Command)
	case hook.HTTPGet != nil:
		err = c.httpGet(ctx, hook.HTTPGet)
	default:
		err = fmt.Errorf("a preStop hook of a kind that is not known here: %v", hook)
	}
	if err != nil {
		c.record(PreStop, err.Error())
	}
}

// kill ends the container at once.
func (c *container) kill() {
	c.cancel()
	c.mu.Lock()
	p, never := c.process, !c.supervised
	c.supervised = true
	c.mu.Unlock()
	if never {
		close(c.finished)
		return
	}
	if p != nil {
		p.kill()
	}
	<-c.finished
}

// restarts says whether a container that has ended this way is to run once more.
func (c *container) restarts(code int) bool {
	policy := c.pod.object.Spec.RestartPolicy
	switch {
	case c.sidecar:
		return true
	case c.init:
		return code != 0 && policy != corev1.RestartPolicyNever
	default:
		return policy == corev1.RestartPolicyAlways || policy == corev1.RestartPolicyOnFailure && code != 0
	}
}
