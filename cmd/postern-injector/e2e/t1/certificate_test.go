package t1

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
)

const rotations = "postern_injector_certificate_rotations_total"

// serves is nil when every replica that is ready shows the leaf of the Secret to whoever trusts caBundle.
func (r *release) serves(t testing.TB) error {
	t.Helper()
	block, _ := pem.Decode([]byte(r.secret(t)["tls.crt"]))
	if block == nil {
		return errors.New("the Secret holds no certificate")
	}
	trust := r.trust(t)
	for n, one := range r.replicas {
		select {
		case <-one.program.Exited():
			continue
		default:
		}
		state, err := one.handshake(trust)
		if err != nil {
			return fmt.Errorf("replica %d: %w", n, err)
		}
		if string(state.PeerCertificates[0].Raw) != string(block.Bytes) {
			return fmt.Errorf("replica %d serves another leaf than the Secret has", n)
		}
	}
	return nil
}

func cas(bundle string) int { return strings.Count(bundle, "BEGIN CERTIFICATE") }

// A pair that is due, in a Secret that nobody has looked at yet: both replicas start, both find that, and only one of them replaces it.
func TestReplicasThatStartAtOnceMakeOneCertificate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		data func(t *testing.T, r *release) map[string]string
	}{
		{"empty Secret", func(*testing.T, *release) map[string]string { return nil }},
		{"due for rotation", func(t *testing.T, r *release) map[string]string { return due(t, r.name+"."+r.namespace+".svc") }},
		{"nonsense", func(*testing.T, *release) map[string]string {
			return map[string]string{"tls.crt": "x", "tls.key": "y", "ca.crt": "z", "ca.key": "w"}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := apart(t, wish{}, 0)
			r.setSecret(t, tc.data(t, r))
			r.start(t, 2)
			if made := r.metric(t, rotations, nil); made != 1 {
				t.Errorf("%v certificates were made", made)
			}
			if err := r.serves(t); err != nil {
				t.Error(err)
			}
			if _, there := r.secret(t)["ca.key"]; there {
				t.Error("a key of a CA was left in the Secret")
			}
			for n, bundle := range r.bundles(t) {
				if !strings.Contains(bundle, strings.TrimSpace(r.secret(t)["ca.crt"])) {
					t.Errorf("entry %d does not hold the CA", n)
				}
			}
			r.inForce(t)
		})
	}
}

// due is a pair as the injector makes them, 25 days ago.
func due(t *testing.T, name string) map[string]string {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now().AddDate(0, 0, -25)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "postern-injector CA"}, NotBefore: from, NotAfter: from.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: from.AddDate(0, 0, 30), DNSNames: []string{name, name + ".cluster.local"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return map[string]string{"tls.crt": encode("CERTIFICATE", leafDER), "tls.key": encode("PRIVATE KEY", keyDER), "ca.crt": encode("CERTIFICATE", caDER)}
}

// load creates pods, and shakes hands with every replica as a new API server would, until it is stopped.
type load struct {
	stop            chan struct{}
	done            sync.WaitGroup
	created, shaken atomic.Int32
	mu              sync.Mutex
	failures        []string
}

func (r *release) load(t *testing.T, space string) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	repeat := func(pause time.Duration, count *atomic.Int32, do func(n int32) error) {
		l.done.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				case <-time.After(pause):
				}
				if err := do(count.Add(1)); err != nil {
					l.mu.Lock()
					l.failures = append(l.failures, time.Now().Format(time.TimeOnly)+" "+err.Error())
					l.mu.Unlock()
				}
			}
		})
	}
	for range 2 {
		repeat(100*time.Millisecond, &l.created, func(n int32) error {
			p, err := r.create(space, pod(fmt.Sprint("load-", n)), "?dryRun=All")
			if err == nil && len(p.Spec.InitContainers) != 1 {
				err = errors.New("a pod without the sidecar")
			}
			return err
		})
	}
	repeat(200*time.Millisecond, &l.shaken, func(int32) error {
		trust := r.trust(t)
		r.mu.Lock()
		replicas := r.replicas
		r.mu.Unlock()
		for _, one := range replicas {
			if one.status() != http.StatusOK {
				continue
			}
			if _, err := one.handshake(trust); err != nil {
				return err
			}
		}
		return nil
	})
	return l
}

// end stops it, and fails the test if anything was refused.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.done.Wait()
	t.Logf("%d creates and %d rounds of handshakes, %d failed", l.created.Load(), l.shaken.Load(), len(l.failures))
	if len(l.failures) > 0 || l.created.Load() == 0 {
		t.Errorf("%s", strings.Join(l.failures, "\n"))
	}
}

