package devidp_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"postern/oidc/devidp"
)

func TestCodeReuseRevokesWhatWasIssued(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.login("kari")
	first := w.token(codeForm(code))
	if a := w.token(codeForm(code, "client_id", otherID, "client_secret", secret+"2")); a.code() != 70000 {
		t.Errorf("reuse by a stranger: %v", a.body)
	}
	refreshed := w.token(refreshForm(first.text("refresh_token")))
	if refreshed.status != http.StatusOK {
		t.Fatalf("a stranger's reuse hurt: %v", refreshed.body)
	}
	if a := w.token(codeForm(code)); a.status != http.StatusBadRequest || a.text("error") != "invalid_grant" || a.code() != 54005 {
		t.Errorf("reuse: %v", a.body)
	}
	for name, token := range map[string]string{"first": first.text("refresh_token"), "second": refreshed.text("refresh_token")} {
		if a := w.token(refreshForm(token)); a.text("error") != "invalid_grant" || a.code() != 50173 {
			t.Errorf("%s refresh token still works: %v", name, a.body)
		}
	}
}

func TestCodeIsRedeemedOnceUnderConcurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	form := codeForm(w.login("kari"))
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		good int
	)
	for range 16 {
		wg.Go(func() {
			if a := w.token(form); a.status == http.StatusOK {
				mu.Lock()
				defer mu.Unlock()
				good++
			}
		})
	}
	wg.Wait()
	if good != 1 {
		t.Errorf("redeemed %d times", good)
	}
}

func TestRefreshTokenRotation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rotation devidp.Rotation
		fresh    bool // a new token comes
		oldGood  bool // the old one stays good
		revokes  bool // using the old one kills the new one
	}{
		"as Entra ID": {devidp.RotateKeepOld, true, true, false},
		"strict":      {devidp.RotateStrict, true, false, true},
		"never":       {devidp.RotateNever, false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c2 *devidp.Config) { c2.RefreshRotation = c.rotation })
			old := w.tokens("kari").text("refresh_token")
			a := w.token(refreshForm(old))
			if a.status != http.StatusOK || (a.text("refresh_token") != "") != c.fresh || a.text("refresh_token") == old {
				t.Fatalf("refresh: %d %v", a.status, a.body)
			}
			if again := w.token(refreshForm(old)); (again.status == http.StatusOK) != c.oldGood || (!c.oldGood && again.code() != 50173) {
				t.Errorf("old token again: %d %v", again.status, again.body)
			}
			if c.fresh {
				if next := w.token(refreshForm(a.text("refresh_token"))); (next.status != http.StatusOK) != c.revokes {
					t.Errorf("new token after that: %d %v", next.status, next.body)
				}
			}
		})
	}
}

func TestRefreshTokenIsBoundToItsClientAndScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.tokens("kari").text("refresh_token")
	if a := w.token(refreshForm(token, "client_id", otherID, "client_secret", secret+"2")); a.code() != 70000 {
		t.Errorf("another client: %v", a.body)
	}
	if a := w.token(refreshForm(token, "scope", "openid email")); a.text("error") != "invalid_scope" {
		t.Errorf("more scope: %v", a.body)
	}
	if a := w.token(refreshForm(token, "scope", "openid api://"+otherID+"/.default")); a.text("error") != "invalid_scope" {
		t.Errorf("other resource: %v", a.body)
	}
	a := w.token(refreshForm(token, "scope", "openid api://"+clientID+"/orders.read"))
	if a.status != http.StatusOK || w.verified(a.text("access_token"))["scp"] != "orders.read" {
		t.Errorf("less scope: %v", a.body)
	}
	w.pass(91 * 24 * time.Hour)
	if a := w.token(refreshForm(token)); a.text("error") != "invalid_grant" || a.code() != 70008 {
		t.Errorf("after 91 days: %v", a.body)
	}
}

func TestNoRefreshTokenWithoutOfflineAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tokens("kari", "scope", "openid api://"+clientID+"/.default")
	if _, there := a.body["refresh_token"]; there {
		t.Error("a refresh token was given")
	}
	a = w.tokens("kari", "scope", "offline_access api://"+clientID+"/.default")
	if _, there := a.body["id_token"]; there {
		t.Error("an id token was given without openid")
	}
}

func TestRevokeRefreshTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kari, ola := w.tokens("kari").text("refresh_token"), w.tokens("ola").text("refresh_token")
	if n := w.idp.RevokeRefreshTokens("kari"); n != 1 {
		t.Errorf("revoked %d", n)
	}
	if a := w.token(refreshForm(kari)); a.text("error") != "invalid_grant" || a.code() != 50173 {
		t.Errorf("kari: %v", a.body)
	}
	if a := w.token(refreshForm(ola)); a.status != http.StatusOK {
		t.Errorf("ola: %v", a.body)
	}
	if n := w.idp.RevokeRefreshTokens(""); n != 3 { // with the one that ola's refresh brought
		t.Errorf("revoked %d", n)
	}
}
