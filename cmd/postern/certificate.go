package main

import (
	"crypto/tls"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certificateRecheck is how old a look at the files may be.
const certificateRecheck = 10 * time.Second

// certificateKeeper serves a certificate from two files and reads them again when they change. A pair that does not load leaves the old
// one in use: files are rarely replaced both at once.
type certificateKeeper struct {
	certFile, keyFile string

	current atomic.Pointer[tls.Certificate]

	mu      sync.Mutex // of one look at the files
	stamp   time.Time  // newest modification time of the pair in use
	checked time.Time
}

func newCertificateKeeper(certFile, keyFile string) (*certificateKeeper, error) {
	k := &certificateKeeper{certFile: certFile, keyFile: keyFile}
	k.stamp = k.modified()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	k.current.Store(&pair)
	k.checked = time.Now()
	return k, nil
}

// get implements [tls.Config.GetCertificate]. One handshake looks at the files now and then, the others go on with what there is.
func (k *certificateKeeper) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if k.mu.TryLock() {
		k.recheck()
		k.mu.Unlock()
	}
	return k.current.Load(), nil
}

func (k *certificateKeeper) recheck() {
	if time.Since(k.checked) < certificateRecheck {
		return
	}
	k.checked = time.Now()
	if stamp := k.modified(); !stamp.IsZero() && !stamp.Equal(k.stamp) {
		if pair, err := tls.LoadX509KeyPair(k.certFile, k.keyFile); err == nil {
			k.current.Store(&pair)
			k.stamp = stamp
		}
	}
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
