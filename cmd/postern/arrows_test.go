package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// The arrows of the house: cmd → proxy → {session, obo} → oidc → config. Each room may import what stands here, and itself.
var arrows = map[string][]string{
	"config":  {},
	"oidc":    {"config"},
	"session": {"oidc", "config"},
	"obo":     {"oidc", "config"},
	"proxy":   {"session", "obo", "oidc", "config"},
	"cmd":     {"proxy", "session", "obo", "oidc", "config"},
	"charts":  {"cmd", "config"}, // tests of the chart alone, against the injector
}

// Packages that are narrower than their room: who may import them, and what they may import.
var (
	narrow    = map[string][]string{"proxy/policy": {"oidc"}, "proxy/pages": nil} // import nothing else of the module
	testsOnly = []string{"oidc/devidp", "session/storetest", "session/redistest", "cmd/postern/e2e", "charts/series"}
	injector  = "cmd/postern-injector" // knows of the house only what the operator may say
	devIdP    = "oidc/devidp"          // the one of them that cmd may import too: it is what `postern demo` and `postern idp` run
)

const (
	modulePath = "postern"
	goOIDC     = "github.com/coreos/go-oidc/v3/oidc"
	comparing  = "cmd/postern/bench/verifying.go" // measures what that library takes, beside Postern
	jwx        = "github.com/lestrrat-go/jwx/"
)

func TestImportArrows(t *testing.T) {
	t.Parallel()
	bad, files, err := forbidden(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("only %d files were looked at: the walk misses the module", files)
	}
	for _, b := range bad {
		t.Error(b)
	}
}

// The binary's own dependencies, all the way down, as the linker sees them.
func TestBinaryLinksNoTestToolsAndNoKubernetes(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	linked := strings.Fields(string(out))
	never := []string{
		"k8s.io/", "sigs.k8s.io/", "testing", "github.com/chromedp/", "github.com/alicebob/", "postern/session/storetest", "postern/session/redistest",
		"postern/cmd/postern/e2e", "google.golang.org/grpc/", "google.golang.org/grpc", "go.opentelemetry.io/",
	}
	if !slices.Contains(linked, "net/http") {
		t.Fatal("go list -deps does not even name net/http")
	}
	for _, pkg := range linked {
		for _, n := range never {
			if pkg == n || strings.HasSuffix(n, "/") && strings.HasPrefix(pkg, n) {
				t.Errorf("the binary links %s", pkg)
			}
		}
	}
}

// forbidden walks a module and says which files break the arrows, and how many it looked at.
func forbidden(module fs.FS) (bad []string, files int, err error) {
	err = fs.WalkDir(module, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != "." && (base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		source, err := fs.ReadFile(module, name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		f := sourceFile{name: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go")}
		f.room, _, _ = strings.Cut(f.pkg, "/")
		for _, why := range f.check(parsed) {
			bad = append(bad, name+": "+why)
		}
		return nil
	})
	return bad, files, err
}

type sourceFile struct {
	name, pkg, room string
	test            bool
}

func (f sourceFile) check(parsed *ast.File) (bad []string) {
	oidcName := ""
	if f.pkg == "oidc" {
		oidcName = "." // its own names need no qualifier
	}
	for _, spec := range parsed.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return []string{err.Error()}
		}
		alias := ""
		if spec.Name != nil {
			alias = spec.Name.Name
		}
		if inside, ok := strings.CutPrefix(target, modulePath+"/"); ok {
			if why := f.inside(inside); why != "" {
				bad = append(bad, why)
			}
			if alias == "." {
				bad = append(bad, "dot import of "+inside)
			}
			if inside == "oidc" {
				oidcName = cmp.Or(alias, "oidc")
			}
			continue
		}
		if why := f.outside(target, alias); why != "" {
			bad = append(bad, why)
		}
	}
	if oidcName != "" && f.room != "session" && !f.test && restores(parsed, oidcName) {
		bad = append(bad, "oidc.RestoreIdentity is for session alone: an identity comes from a verified token or a sealed record")
	}
	return bad
}

