package oidc

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/config"
)

func TestS50BodyOver1MiBIsAnErrorAndNotCutShort(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		size    int
		chunked bool
		ok      bool
	}{
		"exactly 1 MiB":          {maxBody, false, true},
		"exactly 1 MiB, chunked": {maxBody, true, true},
		"one byte more":          {maxBody + 1, false, false},
		"one byte more, chunked": {maxBody + 1, true, false},
		"50 MB, chunked":         {50 << 20, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tc.chunked {
					w.(http.Flusher).Flush()
				}
				_, _ = io.CopyN(w, zeros{}, int64(tc.size))
			}))
			defer srv.Close()
			resp, err := NewHTTPClient(config.Outbound{}).Get(srv.URL)
			var got int
			if err == nil {
				var body []byte
				body, err = io.ReadAll(resp.Body)
				resp.Body.Close()
				got = len(body)
			}
			if tc.ok && (err != nil || got != tc.size) || !tc.ok && !errors.Is(err, errBodyTooLarge) {
				t.Errorf("%d bytes, %v", got, err)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// S-50: a key set of 50 MB costs a megabyte of memory and an error.
func TestS50KeySetOf50MBIsRefused(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/jwks" {
			return false
		}
		_, _ = w.Write([]byte(`{"keys":[`))
		_, _ = io.CopyN(w, zeros{}, 50<<20)
		return true
	}
	srv := httptest.NewServer(p)
	defer srv.Close()
	p.issuer = srv.URL
	p.metadata = p.defaultMetadata()
	w := build(t, p, func(_ *ProviderConfig, _ *config.OpenID, d *Deps) { d.HTTP = nil })
	err := w.provider.refresh(t.Context())
	w.provider.note(err)
	if !errors.Is(err, errBodyTooLarge) || w.provider.Health().Reason != "keys_unreachable" {
		t.Errorf("%v, %+v", err, w.provider.Health())
	}
}

func TestNamesBelowLocalhostAreLoopback(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	must(t, err)
	// A web proxy that nobody could reach shows that none is asked.
	client := NewHTTPClient(config.Outbound{HTTPProxy: config.NewSecret("http://127.0.0.1:1")})
	for _, host := range []string{"idp.localhost", "IDP.Localhost", "a.b.localhost.", "localhost", "127.0.0.1"} {
		resp, err := client.Get("http://" + net.JoinHostPort(host, port) + "/")
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		resp.Body.Close()
	}
	for host, want := range map[string]bool{
		"127.8.8.8": true, "::1": true, "::ffff:127.0.0.1": true, "localhost.evil.example": false, "notlocalhost": false, "10.0.0.1": false, "": false,
	} {
		if config.LoopbackHost(host) != want {
			t.Errorf("LoopbackHost(%q) is %v", host, !want)
		}
	}
}

// connectProxy is a real CONNECT proxy that knows names which no resolver does.
type connectProxy struct {
	names  map[string]string
	tunnel atomic.Int32
	auth   atomic.Value
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.auth.Store(r.Header.Get("Proxy-Authorization"))
	target, ok := p.names[r.Host]
	if r.Method != http.MethodConnect || !ok {
		http.Error(w, "no", http.StatusForbidden)
		return
	}
	there, err := net.Dial("tcp", target)
	if err != nil {
		http.Error(w, "no", http.StatusBadGateway)
		return
	}
	here, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	p.tunnel.Add(1)
	_, _ = here.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n"))
	go func() { _, _ = io.Copy(there, bufferedConn(rw, here)); there.Close() }()
	_, _ = io.Copy(here, there)
	here.Close()
}

func bufferedConn(rw *bufio.ReadWriter, conn net.Conn) io.Reader {
	early := make([]byte, rw.Reader.Buffered())
	_, _ = io.ReadFull(rw, early)
	return io.MultiReader(bytes.NewReader(early), conn)
}

