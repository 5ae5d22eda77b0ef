package t2_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/cmd/postern-injector/e2e/cluster"
	"postern/session/redistest"
)

func (w *world) chart() string { return w.root + "/charts/postern-injector" }

// upgrade is helm upgrade with the values of the release before and these.
func (w *world) upgrade(t *testing.T, flags ...string) (string, error) {
	t.Helper()
	args := []string{"upgrade", release, w.chart(), "--namespace", system, "--reuse-values", "--wait", "--timeout", "2m"}
	return w.TryHelm(t, append(args, flags...)...)
}

// refusedUpgradeChangesNothing: neither an object nor the history of the release.
func (w *world) refusedUpgradeChangesNothing(t *testing.T) {
	state := func() string {
		t.Helper()
		return w.must(t, "helm get manifest "+release+" -n "+system+
			` | kubectl get -n `+system+` -f - -o jsonpath='{range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{"\n"}{end}'`+
			" && helm history "+release+" -n "+system)
	}
	before := state()
	if strings.Count(before, name) < 12 {
		t.Fatalf("only these objects:\n%s", before)
	}
	for _, c := range []struct{ set, want string }{
		{"sidecar.image=registry.example.org/postern:latest", "sidecar/image"},
		{"replica=3", "replica"},
		{"webhook.timeoutSeconds=60", "timeoutSeconds"},
		{"sessions.redis.username=somebody", "without an address"},
	} {
		if _, err := w.upgrade(t, "--set", c.set); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), ".", "/"), strings.ReplaceAll(c.want, ".", "/")) {
			t.Errorf("--set %s: want a word about %s: %v", c.set, c.want, err)
		}
	}
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	command := strings.Replace(w.installCommand(t), "helm install postern ", "helm template other --kube-version 1.28.15 ", 1)
	command = strings.Replace(command, "--create-namespace", "", 1)
	if out, err := w.sh(t, command); err == nil || !strings.Contains(out, "1.28.15") {
		t.Errorf("for a Kubernetes that is too old: %v", err)
	}
}

// upgradeAndRollback gives the sidecars another image and a store for sessions, and takes it all back.
func (w *world) upgradeAndRollback(t *testing.T, space string) {
	before := w.trusted(t)
	revision := strings.Fields(w.Kubectl(t, "get", "secrets", "-n", system, "-l", "owner=helm,status=deployed", "-o", "jsonpath={.items[*].metadata.labels.version}"))
	if len(revision) != 1 {
		t.Fatalf("revisions in force: %v", revision)
	}
	w.Apply(t, space, "{apiVersion: v1, kind: Service, metadata: {name: valkey}, spec: {ports: [{port: 6379}]}}")
	address := "valkey." + space + ".svc:6379"
	if _, err := w.upgrade(t, "--set", "sidecar.image="+newerSidecar, "--set", "sidecar.defaults.shutdown-graceful-period=4s", "--set", "logLevel=debug",
		"--set", "sessions.redis.uri=redis://"+address, "--set", "sessions.secretName=postern-sessions"); err != nil {
		t.Fatal(err)
	}
	w.settingsReach(t, space, newerSidecar)
	if diff := cmp.Diff(before, w.trusted(t), cmp.AllowUnexported(trust{})); diff != "" {
		t.Errorf("the upgrade has changed certificate or CA:\n%s", diff)
	}
	w.sidecarUsesTheStore(t, space, address)

	w.Helm(t, "rollback", release, revision[0], "--namespace", system, "--wait")
	w.settingsReach(t, space, sidecarImage)
	if diff := cmp.Diff(before, w.trusted(t), cmp.AllowUnexported(trust{})); diff != "" {
		t.Errorf("the rollback has changed certificate or CA:\n%s", diff)
	}
	w.settled(t)
}

// settingsReach waits until every replica gives this image.
func (w *world) settingsReach(t *testing.T, space, image string) {
	t.Helper()
	cluster.Eventually(t, "sidecars have the image of the chart", func() error {
		for range 4 { // the connections of the API server lead to both
			p, err := w.dryRun(t.Context(), space, pod("upgraded", true))
			if err == nil {
				err = injected(p, image)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// sidecarUsesTheStore creates the Secret that the README tells of, and sees the sidecar of a real pod at the store, with the Secret's password.
func (w *world) sidecarUsesTheStore(t *testing.T, space, address string) {
	server := redistest.Start(t)
	at, err := url.Parse(server.URI())
	if err != nil {
		t.Fatal(err)
	}
	w.k.MapService(address, at.Host)
	t.Cleanup(func() { w.k.MapService(address, "") })
	const password = "hunter2"
	client := server.Client(t)
	if err := client.ConfigSet(t.Context(), "requirepass", password).Err(); err != nil {
		t.Fatal(err)
	}
	w.must(t, w.snippet(t, "charts/postern-injector/README.md", "kubectl create secret generic postern-sessions", "APP", space, "PASSWORD=…", "PASSWORD="+password))
	w.Apply(t, space, policy+`---
apiVersion: v1
kind: Secret
metadata: {name: client}
stringData:
  POSTERN_OPENID_CLIENT_ID: web
  POSTERN_OPENID_CLIENT_SECRET: secret
  POSTERN_OPENID_WELL_KNOWN_URL: https://idp.example.org/.well-known/openid-configuration
---
apiVersion: v1
kind: Pod
metadata:
  name: login
  labels: {postern.dev/inject: "true"}
  annotations: {postern.dev/provider: openid, postern.dev/ingress: "https://app.example.org", postern.dev/secrets: client}
spec: {containers: [{name: app, image: "`+app+`", ports: [{containerPort: 8080}]}]}
`)
	stored := w.pods(t, space, "postern.dev%2Finject%3Dtrue")
	if len(stored) != 1 {
		t.Fatalf("%d pods", len(stored))
	}
	p := stored[0]
	if got := variable(&p, "POSTERN_REDIS_URI"); got != "redis://"+address {
		t.Errorf("POSTERN_REDIS_URI=%q", got)
	}
	if got := variable(&p, "POSTERN_SHUTDOWN_GRACEFUL_PERIOD"); got != "4s" {
		t.Errorf("the new default has not reached the sidecar: %q", got)
	}
	if strings.Contains(asJSON(p), password) {
		t.Error("the password stands in the pod")
	}
	cluster.Eventually(t, "the sidecar is at the store", func() error {
		list, err := client.ClientList(t.Context()).Result()
		if err != nil {
			return err
		}
		if strings.Count(list, "\n") < 2 { // one is ours
			return errorf("%s\n%v", list, w.k.Events(space, "login"))
		}
		return nil
	})
}