// inside judges the import of a package of this module, named without the module path.
func (f sourceFile) inside(target string) string {
	room, _, _ := strings.Cut(target, "/")
	allowed, known := arrows[f.room]
	switch {
	case !known:
		return fmt.Sprintf("room %q is not in the house", f.room)
	case f.isNarrow() && target != f.pkg && !slices.Contains(narrow[f.pkg], target):
		return fmt.Sprintf("%s must not know %s", f.pkg, target)
	case slices.Contains(testsOnly, target) && !f.test && f.pkg != target && !(slices.Contains(testsOnly, f.pkg) && f.pkg != devIdP) && (target != devIdP || f.room != "cmd"):
		return fmt.Sprintf("%s is for tests, but this is none", target)
	case slices.Contains(testsOnly, target) && f.test:
		return "" // a test may use them wherever it stands; the compiler refuses cycles
	case f.ofInjector() && !f.test && !within(f.pkg, injector+"/e2e") && target != "config" && !within(target, injector):
		return fmt.Sprintf("the injector knows config and itself, not %s", target)
	case !f.ofInjector() && f.room != "charts" && within(target, injector):
		return fmt.Sprintf("%s is for the injector alone", target)
	case room != f.room && !slices.Contains(allowed, room):
		return fmt.Sprintf("%s must not know %s", f.room, target)
	}
	return ""
}

func (f sourceFile) ofInjector() bool { return within(f.pkg, injector) }

func within(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }

func (f sourceFile) isNarrow() bool {
	_, is := narrow[f.pkg]
	return is
}

// outside judges the import of somebody else's package.
func (f sourceFile) outside(target, alias string) string {
	switch {
	case target == goOIDC && f.room != "oidc" && f.name != comparing:
		return "go-oidc is for oidc alone"
	case target == goOIDC && alias != "gooidc":
		return "go-oidc is imported as gooidc"
	case !f.ofInjector() && (strings.HasPrefix(target, "k8s.io/") || strings.HasPrefix(target, "sigs.k8s.io/")):
		return "Kubernetes is for the injector alone"
	case strings.HasPrefix(target, "k8s.io/client-go/") || strings.HasPrefix(target, "sigs.k8s.io/controller-runtime/"):
		return "the injector speaks to Kubernetes over net/http"
	case strings.HasPrefix(target, jwx) && f.name != "oidc/jose.go" && f.pkg != devIdP && !f.test:
		return "jwx is for oidc/jose.go alone"
	}
	return ""
}

// restores says whether a file uses RestoreIdentity, by the name that package oidc has in it ("." in oidc itself).
func restores(parsed *ast.File, oidcName string) (found bool) {
	const restore = "RestoreIdentity"
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == restore { // its definition is no use of it
				return false
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			found = found || ok && x.Name == oidcName && n.Sel.Name == restore
		case *ast.Ident:
			found = found || oidcName == "." && n.Name == restore
		}
		return true
	})
	return found
}

