package main

import (
	"go/ast"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The error catalogue (contract 8): the tables of the READMEs against what the code can write, in both directions. Each list holds all constants
// that reach the fields; a code that comes about in a way that cannot be followed fails as well.
func TestErrorCatalogue(t *testing.T) {
	t.Parallel()
	s := readSources(t, "./...", "../../proxy/...", "../postern-injector/...")
	f := newFollower(s, s.field(t, "postern/oidc.RefusalError.Code"), s.field(t, "postern/oidc.Health.Reason")) // of a provider, and read from a pointer
	policyCodes := without(f.constants(t, "postern/proxy/policy.reasonTexts.code"), "allowed", "unknown")
	tokenAPI := []string{"invalid_client", "access_denied", "invalid_request", "invalid_token", "server_error"}

	front := table(t, "proxy/README.md", "### Error codes of the front door")
	compare(t, "answers of the front door", front.codes(0), f.constants(t, "postern/proxy.failure.code"))
	compare(t, "reasons of the front door", slices.Concat(front.codes(0), front.codes(0, 1), policyCodes),
		without(f.constants(t, "postern/proxy.failure.reason", "postern/proxy.visit.reason", "postern/proxy.failure.code"), "allowed", "unknown"))
	front.statuses(t, f, "postern/proxy.failure status code", "postern/proxy/forward.Problem Status Code")

	egress := table(t, "proxy/README.md", "### Error codes of egress")
	compare(t, "reasons of egress", slices.Concat(egress.codes(0), []string{"access_denied", "invalid_client"}), f.constants(t, "postern/proxy/egress.failure.reason"))
	egress.statuses(t, f, "postern/proxy/egress.failure status reason")

	compare(t, "reasons of the policy", table(t, "proxy/policy/README.md", "## Why a request is refused").codes(0), policyCodes)
	compare(t, "dependencies", table(t, "proxy/README.md", "### Dependencies in trouble").codes(0),
		slices.Concat(s.constantsNamed(t, "postern/oidc", "reason"), f.constants(t, "postern/oidc.fault.reason", "postern/cmd/postern.dependency.Reason")))

	token := table(t, "obo/README.md", "## Errors")
	compare(t, "errors of the token API", without(token.codes(0), "the provider's own", "Retry-After"), tokenAPI)
	compare(t, "the same in the code", tokenAPI,
		f.constantsIn(t, "postern/obo.ErrorBody.Code", "postern/obo", "postern/obo/tokenapi"), f.constants(t, "postern/obo/guard.Refusal.Code"))
	compare(t, "kinds of the token API", token.codes(1), f.constants(t, "postern/obo/tokenapi.visit.kind"))
	compare(t, "why tokens are inactive", token.codes(2), f.constants(t, "postern/oidc.Introspection.Reason"))
	for _, reason := range f.constants(t, "postern/obo/guard.Refusal.Reason") {
		if !strings.Contains(token.text, "`"+reason+"`") || !slices.Contains(egress.codes(0), "guard_"+reason) {
			t.Errorf("guard: %s is not in the tables of obo and egress", reason)
		}
	}
	compare(t, "admin API", table(t, "proxy/admin/README.md", "# The admin API").codes(1), f.constants(t, "postern/proxy/admin.problem.code"))

	injector := table(t, "cmd/postern-injector/README.md", "## Codes")
	compare(t, "problems of the injector", injector.codes(0), f.constants(t, "postern/cmd/postern-injector/inject.Problem.Code"))
	compare(t, "reasons of the injector", injector.codes(1), f.constants(t, "postern/cmd/postern-injector/webhook.decision.reason"))
	compare(t, "ends of streams", table(t, "proxy/README.md", "## Streams").codesOf(0, 1), f.constants(t, "postern/proxy/forward.Ending.Reason"))
}

func without(all []string, some ...string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool { return slices.Contains(some, one) })
}

// compare takes lists as sets.
func compare(t *testing.T, what string, documented []string, written ...[]string) {
	t.Helper()
	want := slices.Compact(slices.Sorted(slices.Values(slices.Concat(written...))))
	have := slices.Compact(slices.Sorted(slices.Values(documented)))
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("%s: written by the code (-), in the table (+):\n%s", what, diff)
	}
}

// tables are those of one section of a page.
type tables struct {
	name, text string
	rows       [][][]string // of each table, without its head: the cells
}

// table reads the tables between a heading and the next one.
func table(t *testing.T, page, heading string) tables {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", page))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut("\n"+string(text), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s has no %q", page, heading)
	}
	if i := regexp.MustCompile(`(?m)^#+ `).FindStringIndex(section); i != nil {
		section = section[:i[0]]
	}
	found := tables{name: page + " " + heading, text: section}
	var rows [][]string
	for line := range strings.Lines(section + "\n") {
		if strings.HasPrefix(line, "|") {
			rows = append(rows, cells(line))
		} else if len(rows) > 2 {
			found.rows, rows = append(found.rows, rows[2:]), nil
		}
	}
	if len(found.rows) == 0 {
		t.Fatalf("%s has no table", found.name)
	}
	return found
}

