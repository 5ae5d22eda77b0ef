package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
)

const (
	kubeletPort    = 10250
	kubeletAddress = nodeIP + ":10250" // that the API server believes in
	loopbackHost   = ".loopback"       // of "pod.namespace.loopback", which only the program portforward asks for
)

// server is the endpoint of all nodes, which the API server hands `kubectl logs` and `kubectl port-forward` to. Nobody else has the certificate for it.
type server struct {
	socket  string
	http    *http.Server
	forward *cluster.Program
}

// serve begins to answer the API server.
func (k *Kubelet) serve() error {
	s := &server{socket: filepath.Join(k.dir, "kubelet.sock")}
	own, err := tls.LoadX509KeyPair(filepath.Join(k.cluster.Dir, "node.crt"), filepath.Join(k.cluster.Dir, "node.key"))
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(k.cluster.CA)
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", s.socket)
	if err != nil {
		return err
	}
	streams := filepath.Join(k.dir, "forward.sock")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.serveLogs)
	mux.Handle("/portForward/{namespace}/{pod}", k.portForward(streams))
	s.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
		},
	}
	k.server = s
	go func() { _ = s.http.ServeTLS(l, "", "") }() // until it is closed
	s.forward, err = cluster.StartProgram(k.dir, filepath.Join(k.cluster.Tools, "portforward"), []string{}, streams, k.cluster.Egress.Socket())
	if err != nil {
		return err
	}
	for range 600 {
		if _, err = os.Stat(streams); err == nil {
			return nil
		}
		select {
		case <-s.forward.Exited():
			return errors.New("portforward: " + s.forward.Said())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("portforward does not listen: %w", err)
}

func (s *server) close() {
	if s == nil {
		return
	}
	_ = s.http.Close()
	if s.forward != nil {
		s.forward.Kill()
	}
}

// portForward hands a request, and all that follows on its connection, to the program that speaks the protocols.
func (k *Kubelet) portForward(socket string) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "portforward"
			r.Out.URL.Path = "/portForward/" + r.In.PathValue("pod") + "." + r.In.PathValue("namespace") + loopbackHost
			r.Out.URL.RawPath = ""
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if k.pod(named(r.PathValue("namespace"), r.PathValue("pod"))) == nil {
			http.Error(w, "pod does not exist", http.StatusNotFound)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}
