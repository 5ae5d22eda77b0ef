package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"postern/config"
	"postern/proxy/forward"
)

// boundedListener is [listen] with bounds on open connections, and on how long each waits for its client to take what it is sent.
func boundedListener(ctx context.Context, address string, limits config.Limits) (net.Listener, error) {
	l, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	if limits.Connections > 0 {
		l = netutil.LimitListener(l, limits.Connections)
	}
	return forward.BoundWrites(l, limits.StallTime), nil
}

// listen opens host:port or "unix:/path". A socket file that a dead process left behind is replaced.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	path, isUnix := strings.CutPrefix(address, "unix:")
	if !isUnix {
		return lc.Listen(ctx, "tcp", address)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("listen on %s: in use", address)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("replace socket: %w", err)
		}
	}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o660) //nolint:gosec // the app's group may call, others may not
}

// Bodies that nobody has read yet are kept by HTTP/2 up to these sizes.
const (
	connectionBuffer = 1 << 20
	streamBuffer     = 256 << 10
)

// streamServer is the server of a listener behind which others answer: HTTP/1.1, and HTTP/2 by TLS or prior knowledge. There is no write
// time-out, since streams and downloads may take as long as they take; what a slow client can hold is bounded by the header's time and size,
// and by limits.stall-time.
func streamServer(limits config.Limits, handler http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           fewHeaders(limits.Headers, takenInTime(limits.StallTime, handler)),
		Protocols:         protocols,
		ReadHeaderTimeout: limits.HeaderTime,
		IdleTimeout:       limits.IdleTime,
		MaxHeaderBytes:    limits.HeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          limits.Streams,
			MaxReceiveBufferPerConnection: connectionBuffer,
			MaxReceiveBufferPerStream:     streamBuffer,
			SendPingTimeout:               30 * time.Second, // notices a peer that is gone without a word
			PingTimeout:                   15 * time.Second,
		},
		ErrorLog: libraryLog{log}.logger(),
	}
}

// fewHeaders answers as net/http does to a header of too many bytes: many short lines cost more memory than their bytes say.
func fewHeaders(most int, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lines := 0
		for _, values := range r.Header {
			lines += len(values)
		}
		if lines > most {
			const status = http.StatusRequestHeaderFieldsTooLarge
			w.Header().Set("Connection", "close")
			http.Error(w, http.StatusText(status), status)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// takenInTime bounds how long the last of an answer, which net/http keeps until its handler has returned, waits for a client of HTTP/2 to open the
// window of its stream. What a connection waits for is bounded by the listener.
func takenInTime(limit time.Duration, next http.Handler) http.Handler {
	if limit <= 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		if r.ProtoMajor == 2 {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit))
		}
	})
}

// toPrograms tells browsers that an answer is none of theirs.
func toPrograms(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// sideServer serves probes and metrics.
func sideServer(limits config.Limits, handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: fewHeaders(limits.Headers, toPrograms(handler)), ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: libraryLog{log}.logger(),
	}
}

// publicListener adds TLS where it is configured.
func publicListener(ctx context.Context, cfg config.Server) (net.Listener, error) {
	l, err := boundedListener(ctx, cfg.BindAddress, cfg.Limits)
	if err != nil {
		return nil, fmt.Errorf("bind-address: %w", err)
	}
	if cfg.TLSCertFile == "" {
		return l, nil
	}
	return withTLS(l, &cfg)
}

// withTLS serves the certificate of tls.cert-file, or closes the listener.
func withTLS(l net.Listener, cfg *config.Server) (net.Listener, error) {
	keeper, err := newCertificateKeeper(cfg.TLSCertFile, cfg.TLSKeyFile)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tls.cert-file: %w", err), l.Close())
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: keeper.get,
	}), nil
}