// A house in which every arrow is broken once, and the neighbours that are allowed: the check must name each of the first and none of the others.
func TestImportArrowsFindEveryBrokenOne(t *testing.T) {
	t.Parallel()
	file := func(lines ...string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("package x\n" + strings.Join(lines, "\n") + "\n")}
	}
	imports := func(path string) *fstest.MapFile { return file("import " + path) }
	broken := fstest.MapFS{
		"config/a.go":            imports(`"postern/oidc"`),
		"oidc/a.go":              imports(`"postern/session"`),
		"oidc/a_test.go":         imports(`"postern/proxy"`),
		"oidc/b.go":              imports(`"postern/oidc/devidp"`),
		"oidc/c.go":              imports(`"github.com/coreos/go-oidc/v3/oidc"`),
		"oidc/d.go":              imports(`"github.com/lestrrat-go/jwx/v2/jwt"`),
		"oidc/e.go":              file("func RestoreIdentity() {}", "func f() { RestoreIdentity() }"),
		"session/a.go":           imports(`"postern/obo"`),
		"session/b.go":           imports(`gooidc "github.com/coreos/go-oidc/v3/oidc"`),
		"session/c.go":           imports(`"postern/session/storetest"`),
		"oidc/devidp/a.go":       imports(`"postern/session/redistest"`),
		"obo/a.go":               imports(`"postern/session"`),
		"obo/b.go":               imports(`. "postern/oidc"`),
		"proxy/a.go":             imports(`"postern/cmd/postern"`),
		"proxy/b.go":             imports(`"postern/oidc/devidp"`),
		"proxy/c.go":             file(`import who "postern/oidc"`, "func f() { who.RestoreIdentity() }"),
		"proxy/d.go":             file(`import "postern/oidc"`, "var f = oidc.RestoreIdentity"),
		"proxy/policy/a.go":      imports(`"postern/config"`),
		"proxy/pages/a.go":       imports(`"postern/proxy"`),
		"cmd/postern/a.go":       imports(`"postern/cmd/postern/e2e"`),
		"cmd/postern/b.go":       imports(`"github.com/lestrrat-go/jwx/v2/jwk"`),
		"util/a.go":              imports(`"postern/config"`),
		"proxy/policy/b_test.go": imports(`"postern/proxy"`),

		"cmd/postern/d.go":                  imports(`"postern/cmd/postern-injector/inject"`),
		"cmd/postern/e.go":                  imports(`"k8s.io/api/core/v1"`),
		"proxy/f.go":                        imports(`"sigs.k8s.io/yaml"`),
		"config/b_test.go":                  imports(`"k8s.io/apimachinery/pkg/api/resource"`),
		"cmd/postern-injector/a.go":         imports(`"postern/oidc"`),
		"cmd/postern-injector/inject/a.go":  imports(`"postern/proxy/policy"`),
		"cmd/postern-injector/kube/a.go":    imports(`"k8s.io/client-go/rest"`),
		"cmd/postern-injector/webhook/a.go": imports(`"postern/cmd/postern/e2e"`),
	}
	sound := fstest.MapFS{
		"oidc/jose.go":         imports(`"github.com/lestrrat-go/jwx/v2/jwk"`),
		"oidc/f.go":            file(`import gooidc "github.com/coreos/go-oidc/v3/oidc"`, `import "postern/config"`, "func RestoreIdentity() {}"),
		"oidc/f_test.go":       imports(`"postern/oidc/devidp"`),
		"oidc/devidp/a.go":     file(`import "postern/config"`, `import "github.com/lestrrat-go/jwx/v2/jws"`),
		"session/d.go":         file(`import "postern/oidc"`, "func f() { oidc.RestoreIdentity() }"),
		"session/d_test.go":    file(`import "postern/session/storetest"`, `import "github.com/lestrrat-go/jwx/v2/jwt"`),
		"proxy/e.go":           file(`import "postern/session"`, `import "postern/proxy/policy"`, `import "postern/obo/tokenapi"`),
		"proxy/e_test.go":      file(`import "postern/oidc"`, "func f() { oidc.RestoreIdentity() }"),
		"cmd/postern/c.go":     file(`import "postern/oidc/devidp"`, `import "postern/proxy"`),
		"cmd/postern/e2e/a.go": imports(`"postern/session/redistest"`),

		"cmd/postern-injector/b.go":          file(`import "postern/config"`, `import "postern/cmd/postern-injector/inject"`),
		"cmd/postern-injector/inject/b.go":   file(`import "postern/config"`, `import corev1 "k8s.io/api/core/v1"`),
		"cmd/postern-injector/e2e/a_test.go": imports(`"postern/oidc/devidp"`),
		"cmd/x/testdata/a.go":                imports(`"postern/nowhere"`),
		".ci/tool/a.go":                      imports(`"postern/nowhere"`),
	}
	bad, files, err := forbidden(broken)
	if err != nil || files != len(broken) {
		t.Fatalf("%d files, %v", files, err)
	}
	for name := range broken {
		if !slices.ContainsFunc(bad, func(b string) bool { return strings.HasPrefix(b, name+": ") }) {
			t.Errorf("%s was let pass", name)
		}
	}
	if bad, _, err := forbidden(sound); err != nil || len(bad) != 0 {
		t.Errorf("sound files were refused: %q, %v", bad, err)
	}
}
