package inject_test

import (
	"encoding/json"
	"strings"
	"testing"

	"postern/cmd/postern-injector/inject"
)

// after injects and lets somebody else change the pod, as other webhooks and the API server's own plugins do before we are called again.
func after(t *testing.T, first []byte, changes ...func(spec, sidecar tree)) []byte {
	t.Helper()
	_, raw, _ := mustInject(t, first, inject.Request{}, settings())
	var pod tree
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	spec := pod["spec"].(tree)
	sidecar := spec["initContainers"].([]any)[0].(tree)
	for _, c := range changes {
		c(spec, sidecar)
	}
	out, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func appendTo(object tree, list string, elements ...any) {
	old, _ := object[list].([]any)
	object[list] = append(old, elements...)
}

func TestReinvocationCompletesContainersThatCameLater(t *testing.T) {
	t.Parallel()
	pod := after(t, sample(t, annotate("tokens", "tokenx", "secrets", "s")), func(spec, _ tree) {
		appendTo(spec, "containers", container("mesh", port(15001), port(15090)))
		spec["initContainers"] = append([]any{container("mesh-init")}, spec["initContainers"].([]any)...)
	})
	out, raw, result := mustInject(t, pod, inject.Request{}, settings())
	if result.Reason != inject.ReasonCompleted || len(out.Spec.InitContainers) != 2 || len(out.Spec.Volumes) != 2 {
		t.Fatalf("%s: %+v", result.Reason, result.Patch)
	}
	for _, o := range result.Patch {
		if !strings.HasPrefix(o.Path, "/spec/containers/1/") && !strings.HasPrefix(o.Path, "/spec/initContainers/0/") {
			t.Errorf("%s %s", o.Op, o.Path)
		}
	}
	for _, c := range []map[string]string{environment(out.Spec.Containers[1]), environment(out.Spec.InitContainers[0]), environment(out.Spec.Containers[0])} {
		if c["NAIS_TOKEN_ENDPOINT"] == "" {
			t.Errorf("%v", c)
		}
	}
	if _, _, again := mustInject(t, raw, inject.Request{}, settings()); len(again.Patch) > 0 {
		t.Errorf("again: %+v", again.Patch)
	}
}

func TestReinvocationKnowsItsSidecarAgain(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(spec, sidecar tree){
		"LimitRange": func(_, s tree) {
			s["resources"] = tree{"limits": tree{"cpu": "300m", "memory": "256Mi"}, "requests": tree{"cpu": "20m", "memory": "32Mi"}}
		},
		"no longer Guaranteed": func(spec, _ tree) { appendTo(spec, "containers", container("late")) },
		"pulled always":        func(_, s tree) { s["imagePullPolicy"] = "Always" },
		"a mirror of the registry": func(_, s tree) {
			s["image"] = "mirror.example.org/" + testImage
		},
		"workload identity": func(_, s tree) {
			appendTo(s, "env", tree{"name": "AZURE_CLIENT_ID", "value": "x"}, tree{"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "/var/run/secrets/azure/tokens/token"})
			appendTo(s, "volumeMounts", tree{"name": "azure-identity-token", "mountPath": "/var/run/secrets/azure/tokens", "readOnly": true})
		},
		"a web proxy": func(_, s tree) { appendTo(s, "env", tree{"name": "HTTPS_PROXY", "value": "http://proxy:8080"}) },
		"telemetry":   func(_, s tree) { appendTo(s, "env", tree{"name": "OTEL_SERVICE_NAME", "value": "x"}) },
		"SELinux":     func(_, s tree) { s["securityContext"].(tree)["seLinuxOptions"] = tree{"level": "s0:c1,c2"} },
		"resize policy": func(_, s tree) {
			s["resizePolicy"] = []any{tree{"resourceName": "cpu", "restartPolicy": "NotRequired"}}
		},
		"nothing at all": func(_, _ tree) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := after(t, sample(t, inApp("resources", tree{"limits": tree{"cpu": "1", "memory": "1Gi"}})), change)
			if _, _, result := mustInject(t, pod, inject.Request{}, settings()); len(result.Patch) > 0 || result.Reason != inject.ReasonAlreadyInjected {
				t.Errorf("%s: %+v", result.Reason, result.Patch)
			}
		})
	}
}

// A pod that brings a sidecar of its own making, or one that was made weaker on the way.
func TestForgedSidecarsAreRefused(t *testing.T) {
	t.Parallel()
	env := func(name, value string) func(spec, s tree) {
		return func(_, s tree) { appendTo(s, "env", tree{"name": name, "value": value}) }
	}
	mount := func(at string) func(spec, s tree) {
		return func(_, s tree) { appendTo(s, "volumeMounts", tree{"name": "x", "mountPath": at}) }
	}
	set := func(key string, value any) func(spec, s tree) { return func(_, s tree) { s[key] = value } }
	security := func(key string, value any) func(spec, s tree) {
		return func(_, s tree) { s["securityContext"].(tree)[key] = value }
	}
	for name, change := range map[string]func(spec, s tree){
		"another image":              set("image", "registry.example.org/postern@sha256:"+strings.Repeat("b", 64)),
		"image by tag":               set("image", "registry.example.org/postern:latest"),
		"a command":                  set("command", []any{"/bin/sh"}),
		"arguments":                  set("args", []any{"serve", "--require-auth=false"}),
		"a hook":                     set("lifecycle", tree{"preStop": tree{"exec": tree{"command": []any{"x"}}}}),
		"not restarted":              set("restartPolicy", nil),
		"other ports":                set("ports", []any{}),
		"no readiness":               set("readinessProbe", nil),
		"no Secrets":                 set("envFrom", []any{tree{"secretRef": tree{"name": "evil"}}}),
		"no security context":        set("securityContext", nil),
		"root":                       security("runAsUser", 0),
		"privileged":                 security("privileged", true),
		"a capability":               security("capabilities", tree{"drop": []any{"ALL"}, "add": []any{"NET_ADMIN"}}),
		"seccomp":                    security("seccompProfile", tree{"type": "Unconfined"}),
		"an option more":             env("POSTERN_TOKEN_ALLOW_REMOTE", "true"),
		"an option a second time":    env("POSTERN_REQUIRE_AUTH", "false"),
		"an option in an older name": env("WONDERWALL_AUTO_LOGIN", "false"),
		"a platform variable":        env("AZURE_APP_WELL_KNOWN_URL", "https://evil.example.org"),
		"whom to trust":              env("SSL_CERT_FILE", "/tmp/ca"),
		"the runtime":                env("GODEBUG", "tlsrsakex=1"),
		"over the policy":            mount("/etc/postern/policy"),
		"over the program":           mount("/usr/bin/postern"),
		"climbing":                   mount("/var/run/secrets/../../../etc/ssl"),
		"no policy": func(_, s tree) {
			s["volumeMounts"] = s["volumeMounts"].([]any)[1:]
		},
		"variables changed": func(_, s tree) {
			for _, v := range s["env"].([]any) {
				if v.(tree)["name"] == "POSTERN_REQUIRE_AUTH" {
					v.(tree)["value"] = "false"
				}
			}
		},
		"another volume behind the policy": func(spec, _ tree) {
			spec["volumes"].([]any)[0] = tree{"name": "postern-policy", "configMap": tree{"name": "mine"}}
		},
		"twice":                    func(spec, s tree) { appendTo(spec, "initContainers", s) },
		"again among the app's":    func(spec, s tree) { appendTo(spec, "containers", s) },
		"the policy as a writable": func(_, s tree) { s["volumeMounts"].([]any)[0].(tree)["readOnly"] = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := refusal(t, after(t, sample(t), change), inject.Request{}, settings())
			if r.Codes()[0] != "not_ours" {
				t.Errorf("%v", r)
			}
		})
	}
}

// What the pod says and what it has must fit together.
func TestSidecarOfOtherSettingsIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]func(meta tree){
		"annotation changed":  func(m tree) { m["annotations"].(tree)["postern.dev/policy"] = "other" },
		"annotation added":    func(m tree) { m["annotations"].(tree)["postern.dev/require-auth"] = "false" },
		"status removed":      func(m tree) { delete(m["annotations"].(tree), inject.AnnotationStatus) },
		"status is no JSON":   func(m tree) { m["annotations"].(tree)[inject.AnnotationStatus] = "{" },
		"status of something": func(m tree) { m["annotations"].(tree)[inject.AnnotationStatus] = `{"version":1}` },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, raw, _ := mustInject(t, sample(t), inject.Request{}, settings())
			var pod tree
			if err := json.Unmarshal(raw, &pod); err != nil {
				t.Fatal(err)
			}
			c(pod["metadata"].(tree))
			changed, err := json.Marshal(pod)
			if err != nil {
				t.Fatal(err)
			}
			if r := refusal(t, changed, inject.Request{}, settings()); r.Codes()[0] != "not_ours" {
				t.Errorf("%v", r)
			}
		})
	}
}
