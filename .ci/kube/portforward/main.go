// Command portforward is the part of a kubelet that serves `kubectl port-forward`: the streaming server that container runtimes have, as a program of
// its own, so that tests need none of what it is made of.
//
//	portforward SOCKET PROXY
//
// At the Unix socket SOCKET it serves /portForward/HOST to the API server, in each of the protocols that a kubelet knows, and connects every stream to
// HOST:PORT by an HTTP CONNECT proxy at the Unix socket PROXY.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// As long as a kubelet waits.
const (
	idleTime     = 4 * time.Hour
	creationTime = 30 * time.Second
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: portforward SOCKET PROXY")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "portforward:", serve(os.Args[1], os.Args[2]))
	os.Exit(1)
}

func serve(socket, proxy string) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/portForward/{host}", func(w http.ResponseWriter, r *http.Request) {
		options, err := portforward.NewV4Options(r) // the ports of a WebSocket; SPDY names one for each stream
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		portforward.ServePortForward(w, r, forwarder{proxy}, r.PathValue("host"), "", options, idleTime, creationTime, portforward.SupportedProtocols)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: creationTime}
	return server.Serve(l)
}

// forwarder implements [portforward.PortForwarder].
type forwarder struct{ proxy string }

// PortForward connects one stream, and returns when the pod has ended the connection.
func (f forwarder) PortForward(ctx context.Context, host, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", f.proxy)
	if err != nil {
		return err
	}
	defer conn.Close()
	address := net.JoinHostPort(host, strconv.Itoa(int(port)))
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", address, address); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("connect to %s: %s", address, resp.Status)
	}
	go func() { // ends with the connection
		_, err := io.Copy(conn, stream)
		if half, ok := conn.(*net.UnixConn); ok && err == nil {
			err = half.CloseWrite()
		}
		if err != nil {
			conn.Close()
		}
	}()
	if _, err := io.Copy(stream, in); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
