package kube

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Meta is the part of an object's metadata that is read here.
type Meta struct {
	Name            string `json:"name,omitempty"`
	GenerateName    string `json:"generateName,omitempty"`
	Namespace       string `json:"namespace,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// Secret is one with its data decoded.
type Secret struct {
	Metadata Meta              `json:"metadata"`
	Data     map[string][]byte `json:"data"`
}

// ConfigMap is one; binary data is not read.
type ConfigMap struct {
	Metadata Meta              `json:"metadata"`
	Data     map[string]string `json:"data"`
}

// WebhookConfiguration is a MutatingWebhookConfiguration or a ValidatingWebhookConfiguration.
type WebhookConfiguration struct {
	Metadata Meta      `json:"metadata"`
	Webhooks []Webhook `json:"webhooks"`
}

// Webhook is one entry of a configuration.
type Webhook struct {
	Name         string `json:"name"`
	ClientConfig struct {
		CABundle []byte `json:"caBundle"` // PEM
	} `json:"clientConfig"`
}

// WebhookKind is the plural name of a kind of webhook configuration.
type WebhookKind string

// The two kinds.
const (
	Mutating   WebhookKind = "mutatingwebhookconfigurations"
	Validating WebhookKind = "validatingwebhookconfigurations"
)

// GetSecret reads a Secret.
func (c *Client) GetSecret(ctx context.Context, namespace, name string) (*Secret, error) {
	out := new(Secret)
	return out, c.do(ctx, secretRequest(http.MethodGet, namespace, name), out)
}

// CreateSecret makes an opaque Secret; a conflict if it is there already.
func (c *Client) CreateSecret(ctx context.Context, namespace, name string, data map[string][]byte) (*Secret, error) {
	r := secretRequest(http.MethodPost, namespace, name)
	r.path, r.content = r.path[:len(r.path)-1], "application/json"
	r.body = map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
		"metadata": map[string]any{"name": name, "labels": map[string]string{"app.kubernetes.io/managed-by": "postern-injector"}},
	}
	out := new(Secret)
	return out, c.do(ctx, r, out)
}

// PatchSecret sets keys of a Secret's data and removes those whose value is nil, if the Secret still is the version that the caller has read;
// otherwise it is a conflict. All else of the Secret stays.
func (c *Client) PatchSecret(ctx context.Context, namespace, name, version string, data map[string][]byte) (*Secret, error) {
	r := secretRequest(http.MethodPatch, namespace, name)
	r.content = mergePatch
	r.body = map[string]any{"metadata": map[string]string{"resourceVersion": version}, "data": data} // RFC 7386: null removes
	out := new(Secret)
	return out, c.do(ctx, r, out)
}

func secretRequest(verb, namespace, name string) request {
	return request{verb: verb, resource: "secrets " + namespace + "/" + name, path: []string{"api", "v1", "namespaces", namespace, "secrets", name}}
}

// GetConfigMap reads a ConfigMap.
func (c *Client) GetConfigMap(ctx context.Context, namespace, name string) (*ConfigMap, error) {
	out := new(ConfigMap)
	return out, c.do(ctx, request{
		verb: http.MethodGet, resource: "configmaps " + namespace + "/" + name,
		path: []string{"api", "v1", "namespaces", namespace, "configmaps", name},
	}, out)
}

// GetWebhooks reads a webhook configuration.
func (c *Client) GetWebhooks(ctx context.Context, kind WebhookKind, name string) (*WebhookConfiguration, error) {
	out := new(WebhookConfiguration)
	return out, c.do(ctx, webhookRequest(http.MethodGet, kind, name), out)
}

// SetCABundle writes caBundle of every entry of a configuration as it was read: a conflict if it has changed since. Nothing else is touched.
func (c *Client) SetCABundle(ctx context.Context, kind WebhookKind, read *WebhookConfiguration, bundle []byte) (*WebhookConfiguration, error) {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	// The version in the patch makes the API server compare it; without, it would apply the positions to whatever is there now.
	patch := []operation{{"replace", "/metadata/resourceVersion", read.Metadata.ResourceVersion}}
	for i := range read.Webhooks {
		patch = append(patch, operation{"add", "/webhooks/" + strconv.Itoa(i) + "/clientConfig/caBundle", bundle})
	}
	r := webhookRequest(http.MethodPatch, kind, read.Metadata.Name)
	r.content, r.body = jsonPatch, patch
	out := new(WebhookConfiguration)
	return out, c.do(ctx, r, out)
}

func webhookRequest(verb string, kind WebhookKind, name string) request {
	return request{verb: verb, resource: string(kind) + " " + name, path: []string{"apis", "admissionregistration.k8s.io", "v1", string(kind), name}}
}

// Reference names an object. All of it must be in one namespace.
type Reference struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name,omitempty"`
	UID        string `json:"uid,omitempty"`
}

// Event is something that happened to an object (events.k8s.io/v1).
type Event struct {
	Regarding Reference
	Time      time.Time
	Type      string // Normal or Warning
	Reason    string // one word, at most 128 bytes
	Action    string // one word, at most 128 bytes
	Note      string // at most 1 kB
	Component string // who reports: postern.dev/injector
	Instance  string // which replica: at most 128 bytes
}

// CreateEvent records an event in the namespace of the object that it regards.
func (c *Client) CreateEvent(ctx context.Context, e Event) error {
	const micro = "2006-01-02T15:04:05.000000Z07:00"
	return c.do(ctx, request{
		verb: http.MethodPost, resource: "events " + e.Regarding.Namespace, content: "application/json",
		path: []string{"apis", "events.k8s.io", "v1", "namespaces", e.Regarding.Namespace, "events"},
		body: map[string]any{
			"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": Meta{GenerateName: "postern-injector-", Namespace: e.Regarding.Namespace},
			"eventTime": e.Time.UTC().Format(micro), "regarding": e.Regarding, "type": e.Type, "reason": e.Reason, "action": e.Action, "note": e.Note,
			"reportingController": e.Component, "reportingInstance": e.Instance,
		},
	}, nil)
}
