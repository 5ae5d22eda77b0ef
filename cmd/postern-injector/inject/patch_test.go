package inject_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"postern/cmd/postern-injector/inject"
)

// apply is RFC 6902 as far as the injector uses it: add and test.
func apply(document []byte, patch []inject.Operation) ([]byte, error) {
	root, err := decode(document)
	if err != nil {
		return nil, err
	}
	for _, o := range patch {
		value, err := decode(o.Value)
		if err != nil {
			return nil, err
		}
		if root, err = applyOne(root, o.Op, strings.Split(o.Path, "/")[1:], value); err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Op, o.Path, err)
		}
	}
	return json.Marshal(root)
}

func decode(data []byte) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	return v, d.Decode(&v)
}

func applyOne(node any, op string, path []string, value any) (any, error) {
	if len(path) == 0 {
		if op == "test" && !reflect.DeepEqual(node, value) {
			return nil, errors.New("another value")
		}
		if op == "add" {
			return value, nil
		}
		return node, nil
	}
	name := strings.NewReplacer("~1", "/", "~0", "~").Replace(path[0])
	switch n := node.(type) {
	case map[string]any:
		child, there := n[name]
		if !there && (op != "add" || len(path) > 1) {
			return nil, fmt.Errorf("no member %s", name)
		}
		next, err := applyOne(child, op, path[1:], value)
		if err == nil {
			n[name] = next
		}
		return n, err
	case []any:
		index, err := strconv.Atoi(name)
		switch {
		case op == "add" && len(path) == 1 && name == "-":
			return append(n, value), nil
		case err != nil || index < 0 || index > len(n) || index == len(n) && (op != "add" || len(path) > 1):
			return nil, fmt.Errorf("no element %s", name)
		case op == "add" && len(path) == 1:
			return append(n[:index:index], append([]any{value}, n[index:]...)...), nil
		}
		next, err := applyOne(n[index], op, path[1:], value)
		if err == nil {
			n[index] = next
		}
		return n, err
	}
	return nil, fmt.Errorf("%s is neither object nor list", name)
}

func TestApplierKnowsTheStandard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ document, op, path, value, want string }{
		{`{"a":1}`, "add", "/b", `2`, `{"a":1,"b":2}`},
		{`{"a":1}`, "add", "/a", `2`, `{"a":2}`},
		{`{"a":{}}`, "add", "/a/x~1y~0z", `2`, `{"a":{"x/y~z":2}}`},
		{`{"a":[1,3]}`, "add", "/a/1", `2`, `{"a":[1,2,3]}`},
		{`{"a":[1]}`, "add", "/a/-", `2`, `{"a":[1,2]}`},
		{`{"a":[]}`, "add", "/a/0", `2`, `{"a":[2]}`},
		{`{"a":[]}`, "add", "/a/1", `2`, ""},
		{`{}`, "add", "/a/b", `2`, ""},
		{`{"a":null}`, "add", "/a/b", `2`, ""},
		{`{"a":[{"n":"x"}]}`, "test", "/a/0/n", `"x"`, `{"a":[{"n":"x"}]}`},
		{`{"a":[{"n":"x"}]}`, "test", "/a/0/n", `"y"`, ""},
		{`{"a":[{"n":"x"}]}`, "test", "/a/1/n", `"x"`, ""},
	} {
		got, err := apply([]byte(c.document), []inject.Operation{{Op: c.op, Path: c.path, Value: json.RawMessage(c.value)}})
		if string(got) != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s %s %s: %s, %v; want %q", c.document, c.op, c.path, got, err, c.want)
		}
	}
}
