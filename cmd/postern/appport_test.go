package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"postern/config"
)

// podPort is an app's port in a pod of two addresses, with these tables, and these sockets that a connection reaches.
func podPort(t *testing.T, cfg config.Config, files fs.FS, open map[string]error) *appPort {
	t.Helper()
	p := newAppPort(&cfg)
	if p == nil {
		t.Fatalf("%s is not looked at", cfg.Upstream.Host)
	}
	p.files, p.order = files, binary.LittleEndian
	p.addresses = func() ([]netip.Addr, error) {
		return []netip.Addr{
			netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.244.1.10"), netip.MustParseAddr("::1"), netip.MustParseAddr("fe80::1%eth0"),
		}, nil
	}
	p.resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
		switch host {
		case "pod-name":
			return []netip.Addr{netip.MustParseAddr("10.244.1.10")}, nil
		case "ip6-loopback":
			return []netip.Addr{netip.IPv6Loopback()}, nil
		case "other-pod":
			return []netip.Addr{netip.MustParseAddr("10.244.7.7")}, nil
		}
		return nil, errors.New("no such host")
	}
	p.connect = func(_ context.Context, to netip.AddrPort) error {
		if err, ok := open[to.String()]; ok {
			return err
		}
		return &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	return p
}

func proc(tcp, tcp6 string) fstest.MapFS {
	return fstest.MapFS{"proc/net/tcp": {Data: []byte(tcp)}, "proc/net/tcp6": {Data: []byte(tcp6)}}
}

func TestS05AppPort(t *testing.T) {
	t.Parallel()
	none := socketTable()
	at := func(host string) config.Config { return config.Config{Upstream: config.Upstream{Host: host}} }
	both := func(public, upstream string) config.Config {
		return config.Config{Server: config.Server{BindAddress: public}, Upstream: config.Upstream{Host: upstream}}
	}
	podIP := "0A01F40A:1F90 00000000:0000 0A"
	for name, test := range map[string]struct {
		cfg     config.Config
		files   fs.FS
		open    map[string]error // what a connection to it gives, where no refusal
		exposed string
		pending bool
		fails   string
	}{
		"on loopback":                           {cfg: at("127.0.0.1:8080"), files: proc(socketTable(onLoopback4), none)},
		"on both loopbacks":                     {cfg: at("localhost:8080"), files: proc(socketTable(onLoopback4), socketTable(onLoopback6))},
		"on 0.0.0.0":                            {cfg: at("127.0.0.1:8080"), files: proc(socketTable(onEvery4), none), exposed: "0.0.0.0"},
		"on [::], as most do":                   {cfg: at("127.0.0.1:8080"), files: proc(none, socketTable(onEvery6)), exposed: "::"},
		"on loopback and the pod's address":     {cfg: at("127.0.0.1:8080"), files: proc(socketTable(onLoopback4, podIP), none), exposed: "10.244.1.10"},
		"on the pod's address, where it is met": {cfg: at("10.244.1.10:8080"), files: proc(socketTable(podIP), none), exposed: "10.244.1.10"},
		"met on the pod's address, on all":      {cfg: at("10.244.1.10:8080"), files: proc(none, socketTable(onEvery6)), exposed: "::"},
		"met by the pod's name":                 {cfg: at("pod-name:8080"), files: proc(socketTable(onEvery4), none), exposed: "0.0.0.0"},
		"met by a name of loopback":             {cfg: at("ip6-loopback:8080"), files: proc(none, socketTable(onEvery6)), exposed: "::"},
		"met at 0.0.0.0":                        {cfg: at("0.0.0.0:8080"), files: proc(socketTable(onEvery4), none), exposed: "0.0.0.0"},
		"met on localhost with a dot":           {cfg: at("localhost.:8080"), files: proc(socketTable(onEvery4), none), exposed: "0.0.0.0"},
		"not there yet":                         {cfg: at("127.0.0.1:8080"), files: proc(none, none), pending: true},
		"a kernel without IPv6":                 {cfg: at("127.0.0.1:8080"), files: fstest.MapFS{"proc/net/tcp": {Data: []byte(socketTable(onEvery4))}}, exposed: "0.0.0.0"},
		"on another host":                       {cfg: at("10.244.7.7:8080"), files: proc(socketTable(onEvery4), none)},
		"on another host, by name":              {cfg: at("other-pod:8080"), files: proc(socketTable(onEvery4), none)},
		"a name that does not resolve":          {cfg: at("gone:8080"), files: proc(none, none), fails: "resolve upstream-host"},

		"postern itself on the pod's address":          {cfg: both("10.244.1.10:8080", "127.0.0.1:8080"), files: proc(socketTable(onLoopback4, podIP), none)},
		"postern on 0.0.0.0, the app on ::1":           {cfg: both("0.0.0.0:8080", "[::1]:8080"), files: proc(socketTable(onEvery4), socketTable(onLoopback6))},
		"postern on all, the app on loopback":          {cfg: both(":8080", "127.0.0.1:8080"), files: proc(socketTable(onLoopback4), socketTable(onEvery6))},
		"postern on the pod's address, the app on all": {cfg: both("10.244.1.10:3000", "127.0.0.1:8080"), files: proc(socketTable(onEvery4), none), exposed: "0.0.0.0"},

		"no table, a connection":        {cfg: at("127.0.0.1:8080"), files: fstest.MapFS{}, open: map[string]error{"10.244.1.10:8080": nil}, exposed: "10.244.1.10"},
		"no table, link-local":          {cfg: at("127.0.0.1:8080"), files: fstest.MapFS{}, open: map[string]error{"[fe80::1%eth0]:8080": nil}, exposed: "fe80::1%eth0"},
		"no table, refused":             {cfg: at("127.0.0.1:8080"), files: fstest.MapFS{}},
		"no table, loopback alone":      {cfg: at("127.0.0.1:8080"), files: fstest.MapFS{}, open: map[string]error{"127.0.0.1:8080": nil, "[::1]:8080": nil}},
		"no table, postern itself":      {cfg: both("10.244.1.10:8080", "127.0.0.1:8080"), files: fstest.MapFS{}, open: map[string]error{"10.244.1.10:8080": nil}},
		"no table, no answer":           {cfg: at("127.0.0.1:8080"), files: fstest.MapFS{}, open: map[string]error{"10.244.1.10:8080": context.DeadlineExceeded}, fails: "connect to the app's port"},
		"a table that is none":          {cfg: at("127.0.0.1:8080"), files: proc("<html>", none), open: map[string]error{"10.244.1.10:8080": nil}, exposed: "10.244.1.10"},
		"a table of IPv6 that is none":  {cfg: at("127.0.0.1:8080"), files: proc(none, "?"), open: map[string]error{"10.244.1.10:8080": nil}, exposed: "10.244.1.10"},
		"neither table nor connections": {cfg: at("127.0.0.1:8080"), files: proc("", ""), open: map[string]error{"10.244.1.10:8080": errors.New("blocked")}, fails: "proc/net/tcp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen, err := podPort(t, test.cfg, test.files, test.open).look(t.Context())
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) || seen.exposed != nil {
					t.Errorf("%+v, error %v; want %s", seen, err, test.fails)
				}
				return
			}
			var exposed []string
			for _, a := range seen.exposed {
				exposed = append(exposed, a.String())
			}
			if got := strings.Join(exposed, " "); err != nil || got != test.exposed || seen.pending != test.pending {
				t.Errorf("exposed on %q, pending %v, error %v; want %q, %v", got, seen.pending, err, test.exposed, test.pending)
			}
		})
	}
}

