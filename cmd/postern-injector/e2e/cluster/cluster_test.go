package cluster_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
)

var shared cluster.Suite

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func TestPodIsStoredAndDeletedWithItsNamespace(t *testing.T) {
	t.Parallel()
	c := shared.Cluster(t)
	ns := c.Namespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	_, err := c.TryApply(t, ns, `{apiVersion: v1, kind: Pod, metadata: {name: root}, spec: {containers: [{name: a, image: a, securityContext: {runAsUser: 0}}]}}`)
	if err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
		t.Errorf("the built-in admission does not judge: %v", err)
	}
	ns = c.Namespace(t, nil)
	c.Apply(t, ns, `{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: a, image: a}]}}`)
	var pod struct{ Status struct{ Phase string } }
	c.Get(t, "/api/v1/namespaces/"+ns+"/pods/web", &pod)
	if pod.Status.Phase != "Pending" {
		t.Errorf("phase %q", pod.Status.Phase)
	}
	if out := c.Kubectl(t, "version"); strings.Count(out, "v1.36.") < 2 {
		t.Errorf("kubectl and the server are not of the same version: %s", out)
	}
	if out := c.Helm(t, "template", "--show-only", "templates/NOTES.txt", "--help"); !strings.Contains(out, "kube-version") {
		t.Errorf("helm: %s", out)
	}
}

// A webhook that names a Service is called at the Service's address, by its name in the certificate, through the egress proxy.
func TestWebhookIsReachedThroughItsService(t *testing.T) {
	t.Parallel()
	c := shared.Cluster(t)
	ns, hooked := c.Namespace(t, nil), c.Namespace(t, nil)
	certificate, ca := serving(t, "hook."+ns+".svc")
	hook := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Request struct{ UID string }
		}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":%q,"allowed":false,"status":{"message":"called as %s"}}}`,
			review.Request.UID, r.Host)
	}))
	hook.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}
	hook.StartTLS()
	t.Cleanup(hook.Close)
	c.Apply(t, ns, fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: hook}
spec: {ports: [{port: 443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: %[1]s}
webhooks:
- name: %[1]s.test.dev
  clientConfig: {service: {name: hook, namespace: %[1]s, path: /}, caBundle: %[2]s}
  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[3]s}}
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
`, ns, base64.StdEncoding.EncodeToString(ca), hooked))
	t.Cleanup(func() { _, _ = c.TryKubectl(t, "delete", "validatingwebhookconfiguration", ns) })
	create := func() string {
		_, err := c.TryApply(t, hooked, `{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: a, image: a}]}}`)
		if err == nil {
			return "created"
		}
		return err.Error()
	}
	cluster.Eventually(t, "a webhook without a route cannot be called", func() error {
		if said := create(); !strings.Contains(said, "failed calling webhook") {
			_, _ = c.TryKubectl(t, "delete", "pod", "web", "--namespace", hooked, "--force")
			return fmt.Errorf("the answer was: %s", said)
		}
		return nil
	})
	from := "hook." + ns + ".svc:443"
	c.Egress.Route(from, hook.Listener.Addr().String())
	t.Cleanup(func() { c.Egress.Route(from, "") })
	if said := create(); !strings.Contains(said, "called as hook."+ns+".svc") {
		t.Errorf("the answer was: %s", said)
	}
	labels := map[string]string{"name": ns + ".test.dev", "error_type": "no_error"}
	if got := c.Metric(t, "apiserver_admission_webhook_rejection_count", labels); got != 1 {
		t.Errorf("%v rejections are counted, want 1", got)
	}
}

func TestEgressRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	c := shared.Cluster(t)
	for _, address := range []string{"10.96.7.7:443", "127.0.0.1:1", "example.com:443", "nonsense"} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", c.Dir+"/egress.sock")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(cluster.Patience))
		fmt.Fprintf(conn, "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", address)
		answer := make([]byte, 200)
		n, _ := conn.Read(answer)
		if !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 502 ") {
			t.Errorf("%s: answered %q", address, answer[:n])
		}
	}
}

func TestControlPlaneLeavesNothing(t *testing.T) {
	t.Parallel()
	c, err := cluster.Start(cluster.Options{})
	cluster.Need(t, err)
	if err := c.Do(context.Background(), http.MethodGet, "/version", nil, nil); err != nil {
		t.Error(err)
	}
	c.Stop()
	c.Stop()
	if _, err := os.Stat(c.Dir); !os.IsNotExist(err) {
		t.Errorf("its directory is still there: %v", err)
	}
	if conn, err := net.DialTimeout("tcp", c.Address, time.Second); err == nil {
		conn.Close()
		t.Error("somebody still listens on its address")
	}
}

// serving is a certificate for the name, and the CA that a client must trust for it.
func serving(t *testing.T, name string) (certificate tls.Certificate, ca []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
