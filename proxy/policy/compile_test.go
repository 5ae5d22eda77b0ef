package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/oidc"
)

const written = `apiVersion: postern/v1
app: {cluster: dev-gcp, namespace: team-a, name: my-app}
inbound:
  rules:
    - application: app-a
    - application: app-b
      namespace: team-b
      permissions: {scopes: [orders.read], roles: [orders.write]}
users: {groups: [43451d82-19cd-4828-918d-cbf7d5b572ec]}
maskinporten:
  scopes: [{name: "nav:afp.read", consumers: ["123456789"]}]
providers:
  - {name: partner, clients: [batch-1], scopes: [partner.read]}
paths:
  - {match: "/isalive", public: true}
  - {match: "/public/**", public: true}
  - {match: "/orders/**", methods: [POST], require: {scopes: [orders.write], roles: [orders.write]}}
`

func TestLoad(t *testing.T) {
	t.Parallel()
	files := []File{{Name: "policy.yaml", Data: []byte(written)}}
	p, warnings, err := Load(files, Settings{TokenXClientID: "dev-gcp:team-a:my-app"})
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	if got := p.App().String(); got != "dev-gcp:team-a:my-app" {
		t.Errorf("App is %q", got)
	}
	if got := p.PublicPatterns(); !slices.Equal(got, []string{"/isalive", "/public/**"}) {
		t.Errorf("PublicPatterns are %q", got)
	}
	if got, want := p.Scopes(), []string{"defaultaccess", "nav:afp.read", "orders.read", "orders.write", "partner.read"}; !slices.Equal(got, want) {
		t.Errorf("Scopes are %q; want %q", got, want)
	}
	caller := entraApp(appB, "access_as_application", "orders.write")
	if d := ask(t, p, "POST", "/orders/1", &caller); d.Outcome != Admitted || d.Rule != `paths "/orders/**"` {
		t.Errorf("%+v", d)
	}
	if d := ask(t, p, "DELETE", "/orders/1", &caller); d.Reason != MethodNotNamed {
		t.Errorf("%+v", d)
	}
	if _, _, err := Load([]File{{Name: "policy.yaml", Data: []byte(written + "pahts: []\n")}}, Settings{}); err == nil {
		t.Error("an unknown key loads (S-25)")
	}
	if _, _, err := Load([]File{{Name: "policy.yaml", Data: []byte(strings.Replace(written, "/isalive", "/is[/]alive", 1))}}, Settings{}); err == nil {
		t.Error("a pattern that cannot be matched loads")
	}
}

func TestHashTellsContentsApart(t *testing.T) {
	t.Parallel()
	file := func(name, data string) File { return File{Name: name, Data: []byte(data)} }
	one := HashFiles([]File{file("a", written)})
	if len(one) != 16 || one != HashFiles([]File{file("b", written)}) {
		t.Errorf("%q depends on the file's name", one)
	}
	if one == HashFiles([]File{file("a", written+"\n")}) || HashFiles([]File{file("", "ab"), file("", "c")}) == HashFiles([]File{file("", "a"), file("", "bc")}) {
		t.Error("other contents have the same hash")
	}
	if WithoutFile(Settings{}).Hash() != "" || HashFiles(nil) != "" {
		t.Error("no files have a hash")
	}
}

