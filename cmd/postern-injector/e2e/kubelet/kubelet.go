package kubelet

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"postern/cmd/postern-injector/e2e/cluster"
)

// nodeIP is the address from which probes and forwarded connections come, in every pod's namespace. No pod has it.
const nodeIP = cluster.NodeIP

// Options of the nodes.
type Options struct {
	Nodes  int // how many to register; 0: two, so that spread constraints can be met
	Images map[string]Image
}

// Kubelet runs the pods of all nodes that it has registered.
type Kubelet struct {
	cluster *cluster.Cluster
	dir     string
	nodes   map[string]bool
	cancel  context.CancelFunc
	loops   sync.WaitGroup // what ends with the context
	work    sync.WaitGroup // what ends with the processes

	pods       *store[corev1.Pod]
	services   *store[corev1.Service]
	slices     *store[discoveryv1.EndpointSlice]
	configMaps *store[corev1.ConfigMap]
	secrets    *store[corev1.Secret]

	turn       atomic.Uint32 // of the endpoints of a Service
	mu         sync.Mutex
	images     map[string]Image
	pulled     map[string]*pulled
	registries map[string]*http.Client // by host
	mapped     map[string]string       // "service.namespace.svc:port" → address of this machine
	running    map[string]*pod         // by UID
	lastIP     int
	events     []Event
	said       map[string][]*output // by namespace_pod_container: one of each run, oldest first
	server     *server
}

// Start registers the nodes and runs the pods that the scheduler binds to them. The cluster must run its controllers. What is missing on this
// machine is an error with [cluster.ErrMissing].
//
// The caller must [Kubelet.Stop] it before the cluster. Tests use a [Suite].
func Start(c *cluster.Cluster, o Options) (*Kubelet, error) {
	if os.Args[0] == shimName {
		panic("a container must not become a kubelet: TestMain has to call Suite.Run, or Shim, first")
	}
	dir, err := os.MkdirTemp("", "kubelet-")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	k := &Kubelet{
		cluster: c, dir: dir, cancel: cancel, nodes: map[string]bool{}, images: map[string]Image{}, mapped: map[string]string{}, running: map[string]*pod{},
		said: map[string][]*output{}, pulled: map[string]*pulled{}, registries: map[string]*http.Client{},
	}
	for name, i := range o.Images {
		k.images[name] = i
	}
	if err := errors.Join(k.check(), k.serve(), k.watch(ctx), k.register(ctx, o.Nodes)); err != nil {
		k.Stop()
		return nil, err
	}
	k.MapService("kubernetes.default.svc:443", c.Address)
	c.Egress.Dialer(k.dialFromControlPlane)
	return k, nil
}

// Stop kills what still runs and removes all that was made. It may be called again.
func (k *Kubelet) Stop() {
	k.cluster.Egress.Dialer(nil)
	k.cancel()
	k.loops.Wait()
	k.server.close()
	k.mu.Lock()
	running := k.running
	k.running = map[string]*pod{}
	k.mu.Unlock()
	var all sync.WaitGroup
	for _, p := range running {
		all.Go(p.destroy)
	}
	all.Wait()
	k.work.Wait()
	_ = os.RemoveAll(k.dir)
}

// check runs a container that does nothing, and so finds out whether this machine and this test binary can.
func (k *Kubelet) check() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: root, whom pods as processes need", cluster.ErrMissing)
	}
	n, err := newNetns()
	if err != nil {
		return fmt.Errorf("%w: the right to make namespaces: %w", cluster.ErrMissing, err)
	}
	defer n.close()
	work := filepath.Join(k.dir, "check")
	if err := os.Mkdir(work, 0o700); err != nil {
		return err
	}
	var said bytes.Buffer
	p, err := run(n, &spec{Lower: "/", Work: work, Dir: "/", UID: nobody, GID: nobody, Check: true}, &said)
	if err != nil {
		return fmt.Errorf("%w: the right to make namespaces: %w", cluster.ErrMissing, err)
	}
	<-p.exited
	switch text := strings.TrimSpace(said.String()); {
	case text == checked:
		return nil
	case p.code == 128:
		return fmt.Errorf("%w: what containers need: %s", cluster.ErrMissing, text)
	default:
		return errors.New("the test binary does not become a container: TestMain has to call Suite.Run, or Shim, first; it said " + text)
	}
}

// watch starts to follow all that pods depend on.
func (k *Kubelet) watch(ctx context.Context) (err error) {
	wake := make(chan struct{}, 1)
	changed := func() {
		select {
		case wake <- struct{}{}:
		default: // it will look anyway
		}
	}
	c := k.cluster
	if k.pods, err = newStore[corev1.Pod](ctx, c, "/api/v1/pods", changed); err != nil {
		return err
	}
	if k.services, err = newStore[corev1.Service](ctx, c, "/api/v1/services", changed); err != nil {
		return err
	}
	if k.slices, err = newStore[discoveryv1.EndpointSlice](ctx, c, "/apis/discovery.k8s.io/v1/endpointslices", func() {}); err != nil {
		return err
	}
	if k.configMaps, err = newStore[corev1.ConfigMap](ctx, c, "/api/v1/configmaps", changed); err != nil {
		return err
	}
	if k.secrets, err = newStore[corev1.Secret](ctx, c, "/api/v1/secrets", changed); err != nil {
		return err
	}
	k.loops.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-wake:
				k.sync(ctx)
			}
		}
	})
	return nil
}

// sync brings what runs in line with what the API server says.
func (k *Kubelet) sync(ctx context.Context) {
	there := map[string]bool{}
	for _, object := range k.pods.in("") {
		if !k.nodes[object.Spec.NodeName] {
			continue
		}
		uid := string(object.UID)
		there[uid] = true
		k.mu.Lock()
		p := k.running[uid]
		k.mu.Unlock()
		finished := object.Status.Phase == corev1.PodSucceeded || object.Status.Phase == corev1.PodFailed
		switch {
		case p == nil && object.DeletionTimestamp != nil:
			k.confirmDeletion(object)
		case p == nil && !finished:
			k.add(ctx, object)
		case p != nil && object.DeletionTimestamp != nil:
			p.terminate(object)
		}
	}
	k.mu.Lock()
	var gone, left []*pod
	for uid, p := range k.running {
		if there[uid] {
			left = append(left, p)
		} else {
			gone = append(gone, p)
			delete(k.running, uid)
		}
	}
	k.mu.Unlock()
	for _, p := range gone { // finished, or deleted by force
		k.work.Go(p.destroy)
	}
	for _, p := range left {
		p.refresh()
	}
}

func (k *Kubelet) add(ctx context.Context, object *corev1.Pod) {
	k.mu.Lock()
	k.lastIP++
	ip := netip.AddrFrom4([4]byte{10, 244, byte(k.lastIP / 250), byte(k.lastIP%250 + 1)})
	k.mu.Unlock()
	p, err := newPod(ctx, k, object, ip)
	if err != nil {
		k.record(Event{Namespace: object.Namespace, Pod: object.Name, Kind: Failed, Detail: err.Error()})
		return
	}
	k.mu.Lock()
	k.running[string(object.UID)] = p
	k.mu.Unlock()
	k.work.Go(p.run)
}

// pod finds a running pod by the name of its namespace and its own.
func (k *Kubelet) pod(match func(p *pod) bool) *pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.running {
		if match(p) {
			return p
		}
	}
	return nil
}

func named(namespace, name string) func(*pod) bool {
	return func(p *pod) bool { return p.object.Namespace == namespace && p.object.Name == name }
}

func uniqueName() string { return strings.ToLower(rand.Text()[:12]) }

// pause waits, and says whether the context is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
