package t2_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/cmd/postern-injector/e2e/cluster"
)

// gitops renders the chart and applies what comes of it, as a controller without Helm's lookup does.
func (w *world) gitops(t *testing.T, space string, verb string, flags ...string) string {
	t.Helper()
	command := "helm template " + release + " charts/postern-injector --namespace " + space + " --kube-version 1.36.0 --set image=" + injectorImage +
		" --set sidecar.image=" + sidecarImage + " " + strings.Join(flags, " ")
	return w.must(t, command+" | kubectl "+verb+" -n "+space+" -f -")
}

func TestGitOpsWithGivenCertificate(t *testing.T) {
	w := start(t)
	before := w.inventory(t)
	space := w.Namespace(t, nil)
	authority := newAuthority(t)
	secret := func(serial int64) {
		t.Helper()
		certificate, key := authority.issue(t, serial, name+"."+space+".svc")
		w.Apply(t, space, asJSON(map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": map[string]any{"name": "given"},
			"data": map[string][]byte{"tls.crt": certificate, "tls.key": key},
		}))
	}
	secret(100)
	flags := []string{
		"--set", "certificate.mode=given", "--set", "certificate.secretName=given",
		"--set", "certificate.caBundle=" + base64.StdEncoding.EncodeToString(authority.text),
	}
	w.gitops(t, space, "apply", flags...)
	t.Cleanup(func() { _, _ = w.TryKubectl(t, "delete", "mutatingwebhookconfiguration", name, "--ignore-not-found") })
	w.rollout(t, space, name)
	app := w.Namespace(t, nil)
	gets := func() {
		t.Helper()
		cluster.Eventually(t, "pods get the sidecar", func() error {
			p, err := w.dryRun(t.Context(), app, pod("gitops", true))
			if err == nil {
				err = injected(p, sidecarImage)
			}
			return err
		})
	}
	gets()
	l := w.load(t, app)
	secret(200)
	for _, p := range w.pods(t, space, "app.kubernetes.io%2Fname%3D"+name) {
		cluster.Eventually(t, p.Name+" serves the new certificate", func() error {
			conn, err := w.k.Dial(t.Context(), p.Name+"."+space+".pod:9443")
			if err != nil {
				return err
			}
			defer conn.Close()
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(authority.text)
			client := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: name + "." + space + ".svc", MinVersion: tls.VersionTLS12})
			if err := client.HandshakeContext(t.Context()); err != nil {
				return err
			}
			if state := client.ConnectionState(); state.Version != tls.VersionTLS13 || state.PeerCertificates[0].SerialNumber.Int64() != 200 {
				return errorf("TLS %x, serial %d", state.Version, state.PeerCertificates[0].SerialNumber)
			}
			return nil
		})
	}
	l.flawless()
	const path = `{range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{"\n"}{end}`
	versions := w.gitops(t, space, "get -o jsonpath='"+path+"'", flags...)
	w.gitops(t, space, "apply", flags...)
	if diff := cmp.Diff(versions, w.gitops(t, space, "get -o jsonpath='"+path+"'", flags...)); diff != "" {
		t.Errorf("applied once more (-before +after):\n%s", diff)
	}
	gets()
	w.gitops(t, space, "delete --wait=false", flags...)
	w.isGone(t, before)
}

// appliedWithoutHelm: nothing of what the injector writes by itself is in the chart's output, so that applying it over a release takes nothing away, in
// the one way or the other.
func (w *world) appliedWithoutHelm(t *testing.T) {
	before := w.trusted(t)
	l := w.load(t, w.Namespace(t, nil))
	for _, verb := range []string{"apply", "apply --server-side --force-conflicts"} {
		w.gitops(t, system, verb)
		if w.trusted(t) != before {
			t.Errorf("kubectl %s has changed certificate or CA", verb)
		}
	}
	l.flawless()
}

// authority signs certificates, as a company's own would.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	text        []byte // PEM
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	var der []byte
	a.key, der = sign(t, a.certificate, a.certificate, nil)
	a.text = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// issue makes a certificate for a name, and its key, as PEM.
func (a *authority) issue(t *testing.T, serial int64, host string) (certificate, key []byte) {
	t.Helper()
	private, der := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: a.certificate.NotBefore,
		NotAfter: time.Now().AddDate(0, 3, 0), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.certificate, a.key)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

// sign makes a key and its certificate, which signs itself where no other key is given.
func sign(t *testing.T, template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}
