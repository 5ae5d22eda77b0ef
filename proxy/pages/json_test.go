package pages

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestJSONIsTheBodyOfTheContract(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	w := httptest.NewRecorder()
	p.JSON(w, http.StatusServiceUnavailable, "temporarily_unavailable", `the store does not answer <"now">`, "4bf92f3577b34da6", 3)
	want := `{"error":"temporarily_unavailable","error_description":"the store does not answer \u003c\"now\"\u003e","request_id":"4bf92f3577b34da6"}` + "\n"
	if got := w.Body.String(); got != want {
		t.Errorf("body %s, want %s", got, want)
	}
	h := w.Header()
	if w.Code != 503 || h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" ||
		h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Retry-After") != "3" {
		t.Errorf("answer %d %v", w.Code, h)
	}
}

func TestJSONKeepsToOurOwnRequestIDs(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	newPages(t).JSON(w, http.StatusForbidden, "forbidden", "not admitted", `x"}{`, 0)
	if !strings.HasSuffix(w.Body.String(), `"request_id":""}`+"\n") {
		t.Errorf("body %s", w.Body)
	}
	if _, set := w.Header()["Retry-After"]; set {
		t.Error("Retry-After without a time")
	}
}

func TestJSONAnswersHeadWithoutABody(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.JSON(w, http.StatusForbidden, "forbidden", "not admitted", "1", 0)
	}))
	defer server.Close()
	response, err := server.Client().Head(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusForbidden || response.ContentLength == 0 {
		t.Errorf("answer %d with length %d", response.StatusCode, response.ContentLength)
	}
}
