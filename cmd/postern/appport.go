package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"postern/config"
)

const (
	appPortPatience = 5 * time.Second // for one look, names and connects together
	maxOwnAddresses = 64              // of this network namespace that are tried
)

// appPort looks who else can reach the app's port (S-05). All of it belongs to this network namespace, which is the pod's.
type appPort struct {
	host      string // of upstream-host
	port      uint16
	own       map[netip.AddrPort]bool // on which Postern itself listens
	files     fs.FS                   // in which proc is
	order     binary.ByteOrder        // of the machine
	addresses func() ([]netip.Addr, error)
	resolve   func(ctx context.Context, host string) ([]netip.Addr, error)
	connect   func(ctx context.Context, to netip.AddrPort) error
}

// sighting is what one look found out.
type sighting struct {
	pending bool         // nobody listens on the port yet
	exposed []netip.Addr // addresses beyond loopback on which somebody does
}

// newAppPort is nil if there is no port to look at: a Unix socket is closed by its permissions.
func newAppPort(cfg *config.Config) *appPort {
	host, portText, err := net.SplitHostPort(cfg.Upstream.Host)
	if err != nil || strings.HasPrefix(cfg.Upstream.Host, "unix:") {
		return nil
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil // config has checked it
	}
	dialer := new(net.Dialer)
	return &appPort{
		host: host, port: uint16(port), own: listensOn(cfg), files: os.DirFS("/"), order: binary.NativeEndian, addresses: ownAddresses,
		resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		connect: func(ctx context.Context, to netip.AddrPort) error {
			conn, err := dialer.DialContext(ctx, "tcp", to.String())
			if err != nil {
				return err
			}
			return conn.Close()
		},
	}
}

// look answers by the kernel's tables, else by a connection to each of the own addresses. An app that is on another host is not looked at: who
// reaches it there cannot be told from here.
func (p *appPort) look(ctx context.Context) (sighting, error) {
	ctx, cancel := context.WithTimeout(ctx, appPortPatience)
	defer cancel()
	if here, err := p.isHere(ctx); err != nil || !here {
		return sighting{}, err
	}
	listeners, err := p.listeners()
	if err != nil {
		seen, connectErr := p.tryAll(ctx)
		if connectErr != nil {
			return sighting{}, errors.Join(err, connectErr)
		}
		return seen, nil
	}
	seen := sighting{pending: len(listeners) == 0}
	for _, address := range listeners {
		if !address.IsLoopback() && !p.own[netip.AddrPortFrom(address, p.port)] {
			seen.exposed = append(seen.exposed, address)
		}
	}
	return seen, nil
}

// isHere says whether the app's address belongs to this network namespace.
func (p *appPort) isHere(ctx context.Context) (bool, error) {
	name := strings.TrimSuffix(p.host, ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true, nil
	}
	at, err := netip.ParseAddr(p.host)
	named := []netip.Addr{at}
	if err != nil {
		if named, err = p.resolve(ctx, p.host); err != nil {
			return false, fmt.Errorf("resolve upstream-host: %w", err)
		}
	}
	own, err := p.addresses()
	if err != nil {
		return false, fmt.Errorf("list own addresses: %w", err)
	}
	return slices.ContainsFunc(named, func(a netip.Addr) bool {
		a = a.Unmap()
		return a.IsLoopback() || a.IsUnspecified() || slices.ContainsFunc(own, func(o netip.Addr) bool { return o.WithZone("") == a.WithZone("") })
	}), nil
}

// listeners reads both tables. That of IPv6 is missing where the kernel has no IPv6; its listeners serve IPv4 too.
func (p *appPort) listeners() ([]netip.Addr, error) {
	var all []netip.Addr
	for _, name := range []string{"proc/net/tcp", "proc/net/tcp6"} {
		file, err := p.files.Open(name)
		if errors.Is(err, fs.ErrNotExist) && name == "proc/net/tcp6" {
			continue
		}
		if err != nil {
			return nil, err
		}
		found, err := listenersOn(p.port, file, p.order)
		_ = file.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// tryAll connects to the port on each own address. Where nobody answers at all it cannot be told whether the app is there yet.
func (p *appPort) tryAll(ctx context.Context) (sighting, error) {
	own, err := p.addresses()
	if err != nil {
		return sighting{}, fmt.Errorf("list own addresses: %w", err)
	}
	if len(own) > maxOwnAddresses {
		return sighting{}, fmt.Errorf("more than %d own addresses", maxOwnAddresses)
	}
	var seen sighting
	for _, address := range own {
		to := netip.AddrPortFrom(address, p.port)
		unspecified := netip.IPv4Unspecified()
		if address.Is6() {
			unspecified = netip.IPv6Unspecified()
		}
		if address.IsLoopback() || p.own[to] || p.own[netip.AddrPortFrom(unspecified, p.port)] {
			continue
		}
		switch err := p.connect(ctx, to); {
		case err == nil:
			seen.exposed = append(seen.exposed, address)
		case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		default:
			return sighting{}, fmt.Errorf("connect to the app's port: %w", err)
		}
	}
	return seen, nil
}

// ownAddresses are those of every interface, link-local ones with their zone.
func ownAddresses() ([]netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var all []netip.Addr
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addresses {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue // no IP address
			}
			address := prefix.Addr().Unmap()
			if address.Is6() && address.IsLinkLocalUnicast() {
				address = address.WithZone(i.Name)
			}
			all = append(all, address)
		}
	}
	return all, nil
}

// listensOn is where Postern's own listeners are: one on the pod's address and an app on loopback may share a port. A host that is left
// out is every address of both families.
func listensOn(cfg *config.Config) map[netip.AddrPort]bool {
	own := map[netip.AddrPort]bool{}
	for _, address := range []string{
		cfg.Server.BindAddress, cfg.Server.MetricsBindAddress, cfg.Server.ProbeBindAddress, cfg.Token.BindAddress, cfg.Egress.BindAddress,
		cfg.ForwardAuth.BindAddress, cfg.Admin.BindAddress,
	} {
		host, port, _ := net.SplitHostPort(address) // none of a Unix socket
		hosts := []string{host}
		if host == "" {
			hosts = []string{"0.0.0.0", "::"}
		}
		for _, host := range hosts {
			if at, err := netip.ParseAddrPort(net.JoinHostPort(host, port)); err == nil {
				own[netip.AddrPortFrom(at.Addr().Unmap(), at.Port())] = true
			}
		}
	}
	return own
}
