package kubelet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// netns is a network namespace with nothing but a loopback interface. It has no name: it ends with the last process in it and this file.
type netns struct{ file *os.File }

// newNetns makes one with these addresses. Every address of a prefix is local there, as those of 127.0.0.0/8 are.
func newNetns(addresses ...netip.Prefix) (*netns, error) {
	n := &netns{}
	err := aside(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("a network namespace: %w", err)
		}
		var err error
		if n.file, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		return loopback(addresses)
	})
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// do calls f on a thread that is in the namespace: sockets that f makes belong to it.
func (n *netns) do(f func() error) error {
	return aside(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return f()
	})
}

func (n *netns) close() {
	if n.file != nil {
		n.file.Close()
	}
}

// aside calls f on a thread of its own and brings that thread back to the namespace it came from. One that cannot be brought back ends.
func aside(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		defer home.Close()
		err = f()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// loopback switches lo on and gives it the addresses, by rtnetlink.
func loopback(addresses []netip.Prefix) error {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s) }()
	const lo = 1 // in every namespace
	up := unix.IfInfomsg{Index: lo, Flags: unix.IFF_UP, Change: unix.IFF_UP}
	if err := ask(s, unix.RTM_NEWLINK, 0, up); err != nil {
		return fmt.Errorf("switch lo on: %w", err)
	}
	for _, a := range addresses {
		message := unix.IfAddrmsg{Family: unix.AF_INET, Prefixlen: uint8(a.Bits()), Index: lo}
		ip := a.Addr().As4()
		local, address := attribute{8, unix.IFA_LOCAL, ip}, attribute{8, unix.IFA_ADDRESS, ip}
		if err := ask(s, unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, message, local, address); err != nil {
			return fmt.Errorf("give %s to lo: %w", a, err)
		}
	}
	return nil
}

// attribute is one of rtnetlink that holds an IPv4 address.
type attribute struct {
	Len, Type uint16
	Value     [4]byte
}

// ask sends one request and waits for its acknowledgement.
func ask(s int, kind uint16, flags uint16, parts ...any) error {
	var body bytes.Buffer
	for _, p := range parts {
		if err := binary.Write(&body, binary.NativeEndian, p); err != nil {
			return err
		}
	}
	header := unix.NlMsghdr{Len: uint32(unix.NLMSG_HDRLEN + body.Len()), Type: kind, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK | flags, Seq: 1}
	var message bytes.Buffer
	if err := binary.Write(&message, binary.NativeEndian, header); err != nil {
		return err
	}
	message.Write(body.Bytes())
	if err := unix.Sendto(s, message.Bytes(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(s, answer, 0)
	if err != nil {
		return err
	}
	if n < unix.NLMSG_HDRLEN+4 {
		return errors.New("a short answer of rtnetlink")
	}
	if code := int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}