func TestNilPolicyRefuses(t *testing.T) {
	t.Parallel()
	var none *Policy
	p := withPaths(t, public("/**"))
	path := mustRead(t, "/x")
	noRoute, route := none.Route(Request{Path: path, Method: "GET"}), p.Route(Request{Path: path, Method: "GET"})
	for name, d := range map[string]Decision{
		"no policy": none.Decide(&route, insider()), "a route of none": p.Decide(&noRoute, insider()), "no route": p.Decide(nil, insider()),
		"the zero route": p.Decide(&Route{}, nil), "explained": none.Explain(Request{Path: path}, nil).Decision,
	} {
		if d.Outcome != Refused || d.Reason != NoPolicy {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if none.App() != (App{}) || none.Hash() != "" || none.PublicPatterns() != nil || none.Scopes() != nil || (*Route)(nil).Public() {
		t.Error("nil has properties")
	}
}

// A request that began under one policy ends under it, whatever is loaded meanwhile.
func TestRouteIsDecidedByItsPolicy(t *testing.T) {
	t.Parallel()
	former, later := withPaths(t, narrowed("/a", Require{Groups: []string{adminGroup}})), withPaths(t)
	route := former.Route(Request{Path: mustRead(t, "/a"), Method: "GET"})
	if d := later.Decide(&route, outsider()); d.Outcome != Refused {
		t.Errorf("%+v", d)
	}
}

func TestCompileListsAllProblems(t *testing.T) {
	t.Parallel()
	_, _, err := compile(&Document{
		Rules:     []InboundRule{{Where: "rule 1", App: App{"", "n", "a"}}},
		Providers: []ProviderRule{{Where: "provider 1"}},
		Paths: []PathRule{
			{Where: "path 1", Match: "/a"},
			{Where: "path 2", Match: "/a", Public: true, Require: &Require{}},
			{Where: "path 3", Match: "/a[", Public: true},
			{Where: "path 4", Match: "/a", Require: &Require{Kind: "robot"}},
		},
	}, Settings{})
	for _, want := range []string{"rule 1", "provider 1", "path 1", "path 2", "path 3", "path 4"} {
		if err == nil || !strings.Contains(err.Error(), want+":") {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	if _, _, err := compile(nil, Settings{}); err == nil {
		t.Error("no document compiles")
	}
}

func TestCompileWarnsOfWhatNeverApplies(t *testing.T) {
	t.Parallel()
	enabled := Settings{Providers: []string{oidc.EntraID, oidc.TokenX, "partner"}}
	base := Document{Users: &Users{AllowAll: true}, Rules: rules()[:1]}
	for name, test := range map[string]struct {
		change func(*Document)
		want   []string
	}{
		"nothing":                       {func(*Document) {}, nil},
		"an app that is not known here": {func(d *Document) { d.Rules[0].App.Name = "unheard-of" }, nil},
		"unknown provider": {
			func(d *Document) { d.Providers = []ProviderRule{{Where: "p", Name: "partnr", AllowAll: true}} },
			[]string{"p: no provider of that name is configured, so that it admits nobody"},
		},
		"known provider": {func(d *Document) { d.Providers = []ProviderRule{{Where: "p", Name: "partner", AllowAll: true}} }, nil},
		"unknown provider of a path": {
			func(d *Document) { d.Paths = []PathRule{narrowed("/a", Require{Providers: []string{"openid"}})} },
			[]string{`paths "/a": require.providers: no provider "openid" is configured`},
		},
		"a part that is not enabled": {
			func(d *Document) { d.Maskinporten = &Maskinporten{} },
			[]string{"maskinporten: maskinporten is not enabled here, so that it admits nobody"},
		},
		"only paths": {
			func(d *Document) { *d = Document{Paths: []PathRule{public("/a")}} },
			[]string{"the policy admits no caller at all: it has none of inbound.rules, users, maskinporten, idporten and providers, and paths only narrow what these admit"},
		},
		"public and required": {
			func(d *Document) { d.Paths = []PathRule{public("/{a,b}"), narrowed("/a/", Require{}, "POST")} },
			[]string{`paths "/{a,b}": it is public and required by paths "/a/" for the same path and method, and what requires wins`},
		},
		"public and required for other methods": {func(d *Document) { d.Paths = []PathRule{public("/a", "GET"), narrowed("/a", Require{}, "POST")} }, nil},
		"patterns that differ in case alone": {
			func(d *Document) { d.Paths = []PathRule{narrowed("/a/b", Require{}), narrowed("/A/b.", Require{})} },
			[]string{`paths "/a/b" and paths "/A/b." differ in case, or in dots and spaces at the end, alone: both must hold wherever either matches`},
		},
		"organisations without Maskinporten": {
			func(d *Document) { d.Paths = []PathRule{narrowed("/a", Require{Organizations: []string{"123456789"}})} },
			[]string{`paths "/a": require.organizations is met by Maskinporten alone, which the policy does not speak of`},
		},
		"groups without people": {
			func(d *Document) {
				d.Users, d.Paths = nil, []PathRule{narrowed("/*/a", Require{Groups: []string{adminGroup}})}
			},
			[]string{`paths "/*/a": require.groups is met by users and providers alone, which the policy does not speak of`},
		},
		"roles without apps": {
			func(d *Document) {
				d.Rules, d.Paths = nil, []PathRule{narrowed("/**/a", Require{Roles: []string{"r"}})}
			},
			[]string{`paths "/**/a": require.roles is met by applications of inbound.rules alone, and there are none`},
		},
		"roles of people": {
			func(d *Document) { d.Paths = []PathRule{narrowed("/a", Require{Roles: []string{"r"}, Kind: "user"})} },
			[]string{`paths "/a": require.roles speaks of applications, and kind of users: nobody meets both`},
		},
		"odd levels": {
			func(d *Document) {
				d.IDPorten, d.Paths = &IDPorten{Level: "x"}, []PathRule{narrowed("/a", Require{Level: "y"})}
			},
			[]string{`idporten.level: "x" is no level of ID-porten, so that only an equal acr meets it`, `paths "/a": "y" is no level of ID-porten, so that only an equal acr meets it`},
		},
	} {
		doc := base
		doc.Rules = slices.Clone(base.Rules)
		test.change(&doc)
		_, warnings, err := compile(&doc, enabled)
		if diff := cmp.Diff(test.want, warnings); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}
