package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// patience is how long a process may take to answer for the first time.
const patience = 20 * time.Second

// process is one that the benchmark started.
type process struct {
	name    string
	address string // host:port of what it serves
	metrics string // host:port of its metrics, if it is a Postern
	admin   string // Unix socket of its profiles, if it is a Postern that is to be profiled
	family  bool   // what it has started belongs to it
	cmd     *exec.Cmd
	begun   time.Time     // just before exec
	exited  chan struct{} // closed when it has ended
	said    lastWords
}

// spawn starts a program with an empty environment but for env: no proxy, GOGC or GODEBUG of ours reaches what is measured. It ends with
// [process.stop] or ctx, and with this process however that ends.
func spawn(ctx context.Context, name, address string, env []string, stdin io.Reader, path string, args ...string) (*process, error) {
	p := &process{name: name, address: address, exited: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, path, args...) //nolint:gosec // binaries that we have built, or that the user named
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, &p.said, &p.said
	p.cmd.WaitDelay = time.Second
	dieWithUs(p.cmd)
	started := make(chan error)
	go func() {
		// The parent whose death ends the child is this thread, so it must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p.begun = time.Now()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop kills it: nothing here has anything to lose. It may be called more than once, and on nil.
func (p *process) stop() {
	if p == nil {
		return
	}
	select {
	case <-p.exited: // its number may be another's by now
		return
	default:
	}
	pids, _ := p.members() // before they are nobody's children
	_ = p.cmd.Process.Kill()
	for _, pid := range pids[min(1, len(pids)):] {
		if member, err := os.FindProcess(pid); err == nil {
			_ = member.Kill()
		}
	}
	<-p.exited
}

// wait polls until a GET of the URL is 200, and returns how long after the start that was.
func (p *process) wait(ctx context.Context, url string, every time.Duration) (time.Duration, error) {
	return p.poll(ctx, url, every, func(status int) bool { return status == http.StatusOK })
}

func (p *process) poll(ctx context.Context, url string, every time.Duration, enough func(status int) bool) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it took too long"))
	defer cancel()
	for {
		status, err := statusOf(ctx, url)
		if err == nil && enough(status) {
			return time.Since(p.begun), nil
		}
		select {
		case <-p.exited:
			return 0, fmt.Errorf("%s ended before it answered; it wrote:\n%s", p.name, p.said.String())
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for %s: %w; it wrote:\n%s", p.name, context.Cause(ctx), p.said.String())
		case <-time.After(every):
		}
	}
}

// waitAny polls until a GET of the URL is answered, whatever with.
func (p *process) waitAny(ctx context.Context, url string, every time.Duration) error {
	_, err := p.poll(ctx, url, every, func(int) bool { return true })
	return err
}

// plain asks a server on loopback without a web proxy, by a connection of its own.
func plain() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
}

func statusOf(ctx context.Context, url string) (int, error) { return statusFor(ctx, url, nil) }

// statusFor is the status of the answer to a GET with these headers.
func statusFor(ctx context.Context, url string, header http.Header) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	addHeader(request, header)
	response, err := plain().Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// promised are the addresses that somebody here was given, and may not listen on yet.
var promised sync.Map

// freeAddress is a loopback address that nobody listens on at the moment, another one each time.
func freeAddress(ctx context.Context) (string, error) {
	for {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return "", fmt.Errorf("find a free port: %w", err)
		}
		address := l.Addr().String()
		if err := l.Close(); err != nil {
			return "", fmt.Errorf("find a free port: %w", err)
		}
		if _, again := promised.LoadOrStore(address, true); !again {
			return address, nil
		}
	}
}

// lastWords keeps the end of what a process writes.
type lastWords struct {
	mu   sync.Mutex
	text []byte
}

const lastWordsKept = 4 << 10

func (l *lastWords) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if over := len(l.text) - lastWordsKept; over > 0 {
		l.text = l.text[over:]
	}
	return len(p), nil
}

func (l *lastWords) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(l.text))
}
