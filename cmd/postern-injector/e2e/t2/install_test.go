package t2_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"postern/cmd/postern-injector/e2e/cluster"
)

// errorf keeps the linter's hint for constant texts away from what [cluster.Eventually] shows.
func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// One installation, from the README's command to the last trace of it.
func TestChartFromInstallToUninstall(t *testing.T) {
	w := start(t)
	before := w.inventory(t)
	w.install(t)
	t.Cleanup(func() { _, _ = w.TryHelm(t, "uninstall", release, "--namespace", system, "--ignore-not-found") })
	whileItRuns := func(t *testing.T) {
		for name, test := range map[string]func(*testing.T){
			"pods get the sidecar by label, namespace and requirement": w.podsGetTheSidecar,
			"the namespace of the release is never asked for":          w.releaseNamespaceIsLeftAlone,
			"metrics have every series of dashboards and alerts":       w.metricsHaveEverySeries,
			"the network policy admits what listens":                   w.networkPolicyAdmitsWhatListens,
			"check finds the way around the sidecar":                   w.checkFindsTheWayAround,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); test(t) })
		}
	}
	for _, step := range []struct {
		name string
		test func(*testing.T)
	}{
		{"the injector runs as the chart says", w.runsAsTheChartSays},
		{"while it runs", whileItRuns},
		{"settings are taken without a restart", w.settingsAreTaken},
		{"a refused upgrade changes nothing", w.refusedUpgradeChangesNothing},
		{"no create fails while replicas come and go", w.replicasComeAndGo},
		{"the output is applied without Helm", w.appliedWithoutHelm},
		{"a replica is killed", w.replicaIsKilled},
		{"the injector comes back without help", w.comesBackWithoutHelp},
		{"uninstall leaves nothing", func(t *testing.T) { w.uninstallLeavesNothing(t, before) }},
	} {
		if !t.Run(step.name, step.test) {
			t.Fatal("the steps that follow build on this one")
		}
	}
}

func (w *world) runsAsTheChartSays(t *testing.T) {
	live := w.settled(t)
	if live[0].Spec.NodeName == live[1].Spec.NodeName {
		t.Errorf("both replicas are on %s", live[0].Spec.NodeName)
	}
	for _, p := range live {
		pid := w.k.PID(t, system, p.Name, name)
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Uid:\t65532\t65532\t65532\t65532\n", "Gid:\t65532\t65532\t65532\t65532\n", "CapEff:\t0000000000000000\n", "NoNewPrivs:\t1\n"} {
			if !strings.Contains(string(status), want) {
				t.Errorf("%s lacks %q", p.Name, want)
			}
		}
		mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mounts", pid))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(mounts), "overlay / overlay ro,") {
			t.Errorf("the root of %s can be written to", p.Name)
		}
		if rss := residentMiB(t, string(status)); rss > 96 {
			t.Errorf("%s takes %d MiB, more than its limit", p.Name, rss)
		} else {
			t.Logf("%s takes %d MiB", p.Name, rss)
		}
		said := w.k.Logs(t, system, p.Name, name)
		if strings.Contains(said, `"level":"ERROR"`) || !strings.Contains(said, `"certificate in service"`) {
			t.Errorf("%s said\n%s", p.Name, said)
		}
	}
	w.trusted(t)
}

func residentMiB(t *testing.T, status string) (mib int) {
	t.Helper()
	_, rest, _ := strings.Cut(status, "VmRSS:")
	if _, err := fmt.Sscanf(rest, "%d kB", &mib); err != nil {
		t.Fatal(err)
	}
	return mib / 1024
}

// trust is what the API server and the replicas agree on.
type trust struct{ bundle, certificate string }

// trusted reads caBundle, which must be the same in all entries, and the certificate of the Secret.
func (w *world) trusted(t *testing.T) trust {
	t.Helper()
	bundles := strings.Fields(w.Kubectl(t, "get", "mutatingwebhookconfiguration", name, "-o", "jsonpath={.webhooks[*].clientConfig.caBundle}"))
	if len(bundles) != 3 || bundles[0] != bundles[1] || bundles[0] != bundles[2] {
		t.Fatalf("caBundle of the entries: %q", bundles)
	}
	var secret corev1.Secret
	w.Get(t, "/api/v1/namespaces/"+system+"/secrets/"+name+"-certificate", &secret)
	if len(secret.Data[corev1.TLSCertKey]) == 0 || len(secret.Data[corev1.TLSPrivateKeyKey]) == 0 {
		t.Fatal("the Secret holds no certificate")
	}
	return trust{bundles[0], string(secret.Data[corev1.TLSCertKey])}
}

// inventory is everything of the kinds that the chart makes, in all of the cluster and in the namespace of the release.
func (w *world) inventory(t *testing.T) []string {
	t.Helper()
	const clusterWide = "mutatingwebhookconfigurations,validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings," +
		"clusterroles,clusterrolebindings,apiservices,customresourcedefinitions"
	const inNamespace = "deployments,replicasets,pods,services,endpointslices,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies," +
		"poddisruptionbudgets,leases"
	all := append(strings.Fields(w.Kubectl(t, "get", clusterWide, "-o", "name")), strings.Fields(w.Kubectl(t, "get", inNamespace, "-n", system, "-o", "name"))...)
	return slices.DeleteFunc(all, func(object string) bool { // what every namespace has
		return object == "serviceaccount/default" || object == "configmap/kube-root-ca.crt"
	})
}

// uninstallLeavesNothing also says when pods can be created again: at once, with a label that nobody answers any more, too.
func (w *world) uninstallLeavesNothing(t *testing.T, before []string) {
	space := w.Namespace(t, map[string]string{ask: "enabled"})
	w.Helm(t, "uninstall", release, "--namespace", system)
	var last error
	tries := 0
	cluster.Eventually(t, "a labelled pod is created", func() error {
		tries++
		err := w.Do(t.Context(), http.MethodPost, "/api/v1/namespaces/"+space+"/pods?dryRun=All", pod("naked", true), nil)
		if err != nil {
			last = err
		}
		return err
	})
	t.Logf("created at try %d; before: %v", tries, last)
	w.isGone(t, before)
}

// isGone waits until there is nothing besides what was there before.
func (w *world) isGone(t *testing.T, before []string) {
	t.Helper()
	cluster.Eventually(t, "everything is gone", func() error {
		left := slices.DeleteFunc(w.inventory(t), func(object string) bool { return slices.Contains(before, object) })
		if len(left) > 0 {
			return errorf("left behind: %s", strings.Join(left, " "))
		}
		return nil
	})
}

// asJSON shows an object in a message.
func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
