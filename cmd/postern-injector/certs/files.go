package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"postern/config"
)

const filesRecheck = 5 * time.Second

// Files serves the certificate of a directory, tls.crt and tls.key, which somebody else keeps. Make it with [NewFiles] and run [Files.Run] once.
type Files struct {
	dir     string
	now     func() time.Time
	log     *slog.Logger
	metrics *Metrics

	serving atomic.Pointer[tls.Certificate]

	// What follows belongs to Run.
	judged  [2][]byte // what was looked at last
	alarmed time.Time
}

// NewFiles reads the directory for the first time; that it cannot be used yet is logged, and is no error.
func NewFiles(ctx context.Context, dir string, now func() time.Time, log *slog.Logger, metrics *Metrics) *Files {
	f := &Files{dir: dir, now: now, log: log, metrics: metrics}
	f.look(ctx)
	return f
}

// Certificate implements [tls.Config.GetCertificate].
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := f.serving.Load(); c != nil {
		return c, nil
	}
	return nil, ErrNoCertificate
}

// Ready says whether there is a certificate that has not ended.
func (f *Files) Ready() bool {
	c := f.serving.Load()
	return c != nil && f.now().Before(c.Leaf.NotAfter)
}

// Run follows the files until ctx ends. It compares contents, so it does not matter how they are exchanged.
func (f *Files) Run(ctx context.Context) {
	tick := time.NewTicker(filesRecheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.look(ctx)
		if c := f.serving.Load(); c != nil {
			f.alarmed = warnOfEnd(ctx, f.log, c.Leaf, f.now(), f.alarmed)
		}
	}
}

// look takes what the files hold if that is new and can be used; otherwise what there is stays.
func (f *Files) look(ctx context.Context) {
	certText, keyText, err := f.read()
	if err == nil {
		if f.serving.Load() != nil && bytes.Equal(certText, f.judged[0]) && bytes.Equal(keyText, f.judged[1]) {
			return
		}
		f.judged = [2][]byte{certText, keyText}
		err = f.take(ctx, certText, keyText)
	}
	if err != nil {
		f.metrics.failed("files")
		f.log.ErrorContext(ctx, "the certificate's files cannot be used; what is in service stays", "directory", f.dir, "in_service", f.serving.Load() != nil,
			"error", err.Error())
	}
}

func (f *Files) read() (certText, keyText []byte, err error) {
	if certText, err = config.ReadFile(filepath.Join(f.dir, keyCert)); err != nil {
		return nil, nil, err
	}
	keyText, err = config.ReadFile(filepath.Join(f.dir, keyKey))
	return certText, keyText, err
}

func (f *Files) take(ctx context.Context, certText, keyText []byte) error {
	c, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return err
	}
	if c.Leaf == nil {
		if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return err
		}
	}
	if now := f.now(); !now.Before(c.Leaf.NotAfter) {
		return fmt.Errorf("the certificate has ended on %s", c.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if len(c.Leaf.DNSNames) == 0 && len(c.Leaf.IPAddresses) == 0 {
		return errors.New("the certificate is for no DNS name and no address")
	}
	if f.serving.Swap(&c) != nil {
		f.metrics.rotated()
	}
	f.metrics.serving(c.Leaf.NotAfter)
	f.log.InfoContext(ctx, "certificate in service", "serial", c.Leaf.SerialNumber.Text(16), "not_after", c.Leaf.NotAfter.UTC())
	return nil
}
