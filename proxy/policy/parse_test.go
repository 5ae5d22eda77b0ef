package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parse is Parse of one file with the cluster dev-gcp.
func parse(text string) (*Document, []string, error) {
	return Parse([]File{{Name: "policy.yaml", Data: []byte(text)}}, "dev-gcp", "")
}

// own is a document of postern's format.
func own(lines ...string) string { return "apiVersion: postern/v1\n" + strings.Join(lines, "\n") }

func mustParse(t *testing.T, files ...File) *Document {
	t.Helper()
	doc, warnings, err := Parse(files, "dev-gcp", "")
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v\nwarnings %q", err, warnings)
	}
	return doc
}

func testdata(t testing.TB, name string) File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "parse", name))
	if err != nil {
		t.Fatal(err)
	}
	return File{Name: name, Data: data}
}

// theContracts is what contract.yaml, the example of the contract, says.
func theContracts() *Document {
	return &Document{
		App: App{"dev-gcp", "team-a", "my-app"},
		Rules: []InboundRule{
			{Where: `inbound.rules "dev-gcp:team-a:app-a"`, App: App{"dev-gcp", "team-a", "app-a"}},
			{
				Where: `inbound.rules "dev-gcp:team-b:app-b"`, App: App{"dev-gcp", "team-b", "app-b"},
				Scopes: []string{"orders.read"}, Roles: []string{"orders.write"},
			},
		},
		Users: &Users{Groups: []string{"43451d82-19cd-4828-918d-cbf7d5b572ec"}},
		Maskinporten: &Maskinporten{Scopes: []MaskinportenScope{{
			Where: `maskinporten.scopes "nav:helse/sykepenger/afp.read"`, Name: "nav:helse/sykepenger/afp.read", Consumers: []string{"123456789"},
		}}},
		IDPorten: &IDPorten{Level: "idporten-loa-high"},
		Providers: []ProviderRule{
			{Where: `providers "openid"`, Name: "openid", Groups: []string{"staff"}},
			{Where: `providers "partner"`, Name: "partner", Clients: []string{"batch-1"}, Scopes: []string{"orders.read"}},
		},
		Paths: []PathRule{
			{Where: `paths "/isalive"`, Match: "/isalive", Public: true},
			{Where: `paths "/admin/**"`, Match: "/admin/**", Require: &Require{Groups: []string{"8f0bd3b2-9d3d-4f27-8543-5938db3e6a3e"}}},
			{
				Where: `paths "/orders/**"`, Match: "/orders/**", Methods: []string{"POST"},
				Require: &Require{Scopes: []string{"orders.write"}, Roles: []string{"orders.write"}},
			},
		},
	}
}

func TestParseTheContractsExample(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(theContracts(), mustParse(t, testdata(t, "contract.yaml"))); diff != "" {
		t.Error(diff)
	}
}

func TestParseJSON(t *testing.T) {
	t.Parallel()
	doc := mustParse(t, File{"policy.json", []byte(`{"apiVersion":"postern/v1","users":{"allowAll":true},
	"paths":[{"match":"/x","methods":["GET"],"public":false,"require":{"kind":"app","level":"Level3","providers":["openid"],"organizations":["987654321"]}}]}`)})
	want := &Document{Users: &Users{AllowAll: true}, Paths: []PathRule{{
		Where: `paths "/x"`, Match: "/x", Methods: []string{"GET"},
		Require: &Require{Kind: "app", Level: "idporten-loa-substantial", Providers: []string{"openid"}, Organizations: []string{"987654321"}},
	}}}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Error(diff)
	}
}

// TestS46Vocabulary: what a policy can say outside Nais, or beside it.
func TestS46Vocabulary(t *testing.T) {
	t.Parallel()
	doc := mustParse(t, File{"policy.yaml", []byte(own(
		`tokenx: {idps: ["https://test.idporten.no"]}`,
		`maskinporten:`,
		`  audience: https://api.example.com`,
		`  scopes:`,
		`  - {name: "acme:orders", accessibleForAll: true, delegationSource: "https://altinn.no/"}`,
		`  - {name: "acme:stock", consumers: [987654321, "012345678"]}`,
		`entra: {defaultScope: user_impersonation, defaultRole: call, tenants: [62366534-1EC3-4962-8869-9B5535279D0B]}`,
		`idporten: {clients: [our-login, our-app]}`))})
	want := &Document{
		TokenX: TokenX{IDPs: []string{"https://test.idporten.no"}},
		Maskinporten: &Maskinporten{Audience: "https://api.example.com", Scopes: []MaskinportenScope{
			{Where: `maskinporten.scopes "acme:orders"`, Name: "acme:orders", AccessibleForAll: true, DelegationSource: "https://altinn.no/"},
			{Where: `maskinporten.scopes "acme:stock"`, Name: "acme:stock", Consumers: []string{"987654321", "012345678"}},
		}},
		Entra:    Entra{DefaultScope: "user_impersonation", DefaultRole: "call", Tenants: []string{"62366534-1ec3-4962-8869-9b5535279d0b"}},
		IDPorten: &IDPorten{Clients: []string{"our-login", "our-app"}},
	}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Error(diff)
	}
}

