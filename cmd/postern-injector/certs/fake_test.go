package certs

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/cmd/postern-injector/kube"
)

var names = []string{"postern-injector.postern.svc", "postern-injector.postern.svc.cluster.local"}

var errDown = errors.New("the API server is down")

// apiServer is one Secret and one webhook configuration, with the conflicts of a real one: each change makes a new version, and a write of an
// older one is refused.
type apiServer struct {
	mu      sync.Mutex
	version int
	down    bool
	secret  *kube.Secret
	hooks   *kube.WebhookConfiguration

	writes int    // of the Secret
	after  func() // runs once, before the next write of the Secret: somebody else is faster
	hooked func() // the same, before the next write of caBundle
}

func newAPIServer(entries int) *apiServer {
	hooks := &kube.WebhookConfiguration{Metadata: kube.Meta{Name: "injector", ResourceVersion: "1"}}
	for i := range entries {
		hooks.Webhooks = append(hooks.Webhooks, kube.Webhook{Name: strconv.Itoa(i)})
	}
	return &apiServer{version: 1, hooks: hooks}
}

func refused(status int, reason string) error { return &kube.Error{Status: status, Reason: reason} }

func (a *apiServer) next() string {
	a.version++
	return strconv.Itoa(a.version)
}

func copied(s *kube.Secret) *kube.Secret {
	return &kube.Secret{Metadata: s.Metadata, Data: maps.Clone(s.Data)}
}

func (a *apiServer) GetSecret(context.Context, string, string) (*kube.Secret, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.down:
		return nil, errDown
	case a.secret == nil:
		return nil, refused(http.StatusNotFound, "NotFound")
	}
	return copied(a.secret), nil
}

// interrupt runs what somebody else does just before a write, once.
func (a *apiServer) interrupt(by *func()) {
	a.mu.Lock()
	f := *by
	*by = nil
	a.mu.Unlock()
	if f != nil {
		f()
	}
}

func (a *apiServer) CreateSecret(_ context.Context, _, name string, data map[string][]byte) (*kube.Secret, error) {
	a.interrupt(&a.after)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.down:
		return nil, errDown
	case a.secret != nil:
		return nil, refused(http.StatusConflict, "AlreadyExists")
	}
	a.secret = &kube.Secret{Metadata: kube.Meta{Name: name, ResourceVersion: a.next()}, Data: maps.Clone(data)}
	a.writes++
	return copied(a.secret), nil
}

func (a *apiServer) PatchSecret(_ context.Context, _, _, version string, data map[string][]byte) (*kube.Secret, error) {
	a.interrupt(&a.after)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.down:
		return nil, errDown
	case a.secret == nil:
		return nil, refused(http.StatusNotFound, "NotFound")
	case a.secret.Metadata.ResourceVersion != version:
		return nil, refused(http.StatusConflict, "Conflict")
	}
	for key, value := range data {
		if value == nil {
			delete(a.secret.Data, key)
		} else {
			a.secret.Data[key] = value
		}
	}
	a.secret.Metadata.ResourceVersion = a.next()
	a.writes++
	return copied(a.secret), nil
}

func (a *apiServer) copyHooks() *kube.WebhookConfiguration {
	return &kube.WebhookConfiguration{Metadata: a.hooks.Metadata, Webhooks: append([]kube.Webhook(nil), a.hooks.Webhooks...)}
}

func (a *apiServer) GetWebhooks(_ context.Context, kind kube.WebhookKind, name string) (*kube.WebhookConfiguration, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.down:
		return nil, errDown
	case kind != kube.Mutating || name != a.hooks.Metadata.Name:
		return nil, refused(http.StatusNotFound, "NotFound")
	}
	return a.copyHooks(), nil
}

func (a *apiServer) SetCABundle(_ context.Context, _ kube.WebhookKind, read *kube.WebhookConfiguration, bundle []byte) (*kube.WebhookConfiguration, error) {
	a.interrupt(&a.hooked)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.down:
		return nil, errDown
	case read.Metadata.ResourceVersion != a.hooks.Metadata.ResourceVersion:
		return nil, refused(http.StatusConflict, "Conflict")
	}
	for i := range a.hooks.Webhooks {
		a.hooks.Webhooks[i].ClientConfig.CABundle = bundle
	}
	a.hooks.Metadata.ResourceVersion = a.next()
	return a.copyHooks(), nil
}

// change is what somebody else does to the objects.
func (a *apiServer) change(f func(a *apiServer)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
	if a.secret != nil {
		a.secret.Metadata.ResourceVersion = a.next()
	}
	a.hooks.Metadata.ResourceVersion = a.next()
}

func (a *apiServer) bundle(i int) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hooks.Webhooks[i].ClientConfig.CABundle
}

// watched is a keeper whose metrics can be read.
type watched struct {
	*Keeper

	registry *prometheus.Registry
}

const rotations = "postern_injector_certificate_rotations_total"

// counted is the sum of a counter over its labels.
func (w *watched) counted(t *testing.T, name string) (sum float64) {
	t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
			return sum
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// replica is a keeper of the API server's objects.
func replica(t *testing.T, a *apiServer, poll, settle time.Duration) *watched {
	t.Helper()
	registry := prometheus.NewRegistry()
	m, err := NewMetrics(registry, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Namespace: "postern", Secret: "certificate", Configuration: "injector", Names: names, Poll: poll, Settle: settle}
	return &watched{NewKeeper(cfg, a, a, time.Now, slog.New(slog.DiscardHandler), m), registry}
}