func certificateFor(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// The provider has a name that only the proxy resolves, so nothing can go around it. On-premises clusters are like this.
func TestLoginGoesThroughTheWebProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	const name = "idp.corp.invalid"
	cert, pool := certificateFor(t, name)
	p := newIDP(t)
	p.issuer = "https://" + name
	p.metadata = p.defaultMetadata()
	p.metadata["pushed_authorization_request_endpoint"] = p.issuer + "/par"
	server := httptest.NewUnstartedServer(p)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	defer server.Close()
	web := &connectProxy{names: map[string]string{name + ":443": server.Listener.Addr().String()}}
	webServer := httptest.NewServer(web)
	defer webServer.Close()

	through := func(out config.Outbound) *http.Client {
		client := NewHTTPClient(out)
		client.Transport.(*cappedTransport).next.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		return client
	}
	address := config.NewSecret(strings.Replace(webServer.URL, "http://", "http://user:pr0xy-pass@", 1))

	w := build(t, p, func(_ *ProviderConfig, _ *config.OpenID, d *Deps) {
		d.HTTP = through(config.Outbound{HTTPSProxy: address})
	})
	must(t, w.provider.refresh(t.Context()))
	_, err := w.login(AuthorizationRequest{})
	must(t, err)
	if web.tunnel.Load() == 0 || web.auth.Load() != "Basic dXNlcjpwcjB4eS1wYXNz" {
		t.Errorf("%d tunnels, proxy authorization %v", web.tunnel.Load(), web.auth.Load())
	}

	tunnels := web.tunnel.Load()
	w = build(t, p, func(_ *ProviderConfig, _ *config.OpenID, d *Deps) {
		d.HTTP = through(config.Outbound{HTTPSProxy: address, NoProxy: "example.com,.corp.invalid"})
	})
	err = w.provider.refresh(t.Context())
	if err == nil || web.tunnel.Load() != tunnels {
		t.Errorf("NO_PROXY: %v, %d tunnels", err, web.tunnel.Load()-tunnels)
	}

	web.names = nil // the proxy refuses
	w = build(t, p, func(_ *ProviderConfig, _ *config.OpenID, d *Deps) {
		d.HTTP = through(config.Outbound{HTTPSProxy: address})
	})
	err = w.provider.refresh(t.Context())
	if err == nil || strings.Contains(err.Error(), "pr0xy-pass") {
		t.Errorf("a proxy that refuses: %v", err)
	}
}

func TestWebProxyAddressThatIsNoURLNeverMeansDirectCalls(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://user:p%zz@proxy:1", "://", "http://[::1"} {
		choose := WebProxy(config.Outbound{HTTPSProxy: config.NewSecret(address)})
		u, err := choose(&http.Request{URL: &url.URL{Scheme: "https", Host: "idp.example"}})
		if err == nil && u == nil {
			t.Errorf("%q: %v, %v", address, u, err)
		}
	}
}

// S-50 and peers.md 72: a redirect carries no credential anywhere, and nothing is sent twice.
func TestS50AdvisoryCVE2023_45289RedirectingTokenEndpointGetsTheAssertionOnce(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		var elsewhere, here atomic.Int32
		other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
		defer other.Close()
		p := newIDP(t)
		p.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/token" && r.URL.Path != "/par" {
				return false
			}
			here.Add(1)
			http.Redirect(w, r, other.URL+"/token", status)
			return true
		}
		srv := httptest.NewServer(p)
		defer srv.Close()
		p.issuer = srv.URL
		p.metadata = p.defaultMetadata()
		// Also a client that was made elsewhere, and follows redirects, must not.
		for _, client := range []*http.Client{nil, {}, {CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}} {
			here.Store(0)
			w := newWorld(t, p, func(_ *ProviderConfig, _ *config.OpenID, d *Deps) { d.HTTP = client })
			_, err := w.login(AuthorizationRequest{})
			wantTrouble(t, err, "redirects are refused")
			if here.Load() != 1 || elsewhere.Load() != 0 {
				t.Errorf("%d: %d calls here, %d elsewhere", status, here.Load(), elsewhere.Load())
			}
		}
	}
}

func TestProviderThatDoesNotAnswerTheConnectionIsTroubleSoon(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := l.Addr().String()
	must(t, l.Close())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, nil)
	must(t, err)
	_, err = NewHTTPClient(config.Outbound{}).Do(req)
	if err == nil || !unsent(err) {
		t.Errorf("got %v", err)
	}
}
