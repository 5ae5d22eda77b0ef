package tokenapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postern/obo/guard"
	"postern/oidc"
)

// operation is one method of one path of the document.
type operation struct {
	path, method string
	said         map[string]any
}

func operations(document map[string]any) (all []operation) {
	for path, methods := range document["paths"].(map[string]any) {
		for method, said := range methods.(map[string]any) {
			all = append(all, operation{path, strings.ToUpper(method), said.(map[string]any)})
		}
	}
	return all
}

// exemplar is a good request of an operation.
func (o operation) exemplar() string {
	return map[string]string{pathToken: tokenBody, pathExchange: exchangeBody, pathIntrospect: lookBody}[o.path]
}

// Every answer that is documented is given, every answer that is given is documented, and all of them are as documented.
func TestDocumentAndHandlerAgreeOnAnswers(t *testing.T) {
	t.Parallel()
	document := parse(openAPI).(map[string]any)
	check := schemas{document}
	withBroker := func(name string) func(*Config, *Deps) { return fails(errorOf[name]) }
	trouble := func(_ *Config, d *Deps) {
		fails(errorOf["unreachable"])(nil, d)
		d.Introspector = introspector(func(string, string) (oidc.Introspection, error) { return oidc.Introspection{}, errorOf["unreachable"] })
	}
	secret := func(_ *Config, d *Deps) { d.Guard = guard.New(guard.Config{Secret: func() string { return "s" }}) }
	none := func(*Config, *Deps) {}
	for _, o := range operations(document) {
		given := map[string]bool{}
		for name, tc := range map[string]struct {
			world  func(*Config, *Deps)
			body   string
			change func(*http.Request)
		}{
			"good": {world: none, body: o.exemplar()}, "good token": {world: none, body: `{"identity_provider":"idporten","token":"good","target":"","user_token":""}`},
			"cannot be read": {world: none, body: "{"}, "wrong type": {world: none, body: "{}", change: func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }},
			"no secret": {world: secret, body: o.exemplar()}, "from a page": {world: none, body: o.exemplar(), change: func(r *http.Request) { r.Header.Set("Origin", "null") }},
			"trouble": {world: trouble, body: o.exemplar()}, "not enabled": {world: withBroker("not enabled"), body: o.exemplar()}, "ended": {world: withBroker("ended"), body: o.exemplar()},
			"refused": {world: withBroker("refused"), body: o.exemplar()}, "refused other": {world: withBroker("refused other"), body: o.exemplar()},
			"no credential": {world: withBroker("no credential"), body: o.exemplar()}, "malformed": {world: withBroker("malformed"), body: o.exemplar()},
			"timeout": {world: withBroker("timeout"), body: o.exemplar()}, "its own words": {world: withBroker("its own words"), body: o.exemplar()},
		} {
			w := newWorld(t, tc.world)
			if tc.change == nil {
				tc.change = func(*http.Request) {}
			}
			rec := w.do(o.method, o.path, contentJSON, tc.body, tc.change)
			responses := o.said["responses"].(map[string]any)
			status := strconv.Itoa(rec.Code)
			if responses[status] == nil {
				status = "default"
			}
			response, ok := responses[status].(map[string]any)
			if !ok {
				t.Errorf("%s %s, %s: %d is not documented: %s", o.method, o.path, name, rec.Code, rec.Body)
				continue
			}
			given[status] = true
			checkAnswer(t, check, response, rec)
		}
		for status := range o.said["responses"].(map[string]any) {
			if !given[status] {
				t.Errorf("%s %s: %s is documented, and nothing was answered so", o.method, o.path, status)
			}
		}
	}
}

