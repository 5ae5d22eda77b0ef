package oidc

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a value may look like is what encoding/json says: nothing may be read here that is read in another way, or not at all, elsewhere.
func TestValuesAreThoseOfEncodingJSON(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string { return strings.Repeat(`[`, depth) + strings.Repeat(`]`, depth) }
	for _, value := range []string{
		"0", "-0", "1", "-1", "10", "01", "-01", "-", "+1", "1.", ".1", "1.5", "-0.5", "1.5.5", "1e5", "1E5", "1e+5", "1e-5", "1e", "1e+", "e5", "0e0", "1 2",
		"Infinity", "NaN", "0x1", "1_0", "true", "false", "null", "True", "tru", "truee", "nul", "undefined", "",
		`""`, `"`, `"a`, `"\"`, `"\\"`, `"\/\b\f\n\r\t"`, `"\v"`, `"\u00e5"`, `"\uD800"`, `"\u00g0"`, `"\u00@0"`, `"\u12"`, `"\u`, "\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"\n\"", "\"\xff\"", "\"å\"", `'a'`,
		"[]", "[ ]", "[1]", "[1,]", "[,1]", "[1,2]", "[1 2]", "[", "[1", "]", "[}", `{}`, `{ }`, `{"a":1}`, `{"a":1,}`, `{,"a":1}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{"a":1 "b":2}`,
		`{"a":1,"a":2}`, `{1:2}`, `{`, `{]`, `{"a":1`, "\v1", "\u00a01", "/**/1",
		nested(maxNesting - 1), nested(maxNesting), nested(maxNesting + 1), strings.Repeat("[", 2*maxNesting),
	} {
		for _, object := range []string{`{"m":` + value + `}`, "\t{ \"m\" :\r\n" + value + " } \n", `{"m":` + value + `}}`, `{"m":` + value, value} {
			_, err := readObject(object)
			if valid := json.Valid([]byte(object)) && strings.HasPrefix(strings.TrimSpace(object), "{"); valid != (err == nil || errors.Is(err, errDoubled)) {
				t.Errorf("%.60s: %v, and encoding/json says %v", object, err, valid)
			}
		}
	}
}

func FuzzTexts(f *testing.F) {
	for _, seed := range []string{`[]`, `"a"`, `null`, `["a","b\u00e5,]", null , ""]`, `["a",1]`, `[["a"]]`, `{"a":"b"}`, `5`, `""`, "[\"\xff\"]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if value = strings.TrimSpace(value); !json.Valid([]byte(value)) {
			return
		}
		var want []string
		wrapped := value
		if strings.HasPrefix(value, `"`) {
			wrapped = "[" + value + "]"
		}
		wantErr := json.Unmarshal([]byte(wrapped), &want)
		got, err := readStringOrList(value)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v; encoding/json: %v", value, err, wantErr)
		}
		if diff := cmp.Diff(stringOrList(want), got); err == nil && diff != "" {
			t.Errorf("%q: %s", value, diff)
		}
	})
}
