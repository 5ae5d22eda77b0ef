package check

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	headless = "ports: [{name: web,"
	app80    = "targetPort: 7564"
)

func TestS05WaysAroundTheSidecar(t *testing.T) {
	t.Parallel()
	const open = "warning no_policy Deployment web"
	list := func(all ...string) []string { return all }
	for name, test := range map[string]struct {
		given  []string
		images []string
		want   []string
		says   string // in one of the lines
	}{
		"all is well":                              {given: list(injected(), service(), ingress(), sidecarOnly)},
		"a pod that never asked":                   {given: list(injected("postern.dev/inject: \"true\", postern.dev/injected: \"true\"", "x: y", "name: postern\n", "name: other\n"), service(app80, "targetPort: 8080"))},
		"no policy at all":                         {given: list(injected(), service()), want: list(open), says: "the app's port 8080"},
		"a pod that is done":                       {given: list(injected("phase: Running", "phase: Succeeded"))},
		"replicas are one finding":                 {given: list(injected(), injected("abcde", "fghij")), want: list(open)},
		"a policy of another namespace":            {given: list(injected(), edit(sidecarOnly, "namespace: shop", "namespace: other")), want: list(open)},
		"a policy for what goes out":               {given: list(injected(), edit(sidecarOnly, "policyTypes: [Ingress]", "policyTypes: [Egress]")), want: list(open)},
		"a policy about other pods":                {given: list(injected(), edit(sidecarOnly, "app: web", "app: api")), want: list(open)},
		"a policy without types is about incoming": {given: list(injected(), edit(sidecarOnly, "policyTypes: [Ingress], ", ""))},
		"a policy that admits nobody":              {given: list(injected(), rules("deny", ""))},
		"a policy for all pods":                    {given: list(injected(), edit(sidecarOnly, "{matchLabels: {app: web}}", "{}"))},

		"a service by number":                {given: list(injected(), service(app80, "targetPort: 8080")), want: list("error service_port Service web", open), says: "Set targetPort: 7564"},
		"a service by name":                  {given: list(injected(), service(app80, "targetPort: http")), want: list("error service_port Service web", open)},
		"a service that leaves it out":       {given: list(injected(), service("port: 80, targetPort: 7564", "port: 8080")), want: list("error service_port Service web", open)},
		"a service to the sidecar by name":   {given: list(injected(), service(app80, "targetPort: postern-proxy"), sidecarOnly)},
		"a service to a name nobody has":     {given: list(injected(), service(app80, "targetPort: nothing"), sidecarOnly)},
		"a service to another of its ports":  {given: list(injected(), service(app80, "targetPort: 9090"), sidecarOnly)},
		"a service over UDP":                 {given: list(injected(), service(app80, "targetPort: 8080, protocol: UDP"), sidecarOnly)},
		"a service of another namespace":     {given: list(injected(), service(app80, "targetPort: 8080", "namespace: shop", "namespace: other"), sidecarOnly)},
		"a service to other pods":            {given: list(injected(), service(app80, "targetPort: 8080", "app: web", "app: api"), sidecarOnly)},
		"a service where the port is closed": {given: list(injected(), service(app80, "targetPort: 8080"), sidecarOnly), want: list("warning service_port Service web"), says: "does not work"},
		"a second port of a service": {
			given: list(injected(), service(app80+"}", app80+"}, {name: direct, port: 81, targetPort: http}"), ingress(), sidecarOnly),
			want:  list("warning service_port Service web"), says: "port 81",
		},
		"a port name that the app shares with the sidecar (fact 8)": {
			given: list(injected("name: http,", "name: postern-proxy,"), service(app80, "targetPort: postern-proxy")),
			want:  list("error service_port Service web", open), says: "calls its port \"postern-proxy\" as the sidecar does",
		},
		"a service to where an annotation has moved the sidecar": {
			given: list(injected("containerPort: 7564", "containerPort: 17564"), service(app80, "targetPort: 8080")),
			want:  list("error service_port Service web", open), says: "targetPort: 17564",
		},

		"a headless service":                   {given: list(injected(), service(headless, "clusterIP: None\n  "+headless)), want: list("warning headless_service Service web", open)},
		"a headless service to the app":        {given: list(injected(), service(headless, "clusterIP: None\n  "+headless, app80, "targetPort: 8080")), want: list("error service_port Service web", open), says: "port and targetPort"},
		"a headless service, the port closed":  {given: list(injected(), service(headless, "clusterIP: None\n  "+headless), sidecarOnly)},
		"a slice by hand":                      {given: list(injected(), service("selector: {app: web}\n  ", ""), slice()), want: list("error endpoint_slice Service web", open), says: "EndpointSlice web-1"},
		"a slice by hand to the sidecar":       {given: list(injected(), service("selector: {app: web}\n  ", ""), slice("8080", "7564"), sidecarOnly)},
		"a slice by hand to another pod":       {given: list(injected(), service("selector: {app: web}\n  ", ""), slice("10.244.1.10", "10.244.1.11"), sidecarOnly)},
		"a slice by hand in another namespace": {given: list(injected(), slice("namespace: shop", "namespace: other")), want: list("error endpoint_slice EndpointSlice web-1", open)},
		"a slice by hand beside a selector":    {given: list(injected(), service(), slice()), want: list("error endpoint_slice Service web", open)},
		"a slice of a wrong service":           {given: list(injected(), service(app80, "targetPort: 8080"), slice()), want: list("error service_port Service web", open)},
		"a slice over UDP":                     {given: list(injected(), slice("protocol: TCP", "protocol: UDP"), sidecarOnly)},
		"a slice with the node's address": {
			given: list(injected("spec:\n", "spec:\n  hostNetwork: true\n"), slice()), want: list("error host_network Deployment web"), // which is that of others too
		},
		"a slice for every port":          {given: list(injected(), slice("port: 8080, ", "")), want: list("error endpoint_slice EndpointSlice web-1", open)},
		"an ingress to a service by hand": {given: list(injected(), service("selector: {app: web}\n  ", ""), slice(), ingress()), want: list("error endpoint_slice Service web", "error ingress Ingress web", open)},
		"an ingress to such a service":    {given: list(injected(), service(app80, "targetPort: http"), ingress()), want: list("error ingress Ingress web", "error service_port Service web", open), says: "web.example.org/"},
		"an ingress by the port's name":   {given: list(injected(), service(app80, "targetPort: http"), ingress("number: 80", "name: web")), want: list("error ingress Ingress web", "error service_port Service web", open)},
		"an ingress without rules": {
			given: list(injected(), service(app80, "targetPort: http"), "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: all, namespace: shop}\nspec: {defaultBackend: {service: {name: web, port: {number: 80}}}}"),
			want:  list("error ingress Ingress all", "error service_port Service web", open),
		},
		"an ingress to another port": {given: list(injected(), service(app80, "targetPort: http"), ingress("number: 80", "number: 81"), sidecarOnly), want: list("warning service_port Service web")},

		"a host port":                       {given: list(injected("containerPort: 8080", "containerPort: 8080, hostPort: 80")), want: list("error host_port Deployment web", open)},
		"a host port, the port closed":      {given: list(injected("containerPort: 8080", "containerPort: 8080, hostPort: 80"), sidecarOnly), want: list("warning host_port Deployment web")},
		"a host port of another port":       {given: list(injected("containerPort: 9090", "containerPort: 9090, hostPort: 90"), sidecarOnly)},
		"the node's network, policy or not": {given: list(injected("spec:\n", "spec:\n  hostNetwork: true\n"), sidecarOnly), want: list("error host_network Deployment web")},

		"a policy without ports":               {given: list(injected(), rules("p", "{from: [{podSelector: {}}]}")), want: list("error policy_admits NetworkPolicy p"), says: "it names no ports"},
		"a policy with an empty rule":          {given: list(injected(), rules("p", "{}")), want: list("error policy_admits NetworkPolicy p"), says: "admits everybody"},
		"a policy with the number":             {given: list(injected(), rules("p", "{ports: [{port: 8080}]}")), want: list("error policy_admits NetworkPolicy p")},
		"a policy with the name":               {given: list(injected(), rules("p", "{ports: [{port: http}]}")), want: list("error policy_admits NetworkPolicy p")},
		"a policy with a range":                {given: list(injected(), rules("p", "{ports: [{port: 7000, endPort: 9000}]}")), want: list("error policy_admits NetworkPolicy p"), says: "ports 7000 to 9000"},
		"a policy with another range":          {given: list(injected(), rules("p", "{ports: [{port: 7564, endPort: 7565}]}"))},
		"a policy for every TCP port":          {given: list(injected(), rules("p", "{ports: [{protocol: TCP}]}")), want: list("error policy_admits NetworkPolicy p")},
		"a policy for every UDP port":          {given: list(injected(), rules("p", "{ports: [{protocol: UDP}, {protocol: UDP, port: 8080}]}"))},
		"a policy with the sidecar's name":     {given: list(injected(), rules("p", "{ports: [{port: postern-proxy}]}"))},
		"a policy with a name that both have":  {given: list(injected("name: http,", "name: postern-proxy,"), rules("p", "{ports: [{port: postern-proxy}]}")), want: list("error policy_admits NetworkPolicy p")},
		"a policy for an ipBlock":              {given: list(injected(), rules("p", "{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 8080}]}")), want: list("error policy_admits NetworkPolicy p"), says: "10.0.0.0/8"},
		"policies are a union":                 {given: list(injected(), sidecarOnly, rules("p", "{ports: [{port: 7564}]}, {from: [{namespaceSelector: {}}]}")), want: list("error policy_admits NetworkPolicy p"), says: "rule 2 admits all pods"},
		"a service, and a policy that lets it": {given: list(injected(), service(app80, "targetPort: 8080"), sidecarOnly, rules("p", "{}")), want: list("error policy_admits NetworkPolicy p", "error service_port Service web")},

		"a labelled pod without sidecar":              {given: list(injected("name: postern\n", "name: other\n"), sidecarOnly), want: list("error no_sidecar Deployment web")},
		"a sidecar that is no native one":             {given: list(injected("restartPolicy: Always", "x: y"), sidecarOnly), want: list("error no_sidecar Deployment web")},
		"a service to a labelled pod without sidecar": {given: list(injected("name: postern\n", "name: other\n", "annotations: {}", "annotations: {postern.dev/app-port: http}"), service(app80, "targetPort: http")), want: list("error no_sidecar Deployment web", "error service_port Service web", open)},
		"a foreign image":                             {given: list(injected(), sidecarOnly), images: list("registry.example/postern@sha256:bb"), want: list("error foreign_image Deployment web")},
		"the right image":                             {given: list(injected(), sidecarOnly), images: list("registry.example/other", "registry.example/postern@sha256:aa")},
		"an image that fits a pattern":                {given: list(injected(), sidecarOnly), images: list("registry.example/postern@sha256:*")},

		"a template that is not there yet": {given: list(deployment(), service(app80, "targetPort: http")), want: list("error service_port Service web", open)},
		"a template, and a policy for what the injector labels": {
			given: list(deployment(), edit(sidecarOnly, "{app: web}", "{postern.dev/injected: \"true\"}")),
		},
		"a template of which there are pods":         {given: list(deployment(), injected(), sidecarOnly)},
		"a label that only the Deployment has":       {given: list(deployment("web, namespace: shop}", "web, namespace: shop, labels: {postern.dev/inject: \"true\"}}", ", postern.dev/inject: \"true\"", "")), want: list("error misplaced_label Deployment web"), says: "spec.template.metadata.labels"},
		"an annotation where a label belongs":        {given: list(deployment(", postern.dev/inject: \"true\"}", "}\n      annotations: {postern.dev/inject: \"true\"}")), want: list("error misplaced_label Deployment web")},
		"a misplaced label, the namespace has asked": {given: list(deployment("web, namespace: shop}", "web, namespace: shop, labels: {postern.dev/inject: \"true\"}}", ", postern.dev/inject: \"true\"", ""), injected("postern.dev/inject: \"true\", ", ""), sidecarOnly)},
		"a label that says yes":                      {given: list(deployment("postern.dev/inject: \"true\"", "postern.dev/inject: \"yes\"")), want: list("warning label_value Deployment web")},
		"a label that says no":                       {given: list(deployment("postern.dev/inject: \"true\"", "postern.dev/inject: \"false\""))},
		"a label on the CronJob": {
			given: list("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: night, namespace: shop}\nspec: {jobTemplate: {metadata: {labels: {postern.dev/inject: \"true\"}}, spec: {template: {spec: {containers: []}}}}}"),
			want:  list("error misplaced_label CronJob night"), says: "jobTemplate",
		},
		"a Job that serves nobody":          {given: list("apiVersion: batch/v1\nkind: Job\nmetadata: {name: once, namespace: shop}\nspec: {template: {metadata: {labels: {postern.dev/inject: \"true\"}, annotations: {postern.dev/app-port: none}}, spec: {containers: [{name: a, ports: [{containerPort: 1}]}]}}}")},
		"several ports, none of them named": {given: list(deployment("containerPort: 8080}", "containerPort: 8080}, {containerPort: 9090}"), service(app80, "targetPort: 9090"), sidecarOnly), want: list("warning service_port Service web")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, lines := found(t, Settings{Images: test.images}, test.given...)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s\n%s", diff, lines)
			}
			if !strings.Contains(lines, test.says) {
				t.Errorf("nothing says %q:\n%s", test.says, lines)
			}
		})
	}
}