func checkAnswer(t *testing.T, check schemas, response map[string]any, rec *httptest.ResponseRecorder) {
	t.Helper()
	content := response["content"].(map[string]any)[rec.Header().Get("Content-Type")]
	if content == nil {
		t.Errorf("%d: content type %q is not documented", rec.Code, rec.Header().Get("Content-Type"))
		return
	}
	if err := check.check(content.(map[string]any)["schema"].(map[string]any), parse(rec.Body.Bytes())); err != nil {
		t.Errorf("%d %s: %v", rec.Code, rec.Body, err)
	}
	headers, _ := response["headers"].(map[string]any)
	for name, header := range headers {
		schema := check.resolve(header.(map[string]any))["schema"].(map[string]any)
		if err := check.check(schema, rec.Header().Get(name)); err != nil {
			t.Errorf("%d, header %s: %v", rec.Code, name, err)
		}
	}
}

// Every field that is documented is read and checked as documented, and no other is.
func TestDocumentAndHandlerAgreeOnRequests(t *testing.T) {
	t.Parallel()
	document := parse(openAPI).(map[string]any)
	check := schemas{document}
	samples := []string{`null`, `true`, `1`, `1.5`, `"x"`, `""`, `"tokenx"`, `"azuread"`, `"nobody"`, `[]`, `[{}]`, `["x"]`, `{}`, `"[]"`}
	for _, o := range operations(document) {
		if o.method != http.MethodPost {
			continue
		}
		content := o.said["requestBody"].(map[string]any)["content"].(map[string]any)
		if got := slices.Sorted(maps.Keys(content)); !slices.Equal(got, []string{contentJSON, contentForm}) {
			t.Errorf("%s: content types %q", o.path, got)
		}
		schema := check.resolve(content[contentJSON].(map[string]any)["schema"].(map[string]any))
		properties := schema["properties"].(map[string]any)
		documented := none
		for name := range properties {
			documented |= fieldOf(name)
		}
		var e *endpoint
		for _, one := range newEndpoints() {
			if one.path == o.path {
				e = one
			}
		}
		if e == nil || documented != e.fields || len(properties) != countFields(documented) {
			t.Fatalf("%s: fields %b are documented", o.path, documented)
		}
		for name := range properties {
			for _, sample := range append(samples, "absent") {
				request := parse([]byte(o.exemplar())).(map[string]any)
				if delete(request, name); sample != "absent" {
					request[name] = parse([]byte(sample))
				}
				body, err := json.Marshal(request)
				if err != nil {
					t.Fatal(err)
				}
				w := newWorld(t, func(c *Config, _ *Deps) { c.OpenID = true })
				good := check.check(schema, request) == nil
				if name == "authorization_details" && (sample == `"x"` || sample == `""` || sample == `"tokenx"` || sample == `"azuread"` || sample == `"nobody"`) {
					good = false // what a string has to hold is said in words
				}
				if got := w.json(o.path, string(body)).Code; (got == http.StatusOK) != good {
					t.Errorf("%s, %s = %s: %d, documented as good: %v", o.path, name, sample, got, good)
				}
			}
		}
	}
}

func countFields(set field) (n int) {
	for ; set != 0; set &= set - 1 {
		n++
	}
	return n
}

// Other methods of documented paths are refused, and other paths are not there: see TestOtherMethodsAndPathsAreEmpty for all of them.
func TestDocumentNamesEveryPathAndMethod(t *testing.T) {
	t.Parallel()
	document := parse(openAPI).(map[string]any)
	served := map[string]string{openAPIPath: http.MethodGet}
	for _, e := range newEndpoints() {
		served[e.path] = http.MethodPost
	}
	documented := map[string]string{}
	for _, o := range operations(document) {
		documented[o.path] += o.method
	}
	if !maps.Equal(served, documented) {
		t.Errorf("served %v, documented %v", served, documented)
	}
	w := newWorld(t)
	if rec := w.do("GET", openAPIPath, "", ""); rec.Body.String() != string(openAPI) || rec.Header().Get("Content-Type") != contentJSON || document["openapi"] != "3.1.0" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	if rec := w.do("HEAD", openAPIPath, "", ""); rec.Code != http.StatusOK {
		t.Errorf("%d", rec.Code)
	}
}
