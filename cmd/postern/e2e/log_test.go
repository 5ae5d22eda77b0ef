package e2e

import (
	"encoding/base64"
	"net/url"
	"slices"
	"testing"
)

func TestLogFindsRecordsAndSecrets(t *testing.T) {
	t.Parallel()
	secret := `a/b+"c`
	for form, text := range map[string]string{
		"as it is": secret, "in a query": url.QueryEscape(secret), "in a JSON text": `a/b+\"c`, "in base64": base64.StdEncoding.EncodeToString([]byte(secret)),
		"in hexadecimal": "612f622b2263", "as bytes": "[97 47 98 43 34 99]",
	} {
		if got := leaks("… "+text+" …", map[string]string{"code": secret, "other": "not there"}); !slices.Equal(got, []string{"code"}) {
			t.Errorf("%s: found %v, want code", form, got)
		}
	}
	if got := leaks("text", map[string]string{"forgotten": ""}); len(got) != 1 {
		t.Error("an empty secret must not pass as not found")
	}

	l := newLog()
	_, _ = l.out.Write([]byte(`{"msg":"start","port":80}` + "\nnot json\n" + `{"msg":"request","status":200}` + "\n"))
	if n := len(l.Records()); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
	if found := l.Find(map[string]any{"msg": "request", "status": 200}); len(found) != 1 {
		t.Errorf("found %v", found)
	}
	if found := l.Find(map[string]any{"msg": "request", "status": 404}); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}
