package policy

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table of reasons in README.md anew")

// The table of reasons in README.md is made of the texts that callers and authors get. `go test ./proxy/policy -run TestReasonTable -update`
// writes it anew.
func TestReasonTable(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- reasons: generated, see reason_table_test.go -->\n", "<!-- end of reasons -->\n"
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(readme), begin)
	have, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatal("README.md has no place for the table")
	}
	want := reasonTable()
	if *update {
		if err := os.WriteFile("README.md", []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("README.md is not what the code says; `go test ./proxy/policy -run TestReasonTable -update` writes it anew\n%s", diff)
	}
}

func reasonTable() string {
	answers := map[Class]string{
		Unauthenticated: "401, or login", InvalidToken: "401 `invalid_token`", InsufficientLevel: "401 `insufficient_user_authentication`",
		Method: "405", InsufficientScope: "403 `insufficient_scope`",
	}
	var b strings.Builder
	b.WriteString("| `reason` | Answer | What the caller is told | What the policy's author can do |\n|---|---|---|---|\n")
	for r := Allowed + 1; r < reasons; r++ {
		b.WriteString("| `" + r.Code() + "` | " + answers[r.Class()] + " | " + r.Description() + " | " + r.Advice() + " |\n")
	}
	return b.String()
}
