package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sources is the source of this module with its types, so that a test can say which texts reach a field. See follower.
type sources struct {
	files []*ast.File
	info  *types.Info
	fset  *token.FileSet
	pkgs  map[string]*types.Package
}

// readSources type-checks the packages of the module that the patterns name, without their tests; what they import comes from the build cache.
func readSources(t *testing.T, patterns ...string) *sources {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{
		"list", "-deps", "-export", "-json=ImportPath,Dir,GoFiles,Export,DepOnly,Standard",
	}, patterns...)...).Output()
	if err != nil {
		exit, _ := errors.AsType[*exec.ExitError](err)
		t.Fatalf("go list: %v\n%s", err, exit.Stderr)
	}
	s := &sources{fset: token.NewFileSet(), pkgs: map[string]*types.Package{}, info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{}, Instances: map[*ast.Ident]types.Instance{},
	}}
	exports := map[string]string{}
	compiled := importer.ForCompiler(s.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	imports := importFunc(func(path string) (*types.Package, error) {
		if own := s.pkgs[path]; own != nil {
			return own, nil
		}
		return compiled.Import(path)
	})
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; { // in the order of imports, as go list has it
		var p struct {
			ImportPath, Dir, Export string
			GoFiles                 []string
			DepOnly, Standard       bool
		}
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return s
		case err != nil:
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if p.Standard || p.ImportPath != modulePath && !strings.HasPrefix(p.ImportPath, modulePath+"/") {
			continue
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(s.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		config := types.Config{Importer: imports}
		if s.pkgs[p.ImportPath], err = config.Check(p.ImportPath, s.fset, files, s.info); err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, files...)
	}
}

type importFunc func(string) (*types.Package, error)

func (f importFunc) Import(path string) (*types.Package, error) { return f(path) }

// field finds "postern/proxy.failure.code".
func (s *sources) field(t *testing.T, name string) *types.Var {
	t.Helper()
	slash := strings.LastIndex(name, "/")
	parts := strings.Split(name[slash+1:], ".")
	pkg := s.pkgs[name[:slash+1]+parts[0]]
	if pkg == nil || pkg.Scope().Lookup(parts[1]) == nil {
		t.Fatalf("there is no %s", name)
	}
	of := pkg.Scope().Lookup(parts[1]).Type().Underlying().(*types.Struct)
	for f := range of.Fields() {
		if f.Name() == parts[2] {
			return f
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// follower finds every constant that can reach an expression: through fields, variables, parameters and results, wherever the module
// writes them. What it cannot follow is an error, never silence.
type follower struct {
	*sources
	foreign map[types.Object]bool           // what comes from outside the program: no constant, and no error
	writes  map[types.Object][]source       // every expression that is written to a variable, field or parameter
	returns map[types.Object][][]ast.Expr   // of functions
	calls   map[*types.Func][]*ast.CallExpr // by name
	seen    map[types.Object]bool           // on the way, against cycles
	done    map[types.Object]map[string]int // memory
}

// source is an expression, or one of the results of a call.
type source struct {
	expr   ast.Expr
	result int
}

func newFollower(s *sources, foreign ...types.Object) *follower {
	f := &follower{
		sources: s, foreign: map[types.Object]bool{}, writes: map[types.Object][]source{},
		returns: map[types.Object][][]ast.Expr{}, calls: map[*types.Func][]*ast.CallExpr{}, seen: map[types.Object]bool{}, done: map[types.Object]map[string]int{},
	}
	for _, o := range foreign {
		f.foreign[o] = true
	}
	for _, file := range s.files {
		for _, d := range file.Decls {
			if function, ok := d.(*ast.FuncDecl); ok && function.Body != nil {
				f.gatherReturns(s.info.Defs[function.Name], function.Body)
			}
		}
		ast.Inspect(file, f.gather)
	}
	return f
}

func (f *follower) gatherReturns(of types.Object, body *ast.BlockStmt) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			f.returns[of] = append(f.returns[of], n.Results)
		}
		return true
	})
}

// gather notes what a node writes where.
func (f *follower) gather(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		f.assign(n.Lhs, n.Rhs)
	case *ast.ValueSpec:
		names := make([]ast.Expr, len(n.Names))
		for i, name := range n.Names {
			names[i] = name
		}
		f.assign(names, n.Values)
	case *ast.CompositeLit:
		of, ok := f.info.Types[n].Type.Underlying().(*types.Struct)
		if !ok {
			break
		}
		for i, element := range n.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				f.write(f.info.Uses[pair.Key.(*ast.Ident)], source{expr: pair.Value})
			} else {
				f.write(of.Field(i), source{expr: element})
			}
		}
	case *ast.CallExpr:
		callee := f.callee(n)
		if callee == nil {
			break
		}
		f.calls[callee] = append(f.calls[callee], n)
		parameters := callee.Signature().Params()
		for i, argument := range n.Args {
			if i < parameters.Len() && (!callee.Signature().Variadic() || i < parameters.Len()-1) {
				f.write(parameters.At(i), source{expr: argument})
			}
		}
	}
	return true
}

func (f *follower) assign(left, right []ast.Expr) {
	for i, to := range left {
		switch {
		case len(left) == len(right):
			f.write(f.object(to), source{expr: right[i]})
		case len(right) == 1:
			f.write(f.object(to), source{right[0], i})
		}
	}
}

func (f *follower) write(to types.Object, from source) {
	if to != nil {
		f.writes[origin(to)] = append(f.writes[origin(to)], from)
	}
}

// object is the variable or field that an expression names, or nil.
func (f *follower) object(e ast.Expr) types.Object {
	if e == nil {
		return nil
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		if o := f.info.Defs[e]; o != nil {
			return o
		}
		return f.info.Uses[e]
	case *ast.SelectorExpr:
		return f.info.Uses[e.Sel]
	}
	return nil
}

