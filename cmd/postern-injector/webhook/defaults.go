package webhook

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"postern/cmd/postern-injector/kube"
)

// DefaultsName is the ConfigMap of a namespace with the defaults of its pods.
const DefaultsName = "postern-defaults"

const (
	defaultsFresh  = 10 * time.Second
	defaultsTime   = 3 * time.Second // for one look, below the 5 s that the API server waits
	maxNamespaces  = 2000
	maxCachedBytes = 4 << 20 // of all namespaces
	maxOneDefaults = 64 << 10
)

// Defaults reads the defaults of namespaces, and remembers them for ten seconds. It is safe for concurrent use.
type Defaults struct {
	get func(ctx context.Context, namespace, name string) (*kube.ConfigMap, error)
	now func() time.Time

	flights singleflight.Group

	mu    sync.Mutex
	known map[string]knownDefaults
	bytes int
}

type knownDefaults struct {
	values map[string]string // never changed
	bytes  int
	until  time.Time
}

// NewDefaults reads by get.
func NewDefaults(get func(ctx context.Context, namespace, name string) (*kube.ConfigMap, error), now func() time.Time) *Defaults {
	return &Defaults{get: get, now: now, known: map[string]knownDefaults{}}
}

// Of is the defaults of a namespace: short annotation name to value, nil if it has none. The map must not be changed. Trouble is an error, not
// an absence, also while older defaults are remembered.
func (d *Defaults) Of(ctx context.Context, namespace string) (map[string]string, error) {
	if values, ok := d.remembered(namespace); ok {
		return values, nil
	}
	// One look serves all who wait, so it must not end with the first of them.
	flight := d.flights.DoChan(namespace, func() (any, error) {
		look, cancel := context.WithTimeout(context.WithoutCancel(ctx), defaultsTime)
		defer cancel()
		return d.read(look, namespace)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-flight:
		if r.Err != nil {
			return nil, r.Err
		}
		values, _ := r.Val.(map[string]string)
		return values, nil
	}
}

func (d *Defaults) remembered(namespace string) (map[string]string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.known[namespace]
	return k.values, ok && d.now().Before(k.until)
}

func (d *Defaults) read(ctx context.Context, namespace string) (map[string]string, error) {
	m, err := d.get(ctx, namespace, DefaultsName)
	switch {
	case kube.IsNotFound(err):
		m = &kube.ConfigMap{}
	case err != nil:
		return nil, err
	}
	size := len(namespace)
	for key, value := range m.Data {
		size += len(key) + len(value)
	}
	if size > maxOneDefaults {
		return nil, fmt.Errorf("ConfigMap %s of namespace %s is larger than %d KiB", DefaultsName, namespace, maxOneDefaults>>10)
	}
	d.remember(namespace, knownDefaults{values: m.Data, bytes: size, until: d.now().Add(defaultsFresh)})
	return m.Data, nil
}

// remember makes room by what is over, and if that is not enough by all: ten seconds are no loss.
func (d *Defaults) remember(namespace string, k knownDefaults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes += k.bytes - d.known[namespace].bytes
	d.known[namespace] = k
	full := func() bool { return len(d.known) > maxNamespaces || d.bytes > maxCachedBytes }
	if !full() {
		return
	}
	now := d.now()
	for name, old := range d.known {
		if !now.Before(old.until) {
			delete(d.known, name)
			d.bytes -= old.bytes
		}
	}
	if full() {
		clear(d.known)
		d.bytes = 0
	}
}
