package kubelet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Back-off between restarts: shorter than a real kubelet's, which begins with ten seconds.
const (
	firstBackOff = 200 * time.Millisecond
	lastBackOff  = 5 * time.Second
)

// container runs one container of a pod, and runs it again where the pod says so.
type container struct {
	pod     *pod
	spec    *corev1.Container
	init    bool
	sidecar bool            // a native one: an init container that stays
	ctx     context.Context // ends when it shall not be started any more
	cancel  context.CancelFunc

	started  chan struct{} // closed when its startup is over for the first time
	finished chan struct{} // closed when it will not run any more

	mu         sync.Mutex
	supervised bool
	process    *process
	env        []string
	once       sync.Once // closes started

	runs []*output // guarded by the kubelet's mutex

	status corev1.ContainerStatus // guarded by the pod's mutex
}

func newContainer(p *pod, spec *corev1.Container, init bool) *container {
	c := &container{pod: p, spec: spec, init: init, started: make(chan struct{}), finished: make(chan struct{})}
	c.sidecar = init && spec.RestartPolicy != nil && *spec.RestartPolicy == corev1.ContainerRestartPolicyAlways
	c.ctx, c.cancel = context.WithCancel(p.ctx)
	c.status = corev1.ContainerStatus{
		Name: spec.Name, Image: spec.Image, Started: new(bool),
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}},
	}
	return c
}

// awaitInit waits until the next container may be started: an init container has done its work, a sidecar has started.
func (c *container) awaitInit() bool {
	if c.sidecar {
		select {
		case <-c.started:
			return true
		case <-c.finished:
			return false
		}
	}
	<-c.finished
	return c.exitCode() == 0 && c.ctx.Err() == nil
}

// supervise runs the container until its end.
func (c *container) supervise() {
	c.mu.Lock()
	taken := c.supervised
	c.supervised = true
	c.mu.Unlock()
	if taken {
		return
	}
	defer close(c.finished)
	backOff := firstBackOff
	for {
		p, err := c.launch()
		if err != nil {
			c.waits(err)
			if !pause(c.ctx, 500*time.Millisecond) {
				return
			}
			continue
		}
		if p == nil {
			return
		}
		begun := time.Now()
		stopProbes := c.probe(p)
		<-p.exited
		stopProbes()
		c.record(Exited, strconv.Itoa(p.code))
		again := c.ctx.Err() == nil && c.restarts(p.code)
		c.ended(p, begun, again)
		if !again {
			return
		}
		if time.Since(begun) > 10*time.Second {
			backOff = firstBackOff
		}
		if !pause(c.ctx, backOff) {
			c.change(func(s *corev1.ContainerStatus) { s.State = s.LastTerminationState })
			return
		}
		backOff = min(2*backOff, lastBackOff)
	}
}

// launch starts the process, unless the container is not to run any more.
func (c *container) launch() (*process, error) {
	s, err := c.prepare()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return nil, nil //nolint:nilnil // nothing to run and nothing wrong
	}
	said := c.listen()
	p, err := run(c.pod.net, s, said)
	if err != nil {
		said.close()
		return nil, err
	}
	go func() {
		<-p.exited
		said.close()
	}()
	<-p.begun
	c.process, c.env = p, s.Env
	c.record(Started, strconv.Itoa(p.cmd.Process.Pid))
	c.change(func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
		s.ImageID, s.ContainerID = s.Image, "process://"+strconv.Itoa(p.cmd.Process.Pid)
	})
	return p, nil
}

