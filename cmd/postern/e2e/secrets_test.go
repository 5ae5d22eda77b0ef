package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Scenario 29, S-27, S-37: a whole story at debug level, with Redis watched: no secret and no person in the log, none in the store, its commands or
// its keys.
func TestS27S37NothingSecretIsWritten(t *testing.T) {
	t.Parallel()
	server, h := Redis(t), newHoard(nil)
	w := newWorld(t, worldOptions{provider: h.provider, env: map[string]string{
		"POSTERN_REDIS_URI": server.URI(), "POSTERN_IDENTITY_HEADERS": "postern,claims", "POSTERN_UPSTREAM_INCLUDE_ID_TOKEN": "true",
		"POSTERN_UPSTREAM_ACCESS_LOGS": "true",
	}})
	client := server.Client(t)
	monitor := Dial(t, server.Addr)
	watched := &capture{}
	if _, err := io.WriteString(monitor, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(watched, monitor) }()

	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 2})
	c := NewClient(t)
	secrets := map[string]string{}
	started := c.Navigate(w.ingress + "/oauth2/login?redirect=%2Fp%2F01017012345%3Ffnr%3D01017012345")
	for name, value := range c.Cookies(w.ingress + "/") {
		secrets["cookie "+name] = value
	}
	callback := w.idp.SignIn(c, started, "kari").Where()
	secrets["code"], secrets["state"] = callback.Query().Get("code"), callback.Query().Get("state")
	c.Navigate(callback.String())
	_, secrets["session cookie"] = w.sessionCookie(c)
	take := func(stage string) {
		seen := w.get(t, c, "/p/01017012345?fnr=01017012345").Header
		secrets[stage+" access token"] = strings.TrimPrefix(seen.Get("Authorization"), "Bearer ")
		secrets[stage+" id token"] = seen.Get("X-Wonderwall-Id-Token")
		var claims map[string]any
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(seen.Get("X-Postern-Claims"), "="))
		if err != nil || json.Unmarshal(raw, &claims) != nil {
			t.Fatalf("claims: %v", err)
		}
		for _, name := range []string{"sub", "sid", "oid", "name", "preferred_username", "NAVident"} {
			if text, ok := claims[name].(string); ok {
				secrets[name] = text
			}
		}
	}
	take("first")
	time.Sleep(2100 * time.Millisecond) // past the token's life: the next request refreshes
	take("second")
	c.Navigate(w.ingress + "/p/01017012345?x=01017012345")
	c.Send("POST", w.ingress+"/oauth2/session/refresh", "")
	other := NewClient(t)
	other.Navigate(w.ingress + "/oauth2/callback?code=forged&state=forged&error_description=01017012345")

	secrets["national identity number"] = "01017012345"
	secrets["client secret"], secrets["encryption key"] = DevClientSecret, testKey
	h.knows(t, "code_verifier", "refresh_token")
	maps.Copy(secrets, h.all())
	w.Log.Without(t, secrets)

	delete(secrets, "client secret")
	delete(secrets, "encryption key")
	ctx := context.Background()
	var stored strings.Builder
	keys, err := client.Keys(ctx, "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("keys: %v %v", keys, err)
	}
	for _, key := range keys {
		dump, err := client.Dump(ctx, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		stored.WriteString(key + " " + dump + "\n")
	}
	c.Navigate(w.ingress + "/oauth2/logout")
	Eventually(t, "the monitor has seen the logout", func() error {
		if !strings.Contains(strings.ToLower(watched.String()), `"del"`) {
			return errorf("%d bytes", len(watched.String()))
		}
		return nil
	})
	stored.WriteString(watched.String())
	for _, name := range leaks(stored.String(), secrets) {
		t.Errorf("the store sees %s", name)
	}
	w.Log.Without(t, secrets)
}

