package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"postern/cmd/postern-injector/e2e/cluster"
)

// Workstation is the computer of a person who works with the cluster. It has the files of this machine, and what is written to them stays with it; a
// loopback interface and /etc/hosts of its own, and no other network. What is started there in the background stays until it is closed.
type Workstation struct {
	net       *netns
	dir       string
	hosts     string
	env       []string
	process   *process
	listeners []net.Listener
	said      sync.Mutex // one command at a time
}

// WorkstationOptions say what a [Workstation] has.
type WorkstationOptions struct {
	Env     []string          // of every command, "NAME=value"
	Shared  []string          // directories of this machine that are written to for real, such as Go's caches
	Visible []string          // directories of this machine that must be there, whatever they are mounted from
	Hosts   []string          // names of its own loopback address, besides localhost
	Listen  map[string]string // "127.0.0.1:443" there → address of this machine
}

// Workstation makes one. The caller must [Workstation.Close] it.
func (k *Kubelet) Workstation(o WorkstationOptions) (w *Workstation, err error) {
	w = &Workstation{env: o.Env}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if w.dir, err = os.MkdirTemp(k.dir, "workstation-"); err != nil {
		return w, err
	}
	if w.net, err = newNetns(); err != nil {
		return w, err
	}
	w.hosts = filepath.Join(w.dir, "hosts")
	text := "127.0.0.1 " + strings.Join(append([]string{"localhost"}, o.Hosts...), " ") + "\n"
	if err := errors.Join(os.WriteFile(w.hosts, []byte(text), 0o600), os.Mkdir(filepath.Join(w.dir, "work"), 0o700)); err != nil {
		return w, err
	}
	for at, to := range o.Listen {
		if err := w.listen(at, to); err != nil {
			return w, err
		}
	}
	s := &spec{
		Lower: "/", Work: filepath.Join(w.dir, "work"), Dir: "/", Hostname: "workstation", Env: o.Env, Args: []string{"/bin/sleep", "infinity"},
		Mounts: []mount{{Source: w.hosts, Target: "/etc/hosts"}},
	}
	for _, dir := range o.Shared {
		s.Mounts = append(s.Mounts, mount{Source: dir, Target: dir})
	}
	for _, dir := range o.Visible {
		if !sameDevice("/", dir) && !slices.Contains(o.Shared, dir) {
			s.Mounts = append(s.Mounts, mount{Source: dir, Target: dir})
		}
	}
	out, err := os.Create(filepath.Join(w.dir, "log"))
	if err != nil {
		return w, err
	}
	defer out.Close()
	if w.process, err = run(w.net, s, out); err != nil {
		return w, err
	}
	<-w.process.begun
	if !w.process.running() {
		said, _ := os.ReadFile(out.Name())
		return w, errors.New("the workstation has ended: " + string(said))
	}
	return w, nil
}

// Close ends all that runs there.
func (w *Workstation) Close() {
	for _, l := range w.listeners {
		l.Close()
	}
	if w.process != nil {
		w.process.kill()
	}
	if w.net != nil {
		w.net.close()
	}
	if w.dir != "" {
		_ = os.RemoveAll(w.dir)
	}
}

// listen hands connections to one of its ports on to an address of this machine.
func (w *Workstation) listen(at, to string) error {
	return w.net.do(func() error {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp4", at)
		if err != nil {
			return err
		}
		w.listeners = append(w.listeners, l)
		go func() {
			for {
				client, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
					if err != nil {
						client.Close()
						return
					}
					cluster.Splice(client, client, server)
				}()
			}
		}()
		return nil
	})
}

// Run runs a command and returns what it has said when it has ended. What it has started in the background goes on.
func (w *Workstation) Run(ctx context.Context, dir string, command ...string) (string, error) {
	w.said.Lock()
	defer w.said.Unlock()
	out, err := os.CreateTemp(w.dir, "said-") // a file: a pipe that is closed would end what goes on
	if err != nil {
		return "", err
	}
	defer out.Close()
	p, err := run(w.net, &spec{Join: w.process.cmd.Process.Pid, Dir: dir, Args: command, Env: w.env}, out)
	if err != nil {
		return "", err
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		p.kill()
		err = ctx.Err()
	}
	text, failed := os.ReadFile(out.Name())
	err = errors.Join(err, failed)
	if p.code != 0 {
		err = errors.Join(err, fmt.Errorf("exit status %d", p.code))
	}
	return string(text), err
}

// Dial connects as a program there would: names are those of its /etc/hosts.
func (w *Workstation) Dial(ctx context.Context, address string) (conn net.Conn, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(w.hosts)
	if err != nil {
		return nil, err
	}
	for entry := range strings.Lines(string(text)) {
		fields := strings.Fields(entry)
		if len(fields) < 2 || !slices.Contains(fields[1:], host) {
			continue
		}
		err = w.net.do(func() (err error) {
			conn, err = (&net.Dialer{}).DialContext(ctx, "tcp4", net.JoinHostPort(fields[0], port))
			return err
		})
		return conn, err
	}
	return nil, fmt.Errorf("%w: /etc/hosts has no %s", cluster.ErrNoRoute, host)
}
