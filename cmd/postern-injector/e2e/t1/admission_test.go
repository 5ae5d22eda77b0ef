package t1

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"postern/cmd/postern-injector/e2e/cluster"
)

// A LimitRange judges the sidecar as it does any container. Where its own sizes do not fit, the annotation says others.
func TestLimitRange(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	r.c.Apply(t, space, `{apiVersion: v1, kind: LimitRange, metadata: {name: l}, spec: {limits: [
		{type: Container, min: {cpu: 50m, memory: 32Mi}, max: {cpu: 1, memory: 128Mi}, default: {cpu: 300m, memory: 64Mi}, defaultRequest: {cpu: 60m, memory: 48Mi}}]}}`)
	_, err := r.create(space, pod("small"), "")
	if err == nil || !strings.Contains(err.Error(), "minimum cpu usage per Container is 50m") || !strings.Contains(err.Error(), "maximum memory usage per Container is 128Mi") {
		t.Errorf("%v", err)
	}
	p := r.mustCreate(t, space, pod("fits", annotated("resources", "{requests: {cpu: 50m}, limits: {memory: 128Mi}}")))
	c := sidecar(t, p)
	if got, want := text(t, c.Resources), `{"limits":{"cpu":"300m","memory":"128Mi"},"requests":{"cpu":"50m","memory":"32Mi"}}`; got != want {
		t.Errorf("the sidecar has %s, want %s", got, want)
	}
	if got := variable(c, "GOMEMLIMIT"); got != "112MiB" {
		t.Errorf("GOMEMLIMIT=%s", got)
	}
	if got := p.Spec.Containers[0].Resources.Limits.Memory().String(); got != "64Mi" {
		t.Errorf("the app's limit is %s", got)
	}
}

// A ResourceQuota counts what the sidecar requests, and refuses what goes beyond it.
func TestResourceQuota(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	r.c.Apply(t, space, `{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, spec: {hard: {requests.cpu: 150m, requests.memory: 300Mi, limits.memory: 1Gi}}}`)
	var quota corev1.ResourceQuota
	look := func() {
		quota = corev1.ResourceQuota{}
		r.c.Get(t, "/api/v1/namespaces/"+space+"/resourcequotas/q", &quota)
	}
	cluster.Eventually(t, "the quota is counted", func() error {
		if look(); len(quota.Status.Hard) != 3 {
			return cluster.ErrMissing
		}
		return nil
	})
	sized := app("resources", tree{"requests": tree{"cpu": "100m", "memory": "100Mi"}, "limits": tree{"memory": "200Mi"}})
	sidecar(t, r.mustCreate(t, space, pod("a", sized)))
	look()
	for name, want := range map[corev1.ResourceName]string{"requests.cpu": "120m", "requests.memory": "132Mi", "limits.memory": "456Mi"} {
		if used := quota.Status.Used[name]; used.Cmp(resource.MustParse(want)) != 0 {
			t.Errorf("%s is %s, want %s", name, used.String(), want)
		}
	}
	_, err := r.create(space, pod("b", sized), "")
	if err == nil || !strings.Contains(err.Error(), "exceeded quota: q") || !strings.Contains(err.Error(), "requests.cpu=120m") {
		t.Errorf("%v", err)
	}
	// A quota of CPU limits wants one of every container, of the sidecar too: the annotation says it.
	space = r.space(t, nil)
	r.c.Apply(t, space, `{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, spec: {hard: {limits.cpu: "1"}}}`)
	limited := app("resources", tree{"limits": tree{"cpu": "500m"}})
	cluster.Eventually(t, "the quota is counted", func() error {
		if look(); len(quota.Status.Hard) != 1 {
			return cluster.ErrMissing
		}
		return nil
	})
	if _, err := r.create(space, pod("a", limited), ""); err == nil || !strings.Contains(err.Error(), "must specify limits.cpu for: postern") {
		t.Errorf("%v", err)
	}
	sidecar(t, r.mustCreate(t, space, pod("a", limited, annotated("resources", "{limits: {cpu: 200m}}"))))
}

const (
	many       = 50
	rounds     = 3
	mostMemory = 30 << 20
	mostCPU    = 10 * time.Millisecond // of the injector for a pod, TLS and all; a machine with a lot else to do takes longer, and works no more
	guardTime  = 30 * time.Second      // far more than such a machine needs; the figure is in the log
)

// One call is one `kubectl create -f` of a list: kubectl creates one pod after the other, by one connection. The guard judges each; controllers and
// scheduler are at work. The same pods where nothing is injected say what the control plane itself takes here.
func TestFiftyPodsInOneCall(t *testing.T) {
	r := apart(t, wish{guard: true}, 1)
	space, plain := r.space(t, nil), r.c.Namespace(t, nil)
	program := r.replicas[0].program
	for round := range rounds {
		var all []string
		for n := range many {
			all = append(all, text(t, pod(fmt.Sprintf("pod-%d-%d", round, n), annotated("tokens", "tokenx", "secrets", "s"))))
		}
		list := `{"apiVersion":"v1","kind":"List","items":[` + strings.Join(all, ",") + `]}`
		create := func(space string) time.Duration {
			begin := time.Now()
			if _, err := r.c.Command(t, "kubectl", list, "create", "--namespace", space, "-f", "-"); err != nil {
				t.Fatal(err)
			}
			return time.Since(begin)
		}
		without := create(plain)
		worked := program.CPU(t)
		took := create(space)
		cpu, memory := program.CPU(t)-worked, program.Memory(t)
		load, _ := os.ReadFile("/proc/loadavg") // for who reads the figures
		t.Logf("%d pods in one call of kubectl: %v, of which %v without a sidecar; %v of them the injector's CPU; its resident memory is %.1f MB; load %.14s",
			many, took.Round(time.Millisecond), without.Round(time.Millisecond), cpu, float64(memory)/1e6, load)
		if cpu > many*mostCPU || took > guardTime {
			t.Errorf("the injector has worked for %v, kubectl for %v", cpu, took)
		}
		if memory >= mostMemory {
			t.Errorf("resident memory %d, want less than %d", memory, mostMemory)
		}
	}
	for _, p := range r.pods(t, plain) {
		if len(p.Spec.InitContainers) > 0 {
			t.Fatalf("%s has a sidecar", p.Name)
		}
	}
	pods := r.pods(t, space)
	for _, p := range pods {
		sidecar(t, &p)
	}
	if len(pods) != many*rounds {
		t.Errorf("%d pods", len(pods))
	}
}
