package demoapi

import (
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func call(a *API, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

func TestWhatTheAPIAnswers(t *testing.T) {
	t.Parallel()
	a := New()
	for _, c := range []struct {
		method, path, body string
		status             int
		contains           string
	}{
		{"GET", "/isalive", "", 200, `"status": "alive"`},
		{"GET", "/orders", "", 200, `"item": "Wheelchair"`},
		{"GET", "/admin/stats", "", 200, `"pieces": 3`},
		{"POST", "/orders", `{"item":"Ramp","quantity":1}`, 201, `"id": 3`},
		{"GET", "/orders", "", 200, `"item": "Ramp"`},
		{"POST", "/orders", `{"item":"Ramp"}`, 400, "needs an item and a quantity"},
		{"POST", "/orders", `{"item":"` + strings.Repeat("x", maxBody) + `","quantity":1}`, 400, "needs an item"},
		{"POST", "/orders", `not JSON`, 400, "needs an item"},
		{"DELETE", "/orders/1", "", 204, ""},
		{"DELETE", "/orders/1", "", 404, "no such order"},
		{"GET", "/elsewhere", "", 404, "nothing at this address"},
	} {
		if w := call(a, c.method, c.path, c.body); w.Code != c.status || !strings.Contains(w.Body.String(), c.contains) {
			t.Errorf("%s %s: %d %s, want %d with %s", c.method, c.path, w.Code, w.Body, c.status, c.contains)
		}
	}
}

func TestAnOrderBearsTheNameOfItsCaller(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	want := map[string]string{
		"person": "Kari Sørbø", "citizen": "17912099997", "organisation": "987654321", "app": "demo:shop:warehouse", "nobody": "nobody", "odd": "100%",
	}
	for who, headers := range map[string][]string{
		"person":       {"X-Postern-Name", "Kari S%C3%B8rb%C3%B8", "X-Postern-User", "Z990001", "X-Postern-Client", "demo:shop:web"},
		"citizen":      {"X-Postern-User", "17912099997"},
		"organisation": {"X-Postern-Organization", "987654321", "X-Postern-Client", "maskinporten/abc"},
		"app":          {"X-Postern-Client", "demo:shop:warehouse"},
		"nobody":       {},
		"odd":          {"X-Postern-Name", "100%"},
	} {
		a := New()
		call(a, "POST", "/orders", `{"item":"Ramp","quantity":1,"by":"mallory","id":1}`, headers...)
		got[who] = a.orders[2].By
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOldOrdersMakeRoom(t *testing.T) {
	t.Parallel()
	a := New()
	for range 3 * maxOrders {
		call(a, "POST", "/orders", `{"item":"Ramp","quantity":1}`)
	}
	if len(a.orders) != maxOrders || a.orders[maxOrders-1].ID != 2+3*maxOrders {
		t.Errorf("%d orders, the last is %s", len(a.orders), strconv.Itoa(a.last))
	}
}

// The promise of the demo, kept by the compiler: an API that imports nothing that could check a token, and never says 401 or 403.
func TestNoLineOfSecurityCode(t *testing.T) {
	t.Parallel()
	words := []string{"StatusUnauthorized", "StatusForbidden", "X-Postern-Groups", "X-Postern-Roles", "X-Postern-Scopes"}
	for file, words := range map[string][]string{
		"api.go":    append(words, "Authorization", "Bearer"),
		"whoami.go": words, // shows what is in the token
	} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			if path := strings.Trim(spec.Path.Value, `"`); strings.Contains(path, "crypto") || strings.Contains(path, "postern") || strings.Contains(path, ".") {
				t.Errorf("%s imports %s", file, path)
			}
		}
		for _, word := range words {
			if strings.Contains(string(source), word) {
				t.Errorf("%s speaks of %s", file, word)
			}
		}
	}
	a := New()
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, "FOO"} {
		for _, path := range []string{"/orders", "/orders/1", "/admin/stats", "/isalive", "/whoami", "/x"} {
			if code := call(a, method, path, "").Code; code == http.StatusUnauthorized || code == http.StatusForbidden {
				t.Errorf("%s %s: %d", method, path, code)
			}
		}
	}
}
