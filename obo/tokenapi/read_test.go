package tokenapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/obo"
)

func text(s string) *string { return &s }

// tokens.md 1.3, row by row.
func TestFields(t *testing.T) {
	t.Parallel()
	base := obo.Request{Provider: "maskinporten", Target: "a"}
	with := func(change func(*obo.Request)) *obo.Request {
		r := base
		change(&r)
		return &r
	}
	details := func(canonical string) *obo.Request {
		return with(func(r *obo.Request) { r.AuthorizationDetails = []byte(canonical) })
	}
	fresh, plain := with(func(r *obo.Request) { r.SkipCache = true }), with(func(*obo.Request) {})
	member := func(more string) string { return `{"identity_provider":"maskinporten","target":"a"` + more + `}` }
	pair := func(name, value string) string {
		return formOf("identity_provider", "maskinporten", "target", "a", name, value)
	}
	for name, tc := range map[string]struct {
		json, form string
		want       *obo.Request // nil: 400
	}{
		"nothing more":                    {json: member(""), form: formOf("identity_provider", "maskinporten", "target", "a"), want: plain},
		"target empty":                    {json: `{"identity_provider":"maskinporten","target":""}`, form: "identity_provider=maskinporten&target=", want: with(func(r *obo.Request) { r.Target = "" })},
		"target with spaces":              {json: `{"identity_provider":"maskinporten","target":"a b"}`, form: "identity_provider=maskinporten&target=a+b", want: with(func(r *obo.Request) { r.Target = "a b" })},
		"target escaped":                  {json: `{"identity_provider":"maskinporten","target":"\u00e6\n\ud83d\ude00\/"}`, form: "identity_provider=maskinporten&target=%C3%A6%0A%F0%9F%98%80/", want: with(func(r *obo.Request) { r.Target = "æ\n😀/" })},
		"target UTF-8":                    {json: `{"identity_provider":"maskinporten","target":"æ"}`, form: "identity_provider=maskinporten&target=æ", want: with(func(r *obo.Request) { r.Target = "æ" })},
		"target null":                     {json: `{"identity_provider":"maskinporten","target":null}`},
		"target a number":                 {json: `{"identity_provider":"maskinporten","target":1}`},
		"target a list":                   {json: `{"identity_provider":"maskinporten","target":["a"]}`},
		"azuread":                         {json: `{"identity_provider":"azuread","target":"a"}`, form: formOf("identity_provider", "azuread", "target", "a"), want: with(func(r *obo.Request) { r.Provider = "entra_id" })},
		"entra_id":                        {json: `{"identity_provider":"entra_id","target":"a"}`, form: formOf("identity_provider", "entra_id", "target", "a"), want: with(func(r *obo.Request) { r.Provider = "entra_id" })},
		"provider in other letters":       {json: `{"identity_provider":"Maskinporten","target":"a"}`, form: formOf("identity_provider", "Maskinporten", "target", "a")},
		"provider empty":                  {json: `{"identity_provider":"","target":"a"}`, form: formOf("identity_provider", "", "target", "a")},
		"provider null":                   {json: `{"identity_provider":null,"target":"a"}`},
		"provider missing":                {json: `{"target":"a"}`, form: "target=a"},
		"target missing":                  {json: `{"identity_provider":"maskinporten"}`, form: "identity_provider=maskinporten"},
		"resource":                        {json: member(`,"resource":"https://r"`), form: pair("resource", "https://r"), want: with(func(r *obo.Request) { r.Resource = text("https://r") })},
		"resource empty":                  {json: member(`,"resource":""`), form: pair("resource", ""), want: with(func(r *obo.Request) { r.Resource = text("") })},
		"resource null":                   {json: member(`,"resource":null`), want: plain},
		"resource a list":                 {json: member(`,"resource":["x"]`)},
		"skip_cache true":                 {json: member(`,"skip_cache":true`), form: pair("skip_cache", "true"), want: fresh},
		"skip_cache false":                {json: member(`,"skip_cache":false`), form: pair("skip_cache", "false"), want: plain},
		"skip_cache null":                 {json: member(`,"skip_cache":null`), want: plain},
		"skip_cache a text":               {json: member(`,"skip_cache":"true"`)},
		"skip_cache 1":                    {json: member(`,"skip_cache":1`), form: pair("skip_cache", "1")},
		"skip_cache True":                 {json: member(`,"skip_cache":True`), form: pair("skip_cache", "True")},
		"skip_cache empty":                {json: member(`,"skip_cache":""`), form: pair("skip_cache", "")},
		"details":                         {json: member(`,"authorization_details":[{"type":"x"}]`), form: pair("authorization_details", `[{"type":"x"}]`), want: details(`[{"type":"x"}]`)},
		"details as a text":               {json: member(`,"authorization_details":"[{\"type\":\"x\"}]"`), want: details(`[{"type":"x"}]`)},
		"details empty, which is not nil": {json: member(`,"authorization_details":[]`), form: pair("authorization_details", `[]`), want: details(`[]`)},
		"details null":                    {json: member(`,"authorization_details":null`), want: plain},
		"details in one spelling": {
			json: member(`,"authorization_details" : [ { "b" : [ 1 , 2.50 , { "d":null , "c":true } , [ ] ] , "\u0061" : "\u0078<\n" } , { } ] `),
			form: pair("authorization_details", ` [{"a":"x<\u000a","b":[1,2.50,{"c":true,"d":null},[]]},{}] `), want: details(`[{"a":"x\u003c\n","b":[1,2.50,{"c":true,"d":null},[]]},{}]`),
		},
		"details with big numbers":     {json: member(`,"authorization_details":[{"n":12345678901234567890123}]`), want: details(`[{"n":12345678901234567890123}]`)},
		"details an object":            {json: member(`,"authorization_details":{"type":"x"}`), form: pair("authorization_details", `{"type":"x"}`)},
		"details a number":             {json: member(`,"authorization_details":1`), form: pair("authorization_details", `1`)},
		"details a bool":               {json: member(`,"authorization_details":true`), form: pair("authorization_details", `true`)},
		"details plain text":           {json: member(`,"authorization_details":"x"`), form: pair("authorization_details", `x`)},
		"details an empty text":        {json: member(`,"authorization_details":""`), form: pair("authorization_details", ``)},
		"details null in a text":       {json: member(`,"authorization_details":"null"`), form: pair("authorization_details", `null`)},
		"details an object in a text":  {json: member(`,"authorization_details":"{}"`)},
		"details unterminated":         {json: member(`,"authorization_details":[{"type":"x"}`), form: pair("authorization_details", `[{"type":"x"}`)},
		"details unterminated in text": {json: member(`,"authorization_details":"[{"`)},
		"details with more behind":     {json: member(`,"authorization_details":"[] []"`), form: pair("authorization_details", `[]x`)},
		"details of texts":             {json: member(`,"authorization_details":["x"]`), form: pair("authorization_details", `["x"]`)},
		"details of lists":             {json: member(`,"authorization_details":[[{}]]`), form: pair("authorization_details", `[[]]`)},
		"details with null":            {json: member(`,"authorization_details":[null]`), form: pair("authorization_details", `[null]`)},
		"details with a member twice":  {json: member(`,"authorization_details":[{"a":1,"\u0061":2}]`), form: pair("authorization_details", `[{"a":1,"a":2}]`)},
		"details with a comma":         {json: member(`,"authorization_details":[{},]`), form: pair("authorization_details", `[{},]`)},
		"details very deep":            {json: member(`,"authorization_details":[{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}]`)},
		"unknown fields":               {json: member(`,"x":{"target":1,"x":[1,{"y":null}],"x":""},"user_token":1,"token":{},"x":-0.5e+7`), form: pair("x", "y") + "&x=z&user_token=&token=&&", want: plain},
		"names in other letters":       {json: member(`,"Target":"b","SKIP_CACHE":true`), form: pair("Target", "b") + "&SKIP_CACHE=x", want: plain},
		"only in other letters":        {json: `{"Identity_Provider":"maskinporten","target":"a"}`, form: "identity_provider=maskinporten&Target=a"},
		"an escaped name":              {json: `{"identity_provider":"maskinporten","t\u0061rget":"a"}`, form: "identity_provider=maskinporten&t%61rget=a", want: plain},
		"a field twice":                {json: member(`,"target":"a"`), form: "identity_provider=maskinporten&target=a&target=a"},
		"a field twice, once null":     {json: member(`,"resource":null,"resource":"x"`)},
		"a field twice, once escaped":  {json: member(`,"t\u0061rget":"b"`), form: "identity_provider=maskinporten&target=a&t%61rget=b"},
		"space around":                 {json: " \t\r\n{ \"identity_provider\" :\n\"maskinporten\" , \"target\":\"a\" }\n", form: "&identity_provider=maskinporten&&target=a&", want: plain},
		"trailing bytes":               {json: member("") + "x"},
		"two values":                   {json: member("") + member("")},
		"nothing":                      {json: "", form: "&"},
		"a list":                       {json: `["maskinporten","a"]`},
		"a text":                       {json: `"x"`, form: "x"},
		"null":                         {json: `null`},
		"a byte order mark":            {json: "\ufeff" + member("")},
		"broken UTF-8":                 {json: "{\"identity_provider\":\"maskinporten\",\"target\":\"\xff\"}", form: "identity_provider=maskinporten&target=%ff"},
		"half a surrogate pair":        {json: `{"identity_provider":"maskinporten","target":"\ud83d"}`},
		"two first halves":             {json: `{"identity_provider":"maskinporten","target":"\ud83d\ud83d"}`},
		"half a pair and a text":       {json: `{"identity_provider":"maskinporten","target":"\ud83dx"}`},
		"a control character":          {json: "{\"identity_provider\":\"maskinporten\",\"target\":\"a\nb\"}", form: "identity_provider=maskinporten&target=%0"},
		"an unknown escape":            {json: `{"identity_provider":"maskinporten","target":"\x"}`, form: "identity_provider=maskinporten&target=%zz"},
		"unknown and deep":             {json: member(`,"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200))},
		"no quotes":                    {json: `{identity_provider:"maskinporten","target":"a"}`},
		"a comma too much":             {json: `{"identity_provider":"maskinporten","target":"a",}`},
		"single quotes":                {json: `{'identity_provider':"maskinporten","target":"a"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for contentType, body := range map[string]string{contentJSON: tc.json, contentForm: tc.form} {
				if body == "" && name != "nothing" {
					continue
				}
				w := newWorld(t)
				rec := w.do(http.MethodPost, pathToken, contentType, body)
				if tc.want == nil {
					if said := w.said(rec, http.StatusBadRequest); said["error"] != "invalid_request" || said["error_description"] == "" || len(said) != 2 {
						t.Errorf("%s: %s", body, rec.Body)
					}
					continue
				}
				w.said(rec, http.StatusOK)
				if diff := cmp.Diff(*tc.want, w.broker.last()); diff != "" {
					t.Errorf("%s: %s", body, diff)
				}
			}
		})
	}
}

func TestFieldsOfExchangeAndIntrospection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	want := obo.Request{Provider: "tokenx", Target: "c:n:a", UserToken: "Bearer x", SkipCache: true}
	w.said(w.json(pathExchange, `{"identity_provider":"tokenx","target":"c:n:a","user_token":"Bearer x","skip_cache":true,"resource":1,"authorization_details":1}`), http.StatusOK)
	if diff := cmp.Diff(want, w.broker.last()); diff != "" {
		t.Error(diff)
	}
	w.said(w.form(pathExchange, formOf("identity_provider", "tokenx", "target", "c:n:a", "user_token", "Bearer x", "skip_cache", "true", "resource", "r")), http.StatusOK)
	if diff := cmp.Diff(want, w.broker.last()); diff != "" {
		t.Error(diff)
	}
	w.said(w.json(pathExchange, `{"identity_provider":"tokenx","target":"","user_token":""}`), http.StatusOK)
	w.wantError(w.json(pathExchange, `{"identity_provider":"tokenx","target":"a"}`), http.StatusBadRequest, "invalid_request",
		"Failed to deserialize the JSON body into the target type: missing field `user_token` at line 1 column 43")
	w.wantError(w.form(pathExchange, "identity_provider=tokenx&target=a"), http.StatusBadRequest, "invalid_request",
		"Failed to deserialize form body: missing field `user_token`")

	for _, rec := range []string{w.json(pathIntrospect, `{"identity_provider":"azuread","token":"good","target":1,"user_token":1}`).Body.String(), w.form(pathIntrospect, "identity_provider=azuread&token=good").Body.String()} {
		if rec != `{"active":true,"iss":"entra_id"}` {
			t.Error(rec)
		}
	}
	if said := w.said(w.json(pathIntrospect, `{"identity_provider":"tokenx","token":""}`), http.StatusOK); said["active"] != false || len(said) != 2 {
		t.Error(said)
	}
	w.wantError(w.json(pathIntrospect, `{"identity_provider":"tokenx"}`), http.StatusBadRequest, "invalid_request",
		"Failed to deserialize the JSON body into the target type: missing field `token` at line 1 column 30")
}

