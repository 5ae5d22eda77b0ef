package t1

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestS04LabelAloneIsNoProtection(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	_, err := r.kubectl(t, space, pod("a", annotated("policy", "-")))
	denied(t, err, "postern.dev/policy", "postern.dev/provider")
	login := annotated("policy", "-", "provider", "azure", "ingress", "https://a.example.org", "secrets", "azure-a")
	c := sidecar(t, r.mustCreate(t, space, pod("login", login)))
	if got := variable(c, "POSTERN_REQUIRE_AUTH"); got != "true" {
		t.Errorf("with a provider POSTERN_REQUIRE_AUTH is %q", got)
	}
	said, err := r.kubectl(t, space, pod("open", login, annotated("require-auth", "false")))
	if err != nil || !strings.Contains(said, "Warning: ") || !strings.Contains(said, "postern.dev/require-auth") {
		t.Errorf("%v: %s", err, said)
	}
	for _, p := range r.pods(t, space) {
		if want := map[string]string{"login": "true", "open": "false"}[p.Name]; variable(sidecar(t, &p), "POSTERN_REQUIRE_AUTH") != want {
			t.Errorf("%s: %v", p.Name, p.Spec.InitContainers[0].Env)
		}
	}
	if r.event(t, space, "Pod", "login", "SidecarWarning", "") == nil {
		t.Error("a pod that is protected is warned of")
	}
}

// No probe of the app, and no path of its metrics, is open or ignored by the sidecar; the probes stay the app's.
func TestS14NoProbePathIsOpened(t *testing.T) {
	t.Parallel()
	r := calm(t)
	probe := tree{"httpGet": tree{"path": "/internal/alive", "port": 8080}}
	p := r.mustCreate(t, r.space(t, nil), pod("a", app("livenessProbe", probe), app("readinessProbe", probe), annotated("prometheus.io/path", "/internal/metrics")))
	if strings.Contains(text(t, sidecar(t, p)), "/internal") {
		t.Errorf("%s", text(t, p.Spec.InitContainers[0]))
	}
	if got := p.Spec.Containers[0].LivenessProbe.HTTPGet.Port.IntValue(); got != 8080 {
		t.Errorf("the app's probe goes to %d", got)
	}
}

func TestS48PatchHoldsNoSecret(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	const password = "correct-horse-battery-staple"
	r.c.Apply(t, space, `{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {AZURE_APP_CLIENT_SECRET: `+password+`, POSTERN_REDIS_PASSWORD: `+password+`}}`)
	p := pod("a", annotated("secrets", "s", "tokens", "entra_id"), app("env", []any{tree{"name": "PASSWORD", "value": password}}))
	if patch := text(t, r.patchOf(t, space, p)); strings.Contains(patch, password) {
		t.Errorf("the patch holds it: %s", patch)
	}
	c := sidecar(t, r.mustCreate(t, space, p))
	if strings.Contains(text(t, c), password) || len(c.EnvFrom) != 1 || c.EnvFrom[0].SecretRef.Name != "s" {
		t.Errorf("%s", text(t, c))
	}
	for _, one := range r.replicas {
		if strings.Contains(one.program.Said(), password) {
			t.Error("the log holds it")
		}
	}
}

// The account of the chart may do what the injector needs, and nothing else.
func TestS48RightsAreNarrow(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	type attributes struct{ verb, group, resource, namespace, name string }
	for _, tc := range []struct {
		attributes
		allowed bool
	}{
		{attributes{"get", "", "secrets", r.namespace, r.name + "-certificate"}, true},
		{attributes{"patch", "", "secrets", r.namespace, r.name + "-certificate"}, true},
		{attributes{"get", "", "configmaps", space, "postern-defaults"}, true},
		{attributes{"create", "events.k8s.io", "events", space, ""}, true},
		{attributes{"patch", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "", r.name}, true},
		{attributes{"get", "", "secrets", r.namespace, "other"}, false},
		{attributes{"list", "", "secrets", r.namespace, ""}, false},
		{attributes{"create", "", "secrets", r.namespace, ""}, false},
		{attributes{"delete", "", "secrets", r.namespace, r.name + "-certificate"}, false},
		{attributes{"get", "", "secrets", space, r.name + "-certificate"}, false},
		{attributes{"get", "", "configmaps", space, "other"}, false},
		{attributes{"list", "", "configmaps", space, ""}, false},
		{attributes{"patch", "", "configmaps", space, "postern-defaults"}, false},
		{attributes{"get", "", "pods", space, "a"}, false},
		{attributes{"create", "", "pods", space, ""}, false},
		{attributes{"patch", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "", "other"}, false},
		{attributes{"create", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "", ""}, false},
		{attributes{"patch", "admissionregistration.k8s.io", "validatingadmissionpolicies", "", r.name}, false},
	} {
		var review struct{ Status struct{ Allowed bool } }
		err := r.c.Do(t.Context(), http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", tree{"spec": tree{
			"user":   "system:serviceaccount:" + r.namespace + ":" + r.name,
			"groups": []string{"system:serviceaccounts", "system:serviceaccounts:" + r.namespace, "system:authenticated"},
			"resourceAttributes": tree{
				"verb": tc.verb, "group": tc.group, "version": "v1", "resource": tc.resource, "namespace": tc.namespace, "name": tc.name,
			},
		}}, &review)
		if err != nil || review.Status.Allowed != tc.allowed {
			t.Errorf("%+v: allowed is %v, %v", tc.attributes, review.Status.Allowed, err)
		}
	}
}

// The CA's key exists for as long as it takes to sign one leaf: the Secret holds that leaf's, and no other.
func TestS48KeyOfTheCAIsKeptNowhere(t *testing.T) {
	t.Parallel()
	r := calm(t)
	secret := r.secret(t)
	for _, key := range slices.Sorted(maps.Keys(secret)) {
		if !slices.Contains([]string{"ca.crt", "previous-ca.crt", "tls.crt", "tls.key"}, key) {
			t.Errorf("the Secret has %s", key)
		}
	}
	pair, err := tls.X509KeyPair([]byte(secret["tls.crt"]), []byte(secret["tls.key"]))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(strings.Join(slices.Collect(maps.Values(secret)), ""), "PRIVATE KEY-----"); n != 2 { // its begin and its end
		t.Errorf("there are %d marks of private keys", n)
	}
	block, _ := pem.Decode([]byte(secret["ca.crt"]))
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair([]byte(secret["ca.crt"]), []byte(secret["tls.key"])); err == nil {
		t.Error("the key is the CA's")
	}
	if len(ca.PermittedDNSDomains) == 0 || !ca.PermittedDNSDomainsCritical || !ca.MaxPathLenZero {
		t.Errorf("the CA may vouch for more than this Service: %v", ca.PermittedDNSDomains)
	}
	if err := pair.Leaf.CheckSignatureFrom(ca); err != nil {
		t.Error(err)
	}
	for _, one := range r.replicas {
		if strings.Contains(one.program.Said(), "PRIVATE KEY") {
			t.Error("the log holds a key")
		}
	}
}
