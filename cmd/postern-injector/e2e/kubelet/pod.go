package kubelet

import (
	"context"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"postern/cmd/postern-injector/e2e/cluster"
)

// pod runs one pod from its binding to its end.
type pod struct {
	k       *Kubelet
	object  *corev1.Pod // as it was bound
	ip      string
	dir     string // of its volumes
	net     *netns
	ctx     context.Context // ends when the pod shall start nothing more
	cancel  context.CancelFunc
	inits   []*container // in the order of the pod
	apps    []*container
	volumes *volumes
	proxy   *serviceProxy
	ending  sync.Once
	removal sync.Once
	ran     chan struct{} // closed when run has returned

	publishing sync.Mutex
	mu         sync.Mutex // guards what follows, and the status of the containers
	phase      corev1.PodPhase
	prepared   bool // its volumes are there
	since      map[corev1.PodConditionType]corev1.PodCondition
}

func newPod(ctx context.Context, k *Kubelet, object *corev1.Pod, ip netip.Addr) (*pod, error) {
	net, err := newNetns(netip.PrefixFrom(ip, 32), netip.MustParsePrefix(nodeIP+"/32"), netip.MustParsePrefix(cluster.ServiceRange))
	if err != nil {
		return nil, err
	}
	p := &pod{
		k: k, object: object, ip: ip.String(), net: net, dir: filepath.Join(k.dir, "pods", string(object.UID)), ran: make(chan struct{}),
		phase: corev1.PodPending, since: map[corev1.PodConditionType]corev1.PodCondition{},
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		net.close()
		return nil, err
	}
	p.ctx, p.cancel = context.WithCancel(ctx)
	for i := range object.Spec.InitContainers {
		p.inits = append(p.inits, newContainer(p, &object.Spec.InitContainers[i], true))
	}
	for i := range object.Spec.Containers {
		p.apps = append(p.apps, newContainer(p, &object.Spec.Containers[i], false))
	}
	p.volumes = newVolumes(p)
	p.proxy = newServiceProxy(p)
	return p, nil
}

// run starts the containers in their order and sees a pod that may finish to its end.
func (p *pod) run() {
	defer close(p.ran)
	p.refresh()
	p.publish()
	for p.volumes.prepare() != nil {
		if !pause(p.ctx, 200*time.Millisecond) {
			return
		}
	}
	p.mu.Lock()
	p.prepared = true
	p.mu.Unlock()
	for _, c := range p.inits {
		go c.supervise()
		if !c.awaitInit() {
			p.finish(corev1.PodFailed)
			return
		}
	}
	for _, c := range p.apps {
		go c.supervise()
	}
	p.setPhase(corev1.PodRunning)
	phase := corev1.PodSucceeded
	for _, c := range p.apps {
		<-c.finished
		if c.exitCode() != 0 {
			phase = corev1.PodFailed
		}
	}
	p.finish(phase)
}

// finish ends the sidecars of a pod whose own work is done. A pod that is being deleted has its end elsewhere.
func (p *pod) finish(phase corev1.PodPhase) {
	if p.ctx.Err() != nil {
		return
	}
	p.stop(p.grace(p.object))
	p.setPhase(phase)
}

func (p *pod) setPhase(phase corev1.PodPhase) {
	p.mu.Lock()
	p.phase = phase
	p.mu.Unlock()
	p.publish()
}

func (p *pod) grace(object *corev1.Pod) time.Duration {
	for _, seconds := range []*int64{object.DeletionGracePeriodSeconds, object.Spec.TerminationGracePeriodSeconds} {
		if seconds != nil {
			return time.Duration(*seconds) * time.Second
		}
	}
	return 30 * time.Second
}

// terminate ends a pod that the API server wants to have deleted, and then lets it go. Only its first call does anything.
func (p *pod) terminate(object *corev1.Pod) {
	p.ending.Do(func() {
		p.k.work.Go(func() {
			p.cancel()
			p.stop(p.grace(object))
			<-p.ran
			phase := corev1.PodSucceeded
			for _, c := range p.apps {
				if c.exitCode() != 0 {
					phase = corev1.PodFailed
				}
			}
			p.setPhase(phase)
			p.k.confirmDeletion(p.object)
		})
	})
}

// confirmDeletion tells the API server that nothing of the pod runs any more.
func (k *Kubelet) confirmDeletion(object *corev1.Pod) {
	options := m{"gracePeriodSeconds": 0, "preconditions": m{"uid": object.UID}}
	_ = k.cluster.Do(context.Background(), http.MethodDelete, podPath(object), options, nil) // gone already, or asked again
}

// all are its containers, in the order of their start.
func (p *pod) all() []*container { return append(slices.Clone(p.inits), p.apps...) }

func podPath(object *corev1.Pod) string {
	return "/api/v1/namespaces/" + object.Namespace + "/pods/" + object.Name
}

// destroy kills what is left of the pod and removes everything that was made for it.
func (p *pod) destroy() {
	p.removal.Do(func() {
		p.cancel()
		for _, c := range p.all() {
			c.kill()
		}
		p.proxy.close()
		p.net.close()
		_ = os.RemoveAll(p.dir)
		p.k.record(Event{Namespace: p.object.Namespace, Pod: p.object.Name, Kind: Finished})
	})
}

// refresh follows what has changed in the cluster: the Services, and what volumes are made of.
func (p *pod) refresh() {
	if p.ctx.Err() != nil {
		return
	}
	p.proxy.sync()
	p.volumes.update()
}