// TestS18PolicyOfPathsOnly: a part that is not given stays nil, so that it admits nobody.
func TestS18PolicyOfPathsOnly(t *testing.T) {
	t.Parallel()
	doc := mustParse(t, File{"policy.yaml", []byte(own(`paths: [{match: "/**", require: {kind: user}}]`))})
	if doc.Users != nil || doc.IDPorten != nil || doc.Maskinporten != nil || doc.Rules != nil || doc.Providers != nil {
		t.Errorf("%+v", doc)
	}
}

// TestS25AllDocumentsOfAllFilesCount: no library reads the second document unasked.
func TestS25AllDocumentsOfAllFilesCount(t *testing.T) {
	t.Parallel()
	parts := strings.Split(string(testdata(t, "contract.yaml").Data), "\nidporten")
	split := parts[0] + "\n---\n# nothing here\n---\napiVersion: postern/v1\nidporten" + parts[1] + "\n---\n"
	for name, files := range map[string][]File{
		"two documents": {{"policy.yaml", []byte(split)}},
		"two files":     {{"b.yaml", []byte("apiVersion: postern/v1\nidporten" + parts[1])}, {"a.yaml", []byte(parts[0])}},
	} {
		if diff := cmp.Diff(theContracts(), mustParse(t, files...)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestParseNamesTheApp(t *testing.T) {
	t.Parallel()
	const manifest = "apiVersion: nais.io/v1alpha1\nkind: Application\nmetadata: {name: a, namespace: n}\nspec: {}\n"
	for _, test := range []struct {
		name, text, cluster, clientID string
		want                          App
		wrong                         string
	}{
		{"manifest", manifest, "c", "", App{"c", "n", "a"}, ""},
		{"manifest without a cluster", manifest, "", "x:n:a", App{"", "n", "a"}, ""},
		{"manifest and TokenX agree", manifest, "c", "c:n:a", App{"c", "n", "a"}, ""},
		{"manifest and TokenX differ", manifest, "c", "c:n:b", App{}, `policy.yaml:3: metadata: the policy is for "c:n:a", but TOKEN_X_CLIENT_ID is "c:n:b"`},
		{"own", own("app: {cluster: c, namespace: n, name: a}"), "", "c:n:a", App{"c", "n", "a"}, ""},
		{"own and TokenX differ", own("app: {cluster: c, namespace: n, name: a}"), "", "c:m:a", App{}, `policy.yaml:2: app: the policy is for "c:n:a"`},
		{"own in part", own("app: {namespace: n, name: a}"), "", "x:n:a", App{"", "n", "a"}, ""},
		{"own in part and TokenX differ", own("app: {name: b}"), "", "x:n:a", App{}, `policy.yaml:2: app: the policy is for "x:n:b"`},
		{"both, equal", manifest + "---\n" + own("app: {cluster: c, name: a}"), "", "", App{"c", "n", "a"}, ""},
		{"both, different", manifest + "---\n" + own("app: {name: b}"), "", "", App{}, `policy.yaml:7: app: the app's name is "b" here, but "a" at policy.yaml:3`},
		{"none", own("users: {allowAll: true}"), "c", "c:n:a", App{}, ""},
	} {
		doc, _, err := Parse([]File{{"policy.yaml", []byte(test.text)}}, test.cluster, test.clientID)
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%s: %v; want %s", test.name, err, test.wrong)
			}
			continue
		}
		if err != nil || doc.App != test.want {
			t.Errorf("%s: %v, %v; want %v", test.name, doc, err, test.want)
		}
	}
}

func TestParseWarnsOfRulesThatAdmitNobody(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		own(`inbound: {rules: [{application: "*", namespace: n}]}`):                                "policy.yaml:2: inbound.rules[0]: admits nobody: a wildcard",
		own(`inbound: {rules: [{application: a, namespace: "*"}]}`):                                "policy.yaml:2: inbound.rules[0]: admits nobody: a wildcard",
		own(`users: {groups: [43451d82-19cd-4828-918d-cbf7d5b572ec, developers]}`):                 `users.groups[1]: admits nobody: "developers"`,
		own(`maskinporten: {scopes: [{name: x}]}`):                                                 "maskinporten.scopes[0]: admits nobody",
		own(`maskinporten: {scopes: [{name: x, consumers: [], accessibleForAll: false}]}`):         "maskinporten.scopes[0]: admits nobody",
		own(`paths: [{match: /x, methods: [GET, get], require: {kind: app}}]`):                     "paths[0].methods[1]: methods are compared exactly, and get is not GET",
		own(`app: {cluster: prod-gcp, namespace: n, name: a}`):                                     `app: the app's cluster is "prod-gcp" here, but NAIS_CLUSTER_NAME is "dev-gcp"`,
		"apiVersion: nais.io/v1alpha1\nkind: Application\nmetadata: {name: a}\nspec: {tokenX: {}}": "policy.yaml:4: spec.tokenX: is not read, did you mean tokenx?",
	} {
		doc, warnings, err := parse(text)
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], want) {
			t.Errorf("%s\n%q, %v; want %q", text, warnings, err, want)
			continue
		}
		if len(doc.Rules) > 0 || doc.Users != nil && len(doc.Users.Groups) > 1 {
			t.Errorf("%s\nadmits somebody: %+v", text, doc)
		}
	}
}