// tokens.md 1.2.
func TestContentTypes(t *testing.T) {
	t.Parallel()
	const good = `{"identity_provider":"entra_id","target":"a"}`
	unsupported := func(value string) string {
		return "unsupported media type: " + value + ": expected one of `application/json`, `application/x-www-form-urlencoded`"
	}
	for given, want := range map[string]string{
		"application/json":                          "",
		"application/json; charset=utf-8":           "",
		`application/json;charset="utf-8"`:          "",
		"application/json ; charset=utf-8":          "",
		"application/jsonfoo":                       "Expected request with `Content-Type: application/json`",
		"application/json charset":                  "Expected request with `Content-Type: application/json`",
		"application/json-seq":                      "Expected request with `Content-Type: application/json`",
		"Application/JSON":                          unsupported("Application/JSON"),
		" application/json":                         unsupported(" application/json"),
		"application/foo+json":                      unsupported("application/foo+json"),
		"text/plain":                                unsupported("text/plain"),
		"":                                          unsupported(""),
		"<\"æ\">":                                   unsupported("<\"æ\">"),
		"broken \xff":                               unsupported(""),
		"multipart/form-data; boundary=x":           unsupported("multipart/form-data; boundary=x"),
		"APPLICATION/X-WWW-FORM-URLENCODED":         unsupported("APPLICATION/X-WWW-FORM-URLENCODED"),
		"application/x-www-form-urlencode":          unsupported("application/x-www-form-urlencode"),
		"text/html, application/json":               unsupported("text/html, application/json"),
		"application/vnd.api+json; charset=\"utf\"": unsupported("application/vnd.api+json; charset=\"utf\""),
	} {
		for _, path := range []string{pathToken, pathIntrospect} {
			w := newWorld(t)
			body := good
			if path == pathIntrospect {
				body = `{"identity_provider":"entra_id","token":"good"}`
			}
			if rec := w.do(http.MethodPost, path, given, body); want == "" {
				w.said(rec, http.StatusOK)
			} else {
				w.wantError(rec, http.StatusBadRequest, "invalid_request", want)
			}
		}
	}
	for _, given := range []string{contentForm, contentForm + "; charset=utf-8", contentForm + ";charset=UTF-8"} {
		w := newWorld(t)
		w.said(w.do(http.MethodPost, pathToken, given, "identity_provider=entra_id&target=a"), http.StatusOK)
	}
}

