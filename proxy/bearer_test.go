package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A good token with a byte too many is none, also where the good one is remembered. Only the answer to what does not verify depends on its form.
func TestS24NothingButTheTokenVerifies(t *testing.T) {
	t.Parallel()
	h, token := newBearerDoor(t, "127.0.0.1:1")
	ask := func(authorization string) *httptest.ResponseRecorder {
		r := benchRequest("")
		r.Header["Authorization"] = []string{authorization}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := ask("Bearer " + token); w.Code != http.StatusBadGateway { // admitted, but nothing listens where the app should
		t.Fatalf("the token: %d %s", w.Code, w.Body)
	}
	for name, sent := range map[string]string{
		"scheme alone": "Bearer", "space alone": "Bearer ", "trailing space": "Bearer " + token + " ", "TAB": "Bearer " + token + "\t", "line break": "Bearer " + token + "\n",
		"NUL": "Bearer " + token + "\x00", "comma": "Bearer " + token + ",", "twice": "Bearer " + token + ", Bearer " + token, "no scheme": token, "another": "DPoP " + token,
		"parameter": "Bearer " + token + ";a=b", "too long": "Bearer " + strings.Repeat("a", 16<<10+1),
	} {
		if w := ask(sent); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "not one well-formed Bearer token") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	for name, sent := range map[string]string{"padding": "Bearer " + token + "=", "cut": "Bearer " + token[:len(token)-1], "of another form": "Bearer abc"} {
		if w := ask(sent); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "The access token is not accepted: ") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
