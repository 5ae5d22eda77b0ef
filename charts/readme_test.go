package charts

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// property is as much of the schema as tells which values there are.
type property struct {
	Properties           map[string]property
	AdditionalProperties any
	Ref                  string `json:"$ref"`
	Type                 string
}

// TestReadmeHasEveryValue keeps schema, values and README together: each value of the schema has a default and a comment in values.yaml, nothing
// else has, and the README's table is made of them. `go test ./charts -update` writes it.
func TestReadmeHasEveryValue(t *testing.T) {
	t.Parallel()
	read := func(name string) []byte {
		t.Helper()
		text, err := os.ReadFile(chart + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var schema property
	if err := json.Unmarshal(read("values.schema.json"), &schema); err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(read("values.yaml"), &document); err != nil {
		t.Fatal(err)
	}
	delete(schema.Properties, "global") // Helm's own
	var rows []string
	compare(t, schema, document.Content[0], "", &rows)
	if len(rows) < 40 {
		t.Fatalf("only %d values", len(rows))
	}
	const begin, end = "<!-- values -->\n", "<!-- end of values -->\n"
	readme := string(read("README.md"))
	head, rest, found := strings.Cut(readme, begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatal("README.md has no place for the values")
	}
	want := head + begin + "| Value | Default | Meaning |\n|---|---|---|\n" + strings.Join(rows, "") + end + tail
	if readme == want {
		return
	}
	if !*update {
		t.Fatal("the table of README.md is not what values.yaml says: go test ./charts -run Readme -update")
	}
	if err := os.WriteFile(chart+"/README.md", []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

func compare(t *testing.T, schema property, values *yaml.Node, prefix string, rows *[]string) {
	t.Helper()
	var seen []string
	for i := 0; i < len(values.Content); i += 2 {
		key, value := values.Content[i], values.Content[i+1]
		name := prefix + key.Value
		seen = append(seen, key.Value)
		known, is := schema.Properties[key.Value]
		switch {
		case !is:
			t.Errorf("%s is not in the schema", name)
		case len(known.Properties) > 0 && known.AdditionalProperties != false:
			t.Errorf("%s: the schema lets typos pass", name)
		case len(known.Properties) > 0 && key.Value != "resources" && key.Value != "affinity":
			compare(t, known, value, name+".", rows)
		case key.HeadComment == "":
			t.Errorf("%s has no comment", name)
		default:
			*rows = append(*rows, fmt.Sprintf("| `%s` | `%s` | %s |\n", name, inline(t, value), meaning(key.HeadComment)))
		}
	}
	for name := range schema.Properties {
		if !slices.Contains(seen, name) {
			t.Errorf("%s%s has no default in values.yaml", prefix, name)
		}
	}
}

func meaning(comment string) string {
	lines := strings.Split(comment, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(strings.TrimPrefix(line, "#"))
	}
	return strings.ReplaceAll(strings.Join(lines, " "), "|", `\|`)
}

func inline(t *testing.T, value *yaml.Node) string {
	t.Helper()
	var plain any
	if err := value.Decode(&plain); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