// tokens.md 1.5: texts with their places. The first is Texas' own test.
func TestTextsOfWhatIsWrong(t *testing.T) {
	t.Parallel()
	const (
		expected = "expected one of `azuread`, `entra_id`, `tokenx`, `maskinporten`, `idporten`"
		data     = "Failed to deserialize the JSON body into the target type: "
		syntax   = "Failed to parse the request body as JSON: "
		inForm   = "Failed to deserialize form body: "
	)
	for body, want := range map[string]string{
		`{"identity_provider":"invalid","target":"x"}`:   data + "identity_provider: unknown variant `invalid`, " + expected + " at line 1 column 30",
		"{\n \"identity_provider\":\n\"x\"}":             data + "identity_provider: unknown variant `x`, " + expected + " at line 3 column 3",
		`{"identity_provider":"entra_id"}`:               data + "missing field `target` at line 1 column 32",
		`{}`:                                             data + "missing field `identity_provider` at line 1 column 2",
		`{"target":5,"identity_provider":"x"}`:           data + "target: invalid type: integer `5`, expected a string at line 1 column 11",
		`{"target":-1.5}`:                                data + "target: invalid type: floating point `-1.5`, expected a string at line 1 column 14",
		`{"target":true}`:                                data + "target: invalid type: boolean `true`, expected a string at line 1 column 14",
		`{"target":null}`:                                data + "target: invalid type: null, expected a string at line 1 column 14",
		`{"target":[]}`:                                  data + "target: invalid type: sequence, expected a string at line 1 column 10",
		`{"target":{}}`:                                  data + "target: invalid type: map, expected a string at line 1 column 10",
		`{"skip_cache":"true"}`:                          data + "skip_cache: invalid type: string \"true\", expected a boolean at line 1 column 20",
		`{"target":"a","target":"b"}`:                    data + "duplicate field `target` at line 1 column 22",
		`{"identity_provider":"entra_id","target":"a"}x`: syntax + "trailing characters at line 1 column 46",
		`{"identity_provider":"entra_id","target":"a",}`: syntax + "trailing comma at line 1 column 46",
		`{"identity_provider":"entra_id" "target":"a"}`:  syntax + "expected `,` or `}` at line 1 column 33",
		`{"identity_provider" "entra_id","target":"a"}`:  syntax + "expected `:` at line 1 column 22",
		`{"identity_provider":"entra_id","target":"a"`:   syntax + "EOF while parsing an object at line 1 column 44",
		`{"identity_provider":"entra_id","target":"a`:    syntax + "EOF while parsing a string at line 1 column 43",
		`{"identity_provider":"entra_id","target":`:      syntax + "EOF while parsing a value at line 1 column 41",
		`{"identity_provider":entra_id}`:                 syntax + "expected value at line 1 column 22",
		`{1:2}`:                                          syntax + "key must be a string at line 1 column 2",
		``:                                               syntax + "EOF while parsing a value at line 1 column 0",
		"x":                                              syntax + "expected value at line 1 column 1",
		`{"x":nul}`:                                      syntax + "expected ident at line 1 column 9",
		`{"x":01}`:                                       syntax + "invalid number at line 1 column 7",
		`form:identity_provider=invalid&target=a`:        inForm + "identity_provider: unknown variant `invalid`, " + expected,
		`form:identity_provider=entra_id`:                inForm + "missing field `target`",
		`form:target=a&target=b`:                         inForm + "duplicate field `target`",
		`form:skip_cache=1`:                              inForm + "skip_cache: provided string was not `true` or `false`",
		`form:identity_provider=maskinporten&authorization_details={}`: inForm + "authorization_details: expected a JSON array of objects",
	} {
		w := newWorld(t)
		rec := w.json(pathToken, body)
		if form, isForm := strings.CutPrefix(body, "form:"); isForm {
			rec = w.form(pathToken, form)
		}
		w.wantError(rec, http.StatusBadRequest, "invalid_request", want)
	}
}