// The template of charts/networkpolicy closes what was open before.
func TestS05NetworkPolicyTemplate(t *testing.T) {
	t.Parallel()
	template, err := os.ReadFile("../../../charts/networkpolicy/networkpolicy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	before, lines := found(t, Settings{}, injected(), service())
	if diff := cmp.Diff([]string{"warning no_policy Deployment web"}, before); diff != "" || !strings.Contains(lines, "charts/networkpolicy") {
		t.Errorf("before: %s\n%s", diff, lines)
	}
	objects := readAll(t, injected(), service())
	policy, err := Read(strings.NewReader(string(template)), "shop") // as kubectl apply -n shop
	if err != nil {
		t.Fatal(err)
	}
	objects.Merge(policy)
	if after, err := objects.Findings(t.Context(), Settings{}); err != nil || len(after) > 0 {
		t.Errorf("after: %v, %v", after, err)
	}
	if len(policy.Policies) != 1 {
		t.Fatalf("%d policies", len(policy.Policies))
	}
	p := newPod(objects.Pods[0].ObjectMeta, objects.Pods[0].Spec, nil, Object{})
	for port, admitted := range map[int32]bool{7564: true, 7565: true, 7566: false, 8080: false, 9090: false, 7164: false} {
		got := false
		for _, rule := range policy.Policies[0].Spec.Ingress {
			got = got || admits(p, rule, port) != ""
		}
		if got != admitted {
			t.Errorf("port %d is admitted: %v", port, got)
		}
	}
}

func TestFindingIsOneLine(t *testing.T) {
	t.Parallel()
	f := Finding{Error, "no_sidecar", Object{"Pod", "a\nb", "\x1b[31mx\u202e"}, "m\r", "f\u2028"}
	if got, want := f.String(), "error\tPod a\\nb/\\x1b[31mx\\u202e: m\\r. f\\u2028. [no_sidecar]"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFindingsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if got, err := readAll(t, injected()).Findings(ctx, Settings{}); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}
