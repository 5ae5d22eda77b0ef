package kube

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"postern/config"
)

// credentialRecheck is how old a look at the mounted token and CA may be; the kubelet replaces the token minutes before it ends.
const credentialRecheck = 30 * time.Second

// newTransport speaks only to the API server: no proxy of the environment comes between, and a server that hangs does not hold a call.
func newTransport(roots *x509.CertPool, serverName string, certificates ...tls.Certificate) *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: serverName, Certificates: certificates},
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second}, // a server that is gone without a word
		MaxIdleConns:        4,
		IdleConnTimeout:     time.Minute,
	}
}

// mounted is the service account of a pod: its files are read again, since both are replaced while the pod lives.
type mounted struct {
	dir string
	now func() time.Time

	mu      sync.Mutex
	checked time.Time
	ca      []byte
	rt      *http.Transport
	bearer  string
}

// InCluster is the client of a pod. environ is the pod's environment, dir where its service account is mounted
// ("/var/run/secrets/kubernetes.io/serviceaccount").
func InCluster(getenv func(string) string, dir string, now func() time.Time) (*Client, error) {
	host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; outside, use --kubeconfig")
	}
	m := &mounted{dir: dir, now: now}
	if _, err := m.transport(); err != nil {
		return nil, err
	}
	return newClient("https://"+net.JoinHostPort(host, port), m)
}

func (m *mounted) transport() (http.RoundTripper, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.reread(); err != nil {
		return nil, err
	}
	return m.rt, nil
}

func (m *mounted) token() (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.reread()
	return m.bearer, err
}

// reread keeps what it has while the files cannot be read: they are being exchanged, and an old token says who asks or is refused.
func (m *mounted) reread() error {
	if m.rt != nil && m.now().Sub(m.checked) < credentialRecheck {
		return nil
	}
	err := m.read()
	if err != nil && m.rt != nil {
		return nil
	}
	return err
}

func (m *mounted) read() error {
	token, err := config.ReadFile(filepath.Join(m.dir, "token"))
	if err != nil {
		return fmt.Errorf("token of the service account: %w", err)
	}
	bearer := strings.TrimSpace(string(token))
	if bearer == "" || strings.ContainsAny(bearer, "\r\n") {
		return errors.New("token of the service account: not one line")
	}
	ca, err := config.ReadFile(filepath.Join(m.dir, "ca.crt"))
	if err != nil {
		return fmt.Errorf("CA of the API server: %w", err)
	}
	if m.rt == nil || !bytes.Equal(ca, m.ca) {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(ca) {
			return errors.New("CA of the API server: no certificate in ca.crt")
		}
		if m.rt != nil {
			m.rt.CloseIdleConnections()
		}
		m.rt, m.ca = newTransport(roots, ""), ca
	}
	m.bearer, m.checked = bearer, m.now()
	return nil
}
