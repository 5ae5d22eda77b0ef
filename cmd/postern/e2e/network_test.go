package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Calls to the provider go through the web proxy of the environment: the provider has a name that only the proxy knows. Calls to the app never
// do, whatever the variables say.
func TestProviderThroughTheWebProxy(t *testing.T) {
	t.Parallel()
	const name = "login.provider.test"
	port := FreePort(t)
	ingress := "http://app.localhost:" + port
	idp := DevIDP(t, "", []string{ingress + "/oauth2/callback"}, nil, "--base-url=https://"+name)
	front := TLSFront(t, idp.Addr, name)
	webProxy := ConnectProxy(t, map[string]string{name + ":443": front.Addr}, "user", "pass-4f1c")
	app := App(t, nil)
	env := map[string]string{
		"POSTERN_BIND_ADDRESS": "127.0.0.1:" + port, "POSTERN_INGRESS": ingress, "POSTERN_UPSTREAM_HOST": app.Addr,
		"POSTERN_ENCRYPTION_KEY": testKey, "POSTERN_LOG_LEVEL": "debug", "POSTERN_IDENTITY_HEADERS": "postern",
		"POSTERN_OPENID_PROVIDER": "azure", "POSTERN_OPENID_CLIENT_ID": DevClientID, "POSTERN_OPENID_CLIENT_SECRET": DevClientSecret,
		"POSTERN_OPENID_WELL_KNOWN_URL": "https://" + name + "/" + devTenant + "/v2.0/.well-known/openid-configuration",
		"HTTPS_PROXY":                   webProxy.URL, "HTTP_PROXY": webProxy.URL,
		"SSL_CERT_FILE": front.CAFile,
	}
	w := Start(t, env)
	c := NewClient(t)
	if r := c.Navigate(ingress + "/oauth2/login"); !strings.HasPrefix(r.Header.Get("Location"), "https://"+name+"/") {
		t.Errorf("login: status %d to %s", r.StatusCode, r.Header.Get("Location"))
	}
	if r := c.Get(ingress + "/x"); r.StatusCode != 200 {
		t.Errorf("app: status %d", r.StatusCode)
	}
	seen := webProxy.Seen()
	if !slices.Contains(seen, "CONNECT "+name+":443") {
		t.Errorf("the web proxy saw %q", seen)
	}
	for _, request := range seen {
		if strings.Contains(request, app.Addr) {
			t.Errorf("a call to the app went through the web proxy: %s", request)
		}
	}
	w.Log.Without(t, map[string]string{"password of the web proxy": "pass-4f1c"})
}

// tls.cert-file: HTTPS with HTTP/2, and a new certificate without a restart.
func TestTLSOnThePublicListener(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	roots := x509.NewCertPool()
	issue := func(serial string) {
		leaf, der := certificate(t, &x509.Certificate{DNSNames: []string{"app.localhost", serial}, IsCA: true, BasicConstraintsValid: true}, nil)
		roots.AddCert(leaf.Leaf)
		key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir+"/cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		writeFile(t, dir+"/key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	}
	issue("first.test")
	w := prepareWorld(t, worldOptions{env: map[string]string{"POSTERN_TLS_CERT_FILE": dir + "/cert.pem", "POSTERN_TLS_KEY_FILE": dir + "/key.pem"}})
	w.env["POSTERN_INGRESS"] = "https://" + w.host()
	w.Process = Start(t, w.env)
	names := func() []string {
		transport := loopback()
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		transport.ForceAttemptHTTP2 = true
		defer transport.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+w.host()+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != 200 || answer.ProtoMajor != 2 {
			t.Errorf("%s %d", answer.Proto, answer.StatusCode)
		}
		return answer.TLS.PeerCertificates[0].DNSNames
	}
	if got := names(); !slices.Contains(got, "first.test") {
		t.Errorf("certificate for %q", got)
	}
	time.Sleep(20 * time.Millisecond) // file times of another moment
	issue("second.test")
	Eventually(t, "the new certificate", func() error {
		if got := names(); !slices.Contains(got, "second.test") {
			return errorf("certificate for %q", got)
		}
		return nil
	})
}
