// Command registry is a container registry for tests, which keeps what it is given in memory:
//
//	registry CERTIFICATE KEY
//
// It listens with TLS at a port of loopback, prints its address in one line, and ends with its standard input. Whoever reaches it may read and write.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: registry CERTIFICATE KEY")
		os.Exit(2)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Fprintln(os.Stderr, "registry:", serve(os.Args[1], os.Args[2]))
	os.Exit(1)
}

func serve(certificate, key string) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	server := &http.Server{Handler: registry.New(registry.WithReferrersSupport(true)), ReadHeaderTimeout: 10 * time.Second, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true) // over HTTP/2 uploads that wait for its lock take up the window of the one that holds it
	return server.ServeTLS(l, certificate, key)
}
