package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// objectsKind reads a list of objects: a YAML sequence of mappings whose keys are the struct's yaml tags. Flags and environment hold the
// same as YAML text. Unknown and doubled keys are errors, and errors give lines, never values. Keys that are missing have what the type's
// setDefaults says.
func objectsKind[T any]() kind[[]T] {
	read := func(n *yaml.Node) ([]T, error) {
		if n.Kind != yaml.SequenceNode {
			return nil, errors.New("wants a list of objects")
		}
		out := make([]T, len(n.Content))
		for i, member := range n.Content {
			if entry, ok := any(&out[i]).(interface{ setDefaults() }); ok {
				entry.setDefaults()
			}
			if err := readObject(member, reflect.ValueOf(&out[i]).Elem()); err != nil {
				return nil, fmt.Errorf("entry %d %w", i+1, err)
			}
		}
		return out, nil
	}
	return kind[[]T]{
		word: "list of objects (YAML)",
		node: read,
		parse: func(text string) ([]T, error) {
			n, err := parseYAML([]byte(text))
			if err != nil {
				return nil, err
			}
			if n == nil {
				return nil, nil
			}
			return read(n)
		},
		format: func(list []T) string {
			switch len(list) {
			case 0:
				return ""
			case 1:
				return "1 entry"
			default:
				return strconv.Itoa(len(list)) + " entries"
			}
		},
	}
}

func readObject(n *yaml.Node, into reflect.Value) error {
	if n.Kind != yaml.MappingNode {
		return errors.New("must be an object")
	}
	fields, names := map[string]reflect.Value{}, []string{}
	for i := range into.NumField() {
		name := into.Type().Field(i).Tag.Get("yaml")
		fields[name] = into.Field(i)
		names = append(names, name)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, err := scalar(n.Content[i])
		if err != nil {
			return fmt.Errorf("has a key that is no text (line %d)", n.Content[i].Line)
		}
		field, ok := fields[key]
		if !ok {
			return fmt.Errorf("has an unknown key (line %d)%s", n.Content[i].Line, hint(key, names))
		}
		if seen[key] {
			return fmt.Errorf("has the key %s twice (line %d)", key, n.Content[i].Line)
		}
		seen[key] = true
		if err := readField(n.Content[i+1], field); err != nil {
			return fmt.Errorf("key %s %w (line %d)", key, err, n.Content[i+1].Line)
		}
	}
	return nil
}

func readField(n *yaml.Node, into reflect.Value) error {
	var v any
	var err error
	switch into.Interface().(type) {
	case string:
		v, err = scalarOf(plain)(n)
	case bool:
		v, err = scalarOf(toggleKind().parse)(n)
	case time.Duration:
		v, err = scalarOf(durationKind().parse)(n)
	case []string:
		v, err = textsKind("").node(n)
	case map[string]string:
		v, err = pairsKind("name=value").node(n)
	default:
		panic("config: no reader for a field of type " + into.Type().String())
	}
	if err == nil {
		into.Set(reflect.ValueOf(v))
	}
	return err
}

func hint(name string, candidates []string) string {
	if near, ok := Nearest(name, candidates); ok {
		return "; nearest: " + near
	}
	return "; known are " + strings.Join(candidates, ", ")
}
