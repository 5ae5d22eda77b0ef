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
)

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

// streamServer is the server of a listener behind which others answer: HTTP/1.1, and HTTP/2 by TLS or prior knowledge. There is no write
// time-out, since streams and downloads may take as long as they take; what a slow client can hold is bounded by the header's time and size.
func streamServer(limits config.Limits, handler http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: limits.HeaderTime,
		IdleTimeout:       limits.IdleTime,
		MaxHeaderBytes:    limits.HeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 250,
			SendPingTimeout:      30 * time.Second, // notices a peer that is gone without a word
			PingTimeout:          15 * time.Second,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// sideServer serves probes and metrics.
func sideServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// publicListener bounds the number of open connections and adds TLS where it is configured.
func publicListener(ctx context.Context, cfg config.Server) (net.Listener, error) {
	l, err := listen(ctx, cfg.BindAddress)
	if err != nil {
		return nil, fmt.Errorf("bind-address: %w", err)
	}
	if cfg.Limits.Connections > 0 {
		l = netutil.LimitListener(l, cfg.Limits.Connections)
	}
	if cfg.TLSCertFile == "" {
		return l, nil
	}
	keeper, err := newCertificateKeeper(cfg.TLSCertFile, cfg.TLSKeyFile)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tls.cert-file: %w", err), l.Close())
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: keeper.get,
	}), nil
}
