package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
)

// Bounds of a table: a line of the kernel's has about 150 bytes, and half a million connections are more than a pod has.
const (
	maxSocketTable = 64 << 20
	maxSocketLine  = 4 << 10
	maxOnOnePort   = 1024 // addresses
)

var (
	errSocketTable = errors.New("not a table of TCP sockets")
	errTableTooBig = errors.New("the table of TCP sockets is too big")
)

// listenersOn reads a table of TCP sockets, as proc_net_tcp(5) describes /proc/net/tcp and /proc/net/tcp6, and says on which addresses
// somebody listens on the port, each once. What does not look like such a table is an error, and no half answer. The kernel writes an
// address as 32-bit numbers of its own byte order.
func listenersOn(port uint16, table io.Reader, order binary.ByteOrder) ([]netip.Addr, error) {
	const listen = "0A"
	limited := &io.LimitedReader{R: table, N: maxSocketTable + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 0, maxSocketLine), maxSocketLine)
	if !lines.Scan() || !bytes.HasPrefix(bytes.TrimSpace(lines.Bytes()), []byte("sl ")) {
		return nil, errors.Join(errSocketTable, lines.Err())
	}
	var found []netip.Addr
	for lines.Scan() {
		local, state, ok := socketOf(lines.Bytes())
		if !ok {
			return nil, errSocketTable
		}
		address, err := socketAddress(local, order)
		if err != nil {
			return nil, err
		}
		if string(state) != listen || address.Port() != port || slices.Contains(found, address.Addr()) {
			continue
		}
		if found = append(found, address.Addr()); len(found) > maxOnOnePort {
			return nil, errTableTooBig
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the table of TCP sockets: %w", err)
	}
	if limited.N == 0 {
		return nil, errTableTooBig
	}
	return found, nil
}

// socketOf is the local address and the state in a line "sl: local remote state …".
func socketOf(line []byte) (local, state []byte, ok bool) {
	n := 0
	for field := range bytes.FieldsSeq(line) {
		switch n {
		case 0:
			if !bytes.HasSuffix(field, []byte(":")) {
				return nil, nil, false
			}
		case 1:
			local = field
		case 3:
			return local, field, len(field) == 2
		}
		n++
	}
	return nil, nil, false
}

// socketAddress reads "0100007F:1F90", and the like of IPv6 with four times as many digits. An IPv4 address in IPv6's clothes is IPv4.
func socketAddress(text []byte, order binary.ByteOrder) (netip.AddrPort, error) {
	host, portText, _ := bytes.Cut(text, []byte(":"))
	port, err := strconv.ParseUint(string(portText), 16, 16)
	if err != nil || len(portText) != 4 || len(host) != 8 && len(host) != 32 {
		return netip.AddrPort{}, errSocketTable
	}
	var raw []byte
	for word := range slices.Chunk(host, 8) {
		n, err := strconv.ParseUint(string(word), 16, 32)
		if err != nil {
			return netip.AddrPort{}, errSocketTable
		}
		var memory [4]byte
		order.PutUint32(memory[:], uint32(n))
		raw = append(raw, memory[:]...)
	}
	address, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(address.Unmap(), uint16(port)), nil
}
