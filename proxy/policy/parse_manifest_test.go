package policy

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// TestNaisCompleteManifest: the platform's own example of all keys loads unchanged.
func TestNaisCompleteManifest(t *testing.T) {
	t.Parallel()
	doc, warnings, err := Parse([]File{testdata(t, "nais-complete.yaml")}, "prod-gcp", "prod-gcp:myteam:myapplication")
	if err != nil {
		t.Fatal(err)
	}
	rule := func(app App, scopes, roles []string) InboundRule {
		return InboundRule{Where: `inbound.rules "` + app.String() + `"`, App: app, Scopes: scopes, Roles: roles}
	}
	scope, role := []string{"custom-scope"}, []string{"custom-role"}
	want := &Document{
		App: App{"prod-gcp", "myteam", "myapplication"},
		Rules: []InboundRule{
			rule(App{"prod-gcp", "myteam", "app1"}, nil, nil),
			rule(App{"prod-gcp", "q1", "app2"}, nil, nil),
			rule(App{"dev-gcp", "q2", "app3"}, nil, nil),
			rule(App{"prod-gcp", "myteam", "app4"}, scope, nil),
			rule(App{"prod-gcp", "myteam", "app5"}, nil, role),
			rule(App{"prod-gcp", "myteam", "app6"}, scope, role),
		},
		Users:    &Users{AllowAll: true, Groups: []string{"00000000-0000-0000-0000-000000000000"}},
		IDPorten: &IDPorten{Level: "idporten-loa-high"},
		Maskinporten: &Maskinporten{Scopes: []MaskinportenScope{{
			Where: `maskinporten.scopes "nav:arbeid:scope.read"`, Name: "nav:arbeid:scope.read",
			Consumers: []string{"123456789"}, AccessibleForAll: true, DelegationSource: "delegation-source",
		}}},
	}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Error(diff)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "spec.accessPolicy.inbound.rules[3]: admits nobody: a wildcard") {
		t.Errorf("warnings %q", warnings)
	}
}

func TestNaisFormerManifest(t *testing.T) {
	t.Parallel()
	want := &Document{
		App: App{"dev-gcp", "myteam", "myapplication"}, Users: &Users{}, IDPorten: &IDPorten{Level: "idporten-loa-substantial"},
	}
	if diff := cmp.Diff(want, mustParse(t, testdata(t, "nais-former.yaml"))); diff != "" {
		t.Error(diff)
	}
}

