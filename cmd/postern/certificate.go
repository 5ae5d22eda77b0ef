package main

import (
	"crypto/tls"
	"os"
	"sync"
	"time"
)

// certificateRecheck is how old a look at the files may be.
const certificateRecheck = 10 * time.Second

// certificateKeeper serves a certificate from two files and reads them again when they change. A pair that does not load leaves the old
// one in use: files are rarely replaced both at once.
type certificateKeeper struct {
	certFile, keyFile string

	mu      sync.Mutex
	current *tls.Certificate
	stamp   time.Time // newest modification time of the pair in use
	checked time.Time
}

func newCertificateKeeper(certFile, keyFile string) (*certificateKeeper, error) {
	k := &certificateKeeper{certFile: certFile, keyFile: keyFile}
	k.stamp = k.modified()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	k.current, k.checked = &pair, time.Now()
	return k, nil
}

func (k *certificateKeeper) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.checked) < certificateRecheck {
		return k.current, nil
	}
	k.checked = time.Now()
	if stamp := k.modified(); stamp.After(k.stamp) {
		if pair, err := tls.LoadX509KeyPair(k.certFile, k.keyFile); err == nil {
			k.current, k.stamp = &pair, stamp
		}
	}
	return k.current, nil
}

func (k *certificateKeeper) modified() time.Time {
	var newest time.Time
	for _, name := range []string{k.certFile, k.keyFile} {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}
