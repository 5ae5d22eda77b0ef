package charts

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"postern/cmd/postern-injector/e2e/cluster"
)

// strangers are kinds that the API server of the tests does not know.
var strangers = regexp.MustCompile(`(?m)^apiVersion: (cert-manager\.io|monitoring\.coreos\.com)/v1$`)

// The API server takes what the chart says, down to the spelling of each field.
func TestAPIServerTakesEveryOutput(t *testing.T) {
	t.Parallel()
	c := suite.Cluster(t)
	space := c.Namespace(t, nil)
	for _, file := range valuesFiles(t) {
		out, err := run(t, "helm", "template", release, ".", "--namespace", space, "--values", file)
		if err != nil {
			t.Error(err)
			continue
		}
		var known []string
		for object := range strings.SplitSeq(out, "\n---\n") {
			if !strangers.MatchString(object) {
				known = append(known, object)
			}
		}
		said, err := c.Command(t, "kubectl", strings.Join(known, "\n---\n"), "apply", "--dry-run=server", "--validate=strict", "-f", "-")
		if err != nil || strings.Contains(said, "Warning") {
			t.Errorf("%s: %v\n%s", file, err, said)
		}
	}
}

// The injector's own certificate: what it has written stays over upgrade, rollback and a plain apply, and all goes at the end.
//
// It is not parallel: while its webhook is registered, pods that ask for the sidecar cannot be created in any namespace.
func TestCertificateOutlivesUpgrades(t *testing.T) {
	c := suite.Cluster(t)
	space := c.Namespace(t, nil)
	name := "x" + space
	sets := []string{"--namespace", space, "--values", chart + "/" + values, "--set", "fullnameOverride=" + name, "--set", "guard.enabled=false"}
	helm := func(args ...string) { t.Helper(); c.Helm(t, append(args, sets...)...) }
	helm("install", release, chart)
	t.Cleanup(func() { _, _ = c.TryHelm(t, "uninstall", release, "--namespace", space, "--ignore-not-found") })
	bundle, key := base64.StdEncoding.EncodeToString([]byte("-----BEGIN CERTIFICATE-----\n")), base64.StdEncoding.EncodeToString([]byte("key"))
	written := func(when string) {
		t.Helper()
		for i := range 3 {
			path := fmt.Sprintf("{.webhooks[%d].clientConfig.caBundle}", i)
			if got := c.Kubectl(t, "get", "mutatingwebhookconfiguration", name, "-o", "jsonpath="+path); got != bundle {
				t.Errorf("%s: caBundle of entry %d is %q", when, i, got)
			}
		}
		if got := c.Kubectl(t, "get", "secret", name+"-certificate", "--namespace", space, "-o", `jsonpath={.data.tls\.key}`); got != key {
			t.Errorf("%s: the Secret holds %q", when, got)
		}
	}
	if got := c.Kubectl(t, "get", "mutatingwebhookconfiguration", name, "-o", "jsonpath={.webhooks[*].clientConfig.caBundle}"); got != "" {
		t.Fatalf("before the injector runs there is a CA: %q", got)
	}
	patch := `[{"op":"add","path":"/webhooks/0/clientConfig/caBundle","value":%[1]q},{"op":"add","path":"/webhooks/1/clientConfig/caBundle","value":%[1]q},` +
		`{"op":"add","path":"/webhooks/2/clientConfig/caBundle","value":%[1]q}]`
	c.Kubectl(t, "patch", "mutatingwebhookconfiguration", name, "--type=json", "--patch", fmt.Sprintf(patch, bundle))
	c.Kubectl(t, "patch", "secret", name+"-certificate", "--namespace", space, "--patch", fmt.Sprintf(`{"data":{"tls.key":%q}}`, key))
	written("at first")
	helm("upgrade", release, chart, "--set", "webhook.timeoutSeconds=7")
	written("after an upgrade")
	if got := c.Kubectl(t, "get", "mutatingwebhookconfiguration", name, "-o", "jsonpath={.webhooks[0].timeoutSeconds}"); got != "7" {
		t.Errorf("the upgrade left timeoutSeconds at %s", got)
	}
	c.Helm(t, "rollback", release, "1", "--namespace", space)
	written("after a rollback")
	c.Apply(t, space, c.Helm(t, append([]string{"template", release, chart}, sets...)...)) // as a GitOps controller does, without lookup
	written("after an apply")
	c.Helm(t, "uninstall", release, "--namespace", space)
	for _, kind := range []string{"mutatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings", "clusterroles", "clusterrolebindings"} {
		if left := c.Kubectl(t, "get", kind, "-o", "name"); strings.Contains(left, name) {
			t.Errorf("left behind: %s", left)
		}
	}
	for _, kind := range []string{"deployments", "secrets", "configmaps", "roles", "rolebindings", "services", "networkpolicies", "poddisruptionbudgets", "serviceaccounts"} {
		if left := c.Kubectl(t, "get", kind, "--namespace", space, "-o", "name"); strings.Contains(left, name) {
			t.Errorf("left behind: %s", left)
		}
	}
}

// Of the rights that the chart gives, exactly these are there: nobody's Secrets, and no other webhook.
func TestRightsOfTheInjector(t *testing.T) {
	t.Parallel()
	c := suite.Cluster(t)
	space, elsewhere := c.Namespace(t, nil), c.Namespace(t, nil)
	out, err := run(t, "helm", "template", release, ".", "--namespace", space, "--values", values, "--set", "fullnameOverride=r"+space, "--show-only", "templates/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(t, space, out)
	name := "r" + space
	t.Cleanup(func() {
		c.Kubectl(t, "delete", "clusterrole,clusterrolebinding", name)
	})
	may := func(verb, resource, namespace string) bool {
		said, _ := c.TryKubectl(t, "auth", "can-i", verb, resource, "--namespace", namespace, "--as", "system:serviceaccount:"+space+":"+name)
		return strings.HasPrefix(said, "yes")
	}
	cluster.Eventually(t, "the rights are there", func() error {
		if !may("get", "configmaps/postern-defaults", elsewhere) {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	for _, right := range []struct {
		verb, resource, space string
		want                  bool
	}{
		{"get", "secrets/" + name + "-certificate", space, true},
		{"update", "secrets/" + name + "-certificate", space, false},
		{"update", "mutatingwebhookconfigurations.admissionregistration.k8s.io/" + name, "", false},
		{"patch", "secrets/" + name + "-certificate", space, true},
		{"get", "mutatingwebhookconfigurations.admissionregistration.k8s.io/" + name, "", true},
		{"patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io/" + name, "", true},
		{"create", "events.events.k8s.io", elsewhere, true},
		{"get", "secrets/" + name + "-certificate", elsewhere, false},
		{"get", "secrets/other", space, false},
		{"list", "secrets", space, false},
		{"create", "secrets", space, false},
		{"delete", "secrets/" + name + "-certificate", space, false},
		{"get", "configmaps/other", elsewhere, false},
		{"list", "configmaps", elsewhere, false},
		{"patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io/other", "", false},
		{"delete", "mutatingwebhookconfigurations.admissionregistration.k8s.io/" + name, "", false},
		{"create", "pods", elsewhere, false},
		{"get", "pods", elsewhere, false},
		{"get", "services", elsewhere, false},
	} {
		if got := may(right.verb, right.resource, right.space); got != right.want {
			t.Errorf("%s %s in %q: %v", right.verb, right.resource, right.space, got)
		}
	}
}
