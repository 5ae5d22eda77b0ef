package t2_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"postern/cmd/postern-injector/e2e/cluster"
)

// settingsAreTaken edits the ConfigMap as an administrator might, well and then badly, while both replicas go on.
func (w *world) settingsAreTaken(t *testing.T) {
	space := w.Namespace(t, nil)
	live := w.settled(t)
	pids := map[string]int{}
	for _, p := range live {
		pids[p.Name] = w.k.PID(t, system, p.Name, name)
	}
	var settings corev1.ConfigMap
	w.Get(t, "/api/v1/namespaces/"+system+"/configmaps/"+name, &settings)
	text := settings.Data["settings.yaml"]
	changed := strings.Replace(text, "defaults:\n  {}", "defaults:\n  log-level: debug", 1)
	if changed == text {
		t.Fatalf("no defaults in\n%s", text)
	}
	write := func(text string) {
		t.Helper()
		patch := asJSON(map[string]any{"data": map[string]string{"settings.yaml": text}})
		w.Kubectl(t, "patch", "configmap", name, "-n", system, "--patch", patch)
	}
	each := func(what string, holds func(p corev1.Pod, said, metrics string) bool) {
		t.Helper()
		for _, p := range live {
			cluster.Eventually(t, what, func() error {
				metrics := w.get(t, "http://"+p.Name+"."+system+".pod:9440/metrics")
				if said := w.k.Logs(t, system, p.Name, name); !holds(p, said, metrics) {
					return errorf("%s has not", p.Name)
				}
				return nil
			})
		}
	}
	logLevel := func(want string) {
		t.Helper()
		for range 4 {
			if p, err := w.dryRun(t.Context(), space, pod("settings", true)); err != nil || variable(p, "POSTERN_LOG_LEVEL") != want {
				t.Errorf("the sidecar's log level is %q, not %q: %v", variable(p, "POSTERN_LOG_LEVEL"), want, err)
			}
		}
	}
	logLevel("")

	write(changed)
	each("both replicas take the settings", func(_ corev1.Pod, said, metrics string) bool {
		return strings.Count(said, `"settings loaded"`) == 2 && strings.Contains(metrics, "postern_injector_settings_refused 0")
	})
	logLevel("debug")

	write("image: registry.example.org/postern:latest\nsidecars: many\n")
	each("both replicas refuse the settings", func(_ corev1.Pod, said, metrics string) bool {
		return strings.Contains(said, "the settings cannot be used: those in force stay") && strings.Contains(metrics, "postern_injector_settings_refused 1")
	})
	logLevel("debug")
	cluster.Eventually(t, "an event says so at the Service", func() error {
		out := w.Kubectl(t, "get", "events", "-n", system, "--field-selector=reason=SettingsRefused", "-o", "jsonpath={.items[*].involvedObject.kind} {.items[*].message}")
		if !strings.HasPrefix(out, "Service") || !strings.Contains(out, "those in force stay") {
			return errorf("events: %s", out)
		}
		return nil
	})
	for _, p := range live {
		if got := w.get(t, "http://"+p.Name+"."+system+".pod:9440/readyz"); !strings.Contains(got, `"ready"`) {
			t.Errorf("%s: %s", p.Name, got)
		}
	}

	w.Helm(t, "upgrade", release, w.root+"/charts/postern-injector", "--namespace", system, "--reuse-values", "--wait") // puts right what was edited
	each("both replicas take the chart's settings", func(_ corev1.Pod, said, metrics string) bool {
		return strings.Count(said, `"settings loaded"`) == 3 && strings.Contains(metrics, "postern_injector_settings_refused 0")
	})
	logLevel("")
	for _, p := range w.settled(t) {
		if pid := w.k.PID(t, system, p.Name, name); pid != pids[p.Name] {
			t.Errorf("%s was restarted", p.Name)
		}
	}
}
