package cluster

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Addresses that the control plane knows. They exist on no interface of this machine.
const (
	ServiceRange = "10.96.0.0/16"
	APIService   = "10.96.0.1"      // of the Service kubernetes in the namespace default
	NodeIP       = "10.244.255.254" // of all nodes, and of no pod
)

// patience is how long a start may take on a machine that has a lot else to do. It takes about three seconds on an idle one.
const patience = 90 * time.Second

// Options say what to start besides etcd and kube-apiserver.
type Options struct {
	Controllers bool // kube-controller-manager and kube-scheduler, too: Deployments, Jobs, service accounts, garbage collection

	APIServer []string // more flags of kube-apiserver, such as --disable-admission-plugins=...
}

// Cluster is a running control plane.
type Cluster struct {
	Dir        string // of its files; <program>.log is what each program says
	Tools      string // the directory of the programs: kubectl, helm, helm-unittest ...
	Kubeconfig string // a file, for an administrator who may do everything
	Server     string // the URL of the API server
	Address    string // its host:port
	Token      string // of the administrator
	CA         []byte // the certificate that the API server's is signed with, PEM
	Egress     *Egress

	options   Options
	client    *http.Client
	processes []*process
}

// Start starts a control plane and returns when it is ready. An error with [ErrMissing] says what is not installed.
//
// The caller must [Cluster.Stop] it. Tests use a [Suite] or [StartFor].
func Start(o Options) (*Cluster, error) {
	dir, err := tools()
	if err != nil {
		return nil, err
	}
	var last error
	for range 3 { // a port that was free may be taken before the program listens on it
		var c *Cluster
		if c, last = start(dir, o); last == nil {
			return c, nil
		}
		if !strings.Contains(last.Error(), "address already in use") {
			break
		}
	}
	return nil, last
}

// StartFor is [Start] for one test, which stops it at its end.
func StartFor(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := Start(o)
	Need(t, err)
	t.Cleanup(c.Stop)
	return c
}

func start(tools string, o Options) (c *Cluster, err error) {
	dir, err := os.MkdirTemp("", "kube-") // short: the path of a Unix socket has a limit
	if err != nil {
		return nil, err
	}
	c = &Cluster{Dir: dir, Tools: tools, Token: rand.Text(), Kubeconfig: filepath.Join(dir, "kubeconfig"), options: o}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	if err := writePKI(dir); err != nil {
		return nil, fmt.Errorf("make the certificates: %w", err)
	}
	if c.CA, err = os.ReadFile(filepath.Join(dir, "ca.crt")); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.CA)
	c.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 20,
	}}
	if c.Egress, err = newEgress(filepath.Join(dir, "egress.sock"), c.serviceAddress); err != nil {
		return nil, err
	}
	if err := c.startAPI(); err != nil {
		return nil, err
	}
	if o.Controllers {
		err = c.startControllers()
	}
	return c, err
}

// Stop ends the programs, newest first: a kube-apiserver without etcd would not end. It may be called again.
func (c *Cluster) Stop() {
	for _, p := range slices.Backward(c.processes) {
		p.stop()
	}
	c.processes = nil
	if c.Egress != nil {
		c.Egress.close()
	}
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
	_ = os.RemoveAll(c.Dir)
}

// Log is what a program of the control plane has said so far.
func (c *Cluster) Log(t testing.TB, program string) string {
	t.Helper()
	said, err := os.ReadFile(filepath.Join(c.Dir, program+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}

// run starts a program of the control plane.
func (c *Cluster) run(name string, args ...string) error {
	environ := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.Dir, "TMPDIR=" + c.Dir}
	p, err := launch(c.Dir, filepath.Join(c.Tools, name), environ, args...)
	if err == nil {
		c.processes = append(c.processes, p)
	}
	return err
}

// await asks until the answer is nil, for as long as all programs run.
func (c *Cluster) await(what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		for _, p := range c.processes {
			if ended := p.ended(); ended != nil {
				return ended
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %v: %w", what, patience, errors.Join(err, ctx.Err()))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
