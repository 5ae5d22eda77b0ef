package main

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// socketTable is a table as the kernel of a little-endian machine writes it.
func socketTable(sockets ...string) string {
	var b strings.Builder
	b.WriteString("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
	for _, s := range sockets {
		b.WriteString("   0: " + s + " 00000000:00000000 00:00000000 00000000     0        0 1234567 1 0000000000000000 100 0 0 10 0\n")
	}
	return b.String()
}

const (
	onLoopback4 = "0100007F:1F90 00000000:0000 0A"
	onEvery4    = "00000000:1F90 00000000:0000 0A"
	onEvery6    = "00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A"
	onLoopback6 = "00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A"
)

func TestS05SocketTable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		table string
		order binary.ByteOrder
		want  []string
		err   error
	}{
		"nobody listens":                        {table: socketTable()},
		"loopback":                              {table: socketTable(onLoopback4), want: []string{"127.0.0.1"}},
		"every address of IPv4":                 {table: socketTable(onEvery4), want: []string{"0.0.0.0"}},
		"every address of IPv6":                 {table: socketTable(onEvery6), want: []string{"::"}},
		"loopback of IPv6":                      {table: socketTable(onLoopback6), want: []string{"::1"}},
		"one address":                           {table: socketTable("0A01F40A:1F90 00000000:0000 0A"), want: []string{"10.244.1.10"}},
		"IPv6":                                  {table: socketTable("B80D0120000000000000000001000000:1F90 0:0 0A"), want: []string{"2001:db8::1"}},
		"loopback in IPv6's clothes":            {table: socketTable("0000000000000000FFFF00000100007F:1F90 0:0 0A"), want: []string{"127.0.0.1"}},
		"a machine that is big-endian":          {table: socketTable("7F000001:1F90 00000000:0000 0A"), order: binary.BigEndian, want: []string{"127.0.0.1"}},
		"another port":                          {table: socketTable("00000000:1F91 00000000:0000 0A")},
		"a connection, not a listener":          {table: socketTable("0A01F40A:1F90 0B01F40A:C350 01")},
		"a connection to such a port elsewhere": {table: socketTable("0A01F40A:C350 0B01F40A:1F90 01")},
		"several, one of them twice":            {table: socketTable(onLoopback4, onEvery4, onLoopback4), want: []string{"127.0.0.1", "0.0.0.0"}},
		"lower case":                            {table: socketTable("0a01f40a:1f90 00000000:0000 0A"), want: []string{"10.244.1.10"}},

		"empty":                 {table: "", err: errSocketTable},
		"another file":          {table: "Inter-|   Receive\n", err: errSocketTable},
		"no header":             {table: strings.SplitAfterN(socketTable(onEvery4), "\n", 2)[1], err: errSocketTable},
		"cut off":               {table: socketTable(onEvery4) + "   1: 00000000:1F", err: errSocketTable},
		"an empty line":         {table: socketTable(onEvery4) + "\n", err: errSocketTable},
		"no port":               {table: socketTable("00000000 00000000:0000 0A"), err: errSocketTable},
		"a port too long":       {table: socketTable("00000000:11F90 00000000:0000 0A"), err: errSocketTable},
		"a sign for a digit":    {table: socketTable("+0000000:1F90 00000000:0000 0A"), err: errSocketTable},
		"an address of 6 bytes": {table: socketTable("000000000000:1F90 00000000:0000 0A"), err: errSocketTable},
		"no hexadecimal digits": {table: socketTable("0000000G:1F90 00000000:0000 0A"), err: errSocketTable},
		"no state":              {table: socketTable() + "   0: 00000000:1F90 00000000:0000\n", err: errSocketTable},
		"no colon":              {table: socketTable() + "   0 00000000:1F90 00000000:0000 0A\n", err: errSocketTable},
		"too many on one port":  {table: manyListeners(), err: errTableTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.order == nil {
				test.order = binary.LittleEndian
			}
			got, err := listenersOn(8080, strings.NewReader(test.table), test.order)
			var want []netip.Addr
			for _, w := range test.want {
				want = append(want, netip.MustParseAddr(w))
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v; %s", err, test.err, diff)
			}
		})
	}
}

func manyListeners() string {
	var sockets []string
	const digits = "0123456789ABCDEF"
	for i := range maxOnOnePort + 1 {
		sockets = append(sockets, "0A0"+string([]byte{digits[i>>12&15], digits[i>>8&15], digits[i>>4&15], digits[i&15]})+"A:1F90 00000000:0000 0A")
	}
	return socketTable(sockets...)
}

// endless is a table that goes on for ever, and counts what was read of it.
type endless struct {
	head, line string
	read       int
}

func (e *endless) Read(p []byte) (n int, _ error) {
	if e.read == 0 {
		n = copy(p, e.head)
	}
	for n < len(p) {
		n += copy(p[n:], e.line[(e.read+n-len(e.head))%len(e.line):])
	}
	e.read += n
	return n, nil
}

func TestS05SocketTableIsBounded(t *testing.T) {
	t.Parallel()
	whole := socketTable(onLoopback4)
	head, line, _ := strings.Cut(whole, "\n")
	for name, table := range map[string]*endless{
		"a table without end": {head: head + "\n", line: line},
		"a line without end":  {head: head + "\n", line: " 0"},
		"a head without end":  {head: head, line: " x"},
	} {
		if got, err := listenersOn(8080, table, binary.LittleEndian); err == nil || got != nil {
			t.Errorf("%s: %v, %v; want an error", name, got, err)
		}
		if table.read > maxSocketTable+1<<20 {
			t.Errorf("%s: %d bytes were read", name, table.read)
		}
	}
}

func FuzzS05SocketTable(f *testing.F) {
	f.Add(socketTable(onLoopback4, onEvery4, onEvery6, onLoopback6))
	f.Add(socketTable("0000000000000000FFFF00000100007F:1F90 0:0 0A"))
	f.Add("  sl \n 0: 0:0 0 0A")
	f.Fuzz(func(t *testing.T, table string) {
		got, err := listenersOn(8080, strings.NewReader(table), binary.LittleEndian)
		if err != nil && got != nil {
			t.Fatal("half an answer with an error")
		}
		for _, a := range got {
			if !a.IsValid() || a.Is4In6() {
				t.Fatalf("address %v", a)
			}
		}
		// A listener more is found, whatever stands before it.
		if err == nil && strings.HasSuffix(table, "\n") {
			more, err := listenersOn(8080, strings.NewReader(table+"9: 0101007F:1F90 0:0 0A\n"), binary.LittleEndian)
			if err == nil && !slices.Contains(more, netip.MustParseAddr("127.0.1.1")) {
				t.Fatalf("%v, before %v", more, got)
			}
		}
	})
}
