package check

import (
	"slices"
	"strings"
	"testing"
)

// injected is a pod as the injector makes it, of a Deployment, as one YAML document.
func injected(change ...string) string {
	return edit(`
apiVersion: v1
kind: Pod
metadata:
  name: web-5d4f-abcde
  namespace: shop
  uid: 1-2-3
  labels: {app: web, pod-template-hash: 5d4f, postern.dev/inject: "true", postern.dev/injected: "true"}
  annotations: {}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-5d4f, uid: 4-5-6, controller: true}]
spec:
  initContainers:
    - name: postern
      image: registry.example/postern@sha256:aa
      restartPolicy: Always
      env: [{name: POSTERN_UPSTREAM_PORT, value: "8080"}]
      ports: [{name: postern-proxy, containerPort: 7564}, {name: postern-metrics, containerPort: 7565}, {name: postern-probe, containerPort: 7566}]
  containers:
    - name: app
      image: registry.example/web:1
      ports: [{name: http, containerPort: 8080}, {name: admin, containerPort: 9090}]
status:
  phase: Running
  podIPs: [{ip: 10.244.1.10}]
`, change...)
}

func service(change ...string) string {
	return edit(`
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports: [{name: web, port: 80, targetPort: 7564}]
`, change...)
}

func deployment(change ...string) string {
	return edit(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web, postern.dev/inject: "true"}
    spec:
      containers:
        - name: app
          ports: [{name: http, containerPort: 8080}]
`, change...)
}

// policy is a NetworkPolicy of the namespace for the app's pods with these rules.
func rules(name, ingress string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " + name + ", namespace: shop}\n" +
		"spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [" + ingress + "]}\n"
}

// sidecarOnly closes the app's port.
var sidecarOnly = rules("sidecar-only", "{ports: [{protocol: TCP, port: 7564}]}")

func slice(change ...string) string {
	return edit(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: web, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.244.1.10]}]
`, change...)
}

func ingress(change ...string) string {
	return edit(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  rules: [{host: web.example.org, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
`, change...)
}

// edit replaces old by new, in pairs; a text that is not there is a mistake of the test.
func edit(text string, change ...string) string {
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(text, change[i]) {
			panic("nothing to change: " + change[i])
		}
		text = strings.Replace(text, change[i], change[i+1], 1)
	}
	return text
}

func readAll(t *testing.T, documents ...string) *Objects {
	t.Helper()
	objects, err := Read(strings.NewReader(strings.Join(documents, "\n---\n")), "")
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// found is every finding as "severity code Kind name".
func found(t *testing.T, settings Settings, documents ...string) (short []string, lines string) {
	t.Helper()
	all, err := readAll(t, documents...).Findings(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		short = append(short, string(f.Severity)+" "+f.Code+" "+f.Object.Kind+" "+f.Object.Name)
		lines += f.String() + "\n"
	}
	slices.Sort(short)
	return short, lines
}
