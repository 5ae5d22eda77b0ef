package t1

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"postern/cmd/postern-injector/e2e/cluster"
)

// After the webhook the plugins of the API server run again, over the sidecar too. What they add is harmless: a limit of CPU, where a LimitRange has
// one, and no token, since something else is mounted where it would be.
func TestFact09PluginsOfTheServerRunOverTheSidecar(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	r.c.Apply(t, space, `{apiVersion: v1, kind: LimitRange, metadata: {name: l}, spec: {limits: [{type: Container, default: {cpu: 300m}}]}}`)
	p := r.mustCreate(t, space, pod("a"))
	c := sidecar(t, p)
	if got := c.Resources.Limits.Cpu().String(); got != "300m" {
		t.Errorf("limit of CPU %s", got)
	}
	if got := c.Resources.Limits.Memory().String() + " " + c.Resources.Requests.Cpu().String(); got != "256Mi 20m" {
		t.Errorf("the sidecar's own resources: %s", got)
	}
	const account = "/var/run/secrets/kubernetes.io/serviceaccount"
	mounted := func(c *corev1.Container) (volumes []string) {
		for _, m := range c.VolumeMounts {
			if m.MountPath == account {
				volumes = append(volumes, m.Name)
			}
		}
		return volumes
	}
	if got := mounted(c); len(got) != 1 || got[0] != "postern-no-token" {
		t.Errorf("the sidecar has %v where the token would be", got)
	}
	if got := mounted(&p.Spec.Containers[0]); len(got) != 1 || !strings.HasPrefix(got[0], "kube-api-access-") {
		t.Errorf("the app has %v where its token should be", got)
	}
	for _, m := range c.VolumeMounts {
		if strings.HasPrefix(m.Name, "kube-api-access-") {
			t.Errorf("the token is mounted at %s", m.MountPath)
		}
	}
}

func (r *release) swap(t testing.TB, space, name, image string) error {
	t.Helper()
	return r.c.Do(t.Context(), http.MethodPatch, "/api/v1/namespaces/"+space+"/pods/"+name, cluster.Patch{
		Type: "application/strategic-merge-patch+json", Body: tree{"spec": tree{"initContainers": []tree{{"name": "postern", "image": image}}}},
	}, nil)
}

const evil = "evil.example.org/postern@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

// The API server lets whoever may change a pod change the image of the sidecar in it.
func TestFact10ServerAllowsAnotherImageLater(t *testing.T) {
	t.Parallel()
	bare := apart(t, wish{}, 1)
	space := bare.space(t, nil)
	bare.mustCreate(t, space, pod("a"))
	if err := bare.swap(t, space, "a", evil); err != nil {
		t.Errorf("without the guard: %v", err)
	}
	r := calm(t)
	space = r.space(t, nil)
	r.mustCreate(t, space, pod("a"))
	if err := r.swap(t, space, "a", evil); err == nil || !strings.Contains(err.Error(), "the image of the container postern is not allowed") {
		t.Errorf("with the guard: %v", err)
	}
	if err := r.swap(t, space, "a", "mirror.example.org/team/postern@sha256:"+strings.Repeat("c", 64)); err != nil {
		t.Errorf("an image that the chart allows: %v", err)
	}
}

// What slips through when the failure policy is weakened, or the webhook removed, is refused without anybody being asked.
func TestFact11GuardRefusesWhatSlipsThrough(t *testing.T) {
	t.Parallel()
	r := apart(t, wish{guard: true, hooks: func(entry tree) { entry["failurePolicy"] = "Ignore" }}, 1)
	space, required := r.space(t, nil), r.space(t, map[string]string{"postern.dev/inject": "required"})
	const guard = "must have the sidecar of Postern"
	sidecar(t, r.mustCreate(t, space, pod("good")))
	sidecar(t, r.mustCreate(t, required, pod("good", unlabelled())))
	r.replicas[0].program.Kill()
	refused := func(when string) {
		for space, p := range map[string]tree{space: pod("a"), required: pod("a", unlabelled())} {
			if _, err := r.create(space, p, ""); err == nil || !strings.Contains(err.Error(), guard) {
				t.Errorf("%s: %v", when, err)
			}
		}
		if _, err := r.create(required, pod("b", labelled("postern.dev/inject", "false")), ""); err == nil || !strings.Contains(err.Error(), guard) {
			t.Errorf("%s, with an opt-out: %v", when, err)
		}
		naked(t, r.mustCreate(t, space, pod("other-"+strings.ReplaceAll(when, " ", "-"), unlabelled())))
	}
	refused("nobody answers")
	if err := r.c.Do(t.Context(), http.MethodDelete, hooksPath+r.name, nil, nil); err != nil {
		t.Fatal(err)
	}
	refused("without webhook")
}

