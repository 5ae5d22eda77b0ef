package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readConfigFile offers what the file of --config says.
func (l *loader) readConfigFile() {
	path := l.config
	if path == "" {
		return
	}
	data, err := l.read(path)
	switch {
	case err != nil:
		l.problem("config", "read %s: %v", path, withoutPath(err))
		return
	case len(data) > maxFile:
		l.problem("config", "read %s: %v", path, errTooLarge)
		return
	}
	root, err := parseYAML(data)
	switch {
	case err != nil:
		l.problem("config", "file %s %v", path, err)
	case root == nil:
	case root.Kind != yaml.MappingNode:
		l.problem("config", "file %s must hold options as keys and values", path)
	default:
		f := &fileReader{loader: l, path: path, lines: map[string]int{}}
		f.walk(root, "")
	}
}

// parseYAML reads the one document of a text; nil if it is empty. Aliases are refused: nothing here needs them, and they are how a small
// file becomes a large one. The parser's own messages can quote the text, so only the line is kept.
func parseYAML(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, invalidYAML(err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, fmt.Errorf("must hold one YAML document, a second one starts at line %d", second.Line)
	case !errors.Is(err, io.EOF):
		return nil, invalidYAML(err)
	}
	if len(document.Content) == 0 {
		return nil, nil
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" && root.Anchor == "" {
		return nil, nil
	}
	return root, refuseAliases(root)
}

func invalidYAML(err error) error {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("must be valid YAML (line %s)", m[1])
	}
	return errors.New("must be valid YAML")
}

var yamlLine = regexp.MustCompile(`line (\d{1,7})`)

func refuseAliases(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return fmt.Errorf("must not use YAML anchors and aliases (line %d)", n.Line)
	}
	for _, child := range n.Content {
		if err := refuseAliases(child); err != nil {
			return err
		}
	}
	return nil
}

// fileReader walks the file's keys. yaml.v3 notices neither unknown nor doubled keys in a tree of nodes, so it is done here.
type fileReader struct {
	*loader
	path  string
	lines map[string]int // where an option was given
}

// walk reads one mapping. A key may be a whole dotted name or a part of one, at any level: `csrf` is an option and also the first
// part of `csrf.trusted-origins`, so one of the two needs the dot.
func (f *fileReader) walk(mapping *yaml.Node, prefix string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			f.problem("config", "key in line %d of file %s is no text", key.Line, f.path)
			continue
		}
		f.entry(key, value, prefix+key.Value)
	}
}

func (f *fileReader) entry(key, value *yaml.Node, name string) {
	o, known := f.byName[name]
	known = known && !o.variable && !o.flagOnly
	switch section := f.isSection(name); {
	case section && value.Kind == yaml.MappingNode:
		f.walk(value, name+".")
	case section && !known && value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null":
		// an empty section says nothing
	case section && !known:
		f.problem(name, "holds further options, not a value (line %d of file %s)", value.Line, f.path)
	case known:
		f.take(o, key, value)
	case o != nil && o.flagOnly:
		f.problem(name, "cannot stand in the file (line %d of file %s)", key.Line, f.path)
	default:
		f.unknown(key, name)
	}
}

func (f *fileReader) take(o *option, key, value *yaml.Node) {
	if line, twice := f.lines[o.name]; twice {
		f.problem(o.name, "given twice, in line %d and line %d of file %s", line, key.Line, f.path)
		return
	}
	f.lines[o.name] = key.Line
	f.offer(o, candidate{
		origin: origin{rank: byFile, label: "file " + f.path, line: value.Line},
		set:    func(o *option) error { return o.fromNode(value) },
	})
}

// unknown never repeats what cannot be a misspelt name: with wrong indentation a secret may stand where a key is expected.
func (f *fileReader) unknown(key *yaml.Node, name string) {
	if !printable(name) {
		f.problem("config", "unknown key in line %d of file %s", key.Line, f.path)
		return
	}
	if near, ok := Nearest(name, f.names()); ok {
		f.problem(name, "unknown key in line %d of file %s; nearest: %s", key.Line, f.path, near)
		return
	}
	f.problem(name, "unknown key in line %d of file %s", key.Line, f.path)
}

func (f *fileReader) isSection(name string) bool {
	for _, o := range f.options {
		if !o.variable && strings.HasPrefix(o.name, name+".") {
			return true
		}
	}
	return false
}