// Scenario 30, S-39: keys are rotated without a restart, and nobody is signed out.
func TestS39KeyRotationLosesNobody(t *testing.T) {
	t.Parallel()
	const second = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	file := t.TempDir() + "/key"
	writeFile(t, file, testKey)
	w := prepareWorld(t, worldOptions{env: map[string]string{"POSTERN_ENCRYPTION_KEY_FILE": file}})
	delete(w.env, "POSTERN_ENCRYPTION_KEY")
	w.Process = Start(t, w.env)
	old := NewClient(t)
	w.login(t, old, "kari", "")
	writeFile(t, file, second+","+testKey)
	w.Log.WaitFor(t, map[string]any{"msg": "secret replaced", "option": "encryption-key"})
	if w.get(t, old, "/").Header.Get("X-Postern-User") != "Z990001" {
		t.Error("the rotation signed somebody out")
	}
	young := NewClient(t)
	w.login(t, young, "ola", "")
	writeFile(t, file, second)
	Eventually(t, "the old key is dropped", func() error {
		if w.get(t, old, "/").Header.Get("X-Postern-User") != "" {
			return errorf("a cookie of the dropped key still opens")
		}
		return nil
	})
	if w.get(t, young, "/").Header.Get("X-Postern-User") != "Z990002" {
		t.Error("a cookie of the current key does not open")
	}
	name, value := w.sessionCookie(young)
	cut := NewClient(t)
	for _, bad := range []string{value[:len(value)-1], value + "A", strings.ToUpper(value), value[:20], "", strings.Repeat("A", 8000)} {
		cut.Forget()
		cut.SetCookie(w.ingress, &http.Cookie{Name: name, Value: bad, Path: "/", Secure: true})
		if w.get(t, cut, "/").Header.Get("X-Postern-User") != "" {
			t.Error("a damaged cookie opens")
		}
	}
}

// A client secret in a file is exchanged without a restart; a file that cannot be used changes nothing.
func TestClientSecretIsReadAgain(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/secret"
	writeFile(t, file, "wrong")
	w := prepareWorld(t, worldOptions{env: map[string]string{"POSTERN_OPENID_CLIENT_SECRET_FILE": file}})
	delete(w.env, "POSTERN_OPENID_CLIENT_SECRET")
	w.Process = Start(t, w.env)
	if r := NewClient(t).Navigate(w.ingress + "/oauth2/login"); r.StatusCode != 500 { // refused at the PAR endpoint
		t.Errorf("with the wrong secret: status %d", r.StatusCode)
	}
	writeFile(t, file, DevClientSecret+"\n")
	w.Log.WaitFor(t, map[string]any{"msg": "secret replaced"})
	w.login(t, NewClient(t), "kari", "")
	writeFile(t, file, "")
	w.Log.WaitFor(t, map[string]any{"level": "ERROR", "option": "openid.client-secret"})
	w.login(t, NewClient(t), "kari", "")
	w.Log.Without(t, map[string]string{"client secret": DevClientSecret})
}

// S-47: cookies that do not open cost the store nothing.
func TestS47CookiesThatDoNotOpenCostNoStoreCall(t *testing.T) {
	t.Parallel()
	server := Redis(t)
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_REDIS_URI": server.URI(), "POSTERN_LOG_LEVEL": "info"}})
	client := server.Client(t)
	c := NewClient(t)
	w.login(t, c, "kari", "")
	name, value := w.sessionCookie(c)
	commands := func() string {
		info, err := client.Info(context.Background(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		var calls strings.Builder
		for line := range strings.Lines(info) {
			command, _, _ := strings.Cut(line, ",")
			name, _, _ := strings.Cut(strings.TrimPrefix(command, "cmdstat_"), ":")
			if !slices.Contains([]string{"info", "ping", "hello", "xread", "xrange", "# Commandstats\r\n"}, name) { // of the test, and of the log's reader
				calls.WriteString(command + "\n")
			}
		}
		return calls.String()
	}
	before := commands()
	const requests, browsers = 10_000, 8
	var all sync.WaitGroup
	for browser := range browsers {
		all.Go(func() {
			anybody := NewClient(t)
			for n := range requests / browsers {
				bad := []byte(value)
				if i := browser*requests/browsers + n; i%2 == 0 {
					bad[i/2%len(bad)] ^= 0x01 // a real one, damaged
				} else {
					random := make([]byte, 132)
					_, _ = rand.Read(random) // never fails
					bad = base64.URLEncoding.AppendEncode(nil, random)
				}
				if r, err := anybody.Try("GET", w.ingress+"/x", "", "Cookie", name+"="+string(bad)); err != nil || r.StatusCode != 200 && r.StatusCode != 400 {
					t.Errorf("%v %v", r, err)
					return
				}
			}
		})
	}
	all.Wait()
	if after := commands(); after != before {
		t.Errorf("%d cookies that do not open: before\n%safter\n%s", requests, before, after)
	}
	if w.get(t, c, "/x").Header.Get("X-Postern-User") != "Z990001" {
		t.Error("the real cookie opens no more")
	}
}