func TestFact12RestrictedPodsStayRestricted(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	restricted := []change{
		spec("securityContext", tree{"runAsNonRoot": true, "seccompProfile": tree{"type": "RuntimeDefault"}}),
		app("securityContext", tree{"allowPrivilegeEscalation": false, "capabilities": tree{"drop": []string{"ALL"}}}),
	}
	sidecar(t, r.mustCreate(t, space, pod("good", restricted...)))
	sidecar(t, r.mustCreate(t, space, pod("everything", append(restricted, annotated("tokens", "tokenx", "secrets", "s", "provider", "azure", "ingress", "https://a.example.org"))...)))
	_, err := r.create(space, pod("bad"), "")
	if err == nil || !strings.Contains(err.Error(), `violates PodSecurity "restricted`) {
		t.Fatalf("%v", err)
	}
	if strings.Contains(err.Error(), "postern") || !strings.Contains(err.Error(), `container "app"`) {
		t.Errorf("it is blamed on the sidecar: %v", err)
	}
	_, err = r.create(space, pod("root", append(restricted, spec("securityContext", tree{"runAsUser": 0, "runAsNonRoot": true, "seccompProfile": tree{"type": "RuntimeDefault"}}))...), "")
	if err == nil || strings.Contains(err.Error(), `"postern"`) {
		t.Errorf("root of the pod: %v", err)
	}
}

func TestS48RequiredNamespaceHasNoOptOut(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, map[string]string{"postern.dev/inject": "required"})
	sidecar(t, r.mustCreate(t, space, pod("unlabelled", unlabelled())))
	sidecar(t, r.mustCreate(t, space, pod("labelled")))
	for _, tc := range []struct {
		name   string
		change change
		says   string
	}{
		{"label", labelled("postern.dev/inject", "false"), `label postern.dev/inject: "false" is not possible here`},
		{"require-auth", annotated("require-auth", "false"), "postern.dev/require-auth"},
		{"report", annotated("policy-mode", "report"), "postern.dev/policy-mode"},
		{"host network", spec("hostNetwork", true), "spec.hostNetwork"},
	} {
		_, err := r.create(space, pod("a", tc.change), "")
		denied(t, err, `"required.inject.postern.dev"`, tc.says)
	}
	// Nobody but a node makes mirror pods: the webhook passes over them, the guard does not.
	_, err := r.create(space, pod("mirror", annotated("kubernetes.io/config.mirror", "x"), spec("nodeName", "n")), "")
	if err == nil || !strings.Contains(err.Error(), "must have the sidecar of Postern") {
		t.Errorf("a pod that says it is a mirror pod: %v", err)
	}
	if left := r.pods(t, space); len(left) != 2 {
		t.Errorf("there are %d pods", len(left))
	}
}

func TestEnabledNamespaceAsksForItsPods(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, map[string]string{"postern.dev/inject": "enabled"})
	sidecar(t, r.mustCreate(t, space, pod("unlabelled", unlabelled())))
	sidecar(t, r.mustCreate(t, space, pod("labelled")))
	naked(t, r.mustCreate(t, space, pod("out", labelled("postern.dev/inject", "false"))))
	said, err := r.kubectl(t, space, pod("host", unlabelled(), spec("hostNetwork", true)))
	if err != nil || !strings.Contains(said, "Warning: the pod stays without the sidecar that its namespace asks for") {
		t.Errorf("%v: %s", err, said)
	}
	_, err = r.create(space, pod("asks", spec("hostNetwork", true)), "")
	denied(t, err, "spec.hostNetwork")
	_, err = r.create(space, pod("open", unlabelled(), annotated("policy", "-")), "")
	denied(t, err, `"namespace.inject.postern.dev"`, "postern.dev/policy")
	space = r.space(t, map[string]string{"postern.dev/inject": "disabled"})
	naked(t, r.mustCreate(t, space, pod("a", unlabelled())))
	sidecar(t, r.mustCreate(t, space, pod("b")))
	if err := r.c.Do(t.Context(), http.MethodPost, "/api/v1/namespaces", tree{"metadata": tree{
		"name": "misspelt-" + space, "labels": tree{label: r.name, "postern.dev/inject": "Required"},
	}}, nil); err == nil || !strings.Contains(err.Error(), "must be enabled, required or disabled") {
		t.Errorf("a misspelt label of a namespace: %v", err)
	}
}

// When everything of the release is gone, pods are created as if there never had been one: no namespace is left blocked.
func TestUninstalledReleaseBlocksNobody(t *testing.T) {
	t.Parallel()
	r := apart(t, wish{guard: true}, 1)
	space := r.space(t, nil)
	sidecar(t, r.mustCreate(t, space, pod("before")))
	r.replicas[0].program.Kill()
	if _, err := r.create(space, pod("a"), ""); err == nil {
		t.Error("created")
	}
	r.c.Kubectl(t, "delete", "mutatingwebhookconfiguration/"+r.name, "validatingadmissionpolicy/"+r.name, "validatingadmissionpolicybinding/"+r.name)
	cluster.Eventually(t, "the label means nothing", func() error {
		p, err := r.create(space, pod("a"), "")
		if err == nil && len(p.Spec.InitContainers) > 0 {
			return fmt.Errorf("it has a sidecar")
		}
		return err
	})
	if p := r.pods(t, space); len(p) != 2 {
		t.Errorf("there are %d pods", len(p))
	}
}
