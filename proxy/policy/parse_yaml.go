package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// unreadable is why the rest of a file could not be read.
type unreadable struct {
	line int // 0: unknown
	text string
}

// decodeYAML returns the documents of a file, without the empty ones between separators. What stands before a syntax error is returned beside it.
func decodeYAML(data []byte) (documents []*yaml.Node, wrong *unreadable) {
	// The parser reports what it meets and does not expect as a panic of its own ("please report").
	defer func() {
		if recover() != nil {
			wrong = &unreadable{text: "is not read by the YAML parser"}
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for range maxDocuments + 1 { // the last call finds the end
		var document yaml.Node
		switch err := decoder.Decode(&document); {
		case errors.Is(err, io.EOF):
			return documents, nil
		case err != nil:
			return documents, syntax(err)
		}
		if len(document.Content) == 1 && !isNull(document.Content[0]) {
			documents = append(documents, document.Content[0])
		}
	}
	return documents, &unreadable{text: fmt.Sprintf("holds more than %d documents", maxDocuments)}
}

// syntax takes the parser's words apart: "yaml: line 3: did not find …".
func syntax(err error) *unreadable {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, rest, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(number); err == nil {
				return &unreadable{line, rest}
			}
		}
	}
	return &unreadable{text: text}
}

// kindOf is "apiVersion kind", as far as the document says so in text.
func kindOf(node *yaml.Node) string {
	said := map[string]string{}
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		said[node.Content[i].Value] = node.Content[i+1].Value
	}
	if said["apiVersion"] == "postern/v1" {
		return "postern/v1" // a kind is an unknown key there
	}
	return strings.TrimSpace(said["apiVersion"] + " " + said["kind"])
}

// source is where values come from.
type source struct {
	notes   *notes
	order   int
	name    string
	lenient bool // a key with nothing is as good as no key, as Kubernetes sees it
}

func (s source) at(line int) place { return place{s.order, s.name, line} }

// value is a part of a document, with the dotted path that names it to the author.
type value struct {
	source
	node *yaml.Node
	path string
}

func (v value) place() place { return v.at(v.node.Line) }

func (v value) problem(format string, args ...any) {
	v.notes.problem(v.place(), "%s", v.says(fmt.Sprintf(format, args...)))
}

func (v value) warn(format string, args ...any) {
	v.notes.warn(v.place(), "%s", v.says(fmt.Sprintf(format, args...)))
}

func (v value) says(text string) string {
	if v.path == "" {
		return text
	}
	return v.path + ": " + text
}

// fields is what an object may hold, and what is done with it.
type fields map[string]func(value)

// unread is a key that is known, and of no interest here.
func unread(value) {}

// object reads a mapping: a key that is not in the table is a problem (S-25).
func (v value) object(table fields, required ...string) {
	v.mapping(table, required, func(key value, name string) {
		if meant, ok := nearest(name, table); ok {
			key.problem("unknown key, did you mean %s?", meant)
		} else {
			key.problem("unknown key; known are %s", strings.Join(sortedKeys(table), ", "))
		}
	})
}

// excerpt reads of a mapping only what is in the table. A key that looks like one of the table is worth a warning.
func (v value) excerpt(table fields, required ...string) {
	v.mapping(table, required, func(key value, name string) {
		if meant, ok := nearest(name, table); ok {
			key.warn("is not read, did you mean %s?", meant)
		}
	})
}

func (v value) mapping(table fields, required []string, unknown func(key value, name string)) {
	if !v.isObject() {
		v.mustBe("an object")
		return
	}
	lines, absent := map[string]int{}, map[string]bool{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		name := v.node.Content[i].Value
		key := v.member(name, v.node.Content[i])
		read, known := table[name]
		switch {
		case key.node.ShortTag() == "!!merge":
			key.problem("merge keys are not read; write out what it stands for")
		case key.node.Kind != yaml.ScalarNode:
			v.problem("has a key that is not text (line %d)", key.node.Line)
		case !known:
			unknown(key, name)
		case lines[name] != 0:
			key.problem("is given twice, first in line %d", lines[name])
		default:
			lines[name] = key.node.Line
			member := value{v.source, v.node.Content[i+1], key.path}
			switch {
			case !isNull(member.node):
				read(member)
			case v.lenient:
				absent[name] = true
			default: // a value that got lost, perhaps
				member.problem("has no value: give it one, or leave the key out")
			}
		}
	}
	for _, name := range required {
		if lines[name] == 0 || absent[name] {
			v.problem("%s is missing", name)
		}
	}
}

func (v value) isObject() bool { return v.node.Kind == yaml.MappingNode }

func (v value) member(name string, node *yaml.Node) value {
	path := quoteOdd(name)
	if v.path != "" {
		path = v.path + "." + path
	}
	return value{v.source, node, path}
}

// list reads a sequence.
func (v value) list(read func(value)) {
	if v.node.Kind != yaml.SequenceNode {
		v.mustBe("a list")
		return
	}
	for i, node := range v.node.Content {
		read(value{v.source, node, fmt.Sprintf("%s[%d]", v.path, i)})
	}
}

// text reads a string; what YAML takes for a number or a date must be quoted, as it may not come back as it was written.
func (v value) text() string {
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!str" {
		v.mustBe("text")
		return ""
	}
	if v.node.Value == "" {
		v.problem("is empty: give it a value, or leave the key out")
	}
	return v.node.Value
}

// flag reads true or false. YAML 1.1's other words for these, such as yes, are text (YAML 1.2 §10.2.1.2).
func (v value) flag() bool {
	truth := strings.ToLower(v.node.Value)
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!bool" || truth != "true" && truth != "false" {
		v.mustBe("true or false")
	}
	return truth == "true"
}

func (v value) mustBe(what string) {
	is := map[string]string{
		"!!map": "an object", "!!seq": "a list", "!!str": "text", "!!bool": "true or false", "!!int": "a number", "!!float": "a number",
		"!!timestamp": "a date", "!!null": "nothing",
	}[v.node.ShortTag()]
	switch {
	case v.node.Kind == yaml.AliasNode:
		v.problem("aliases are not read; write out what it stands for")
	case is == "":
		v.problem("must be %s, without a tag", what)
	case what == "text" && v.node.Kind == yaml.ScalarNode && is != "nothing":
		v.problem("must be text, not %s; put it in quotes", is)
	default:
		v.problem("must be %s, not %s", what, is)
	}
}

// into reads a value into a variable.
func into[T any](to *T, read func(value) T) func(value) {
	return func(v value) { *to = read(v) }
}

// intoNew reads a value that may be absent.
func intoNew[T any](to **T, read func(value) T) func(value) {
	return func(v value) {
		t := read(v)
		*to = &t
	}
}

// eachInto reads a list.
func eachInto[T any](to *[]T, read func(value) T) func(value) {
	return func(v value) {
		v.list(func(v value) { *to = append(*to, read(v)) })
	}
}

// someInto reads a list that would be mistaken for no list at all if it were empty.
func someInto[T any](to *[]T, read func(value) T) func(value) {
	return func(v value) {
		eachInto(to, read)(v)
		if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
			v.problem("is an empty list: name at least one, or leave the key out")
		}
	}
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

func sortedKeys(table fields) []string {
	var keys []string
	for key := range table {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
