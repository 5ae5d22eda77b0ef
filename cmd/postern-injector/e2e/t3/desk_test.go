package t3

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
	"postern/cmd/postern-injector/e2e/kubelet"
)

// registryHost is the registry of charts/README.md.
const registryHost = "registry.example.org"

// desk is what the reader of charts/README.md has: a computer, and a registry that the cluster's nodes pull from.
type desk struct {
	*kubelet.Workstation
	k        *kubelet.Kubelet
	root     string // of the repository
	dir      string
	registry *exec.Cmd
	stdin    io.Closer // of the registry, which ends with it
}

// newDesk makes one. The caller must close it.
func newDesk(ctx context.Context, c *cluster.Cluster, k *kubelet.Kubelet) (d *desk, err error) {
	d = &desk{k: k}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.root, err = cluster.ModuleRoot(); err != nil {
		return d, err
	}
	if d.dir, err = os.MkdirTemp("", "postern-t3-"); err != nil {
		return d, err
	}
	address, err := d.startRegistry(ctx)
	if err != nil {
		return d, err
	}
	settings, err := goEnvironment(ctx, d.root, "GOCACHE", "GOMODCACHE", "GOROOT")
	if err != nil {
		return d, err
	}
	// A workstation has sudo; whoever works at this one may do everything anyway.
	if err := errors.Join(os.Mkdir(d.path("home"), 0o700), os.Mkdir(d.path("bin"), 0o755), // #nosec G301 -- programs
		writeProgram(d.path("bin/sudo"), []byte("#!/bin/sh\nexec \"$@\"\n"))); err != nil {
		return d, err
	}
	d.Workstation, err = k.Workstation(kubelet.WorkstationOptions{
		Env: []string{
			"PATH=" + strings.Join([]string{d.path("bin"), c.Tools, filepath.Join(settings["GOROOT"], "bin"), os.Getenv("PATH")}, ":"),
			"KUBECONFIG=" + c.Kubeconfig, "HOME=" + d.path("home"), "SSL_CERT_FILE=" + d.path("registry.crt"),
			"GOCACHE=" + settings["GOCACHE"], "GOMODCACHE=" + settings["GOMODCACHE"], "GOPROXY=off", "GOFLAGS=-buildvcs=false", "GOTOOLCHAIN=local",
		},
		Shared:  []string{settings["GOCACHE"], d.dir},
		Visible: []string{settings["GOMODCACHE"], settings["GOROOT"], c.Tools, c.Dir, d.root},
		Hosts:   []string{registryHost},
		Listen:  map[string]string{"127.0.0.1:443": address, c.Address: c.Address},
	})
	return d, err
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) close() {
	if d.Workstation != nil {
		d.Workstation.Close()
	}
	if d.stdin != nil {
		d.stdin.Close()
		_ = d.registry.Wait()
	}
	_ = os.RemoveAll(d.dir)
}

// sh runs commands of the README as a person would, from the top of the repository, and returns what they print.
func (d *desk) sh(t *testing.T, script string) string {
	t.Helper()
	begun := time.Now()
	out, err := d.Run(t.Context(), d.root, "bash", "-euo", "pipefail", "-c", script)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
	t.Logf("$ %s\n%s(%.1f s)", strings.TrimSpace(script), out, time.Since(begun).Seconds())
	return out
}

// startRegistry starts the registry and lets the nodes pull from it. It returns its address on this machine.
func (d *desk) startRegistry(ctx context.Context) (address string, err error) {
	pool, err := d.certify()
	if err != nil {
		return "", err
	}
	// All that the builder of images needs is fetched here: the workstation has no network.
	for _, args := range [][]string{
		{"-C", filepath.Join(d.root, ".ci", "image"), "build", "-o", d.dir + "/", ".", "./registry"},
		{"-C", d.root, "list", "-deps", "./cmd/postern", "./cmd/postern-injector"},
	} {
		if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil { // #nosec G204 -- of this tree
			return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	d.registry = exec.Command(d.path("registry"), d.path("registry.crt"), d.path("registry.key")) // #nosec G204 -- ours
	said, err := os.Create(d.path("registry.log"))
	if err != nil {
		return "", err
	}
	defer said.Close()
	d.registry.Stderr = said
	out, err := d.registry.StdoutPipe()
	if err != nil {
		return "", err
	}
	stdin, err := d.registry.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := d.registry.Start(); err != nil {
		return "", err
	}
	d.stdin = stdin
	if address, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		return "", fmt.Errorf("the registry does not say where it is: %w", err)
	}
	address = strings.TrimSpace(address)
	d.k.PullFrom(registryHost, &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}})
	return address, nil
}

// certify makes the certificate of the registry, which trusts nobody but itself.
func (d *desk) certify() (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: registryHost}, DNSNames: []string{registryHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 0, 2),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return pool, errors.Join(
		os.WriteFile(d.path("registry.crt"), certificate, 0o600),
		os.WriteFile(d.path("registry.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
	)
}

func goEnvironment(ctx context.Context, dir string, names ...string) (map[string]string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"env"}, names...)...) // #nosec G204 -- names of settings
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	values := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(values) != len(names) {
		return nil, fmt.Errorf("go env says %q", out)
	}
	settings := map[string]string{}
	for i, name := range names {
		settings[name] = values[i]
	}
	return settings, nil
}
