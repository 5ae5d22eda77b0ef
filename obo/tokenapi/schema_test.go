package tokenapi

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// schemas checks values against JSON Schema, as far as the document uses it. A keyword that it does not know is an error, so that nothing is
// documented that nobody checks.
type schemas struct{ document map[string]any }

func (s schemas) resolve(schema map[string]any) map[string]any {
	ref, ok := schema["$ref"].(string)
	if !ok {
		return schema
	}
	var at any = s.document
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at = at.(map[string]any)[part]
	}
	return s.resolve(at.(map[string]any))
}

func (s schemas) check(schema map[string]any, value any) error {
	schema = s.resolve(schema)
	for keyword, rule := range schema {
		if err := s.checkOne(keyword, rule, schema, value); err != nil {
			return err
		}
	}
	return nil
}

func (s schemas) checkOne(keyword string, rule any, schema map[string]any, value any) error {
	object, isObject := value.(map[string]any)
	text, isText := value.(string)
	fail := func() error { return fmt.Errorf("%v breaks %q: %v", value, keyword, rule) }
	ok := true
	switch keyword {
	case "description":
	case "type":
		ok = slices.ContainsFunc(listOf(rule), func(one any) bool { return isType(one.(string), value) })
	case "const":
		ok = reflect.DeepEqual(rule, value)
	case "enum":
		ok = slices.ContainsFunc(rule.([]any), func(one any) bool { return reflect.DeepEqual(one, value) })
	case "minimum":
		number, isNumber := value.(float64)
		ok = !isNumber || number >= rule.(float64)
	case "minLength":
		ok = !isText || len(text) >= int(rule.(float64))
	case "pattern":
		ok = !isText || regexp.MustCompile(rule.(string)).MatchString(text)
	case "required":
		for _, name := range rule.([]any) {
			_, has := object[name.(string)]
			ok = ok && (has || !isObject)
		}
	case "properties":
		for name, of := range rule.(map[string]any) {
			if member, has := object[name]; has {
				if err := s.check(of.(map[string]any), member); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	case "additionalProperties":
		known, _ := schema["properties"].(map[string]any)
		for name := range object {
			if _, is := known[name]; !is {
				return fmt.Errorf("%q is not documented", name)
			}
		}
	case "items":
		list, _ := value.([]any)
		for _, item := range list {
			if err := s.check(rule.(map[string]any), item); err != nil {
				return err
			}
		}
	case "anyOf", "oneOf":
		n := 0
		for _, one := range rule.([]any) {
			if s.check(one.(map[string]any), value) == nil {
				n++
			}
		}
		ok = n == 1 || keyword == "anyOf" && n > 0
	case "not":
		ok = s.check(rule.(map[string]any), value) != nil
	default:
		return fmt.Errorf("keyword %q is not one that is checked", keyword)
	}
	if !ok {
		return fail()
	}
	return nil
}

func listOf(rule any) []any {
	if list, ok := rule.([]any); ok {
		return list
	}
	return []any{rule}
}

func isType(name string, value any) bool {
	switch v := value.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}

func parse(text []byte) (value any) {
	if err := json.Unmarshal(text, &value); err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	return value
}