func TestS05UnixSocketHasNoPort(t *testing.T) {
	t.Parallel()
	if newAppPort(&config.Config{Upstream: config.Upstream{Host: "unix:/run/app.sock"}}) != nil {
		t.Error("a port is looked at")
	}
}

func TestS05ManyOwnAddresses(t *testing.T) {
	t.Parallel()
	p := podPort(t, config.Config{Upstream: config.Upstream{Host: "127.0.0.1:8080"}}, fstest.MapFS{}, nil)
	p.addresses = func() ([]netip.Addr, error) {
		all, next := make([]netip.Addr, 0, 1000), netip.MustParseAddr("10.0.0.1")
		for range cap(all) {
			all, next = append(all, next), next.Next()
		}
		return all, nil
	}
	if _, err := p.look(t.Context()); err == nil {
		t.Error("a thousand connections were made")
	}
	p.addresses = func() ([]netip.Addr, error) { return nil, errors.New("no") }
	if _, err := p.look(t.Context()); err == nil {
		t.Error("without an address nothing can be told")
	}
}

// What the machine that runs the test really says: a listener of the test on every address, and one on loopback.
func TestS05RealSockets(t *testing.T) {
	t.Parallel()
	for host, exposed := range map[string]bool{"0.0.0.0": true, "127.0.0.1": false} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		_, port, _ := net.SplitHostPort(l.Addr().String())
		p := newAppPort(&config.Config{Upstream: config.Upstream{Host: "127.0.0.1:" + port}})
		if seen, err := p.look(t.Context()); err != nil || len(seen.exposed) > 0 != exposed || seen.pending {
			t.Errorf("%s by the tables: %+v, %v", host, seen, err)
		}
		own, err := ownAddresses()
		if err != nil || len(own) == 0 {
			t.Fatalf("own addresses %v, %v", own, err)
		}
		beyond := false
		for _, a := range own {
			beyond = beyond || a.Is4() && !a.IsLoopback()
		}
		p.files = fstest.MapFS{}
		if seen, err := p.look(t.Context()); err != nil || len(seen.exposed) > 0 != (exposed && beyond) {
			t.Errorf("%s by connections: %+v, %v", host, seen, err)
		}
	}
}

func TestS05OwnListeners(t *testing.T) {
	t.Parallel()
	var cfg config.Config
	cfg.Server.BindAddress, cfg.Server.MetricsBindAddress, cfg.Server.ProbeBindAddress = ":1", "127.0.0.1:2", "[2001:db8::1]:3"
	cfg.Token.BindAddress, cfg.Egress.BindAddress, cfg.Admin.BindAddress = "unix:/run/token.sock", "localhost:4", ""
	got := map[string]bool{}
	for at := range maps.Keys(listensOn(&cfg)) {
		got[at.String()] = true
	}
	want := map[string]bool{"0.0.0.0:1": true, "[::]:1": true, "127.0.0.1:2": true, "[2001:db8::1]:3": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