// Whatever the order of files, problems stand in the order of files and lines, and all of them are there.
func TestParseListsAllProblemsInOrder(t *testing.T) {
	t.Parallel()
	_, warnings, err := Parse([]File{
		{"a.yaml", []byte("apiVersion: postern/v1\ninbound: {rules: [{application: a}]}\npaths:\n- match: admin\n- {}\n")},
		{"b.yaml", []byte("apiVersion: postern/v1\nusres: {}\npaths: []\nprovider: []\n---\nkind: Naisjob\napiVersion: nais.io/v1\n---\na: [")},
		{"c.yaml", nil},
	}, "", "")
	want := strings.Join([]string{
		`a.yaml:2: inbound.rules[0]: namespace is missing, and nothing says the app's own: give it here or in app.namespace`,
		`a.yaml:2: inbound.rules[0]: cluster is missing, and nothing says the app's own: give it here or in app.cluster, or set NAIS_CLUSTER_NAME`,
		`a.yaml:4: paths[0].match: must begin with "/"`,
		`a.yaml:4: paths[0]: has no effect: give it public or require`,
		`a.yaml:5: paths[1]: match is missing`,
		`a.yaml:5: paths[1]: has no effect: give it public or require`,
		`b.yaml:2: usres: unknown key, did you mean users?`,
		`b.yaml:3: paths: paths is already given at a.yaml:4; it may be given once`,
		`b.yaml:4: provider: unknown key, did you mean providers?`,
		`b.yaml:6: is a document of another kind (nais.io/v1 Naisjob); a policy has apiVersion postern/v1, or nais.io/v1alpha1 with kind Application`,
		`b.yaml:9: did not find expected node content`,
		`c.yaml: is empty`,
	}, "\n")
	if len(warnings) > 0 || err == nil {
		t.Fatal(warnings, err)
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestParseIsBounded(t *testing.T) {
	t.Parallel()
	bomb := "apiVersion: postern/v1\na: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i <= 'i'; i++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*%c,", i-1), 9))
	}
	for name, test := range map[string]struct{ text, want string }{
		"aliases":       {bomb + "users: {groups: *i}", "users.groups: aliases are not read"},
		"merge keys":    {own("users: &u {allowAll: true}", "idporten: {<<: *u}"), `idporten."<<": merge keys are not read`},
		"quoted merge":  {own(`idporten: {"<<": {level: Level4}}`), "idporten.\"<<\": unknown key"},
		"cycle":         {own("providers: &p [*p]"), "providers[0]: aliases are not read"},
		"size":          {own("# " + strings.Repeat("x", maxFileSize)), "policy.yaml: is larger than 1 MiB"},
		"documents":     {strings.Repeat(own("---\n"), maxDocuments+1), "policy.yaml: holds more than 64 documents"},
		"depth":         {own("users: " + strings.Repeat("[", 100_000)), "exceeded max depth"},
		"objects":       {own("users: " + strings.Repeat("{a: ", 9_000)), "policy.yaml"},
		"many problems": {own("users: {groups: [" + strings.Repeat("1,", 1000) + "]}"), "and 900 more"},
	} {
		if _, _, err := parse(test.text); err == nil || !strings.Contains(err.Error(), test.want) || strings.Count(err.Error(), "\n") > maxProblems {
			t.Errorf("%s: %.300v; want %s", name, err, test.want)
		}
	}
	if _, _, err := parse(strings.Repeat("---\n"+own("")+"\n", maxDocuments)); err != nil {
		t.Errorf("as many documents as may be: %v", err)
	}
}