func (f *follower) callee(call *ast.CallExpr) *types.Func {
	function, _ := f.object(call.Fun).(*types.Func)
	if function != nil {
		function = function.Origin()
	}
	return function
}

func origin(o types.Object) types.Object {
	if v, ok := o.(*types.Var); ok {
		return v.Origin()
	}
	return o
}

// reaching is every constant that is ever written to a variable or field, and how often.
func (f *follower) reaching(o types.Object) (map[string]int, error) {
	o = origin(o)
	if known, ok := f.done[o]; ok {
		return known, nil
	}
	found := map[string]int{}
	if f.foreign[o] || f.seen[o] {
		return found, nil
	}
	f.seen[o] = true
	defer delete(f.seen, o)
	for _, from := range f.writes[o] {
		more, err := f.follow(from)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.Name(), err)
		}
		for text := range more {
			found[text]++
		}
	}
	if len(f.seen) == 1 { // else a cycle may have cut something off
		f.done[o] = found
	}
	return found, nil
}

func (f *follower) follow(from source) (map[string]int, error) {
	e := ast.Unparen(from.expr)
	if value := f.info.Types[e].Value; value != nil {
		if value.Kind() == constant.String {
			return map[string]int{constant.StringVal(value): 1}, nil
		}
		return map[string]int{value.ExactString(): 1}, nil
	}
	lost := fmt.Errorf("%s: cannot be followed", f.fset.Position(e.Pos()))
	switch e := e.(type) {
	case *ast.Ident, *ast.SelectorExpr:
		o := f.object(e)
		if v, ok := o.(*types.Var); !ok || len(f.writes[origin(v)]) == 0 && !v.IsField() && !f.foreign[origin(v)] {
			return nil, lost
		}
		return f.reaching(o)
	case *ast.IndexExpr: // any of its elements
		return f.elements(e.X, lost)
	case *ast.BinaryExpr:
		return f.joined(e)
	case *ast.CallExpr:
		return f.called(e, from.result, lost)
	}
	return nil, lost
}

func (f *follower) joined(e *ast.BinaryExpr) (map[string]int, error) {
	left, err := f.follow(source{expr: e.X})
	if err != nil {
		return nil, err
	}
	right, err := f.follow(source{expr: e.Y})
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for l := range left {
		for r := range right {
			found[l+r]++
		}
	}
	return found, nil
}

func (f *follower) called(call *ast.CallExpr, result int, lost error) (map[string]int, error) {
	var from []source
	switch callee := f.callee(call); {
	case f.info.Types[call.Fun].IsType(): // a conversion
		from = []source{{expr: call.Args[0]}}
	case callee == nil:
		return nil, lost
	case callee.FullName() == "cmp.Or":
		for _, argument := range call.Args {
			from = append(from, source{expr: argument})
		}
	case f.foreign[callee]:
		return nil, nil
	case len(f.returns[callee]) == 0:
		return nil, lost
	default:
		for _, results := range f.returns[callee] {
			if len(results) == 1 && callee.Signature().Results().Len() > 1 {
				from = append(from, source{results[0], result})
			} else {
				from = append(from, source{expr: results[result]})
			}
		}
	}
	found := map[string]int{}
	for _, s := range from {
		more, err := f.follow(s)
		if err != nil {
			return nil, err
		}
		maps.Copy(found, more)
	}
	return found, nil
}

// elements follows a composite literal that a variable was made with.
func (f *follower) elements(of ast.Expr, lost error) (map[string]int, error) {
	found := map[string]int{}
	for _, from := range f.writes[origin(f.object(of))] {
		literal, ok := ast.Unparen(from.expr).(*ast.CompositeLit)
		if !ok {
			return nil, lost
		}
		for _, element := range literal.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				element = pair.Value
			}
			more, err := f.follow(source{expr: element})
			if err != nil {
				return nil, err
			}
			maps.Copy(found, more)
		}
	}
	return found, nil
}

// constantsIn are those that some packages alone write to a field which others use as well.
func (f *follower) constantsIn(t *testing.T, field string, packages ...string) []string {
	t.Helper()
	found := map[string]int{}
	for _, from := range f.writes[f.field(t, field)] {
		if !slices.ContainsFunc(packages, func(path string) bool { return f.within(from.expr.Pos(), path) }) {
			continue
		}
		more, err := f.follow(from)
		if err != nil {
			t.Errorf("%s: %v", field, err)
		}
		maps.Copy(found, more)
	}
	delete(found, "")
	return slices.Sorted(maps.Keys(found))
}

func (f *follower) within(p token.Pos, path string) bool {
	return strings.HasSuffix(filepath.Dir(f.fset.Position(p).Filename), strings.TrimPrefix(path, modulePath))
}

// constantsNamed are the values of a package's constants whose names begin so.
func (s *sources) constantsNamed(t *testing.T, path, prefix string) (values []string) {
	t.Helper()
	scope := s.pkgs[path].Scope()
	for _, name := range scope.Names() {
		if c, ok := scope.Lookup(name).(*types.Const); ok && strings.HasPrefix(name, prefix) {
			values = append(values, constant.StringVal(c.Val()))
		}
	}
	if len(values) == 0 {
		t.Errorf("%s has no constants %s…", path, prefix)
	}
	return values
}

// constants are the texts that reach the fields, without the empty one.
func (f *follower) constants(t *testing.T, fields ...string) []string {
	t.Helper()
	found := map[string]int{}
	for _, name := range fields {
		more, err := f.reaching(f.field(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(more) == 0 {
			t.Errorf("%s: nothing is ever written there", name)
		}
		maps.Copy(found, more)
	}
	delete(found, "")
	return slices.Sorted(maps.Keys(found))
}