func TestTheLoginProviderIsKnownWhereItIsConfigured(t *testing.T) {
	t.Parallel()
	const body = `{"identity_provider":"openid","target":"a"}`
	w := newWorld(t, func(c *Config, _ *Deps) { c.OpenID = true })
	w.said(w.json(pathToken, body), http.StatusOK)
	if got := w.broker.last().Provider; got != "openid" {
		t.Error(got)
	}
	w.wantError(w.form(pathToken, "identity_provider=x"), http.StatusBadRequest, "invalid_request",
		"Failed to deserialize form body: identity_provider: unknown variant `x`, expected one of `azuread`, `entra_id`, `tokenx`, `maskinporten`, `idporten`, `openid`")
	w = newWorld(t)
	w.wantError(w.form(pathToken, "identity_provider=openid"), http.StatusBadRequest, "invalid_request",
		"Failed to deserialize form body: identity_provider: unknown variant `openid`, expected one of `azuread`, `entra_id`, `tokenx`, `maskinporten`, `idporten`")
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	body := func(n int) string {
		const frame = `{"identity_provider":"entra_id","target":""}`
		return fmt.Sprintf(`{"identity_provider":"entra_id","target":"%s"}`, strings.Repeat("x", n-len(frame)))
	}
	for name, tc := range map[string]struct {
		limit int64
		size  int
		good  bool
	}{
		"at the limit": {1000, 1000, true}, "over it": {1000, 1001, false}, "far over it": {1000, 100_000, false},
		"at the default": {0, 2 << 20, true}, "over the default": {0, 2<<20 + 1, false},
	} {
		for _, known := range []bool{true, false} { // whether Content-Length says so before
			w := newWorld(t, func(c *Config, _ *Deps) { c.BodyBytes = tc.limit })
			rec := w.json(pathToken, body(tc.size), func(r *http.Request) {
				if !known {
					r.ContentLength = -1
				}
			})
			if tc.good {
				w.said(rec, http.StatusOK)
				continue
			}
			if t.Log(name); w.broker.last().Provider != "" {
				t.Error("the broker was asked")
			}
			w.wantError(rec, http.StatusBadRequest, "invalid_request", "Failed to buffer the request body: length limit exceeded")
		}
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, http.ErrBodyReadAfterClose }
func (brokenBody) Close() error             { return nil }

func TestABodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.json(pathToken, "", func(r *http.Request) { r.Body = brokenBody{} })
	w.wantError(rec, http.StatusBadRequest, "invalid_request", "Failed to buffer the request body: it broke off")
}