// TestNaisSnippets: what the platform's guides show means what they say it means.
func TestNaisSnippets(t *testing.T) {
	t.Parallel()
	apps := func(names ...string) (rules []string) {
		for _, name := range names {
			rules = append(rules, `inbound.rules "`+name+`"`)
		}
		return rules
	}
	type said struct {
		Rules        []string
		Users        *Users
		Maskinporten []string
		Warned       int
	}
	want := map[string]said{
		"entra applications":         {Rules: apps("prod-gcp:team:app-a", "prod-gcp:other-namespace:app-b", "other-cluster:other-namespace:app-c"), Users: &Users{}},
		"entra groups":               {Users: &Users{}, Warned: 1},
		"entra all users":            {Users: &Users{AllowAll: true}},
		"entra groups and all users": {Users: &Users{AllowAll: true}, Warned: 1},
		"entra custom scopes":        {Rules: apps("other-cluster:other-namespace:app-a")},
		"entra custom roles":         {Rules: apps("other-cluster:other-namespace:app-a")},
		"maskinporten scopes": {
			Maskinporten: []string{"nav:helse/sykepenger/afp.write", "nav:helse/sykepenger/afp.read"}, Warned: 2,
		},
		"maskinporten consumers": {Maskinporten: []string{"nav:helse/sykepenger/afp.read"}},
		"tokenx":                 {Rules: apps("prod-gcp:team:app-1", "prod-gcp:team-a:app-2", "prod-gcp:team-b:app-3")},
	}
	decoder := yaml.NewDecoder(bytes.NewReader(testdata(t, "nais-snippets.yaml").Data))
	for seen := 0; ; seen++ {
		var snippet map[string]any
		if err := decoder.Decode(&snippet); errors.Is(err, io.EOF) {
			if seen != len(want) {
				t.Errorf("%d snippets; want %d", seen, len(want))
			}
			return
		} else if err != nil {
			t.Fatal(err)
		}
		name := snippet["name"].(string)
		delete(snippet, "name")
		snippet["apiVersion"], snippet["kind"] = "nais.io/v1alpha1", "Application"
		snippet["metadata"] = map[string]any{"name": "api", "namespace": "team"}
		text, err := yaml.Marshal(snippet)
		if err != nil {
			t.Fatal(err)
		}
		doc, warnings, err := Parse([]File{{name, text}}, "prod-gcp", "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := said{Users: doc.Users, Warned: len(warnings)}
		for _, rule := range doc.Rules {
			got.Rules = append(got.Rules, rule.Where)
		}
		if doc.Maskinporten != nil {
			for _, scope := range doc.Maskinporten.Scopes {
				got.Maskinporten = append(got.Maskinporten, scope.Name)
			}
		}
		if diff := cmp.Diff(want[name], got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// spec is a manifest with a spec of the given lines.
func spec(lines ...string) string {
	return "apiVersion: nais.io/v1alpha1\nkind: Application\nmetadata: {name: a, namespace: n}\nspec:\n  " + strings.Join(lines, "\n  ") + "\n"
}

// TestS46DisabledCountsAsAbsent: a provider, or a scope, that the manifest disables.
func TestS46DisabledCountsAsAbsent(t *testing.T) {
	t.Parallel()
	app := App{"dev-gcp", "n", "a"}
	scope := MaskinportenScope{Where: `maskinporten.scopes "nav:p:on"`, Name: "nav:p:on", AccessibleForAll: true}
	for text, want := range map[string]*Document{
		spec("azure: {application: {enabled: false, allowAllUsers: true}}"): {App: app, EntraOff: true},
		spec("tokenx: {enabled: false}"):                                    {App: app, TokenXOff: true},
		spec("idporten: {enabled: false, sidecar: {level: Level4}}"):        {App: app},
		spec("idporten: {enabled: true}"):                                   {App: app, IDPorten: &IDPorten{}},
		spec("maskinporten: {enabled: true}"):                               {App: app, Maskinporten: &Maskinporten{}},
		spec("maskinporten: {enabled: false, scopes: {exposes: [&a {enabled: true, product: p, name: n, accessibleForAll: true}]}}"): {App: app},
		spec("maskinporten: {enabled: true, scopes: {exposes: [{enabled: true, product: p, name: on, accessibleForAll: true},",
			"  {enabled: false, product: p, name: off, accessibleForAll: true}]}}"): {App: app, Maskinporten: &Maskinporten{Scopes: []MaskinportenScope{scope}}},
		spec("port: 8080"): {App: app},
	} {
		if diff := cmp.Diff(want, mustParse(t, File{"app.yaml", []byte(text)})); diff != "" {
			t.Errorf("%s%s", text, diff)
		}
	}
}

func TestManifestComposesScopes(t *testing.T) {
	t.Parallel()
	for members, want := range map[string]string{
		`name: afp.read, product: helse`:                            "nav:helse:afp.read",
		`name: sykepenger/afp.read, product: helse`:                 "nav:helse/sykepenger/afp.read",
		`name: sykepenger/afp.read, product: helse, separator: ":"`: "nav:helse:sykepenger/afp.read",
		`name: afp.read, product: helse, separator: "/"`:            "nav:helse/afp.read",
		`name: afp.read, product: helse, separator: "."`:            "nav:helse.afp.read",
		`name: søknad/lesing, product: helse`:                       "nav:helse/søknad/lesing",
	} {
		doc := mustParse(t, File{"app.yaml", []byte(spec(
			"maskinporten: {enabled: true, scopes: {exposes: [{enabled: true, accessibleForAll: true, " + members + "}]}}"))})
		if got := doc.Maskinporten.Scopes[0].Name; got != want {
			t.Errorf("%s: %s; want %s", members, got, want)
		}
	}
}

// Unread parts may hold anything, and a key with nothing is no key, as in Kubernetes.
func TestManifestIsReadAsThePlatformReadsIt(t *testing.T) {
	t.Parallel()
	doc := mustParse(t, File{"app.yaml", []byte(spec(
		"env: &e [{name: A, value: a}, {name: A, name: B}]",
		"envAgain: *e",
		"future: {<<: {a: 1}, [b]: 2}",
		"azure: {application: {enabled: true, allowAllUsers: , claims: {groups: }}, sidecar: {anything: *e}}",
		"tokenx:",
		"accessPolicy: {inbound: {rules: [{application: b, namespace: }]}, outbound: {rules: [{app: x}]}}"))})
	want := &Document{
		App: App{"dev-gcp", "n", "a"}, Users: &Users{},
		Rules: []InboundRule{{Where: `inbound.rules "dev-gcp:n:b"`, App: App{"dev-gcp", "n", "b"}}},
	}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Error(diff)
	}
}

// TestS25ManifestMutationsDoNotLoad: under the parts that are read an unknown key is an error.
func TestS25ManifestMutationsDoNotLoad(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		spec("accessPolicy: {inbuond: {rules: []}}"):                                                                                         "app.yaml:5: spec.accessPolicy.inbuond: unknown key, did you mean inbound?",
		spec("accessPolicy: {inbound: {rules: [{applicatiom: b}]}}"):                                                                         "spec.accessPolicy.inbound.rules[0].applicatiom: unknown key, did you mean application?",
		spec("accessPolicy: {inbound: {rules: [{application: b, applications: c}]}}"):                                                        "did you mean application?",
		spec("accessPolicy: {inbound: {rules: [{application: b, permissions: {scope: [a]}}]}}"):                                              "did you mean scopes?",
		spec("accessPolicy: {inbound: }", "azure: {application: {allowAllUsers: true}}"):                                                     "app.yaml:6: spec.azure.application: enabled is missing",
		spec("azure: {application: {enabled: , allowAllUsers: true}}"):                                                                       "spec.azure.application: enabled is missing",
		spec("azure: {application: {enabled: true, allowAllUser: false}}"):                                                                   "did you mean allowAllUsers?",
		spec("azure: {application: {enabled: true, claims: {group: []}}}"):                                                                   "did you mean groups?",
		spec("azure: {application: {enabled: true, claims: {groups: [{name: x}]}}}"):                                                         "spec.azure.application.claims.groups[0].name: unknown key",
		spec("azure: {application: {enabled: true, claims: {groups: [{}]}}}"):                                                                "spec.azure.application.claims.groups[0]: id is missing",
		spec("azure: {application: {enabled: yes}}"):                                                                                         "spec.azure.application.enabled: must be true or false, not text",
		spec("azure: {enabled: true}"):                                                                                                       "spec.azure.enabled: unknown key",
		spec("azure: *x"):                                                                                                                    "unknown anchor",
		spec("x: &x {application: {enabled: true}}", "azure: *x"):                                                                            "app.yaml:6: spec.azure: aliases are not read",
		spec("tokenx: {enable: true}"):                                                                                                       "did you mean enabled?",
		spec("tokenx: true"):                                                                                                                 "spec.tokenx: must be an object, not true or false",
		spec("idporten: {enabled: true, level: Level4}"):                                                                                     "spec.idporten.level: unknown key",
		spec("idporten: {enabled: true, sidecar: {levell: Level4}}"):                                                                         "did you mean level?",
		spec("idporten: {enabled: true, sidecar: {level: \"\"}}"):                                                                            "spec.idporten.sidecar.level: is empty",
		spec("idporten: {enabled: true, sidecar: {level: Level5}}"):                                                                          "spec.idporten.sidecar.level: must be idporten-loa-low",
		spec("maskinporten: {enabled: true, scopes: {expose: []}}"):                                                                          "did you mean exposes?",
		spec("maskinporten: {enabled: true, scopes: {exposes: [{enabled: true, name: x}]}}"):                                                 "spec.maskinporten.scopes.exposes[0]: product is missing",
		spec("maskinporten: {enabled: true, scopes: {exposes: [{name: x, product: y}]}}"):                                                    "spec.maskinporten.scopes.exposes[0]: enabled is missing",
		spec("maskinporten: {enabled: true, scopes: {exposes: [{enabled: true, name: x, product: y, separator: \"-\"}]}}"):                   `must be "/", ":" or "."`,
		spec("maskinporten: {enabled: true, scopes: {exposes: [{enabled: true, name: x, product: y, consumers: [{orgnr: 1}]}]}}"):            "did you mean orgno?",
		spec("azure: {}", "azure: {}"):                                                                                                       "spec.azure: is given twice, first in line 5",
		"apiVersion: nais.io/v1alpha1\nkind: Application\nspec: {}":                                                                          "app.yaml:1: metadata is missing",
		"apiVersion: nais.io/v1alpha1\nkind: Application\nmetadata: {namespace: n}\nspec: {}":                                                "metadata: name is missing",
		"apiVersion: nais.io/v1alpha1\nkind: Application\nmetadata: {name: a}":                                                               "spec is missing",
		"apiVersion: nais.io/v1alpha1\nkind: Application\nmetadata: {name: a}\nspecs: {}":                                                    "specs: unknown key, did you mean spec?",
		"apiVersion: nais.io/v1alpha1\nkind: Application\nmetadata: {name: a}\nspec: {accessPolicy: {inbound: {rules: [{application: b}]}}}": "namespace is missing",
	} {
		if _, _, err := Parse([]File{{"app.yaml", []byte(text)}}, "dev-gcp", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s  %v\n  want %s", text, err, want)
		}
	}
}