// The operator empties the Secret while pods are created: a new CA comes, both replicas go over to it, and no create fails. Somebody adds a CA of his own
// in between, so that the API server shakes hands anew.
func TestCAIsRotatedUnderLoad(t *testing.T) {
	t.Parallel()
	r := apart(t, wish{}, 2)
	l := r.load(t, r.space(t, nil))
	before := r.secret(t)
	r.setSecret(t, nil)
	cluster.Eventually(t, "there is a new CA, and caBundle holds both", func() error {
		ca := strings.TrimSpace(r.secret(t)["ca.crt"])
		for _, bundle := range r.bundles(t) {
			if ca == "" || ca == strings.TrimSpace(before["ca.crt"]) || !strings.Contains(bundle, ca) || !strings.Contains(bundle, strings.TrimSpace(before["ca.crt"])) {
				return fmt.Errorf("%d CAs", cas(bundle))
			}
		}
		return nil
	})
	if r.serves(t) == nil {
		t.Error("the new leaf is served before every API server can know its CA")
	}
	cluster.Eventually(t, "both replicas serve the new leaf", func() error { return r.serves(t) })
	_, foreign := authority(t, "foreign.example.org")
	r.setHooks(t, "clientConfig/caBundle", base64.StdEncoding.EncodeToString([]byte(r.bundles(t)[0]+foreign)))
	count := func() float64 {
		return r.metric(t, "postern_injector_admissions_total", map[string]string{"result": "patched"})
	}
	counted := count()
	cluster.Eventually(t, "creates go on over new connections", func() error {
		if count() < counted+10 {
			return errors.New("fewer than ten")
		}
		return nil
	})
	l.end(t)
	if made := r.metric(t, rotations, nil); made != 2 {
		t.Errorf("%v certificates were made, want the first and one more", made)
	}
	if got := cas(r.bundles(t)[0]); got != 3 {
		t.Errorf("caBundle holds %d CAs, want the new, the old and the foreign one", got)
	}
}

// One replica is killed between the new CA and its leaf, and comes again; the other is stopped in order, and comes again.
func TestReplicaIsKilledInTheMiddleOfARotation(t *testing.T) {
	t.Parallel()
	r := apart(t, wish{}, 2)
	space := r.space(t, nil)
	old := strings.TrimSpace(r.secret(t)["ca.crt"])
	r.setSecret(t, nil)
	cluster.Eventually(t, "there is a new CA", func() error {
		if ca := strings.TrimSpace(r.secret(t)["ca.crt"]); ca == "" || ca == old {
			return errors.New("not yet")
		}
		return nil
	})
	r.replicas[0].program.Kill()
	r.start(t, 1)
	for n, bundle := range r.bundles(t) {
		if !strings.Contains(bundle, old) || !strings.Contains(bundle, strings.TrimSpace(r.secret(t)["ca.crt"])) {
			t.Errorf("entry %d has lost a CA whose leaf is served", n)
		}
	}
	l := r.load(t, space)
	r.replicas[1].program.Signal(syscall.SIGTERM)
	r.leaves(t, r.replicas[1])
	<-r.replicas[1].program.Exited()
	if code := r.replicas[1].program.ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	r.start(t, 1)
	if err := r.serves(t); err != nil {
		t.Error(err)
	}
	l.end(t)
	if made := r.metric(t, rotations, nil); made > 1 { // of those that run now
		t.Errorf("%v certificates were made since", made)
	}
}

// leaves fails unless a replica that stops still answers, says that it is not ready, and asks for no further use of its connections: the API server
// would otherwise send a review over one that is closed at the same moment.
func (r *release) leaves(t *testing.T, one *replica) {
	t.Helper()
	cluster.Eventually(t, "it says that it is not ready", func() error {
		if code, said := one.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(said, "draining") {
			return fmt.Errorf("%d %s", code, said)
		}
		return nil
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+one.address+"/inject/pod", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: r.trust(t)}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest || !resp.Close {
		t.Errorf("status %d, the connection is to be closed: %v", resp.StatusCode, resp.Close)
	}
}

func TestWipedBundleIsPutBack(t *testing.T) {
	t.Parallel()
	r := apart(t, wish{}, 2)
	space := r.space(t, nil)
	ca := strings.TrimSpace(r.secret(t)["ca.crt"])
	_, foreign := authority(t, "foreign.example.org")
	for name, bundle := range map[string]string{"wiped": "", "somebody else's": foreign} {
		if bundle == "" {
			r.setHooks(t, "clientConfig/caBundle", nil)
		} else {
			r.setHooks(t, "clientConfig/caBundle", base64.StdEncoding.EncodeToString([]byte(bundle)))
		}
		cluster.Eventually(t, name+" and put back", func() error {
			for _, bundle := range r.bundles(t) {
				if !strings.Contains(bundle, ca) {
					return errors.New("an entry is without the CA")
				}
			}
			_, err := r.create(space, pod("a"), "?dryRun=All")
			return err
		})
	}
	if r.metric(t, rotations, nil) != 1 {
		t.Error("that was no reason to make another certificate")
	}
	if _, err := tls.X509KeyPair([]byte(r.secret(t)["tls.crt"]), []byte(r.secret(t)["tls.key"])); err != nil {
		t.Error(err)
	}
}
