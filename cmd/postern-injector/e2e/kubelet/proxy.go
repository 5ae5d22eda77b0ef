package kubelet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"postern/cmd/postern-injector/e2e/cluster"
)

// serviceProxy is what a pod has of the cluster's network: the names of the Services in its /etc/hosts, and listeners at their addresses.
type serviceProxy struct {
	pod             *pod
	hosts, resolver string          // files
	own             map[string]bool // ports that the pod's containers declare, and so listen on themselves

	mu        sync.Mutex
	closed    bool
	listeners map[string]net.Listener // by "ip:port"
	text      string                  // of hosts
}

func newServiceProxy(p *pod) *serviceProxy {
	s := &serviceProxy{
		pod: p, hosts: filepath.Join(p.dir, "hosts"), resolver: filepath.Join(p.dir, "resolv.conf"), own: map[string]bool{}, listeners: map[string]net.Listener{},
	}
	for _, c := range p.all() {
		for _, port := range c.spec.Ports {
			s.own[strconv.Itoa(int(port.ContainerPort))] = true
		}
	}
	for _, name := range []string{s.hosts, s.resolver} { // nobody answers questions here; the hosts file comes first
		_ = os.WriteFile(name, []byte("# of the test\n"), 0o644) // #nosec G306 -- every user of a pod reads it; a mount that fails says so
		_ = os.Chmod(name, 0o644)                                // #nosec G302 -- whatever the umask is
	}
	return s
}

// sync listens at the addresses of all Services that there are now, and at no others.
func (s *serviceProxy) sync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	wanted := map[string]bool{}
	var names []string
	for _, service := range s.pod.k.services.in("") {
		ip := service.Spec.ClusterIP
		if net.ParseIP(ip) == nil { // headless, or not there yet
			continue
		}
		names = append(names, hostLine(service, s.pod.object.Namespace))
		for _, port := range service.Spec.Ports {
			number := strconv.Itoa(int(port.Port))
			address := net.JoinHostPort(ip, number)
			if s.own[number] || port.Protocol != corev1.ProtocolTCP {
				continue
			}
			wanted[address] = true
			if s.listeners[address] == nil {
				s.listen(address)
			}
		}
	}
	for address, l := range s.listeners {
		if !wanted[address] {
			l.Close()
			delete(s.listeners, address)
		}
	}
	slices.Sort(names)
	s.writeHosts(strings.Join(names, ""))
}

func (s *serviceProxy) listen(address string) {
	var l net.Listener
	err := s.pod.net.do(func() (err error) {
		l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp4", address)
		return err
	})
	if err != nil { // the pod listens there itself without having declared it
		return
	}
	s.listeners[address] = l
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.forward(conn, address)
		}
	}()
}

func (s *serviceProxy) forward(client net.Conn, address string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	server, err := s.pod.k.dialAddress(ctx, address)
	cancel()
	if err != nil {
		_ = client.(*net.TCPConn).SetLinger(0) // a reset is the nearest thing to a refusal
		client.Close()
		return
	}
	cluster.Splice(client, client, server)
}

// hostLine are the names of a Service, the shortest only in its own namespace.
func hostLine(s *corev1.Service, namespace string) string {
	name := s.Name + "." + s.Namespace
	line := fmt.Sprintf("%s %s.svc.cluster.local %s.svc %s", s.Spec.ClusterIP, name, name, name)
	if s.Namespace == namespace {
		line += " " + s.Name
	}
	return line + "\n"
}

// writeHosts writes into the file that containers have mounted, in one piece, so that nobody reads an empty one.
func (s *serviceProxy) writeHosts(names string) {
	o := s.pod.object
	text := "127.0.0.1 localhost\n" + s.pod.ip + " " + cmp.Or(o.Spec.Hostname, o.Name) + "\n"
	for _, alias := range o.Spec.HostAliases {
		text += alias.IP + " " + strings.Join(alias.Hostnames, " ") + "\n"
	}
	if text += names; text == s.text {
		return
	}
	f, err := os.OpenFile(s.hosts, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(text), 0); err == nil && f.Truncate(int64(len(text))) == nil {
		s.text = text
	}
}

func (s *serviceProxy) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for l := range maps.Values(s.listeners) {
		l.Close()
	}
}
