package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"postern/cmd/postern-injector/e2e/cluster"
)

// Dial connects to a Service ("web.shop.svc:80", "web.shop.svc.cluster.local:80" or its cluster address), to a pod by its address, or to
// "pod.namespace.pod:8080", a pod by its name, as a client within the cluster would.
func (k *Kubelet) Dial(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if name, ok := strings.CutSuffix(host, ".pod"); ok {
		i := strings.LastIndexByte(name, '.') // the name of a pod may have dots, that of a namespace has none
		if i < 0 {
			return nil, fmt.Errorf("%w: %s is not pod.namespace.pod", cluster.ErrNoRoute, host)
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		p := k.pod(named(name[i+1:], name[:i]))
		if p == nil {
			return nil, fmt.Errorf("%w: no pod %s runs", cluster.ErrNoRoute, name)
		}
		return p.dial(ctx, number)
	}
	if name, ok := strings.CutSuffix(strings.TrimSuffix(host, ".cluster.local"), ".svc"); ok {
		service, namespace, _ := strings.Cut(name, ".")
		s, ok := k.services.get(namespace, service)
		if !ok {
			return nil, fmt.Errorf("%w: no Service %s", cluster.ErrNoRoute, name)
		}
		return k.dialService(ctx, s, port)
	}
	return k.dialAddress(ctx, address)
}

// Client is an HTTP client that dials as [Kubelet.Dial] does: http://web.shop.svc/. It follows no redirects and keeps no connections.
func (k *Kubelet) Client() *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(ctx context.Context, _, address string) (net.Conn, error) { return k.Dial(ctx, address) },
		},
	}
}

// Forward listens on 127.0.0.1 until the end of the test and hands every connection on to what [Kubelet.Dial] finds at the address: for browsers and
// other programs outside of the cluster. It returns host:port.
func (k *Kubelet) Forward(t testing.TB, address string) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				server, err := k.Dial(context.Background(), address)
				if err != nil {
					client.Close()
					return
				}
				cluster.Splice(client, client, server)
			}()
		}
	}()
	return l.Addr().String()
}

// MapService lets a Service's port ("redis.shop.svc:6379") stand for an address of this machine, such as that of a server that the test runs.
// The Service must exist, and needs no selector. An empty address takes the mapping back.
func (k *Kubelet) MapService(service, address string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if address == "" {
		delete(k.mapped, service)
		return
	}
	k.mapped[service] = address
}

// dialFromControlPlane connects to what the API server asks for: a kubelet, a Service or a pod; and for its kubectl port-forward to the loopback of a pod.
func (k *Kubelet) dialFromControlPlane(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if address == kubeletAddress {
		return (&net.Dialer{}).DialContext(ctx, "unix", k.server.socket)
	}
	name, ok := strings.CutSuffix(host, loopbackHost)
	if !ok {
		return k.dialAddress(ctx, address)
	}
	i := strings.LastIndexByte(name, '.')
	p := k.pod(named(name[i+1:], name[:max(0, i)]))
	if p == nil {
		return nil, fmt.Errorf("%w: no pod %s runs", cluster.ErrNoRoute, name)
	}
	var conn net.Conn
	err = p.net.do(func() (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", port))
		return err
	})
	return conn, err
}

// dialAddress connects to "ip:port", of a Service or of a pod.
func (k *Kubelet) dialAddress(ctx context.Context, address string) (net.Conn, error) {
	ip, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	for _, s := range k.services.in("") {
		if s.Spec.ClusterIP == ip {
			return k.dialService(ctx, s, port)
		}
	}
	p := k.pod(func(p *pod) bool { return p.ip == ip })
	number, err := strconv.Atoi(port)
	if p == nil || err != nil {
		return nil, fmt.Errorf("%w to %s", cluster.ErrNoRoute, address)
	}
	return p.dial(ctx, number)
}

// dialService connects to one of a Service's endpoints, to another one when that refuses.
func (k *Kubelet) dialService(ctx context.Context, s *corev1.Service, port string) (net.Conn, error) {
	name := s.Name + "." + s.Namespace + ".svc:" + port
	k.mu.Lock()
	to, ok := k.mapped[name]
	k.mu.Unlock()
	if ok {
		return (&net.Dialer{}).DialContext(ctx, "tcp", to)
	}
	last := fmt.Errorf("%s has no endpoint that is ready", name)
	endpoints := k.endpoints(s, port)
	first := int(k.turn.Add(1))
	for i := range endpoints {
		e := endpoints[(first+i)%len(endpoints)]
		p := k.pod(func(p *pod) bool { return p.ip == e.ip })
		if p == nil {
			continue
		}
		conn, err := p.dial(ctx, e.port)
		if err == nil {
			return conn, nil
		}
		last = errors.Join(last, err)
	}
	return nil, last
}

type endpoint struct {
	ip   string
	port int
}

// endpoints are those that are ready; where there is none, those that are ending and still serve, as kube-proxy has it.
func (k *Kubelet) endpoints(s *corev1.Service, port string) (ready []endpoint) {
	portName, known := "", false
	for _, p := range s.Spec.Ports {
		if strconv.Itoa(int(p.Port)) == port {
			portName, known = p.Name, true
		}
	}
	if !known {
		return nil
	}
	var serving []endpoint
	for _, slice := range k.slices.in(s.Namespace) {
		if slice.Labels[discoveryv1.LabelServiceName] != s.Name {
			continue
		}
		number := 0
		for _, p := range slice.Ports {
			if p.Port != nil && (p.Name == nil && portName == "" || p.Name != nil && *p.Name == portName) {
				number = int(*p.Port)
			}
		}
		for _, e := range slice.Endpoints {
			for _, ip := range e.Addresses {
				switch c := e.Conditions; {
				case number == 0:
				case c.Ready == nil || *c.Ready:
					ready = append(ready, endpoint{ip, number})
				case c.Serving != nil && *c.Serving && c.Terminating != nil && *c.Terminating:
					serving = append(serving, endpoint{ip, number})
				}
			}
		}
	}
	if len(ready) == 0 {
		return serving
	}
	return ready
}

// dial connects to a port of the pod from inside its namespace, but from the node's address.
func (p *pod) dial(ctx context.Context, port int) (conn net.Conn, err error) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(nodeIP)}}
	err = p.net.do(func() (err error) {
		conn, err = dialer.DialContext(ctx, "tcp4", net.JoinHostPort(p.ip, strconv.Itoa(port)))
		return err
	})
	return conn, err
}
