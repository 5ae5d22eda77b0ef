package webhook

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/cmd/postern-injector/inject"
)

// world is a handler whose surroundings are fakes. Change them before the first review.
type world struct {
	inject   Inject
	settings *inject.Settings
	defaults func(context.Context, string) (map[string]string, error)

	handler  *Handler
	registry *prometheus.Registry

	mu     sync.Mutex
	log    bytes.Buffer
	events []Happening
}

var onePatch = []inject.Operation{{Op: "add", Path: "/metadata/labels/x", Value: json.RawMessage(`"y"`)}}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		inject: func([]byte, inject.Request, *inject.Settings) (inject.Result, error) {
			return inject.Result{Patch: onePatch, Reason: "injected"}, nil
		},
		settings: &inject.Settings{},
		defaults: func(context.Context, string) (map[string]string, error) { return nil, nil },
		registry: prometheus.NewRegistry(),
	}
	metrics, err := NewMetrics(w.registry)
	if err != nil {
		t.Fatal(err)
	}
	w.handler = NewHandler(Config{
		Inject: func(pod []byte, r inject.Request, s *inject.Settings) (inject.Result, error) {
			return w.inject(pod, r, s)
		},
		Settings: func() *inject.Settings { return w.settings },
		Defaults: func(ctx context.Context, ns string) (map[string]string, error) { return w.defaults(ctx, ns) },
		Event: func(h Happening) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, h)
		},
		Metrics: metrics, Log: slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	return w
}

// Write takes a line of the log.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func (w *world) recorded() []Happening {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

// counted is the sum of a counter over the series that have the label values, as NAME=VALUE.
func (w *world) counted(t *testing.T, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			has := map[string]bool{}
			for _, l := range m.GetLabel() {
				has[l.GetName()+"="+l.GetValue()] = true
			}
			for _, want := range labels {
				if !has[want] {
					continue series
				}
			}
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}

// listen serves the handler as the program does, and returns the address and a client that trusts it.
func (w *world) listen(t *testing.T) (string, *http.Client) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cert := certificate(t)
	server := NewServer(w.handler, slog.New(slog.DiscardHandler))
	go server.Serve(NewListener(l, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }))
	t.Cleanup(func() { server.Close() })
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return l.Addr().String(), &http.Client{Transport: transport}
}

// certificate is one that nobody trusts.
func certificate(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// question is an AdmissionReview, changed by replacing old texts by new ones.
func question(changes ...string) string {
	text := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u-1","kind":{"group":"","version":"v1","kind":"Pod"},` +
		`"resource":{"group":"","version":"v1","resource":"pods"},"operation":"CREATE","namespace":"team","dryRun":false,` +
		`"object":{"metadata":{"generateName":"web-7d9-","ownerReferences":[{"apiVersion":"v1","kind":"Odd","name":"other"},` +
		`{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-7d9","uid":"o-1","controller":true}]},` +
		`"spec":{"containers":[{"name":"app","env":[{"name":"PASSWORD","value":"hunter2"}]}]}}}}`
	return strings.NewReplacer(changes...).Replace(text)
}

// ask posts a review and decodes the answer if there is one.
func ask(t *testing.T, client *http.Client, url, body string) (int, *response) {
	t.Helper()
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, nil
	}
	var r review
	if err := json.Unmarshal(text, &r); err != nil || r.APIVersion != reviewVersion || r.Kind != reviewKind || r.Response == nil {
		t.Fatalf("no AdmissionReview: %s", text)
	}
	return resp.StatusCode, r.Response
}
