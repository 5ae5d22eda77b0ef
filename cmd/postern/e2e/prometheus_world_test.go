package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"postern/charts/series"
	"postern/oidc/devidp"
)

// observed is an outbound world with everything that has metrics, and a Prometheus that watches it.
type observed struct {
	*outbound
	store      *FaultyPath
	policy     string
	prometheus *PrometheusServer
}

// observedPolicy admits caseworkers and one app, has a public path, and paths with rules of their own.
const observedPolicy = `
apiVersion: postern/v1
app: {cluster: dev-gcp, namespace: team-a, name: app}
inbound: {rules: [{application: orders, namespace: team-b}]}
users: {groups: [` + devidp.GroupCaseworkers + `]}
paths:
  - {match: "/open/**", public: true}
  - {match: "/leaders/**", require: {groups: ["00000000-0000-0000-0000-00000000dead"]}}
`

func newObserved(t testing.TB) *observed {
	t.Helper()
	o := &observed{store: FaultProxy(t, Redis(t).Addr), policy: filepath.Join(t.TempDir(), "policy.yaml")}
	writeFile(t, o.policy, observedPolicy)
	apps, err := json.Marshal([]map[string]string{{"name": ordersName, "clientId": ordersClientID}, {"name": ownName, "clientId": ownClientID}})
	if err != nil {
		t.Fatal(err)
	}
	o.outbound = newOutbound(t, outboundOptions{env: map[string]string{
		"POSTERN_POLICY_FILE": o.policy, "AZURE_APP_PRE_AUTHORIZED_APPS": string(apps), "POSTERN_REDIS_URI": "redis://" + o.store.Addr,
		"POSTERN_UPSTREAM_TOKENS": `[{header: X-Stock-Token, provider: entra_id, target: "` + stockName + `", paths: ["/stock/**"]}]`,
		"POSTERN_LOG_LEVEL":       "info",
	}})
	o.prometheus = Prometheus(t, o.MetricsAddr, hurriedRules(t))
	return o
}

// window is what all ranges and intervals of queries are in these tests.
const window = "15s"

var ranges = regexp.MustCompile(`\[[0-9]+m\]`)

// hurriedRules are the alerts of the sidecar, of which nobody waits minutes for the first sign.
func hurriedRules(t testing.TB) string {
	t.Helper()
	var plain []map[string]any
	for _, rule := range sidecarRules(t) {
		plain = append(plain, map[string]any{"alert": rule.Alert, "expr": ranges.ReplaceAllString(rule.Expr, "["+window+"]"), "labels": rule.Labels})
	}
	return ruleFile(t, plain)
}

func sidecarRules(t testing.TB) (rules []series.Rule) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), "charts/alerts/postern.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := series.Rules(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range all {
		if !strings.HasPrefix(rule.Alert, "PosternInjector") {
			rules = append(rules, rule)
		}
	}
	return rules
}

func ruleFile(t testing.TB, rules []map[string]any) string {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{"groups": []map[string]any{{"name": "postern", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// visitors are those whom the load is made of.
type visitors struct {
	kari, nils     *Client
	user, app, bad string // Authorization
	employee       string
}

func (o *observed) visitors() visitors {
	o.t.Helper()
	v := visitors{kari: NewClient(o.t), nils: NewClient(o.t)}
	o.login(o.t, v.kari, "kari", "")
	o.login(o.t, v.nils, "nils", "") // member of no group: the policy does not admit him
	v.user = "Bearer " + o.dev.Mint(o.t, profile("entra-user", "aud", ownClientID, "azp", ordersClientID, "groups", []string{devidp.GroupCaseworkers}))
	v.app = "Bearer " + o.dev.Mint(o.t, profile("entra-app", "aud", ownClientID, "azp", ordersClientID, "roles", []string{"access_as_application"}))
	v.bad = v.app[:len(v.app)-9] + "AAAAAAAAA"
	v.employee = o.tokens.entraUser("kari")
	return v
}

// round is one of everything that happens on a good day. Nothing of it is trouble.
func (o *observed) round(v visitors) {
	o.t.Helper()
	for _, path := range []string{"/x", "/stock/1", "/via/orders/17", "/leaders/1", "/open/1"} {
		v.kari.Get(o.ingress + path)
	}
	v.nils.Get(o.ingress + "/x")
	stranger := NewClient(o.t)
	for _, authorization := range []string{v.user, v.app, v.bad, ""} {
		stranger.Get(o.ingress+"/orders", "Authorization", authorization)
	}
	o.tokens.ask(exchangePath, map[string]any{"identity_provider": "entra_id", "target": ordersName, "user_token": v.employee})
	o.tokens.ask(tokenPath, map[string]any{"identity_provider": "maskinporten", "target": "nav:team/orders.read"})
	o.tokens.ask(tokenPath, map[string]any{"identity_provider": "nobody", "target": "x"})
	o.tokens.ask(introspectPath, map[string]any{"identity_provider": "entra_id", "token": v.employee})
	o.tokens.ask(introspectPath, map[string]any{"identity_provider": "entra_id", "token": v.employee + "x"})
	o.tokens.ask(tokenPath, map[string]any{"identity_provider": "maskinporten", "target": "x"}, "Origin", "https://evil.example")
	passer := NewClient(o.t) // comes, and goes
	o.dev.Dev(o.t, "token-lifetime", map[string]any{"seconds": 1})
	o.login(o.t, passer, "ola", "")
	passer.Get(o.ingress + "/oauth2/session")
	o.dev.Dev(o.t, "token-lifetime", map[string]any{"seconds": 3600})
	time.Sleep(1100 * time.Millisecond) // the token has ended, and so has the time in which it is not renewed
	passer.Send("POST", o.ingress+"/oauth2/session/refresh", "", "Origin", o.origin())
	passer.Get(o.ingress + "/oauth2/logout/local")
	passer.Navigate(o.ingress + "/oauth2/logout")
}
