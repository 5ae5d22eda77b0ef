package kubelet

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"postern/cmd/postern-injector/e2e/cluster"
)

// store is a copy of all objects of a kind, kept up to date by a watch.
type store[T any] struct {
	mu    sync.Mutex
	items map[string]*T // "namespace/name" → object, never changed once it is here
}

type object[T any] interface {
	*T
	metav1.Object
}

// newStore lists the objects at the path and follows their changes until the context ends. It calls changed after each.
func newStore[T any, P object[T]](ctx context.Context, c *cluster.Cluster, path string, changed func()) (*store[T], error) {
	s := &store[T]{}
	version, err := list[T, P](ctx, c, path, s)
	if err != nil {
		return nil, err
	}
	go func() {
		for ctx.Err() == nil {
			if err = follow[T, P](ctx, c, path+"?watch=1&resourceVersion="+version, s, changed); err != nil && ctx.Err() == nil {
				time.Sleep(100 * time.Millisecond)
			}
			if v, err := list[T, P](ctx, c, path, s); err == nil {
				version = v
				changed()
			}
		}
	}()
	return s, nil
}

func list[T any, P object[T]](ctx context.Context, c *cluster.Cluster, path string, s *store[T]) (version string, err error) {
	var all struct {
		Metadata struct{ ResourceVersion string }
		Items    []T
	}
	if err := c.Do(ctx, http.MethodGet, path, nil, &all); err != nil {
		return "", err
	}
	items := map[string]*T{}
	for i := range all.Items {
		o := P(&all.Items[i])
		items[o.GetNamespace()+"/"+o.GetName()] = &all.Items[i]
	}
	s.mu.Lock()
	s.items = items
	s.mu.Unlock()
	return all.Metadata.ResourceVersion, nil
}

func follow[T any, P object[T]](ctx context.Context, c *cluster.Cluster, path string, s *store[T], changed func()) error {
	body, err := c.Stream(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	for events := json.NewDecoder(body); ; {
		var event struct {
			Type   string
			Object json.RawMessage
		}
		if err := events.Decode(&event); err != nil {
			return err
		}
		if event.Type == "ERROR" { // such as a version that is too old
			return nil
		}
		o := P(new(T))
		if err := json.Unmarshal(event.Object, o); err != nil {
			return err
		}
		key := o.GetNamespace() + "/" + o.GetName()
		s.mu.Lock()
		if event.Type == "DELETED" {
			delete(s.items, key)
		} else {
			s.items[key] = (*T)(o)
		}
		s.mu.Unlock()
		changed()
	}
}

func (s *store[T]) get(namespace, name string) (*T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.items[namespace+"/"+name]
	return o, ok
}

// in are the objects of a namespace, or all of them for an empty one.
func (s *store[T]) in(namespace string) (objects []*T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, o := range s.items {
		if namespace == "" || strings.HasPrefix(key, namespace+"/") {
			objects = append(objects, o)
		}
	}
	return objects
}
