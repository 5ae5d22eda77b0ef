package tokenapi

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzJSON: what is accepted, encoding/json accepts with the same values, and no field stands twice.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		tokenBody, exchangeBody, lookBody, `{"identity_provider":"maskinporten","target":"\u00e6\ud83d\ude00","resource":null,"authorization_details":[{"b":1,"a":[{}]}],"skip_cache":true}`,
		`{"identity_provider":"azuread","target":"a","authorization_details":"[{\"a\":1}]","x":{"y":[1,-0.5e+7,"\"",null]}} `, `{"target":"a","target":"b"}`, `{"t\u0061rget":"a"}`, `{`, `[]`, "{\"target\":\"\xff\"}",
		`{"identity_provider":"tokenx","target":1e5}`, `{"Target":"a","skip_cache":"true"}`,
	} {
		f.Add(seed)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, body string) {
		for _, e := range w.endpoints {
			var in input
			if problem := w.readJSON(e, body, &in); problem != nil {
				if problem.text == "" || problem.kind == "" {
					t.Fatalf("%+v", problem)
				}
				continue
			}
			var want map[string]json.RawMessage
			if err := json.Unmarshal([]byte(body), &want); err != nil {
				t.Fatalf("accepted, and encoding/json says %v", err)
			}
			same(t, e, &in, func(name string, to any) bool {
				raw, has := want[name]
				if has && json.Unmarshal(raw, to) != nil {
					t.Fatalf("%s: %s", name, raw)
				}
				return has && string(raw) != "null"
			})
			if n := countMembers(t, body, e); n != countFields(in.seen) {
				t.Fatalf("%d fields stand there, %d were seen", n, countFields(in.seen))
			}
		}
	})
}

// FuzzForm: what is accepted, net/url reads with the same values, each once.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"identity_provider=azuread&target=a+b%20c", "identity_provider=tokenx&target=a&user_token=%C3%A6&skip_cache=true", "&&=&x=y;z&target=a&t%61rget=b", "target=%zz", "target=%", "target=%f",
		"identity_provider=maskinporten&target=&authorization_details=%5B%7B%7D%5D&resource=", "identity_provider=idporten&token=x",
	} {
		f.Add(seed)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, body string) {
		for _, e := range w.endpoints {
			var in input
			if w.readForm(e, body, &in) != nil {
				continue
			}
			want := url.Values{} // net/url refuses ";" and drops pairs with it
			for pair := range strings.SplitSeq(body, "&") {
				rawName, rawValue, _ := strings.Cut(pair, "=")
				name, _ := url.QueryUnescape(rawName)
				if value, err := url.QueryUnescape(rawValue); fieldOf(name)&e.fields != 0 {
					if want[name] = append(want[name], value); err != nil || len(want[name]) > 1 {
						t.Fatalf("accepted: %s", body)
					}
				}
			}
			same(t, e, &in, func(name string, to any) bool {
				if !want.Has(name) {
					return false
				}
				switch to := to.(type) {
				case *string:
					*to = want.Get(name)
				case *bool:
					*to = want.Get(name) == "true"
				case *any:
					*to = want.Get(name)
				}
				return true
			})
		}
	})
}

// same compares what was read with what another reader has.
func same(t *testing.T, e *endpoint, in *input, other func(name string, to any) bool) {
	t.Helper()
	texts := map[string]string{"target": in.target, "user_token": in.userToken, "token": in.token}
	if in.resource != nil {
		texts["resource"] = *in.resource
	}
	for name, got := range texts {
		var want string
		if has := other(name, &want) && fieldOf(name)&e.fields != 0; has && want != got || !has && got != "" {
			t.Fatalf("%s is %q, want %q", name, got, want)
		}
	}
	var provider string
	if other("identity_provider", &provider); provider != in.provider.name && provider != in.provider.alias {
		t.Fatalf("provider is %q, want %q", in.provider.name, provider)
	}
	var skip bool
	if has := other("skip_cache", &skip) && fieldSkipCache&e.fields != 0; in.skipCache != (has && skip) {
		t.Fatalf("skip_cache is %v", in.skipCache)
	}
	var details any
	if !other("authorization_details", &details) || fieldDetails&e.fields == 0 {
		if in.details != nil {
			t.Fatalf("details %s", in.details)
		}
		return
	}
	if held, isText := details.(string); isText {
		details = parse([]byte(held))
	}
	if diff := cmp.Diff(details, parse(in.details)); diff != "" {
		t.Fatal(diff)
	}
	again, ok := detailsIn(string(in.details))
	if !ok || !bytes.Equal(again, in.details) {
		t.Fatalf("%s is not canonical: %s", in.details, again)
	}
}

// countMembers counts the fields of an object that somebody else has found to be one.
func countMembers(t *testing.T, body string, e *endpoint) (n int) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(body))
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		if fieldOf(name.(string))&e.fields != 0 {
			n++
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// What is copied into an answer as it is means itself there.
func FuzzPlainTexts(f *testing.F) {
	for _, seed := range []string{"", "abcdefgh", "abcdefg\"", "\\", "\x1f1234567", "\x7f", "æ", "1234567\x80", "1234567\x8d", "\xff234567\x9f", strings.Repeat("x", 31) + "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := true
		for _, c := range []byte(s) {
			want = want && c >= 0x20 && c < 0x80 && c != '"' && c != '\\'
		}
		if isPlain(s) != want {
			t.Fatalf("%q: %v", s, !want)
		}
		var back struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal(appendToken(nil, s, 1), &back); err != nil || want && back.Token != s {
			t.Fatalf("%q came back as %q, %v", s, back.Token, err)
		}
	})
}
