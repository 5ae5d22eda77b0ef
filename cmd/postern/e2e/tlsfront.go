package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TLSListener is TLS in front of something that speaks none.
type TLSListener struct {
	Addr   string // host:port
	CAFile string // PEM of the authority; SSL_CERT_FILE makes a program trust it
}

// TLSFront ends TLS for the given names on a loopback port and passes the plain bytes on to a host:port. It makes its own authority.
func TLSFront(t testing.TB, target string, names ...string) *TLSListener {
	t.Helper()
	return tlsFrontWith(t, target, &x509.Certificate{DNSNames: names})
}

// tlsFrontWith is TLSFront with some of its certificate given.
func tlsFrontWith(t testing.TB, target string, server *x509.Certificate) *TLSListener {
	t.Helper()
	authority, ca := certificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Postern test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	server.Subject, server.ExtKeyUsage = pkix.Name{CommonName: server.DNSNames[0]}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf, _ := certificate(t, server, &authority)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca}), 0o600); err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS12}
	addr := listen(t, "127.0.0.1:0", func(conn net.Conn) {
		plain, err := net.DialTimeout("tcp", target, 5*time.Second)
		if err != nil {
			return
		}
		secure := tls.Server(conn, config)
		var both sync.WaitGroup
		both.Go(func() {
			_, _ = io.Copy(plain, secure)
			plain.Close()
		})
		both.Go(func() {
			_, _ = io.Copy(secure, plain)
			secure.Close()
		})
		both.Wait()
	})
	return &TLSListener{Addr: addr, CAFile: file}
}

// certificate signs the template by the issuer, or by itself.
func certificate(t testing.TB, template *x509.Certificate, issuer *tls.Certificate) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := template, any(key)
	if issuer != nil {
		parent, signer = issuer.Leaf, issuer.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed}, der
}
