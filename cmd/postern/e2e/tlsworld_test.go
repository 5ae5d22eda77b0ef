package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"testing"
)

// newTLSWorld is a world whose public listener speaks TLS for app.localhost, and how its clients trust it.
func newTLSWorld(t testing.TB, env map[string]string) (*world, *tls.Config) {
	t.Helper()
	dir := t.TempDir()
	leaf, der := certificate(t, &x509.Certificate{DNSNames: []string{"app.localhost"}, IsCA: true, BasicConstraintsValid: true}, nil)
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, dir+"/key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	w := prepareWorld(t, worldOptions{env: map[string]string{"POSTERN_TLS_CERT_FILE": dir + "/cert.pem", "POSTERN_TLS_KEY_FILE": dir + "/key.pem"}})
	w.env["POSTERN_INGRESS"] = "https://" + w.host()
	maps.Copy(w.env, env)
	w.Process = Start(t, w.env)
	roots := x509.NewCertPool()
	roots.AddCert(leaf.Leaf)
	return w, &tls.Config{RootCAs: roots, ServerName: "app.localhost", MinVersion: tls.VersionTLS12}
}

// ways are a world behind which HTTP/2 is spoken with prior knowledge, and one behind which by TLS.
func ways(t testing.TB, env map[string]string) map[string]way {
	t.Helper()
	secure, config := newTLSWorld(t, env)
	return map[string]way{"h2c": {newWorld(t, worldOptions{env: env}), nil}, "TLS": {secure, config}}
}

// way is how a world is reached.
type way struct {
	*world
	config *tls.Config // nil: in clear
}

func (w way) dialHTTP2(t testing.TB) *RawHTTP2 {
	t.Helper()
	return DialHTTP2(t, w.Addr, w.host(), w.config)
}