func cells(line string) []string {
	row := strings.Split(strings.ReplaceAll(strings.Trim(strings.TrimSpace(line), "|"), `\|`, "\x00"), "|")
	for i := range row {
		row[i] = strings.TrimSpace(strings.ReplaceAll(row[i], "\x00", "|"))
	}
	return row
}

var backquoted = regexp.MustCompile("`([^`]+)`")

// codes are what the first cells of a table have in backquotes, else their words; those of the n-th table, or of the last that is named.
func (s tables) codes(which ...int) []string { return s.codesOf(which[len(which)-1], 0) }

func (s tables) codesOf(number, column int) (all []string) {
	for _, row := range s.rows[number] {
		marked := backquoted.FindAllStringSubmatch(row[column], -1)
		for _, m := range marked {
			all = append(all, m[1])
		}
		if len(marked) == 0 {
			all = append(all, row[column])
		}
	}
	return all
}

// statuses holds the second column of the first table to the statuses that the code gives together with a code. Where one of the two is found out
// only at run time, the table may say more. Each struct is named with the fields of its status and its code.
func (s tables) statuses(t *testing.T, f *follower, structs ...string) {
	t.Helper()
	pairs := map[string]map[string]bool{}
	for _, name := range structs {
		fields := strings.Split(name, " ")
		for one, with := range f.pairs(t, f.field(t, fields[0]+"."+fields[2]), f.field(t, fields[0]+"."+fields[1])) {
			if pairs[one] == nil {
				pairs[one] = map[string]bool{}
			}
			maps.Copy(pairs[one], with)
		}
	}
	number := regexp.MustCompile(`\d{3}`)
	for _, row := range s.rows[0] {
		said := number.FindAllString(row[1], -1)
		if len(said) == 0 {
			t.Errorf("%s: %s has no status", s.name, row[0])
		}
		given := map[string]bool{}
		for _, m := range backquoted.FindAllStringSubmatch(row[0], -1) {
			maps.Copy(given, pairs[m[1]])
		}
		for status := range given {
			if status != unknown && !slices.Contains(said, status) {
				t.Errorf("%s: %s is also answered with %s", s.name, row[0], status)
			}
		}
		for _, status := range said {
			if len(given) > 0 && !given[status] && !given[unknown] {
				t.Errorf("%s: %s is never answered with %s", s.name, row[0], status)
			}
		}
	}
}

// unknown stands for a status that is found out at run time.
const unknown = "?"

// pairs are the constants of one field of a struct, with those that literals give another one along with them: at once, or by parameters of one
// function. A status that comes about in another way is unknown.
func (f *follower) pairs(t *testing.T, of, with *types.Var) map[string]map[string]bool {
	t.Helper()
	found := map[string]map[string]bool{}
	note := func(code, status ast.Expr) {
		codes, err := f.follow(source{expr: code})
		if err != nil {
			t.Error(err)
		}
		known := unknown
		if _, read := ast.Unparen(code).(*ast.SelectorExpr); read { // a code from elsewhere, where it has a status of its own
			status = nil
		}
		if status != nil && f.info.Types[status].Value != nil {
			known = f.info.Types[status].Value.ExactString()
		}
		for code := range codes {
			if found[code] == nil {
				found[code] = map[string]bool{}
			}
			found[code][known] = true
		}
	}
	inLiterals := map[ast.Expr]bool{}
	for _, file := range f.files {
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			code, status := f.member(literal, of), f.member(literal, with)
			if code == nil {
				return true
			}
			inLiterals[code] = true
			if function, codeAt, statusAt := f.parameters(code, status); function != nil {
				for _, call := range f.calls[function] {
					at := status
					if statusAt >= 0 {
						at = call.Args[statusAt]
					}
					note(call.Args[codeAt], at)
				}
			} else {
				note(code, status)
			}
			return true
		})
	}
	for _, from := range f.writes[of] {
		if !inLiterals[from.expr] && from.result == 0 {
			note(from.expr, nil)
		}
	}
	return found
}

// parameters finds the function of which a code is a parameter, and which one; and the status, if that is one too, else -1.
func (f *follower) parameters(code, status ast.Expr) (function *types.Func, codeAt, statusAt int) {
	a, b := f.object(code), f.object(status)
	for callee := range f.calls {
		codeAt, statusAt = -1, -1
		for i := range callee.Signature().Params().Len() {
			switch types.Object(callee.Signature().Params().At(i)) {
			case a:
				codeAt = i
			case b:
				statusAt = i
			}
		}
		if a != nil && codeAt >= 0 {
			return callee, codeAt, statusAt
		}
	}
	return nil, 0, 0
}

// member is what a literal gives a field, or nil.
func (f *follower) member(literal *ast.CompositeLit, of *types.Var) ast.Expr {
	structure, ok := f.info.Types[literal].Type.Underlying().(*types.Struct)
	if !ok || of == nil {
		return nil
	}
	for i, element := range literal.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			if f.info.Uses[pair.Key.(*ast.Ident)] == of {
				return pair.Value
			}
		} else if structure.Field(i) == of {
			return element
		}
	}
	return nil
}
