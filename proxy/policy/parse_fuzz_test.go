package policy

import (
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// FuzzParse: whatever a file holds, it is refused in lines that one can print, or no rule in it is without effect.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"contract.yaml", "nais-complete.yaml", "nais-former.yaml"} {
		f.Add(testdata(f, name).Data)
	}
	for _, text := range []string{
		"", "a: &a [*a]", "? [a]\n: b", "%YAML 1.1\n---\n<<: 1", own(`paths: [{match: "/{a,b}/**", methods: [get], require: {level: Level3}}]`),
		own(`entra: {tenants: [43451d82-19cd-4828-918d-cbf7d5b572ec]}`, `tokenx: {idps: ["https://a"]}`, `maskinporten: {scopes: [{name: æ}]}`),
		own(`app: {cluster: c}`, `---`) + own(`providers: [{name: a, clients: [b], scopes: [c]}]`), "\xff\xfea\x00", "{\"apiVersion\":\"postern/v1\"}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		files := []File{{"policy.yaml", data}}
		doc, warnings, err := Parse(files, "c", "")
		if err != nil {
			warnings = append(warnings, strings.Split(err.Error(), "\n")...)
		}
		for _, line := range warnings {
			if !strings.HasPrefix(line, "policy.yaml:") && !strings.HasPrefix(line, "and ") || strings.ContainsFunc(line, unicode.IsControl) {
				t.Fatalf("%q", line)
			}
		}
		again, _, _ := Parse(files, "c", "")
		if diff := cmp.Diff(doc, again); diff != "" {
			t.Fatal(diff)
		}
		if doc != nil {
			checkEffect(t, doc)
		}
	})
}

func checkEffect(t *testing.T, doc *Document) {
	t.Helper()
	for _, rule := range doc.Paths {
		if rule.Public == (rule.Require != nil) || !strings.HasPrefix(rule.Match, "/") || rule.Where == "" {
			t.Fatalf("%+v", rule)
		}
		if _, err := CompileGlobs([]string{rule.Match}); err != nil {
			t.Fatal(err)
		}
		if r := rule.Require; r != nil && cmp.Equal(*r, Require{}) {
			t.Fatalf("%+v requires nothing", rule)
		}
	}
	for _, rule := range doc.Rules {
		if strings.Count(rule.App.String(), ":") != 2 || strings.Contains("::"+rule.App.String()+":", ":::") || strings.Contains(rule.App.String(), "*") {
			t.Fatalf("%+v", rule)
		}
		if rule.App.Cluster == "" || rule.App.Namespace == "" {
			t.Fatalf("%+v is not complete", rule)
		}
	}
	for _, rule := range doc.Providers {
		if rule.Name == "" || !rule.AllowAll && len(rule.Groups)+len(rule.Clients)+len(rule.Scopes) == 0 {
			t.Fatalf("%+v", rule)
		}
	}
	if doc.Maskinporten != nil {
		for _, scope := range doc.Maskinporten.Scopes {
			if scope.Name == "" {
				t.Fatalf("%+v", scope)
			}
		}
	}
}
