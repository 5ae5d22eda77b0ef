package proxy

import (
	"net/http/httptest"
	"testing"

	"postern/oidc"
)

func TestS20KeySetSaysWhatItIsWorth(t *testing.T) {
	t.Parallel()
	signer, err := oidc.NewRandomSigner(nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, fromFile := range map[string]bool{"public, max-age=300": true, "no-store": false} {
		w := httptest.NewRecorder()
		noStore(w.Header()) // as own endpoints begin
		serveKeySet(w, signer, fromFile)
		header := w.Result().Header
		if header.Get("Cache-Control") != want || header.Get("Content-Type") != "application/json" {
			t.Errorf("%v", header)
		}
		if fromFile && (header.Get("Expires") != "" || header.Get("Pragma") != "" || header.Get("X-Accel-Expires") != "") {
			t.Errorf("says both: %v", header)
		}
		if w.Code != 200 || w.Body.String() != string(signer.PublicKeySet()) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}
