package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// phase is what the load is for at the moment.
type phase int32

const (
	warming phase = iota
	measuring
	over
)

// load is keep-alive connections to one target, each with one request under way while it runs.
type load struct {
	phase    atomic.Int32
	requests [][]byte // the connections share them out: together they go through all of them, again and again
	clients  []*loadClient
}

// loadClient is one connection. It does not allocate once it is warm: what it does is done on the cores that the target needs.
type loadClient struct {
	conn  net.Conn
	in    *bufio.Reader
	next  int             // its next request
	all   int             // answers, warm-up included
	ok    int             // those of them that are 200
	times []time.Duration // of the answers within measured time
}

func newLoadClient(conn net.Conn) *loadClient {
	return &loadClient{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), times: make([]time.Duration, 0, 1<<13)}
}

// requestBytes is a request as it goes over the wire: a GET, or with a body a POST.
func requestBytes(path string, header http.Header, body string) []byte {
	var b bytes.Buffer
	method, length := http.MethodGet, ""
	if body != "" {
		method, length = http.MethodPost, "Content-Length: "+strconv.Itoa(len(body))+"\r\n"
	}
	b.WriteString(method + " " + path + " HTTP/1.1\r\nHost: " + header.Get("Host") + "\r\n" + length)
	_ = header.WriteSubset(&b, map[string]bool{"Host": true}) // a buffer takes everything
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

// newLoad connects.
func newLoad(ctx context.Context, address string, requests [][]byte, connections int) (*load, error) {
	l := &load{requests: requests}
	var dialer net.Dialer
	for n := range connections {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("connect to the target: %w", err)
		}
		client := newLoadClient(conn)
		client.next = n % len(requests)
		l.clients = append(l.clients, client)
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.clients {
		_ = c.conn.Close()
	}
}

func (l *load) enter(p phase)   { l.phase.Store(int32(p)) }
func (l *load) in(p phase) bool { return l.phase.Load() == int32(p) }

// run asks for a while, of which the first part is not measured. It calls edge at both ends of the measured time, and returns when every
// request under way is answered.
func (l *load) run(ctx context.Context, warmUp, measured time.Duration, edge func() error) error {
	l.enter(warming)
	broken := make(chan error, len(l.clients))
	var wait sync.WaitGroup
	for _, c := range l.clients {
		wait.Go(func() {
			if err := c.run(l, warmUp+measured+patience); err != nil {
				broken <- err
			}
		})
	}
	pause := func(d time.Duration) error {
		select {
		case <-time.After(d):
			return edge()
		case err := <-broken:
			return fmt.Errorf("load: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := pause(warmUp)
	if err == nil {
		l.enter(measuring)
		err = pause(measured)
	}
	l.enter(over)
	wait.Wait()
	if err == nil && len(broken) > 0 {
		err = fmt.Errorf("load: %w", <-broken)
	}
	return err
}

// askEach sends every request once, and wants 200 for each.
func askEach(ctx context.Context, address string, requests [][]byte) error {
	l, err := newLoad(ctx, address, requests, 1)
	if err != nil {
		return err
	}
	defer l.close()
	client := l.clients[0]
	if err := client.conn.SetDeadline(time.Now().Add(patience + time.Duration(len(requests))*time.Millisecond)); err != nil {
		return err
	}
	for n, request := range requests {
		if status, err := client.ask(request); err != nil || status != http.StatusOK {
			return fmt.Errorf("request %d of %d: status %d: %w", n+1, len(requests), status, cmp.Or(err, errors.New("not 200")))
		}
	}
	return nil
}

// tally adds the connections up, and sorts the times. It is for a load that does not run.
func (l *load) tally() (all, ok int, times []time.Duration) {
	for _, c := range l.clients {
		all, ok, times = all+c.all, ok+c.ok, append(times, c.times...)
	}
	slices.Sort(times)
	return all, ok, times
}

func (c *loadClient) run(l *load, limit time.Duration) error {
	if err := c.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	for !l.in(over) {
		begun := time.Now()
		if err := c.askNext(l); err != nil {
			return err
		}
		if l.in(measuring) {
			c.times = append(c.times, time.Since(begun))
		}
	}
	return nil
}

// askNext sends the request whose turn it is: each connection takes every nth, from its own number on, if there are n of them.
func (c *loadClient) askNext(l *load) error {
	status, err := c.ask(l.requests[c.next])
	if err != nil {
		return err
	}
	c.next = (c.next + len(l.clients)) % len(l.requests)
	c.all++
	if status == http.StatusOK {
		c.ok++
	}
	return nil
}

var (
	errAnswer = errors.New("the answer is not one of HTTP/1.1 with a Content-Length")
	lengthIs  = []byte("Content-Length:")
)

// ask sends the request and reads the answer.
func (c *loadClient) ask(request []byte) (status int, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < len("HTTP/1.1 200\r\n") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, errAnswer
	}
	status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	length := -1
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		if len(line) > len(lengthIs) && bytes.EqualFold(line[:len(lengthIs)], lengthIs) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(lengthIs):]))); err != nil {
				return 0, errAnswer
			}
		}
	}
	if length < 0 {
		return 0, errAnswer
	}
	_, err = c.in.Discard(length)
	return status, err
}
