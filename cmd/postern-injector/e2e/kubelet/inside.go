package kubelet

import (
	"context"
	"os"
	"testing"

	"postern/cmd/postern-injector/e2e/cluster"
)

// Exec runs a program in a container, with its user, files and environment, and returns what it says.
func (k *Kubelet) Exec(ctx context.Context, namespace, pod, container string, command ...string) (string, error) {
	c, err := k.container(namespace, pod, container)
	if err != nil {
		return "", err
	}
	return c.exec(ctx, command)
}

// Signal sends a signal to the process of a container, as the machine might: SIGKILL is a crash.
func (k *Kubelet) Signal(t testing.TB, namespace, pod, container string, s os.Signal) {
	t.Helper()
	c, err := k.container(namespace, pod, container)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	p := c.process
	c.mu.Unlock()
	if p == nil {
		t.Fatalf("the container %s of %s/%s has not been started", container, namespace, pod)
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// PID is the process of a container on this machine: for what its memory, descriptors or user are.
func (k *Kubelet) PID(t testing.TB, namespace, pod, container string) int {
	t.Helper()
	c, err := k.container(namespace, pod, container)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		t.Fatalf("the container %s of %s/%s has not been started", container, namespace, pod)
	}
	return c.process.cmd.Process.Pid
}

func (k *Kubelet) container(namespace, pod, container string) (*container, error) {
	p := k.pod(named(namespace, pod))
	if p == nil {
		return nil, &cluster.StatusError{Code: 404, Reason: "NotFound", Message: "no pod " + namespace + "/" + pod + " runs"}
	}
	for _, c := range p.all() {
		if c.spec.Name == container {
			return c, nil
		}
	}
	return nil, &cluster.StatusError{Code: 404, Reason: "NotFound", Message: "the pod " + namespace + "/" + pod + " has no container " + container}
}
