package demoapi

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhoamiAnswersWhatTheAPIWasTold(t *testing.T) {
	t.Parallel()
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(`{"aud":"orders","exp":1772370000123456789,"x":"<script>"}`)) + ".c2lnbmF0dXJl"
	w := call(New(), "GET", "/whoami", "", "Authorization", "Bearer "+token, "Cookie", "a=b",
		"X-Postern-Name", "Kari S%C3%B8rb%C3%B8", "X-Postern-User", "Z990001", "X-Postern-Client", "demo:shop:web")
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"caller": "Kari Sørbø", "through": "demo:shop:web",
		"headers": map[string]any{"X-Postern-Name": "Kari S%C3%B8rb%C3%B8", "X-Postern-User": "Z990001", "X-Postern-Client": "demo:shop:web"},
		"token":   map[string]any{"aud": "orders", "exp": 1772370000123456789.0, "x": "<script>"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(w.Body.String(), "1772370000123456789") {
		t.Error("a number changed on the way")
	}
	for _, part := range strings.Split(token, ".") {
		if strings.Contains(w.Body.String(), part) {
			t.Errorf("it answers a part of the token: %s", w.Body)
		}
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("an answer that names a person may be stored")
	}
}

func TestWhoamiWithoutAReadableToken(t *testing.T) {
	t.Parallel()
	for _, authorization := range []string{"", "Bearer opaque", "Bearer a.b", "Bearer a.!.c", "Bearer a.e30x.c", "Bearer a.bm90IEpTT04.c"} {
		w := call(New(), "GET", "/whoami", "", "Authorization", authorization)
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"token": null`) || !strings.Contains(w.Body.String(), `"caller": "nobody"`) {
			t.Errorf("%q: %d %s", authorization, w.Code, w.Body)
		}
	}
}