// prepare says what the process shall be. Its errors are those that a kubelet shows in the status of the container, and which may pass.
func (c *container) prepare() (*spec, error) {
	image, err := c.pod.k.image(c.spec.Image)
	if err != nil {
		return nil, waitingError{"ErrImagePull", err.Error()}
	}
	env, err := c.environment(image.Env)
	if err != nil {
		return nil, waitingError{"CreateContainerConfigError", err.Error()}
	}
	s := &spec{Lower: "/", Dir: "/", Hostname: c.pod.object.Name, Env: env.list(), Work: filepath.Join(c.pod.dir, "work-"+c.spec.Name)}
	if image.Root != "" {
		s.Lower = image.Root
	}
	if c.spec.WorkingDir != "" {
		s.Dir = c.spec.WorkingDir
	}
	if err := c.identity(s, image.User); err != nil {
		return nil, waitingError{"CreateContainerConfigError", err.Error()}
	}
	command, args := image.Entrypoint, image.Cmd
	if len(c.spec.Command) > 0 { // then nothing of the image's own remains
		command, args = env.expandAll(c.spec.Command), nil
	}
	if len(c.spec.Args) > 0 {
		args = env.expandAll(c.spec.Args)
	}
	s.Args = append(append([]string{}, command...), args...)
	if len(s.Args) == 0 {
		return nil, waitingError{"RunContainerError", "no command specified"}
	}
	for inside, file := range image.Files {
		s.Mounts = append(s.Mounts, mount{Source: file, Target: inside, ReadOnly: true})
	}
	own, err := c.pod.volumes.mounts(c)
	if err != nil {
		return nil, waitingError{"CreateContainerConfigError", err.Error()}
	}
	s.Mounts = append(s.Mounts, own...)
	if sc := c.spec.SecurityContext; sc != nil && sc.ReadOnlyRootFilesystem != nil {
		s.ReadOnly = *sc.ReadOnlyRootFilesystem
	}
	return s, os.MkdirAll(s.Work, 0o700)
}

// identity is the user and the groups: the container's word, else the pod's, else the image's.
func (c *container) identity(s *spec, user int) error {
	s.UID = user
	if user == 0 {
		s.UID = nobody
	}
	s.GID = s.UID
	nonRoot := false
	if sc := c.pod.object.Spec.SecurityContext; sc != nil {
		s.UID, s.GID = number(sc.RunAsUser, s.UID), number(sc.RunAsGroup, s.GID)
		nonRoot = sc.RunAsNonRoot != nil && *sc.RunAsNonRoot
		for _, g := range sc.SupplementalGroups {
			s.Groups = append(s.Groups, int(g))
		}
		if sc.FSGroup != nil {
			s.Groups = append(s.Groups, int(*sc.FSGroup))
		}
	}
	if sc := c.spec.SecurityContext; sc != nil {
		s.UID, s.GID = number(sc.RunAsUser, s.UID), number(sc.RunAsGroup, s.GID)
		if sc.RunAsNonRoot != nil {
			nonRoot = *sc.RunAsNonRoot
		}
	}
	if nonRoot && s.UID == 0 {
		return fmt.Errorf("container's runAsUser breaks non-root policy (container: %s)", c.spec.Name)
	}
	return nil
}

func number(n *int64, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return int(*n)
}

// exec runs one more program in the container, as its user and with its environment.
func (c *container) exec(ctx context.Context, command []string) (string, error) {
	c.mu.Lock()
	p, env := c.process, c.env
	c.mu.Unlock()
	if p == nil || !p.running() {
		return "", fmt.Errorf("the container %s does not run", c.spec.Name)
	}
	image, err := c.pod.k.image(c.spec.Image)
	if err != nil {
		return "", err
	}
	s := &spec{Join: p.cmd.Process.Pid, Dir: "/", Args: command, Env: env}
	if err := c.identity(s, image.User); err != nil {
		return "", err
	}
	var said buffer
	x, err := run(c.pod.net, s, &said)
	if err != nil {
		return "", err
	}
	select {
	case <-x.exited:
	case <-ctx.Done():
		x.kill()
		return said.String(), ctx.Err()
	}
	if x.code != 0 {
		return said.String(), fmt.Errorf("exit code %d: %s", x.code, said.String())
	}
	return said.String(), nil
}

func (c *container) record(kind Kind, detail string) {
	c.pod.k.record(Event{Namespace: c.pod.object.Namespace, Pod: c.pod.object.Name, Container: c.spec.Name, Kind: kind, Detail: detail})
}
