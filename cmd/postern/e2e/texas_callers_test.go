package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// S-22 and the advisory on the identity sidecar of Microsoft (peers 70): whoever reaches the token API is the app, so nobody else may.
func TestS22TheTokenAPIAnswersTheAppAlone(t *testing.T) {
	t.Parallel()
	x := newTexas(t, map[string]string{"POSTERN_TOKEN_ALLOWED_HOSTS": "tokens.example.org"})
	body := map[string]any{"identity_provider": "maskinporten", "target": "nav:team/orders.read"}
	for name, tc := range map[string]struct {
		headers []string
		status  int
	}{
		"as Node.js sends it":     {[]string{"Sec-Fetch-Mode", "cors", "Accept", "*/*", "User-Agent", "node"}, 200},
		"localhost":               {[]string{"Host", "localhost:3000"}, 200},
		"a name without a dot":    {[]string{"Host", "texas"}, 200},
		"an allowed name":         {[]string{"Host", "tokens.example.org"}, 200},
		"IPv6":                    {[]string{"Host", "[::1]:3000"}, 200},
		"a rebound name":          {[]string{"Host", "evil.example.org"}, 403},
		"a name that looks alike": {[]string{"Host", "tokens.example.org.evil.net"}, 403},
		"127.0.0.1 in a name":     {[]string{"Host", "127.0.0.1.evil.net"}, 403},
		"a page's origin":         {[]string{"Origin", "http://localhost:5173"}, 403},
		"no origin to speak of":   {[]string{"Origin", "null"}, 403},
	} {
		if r := x.ask(tokenPath, body, tc.headers...); r.StatusCode != tc.status || tc.status == 403 && strings.Contains(r.Body, "access_token") {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.Body)
		}
	}
	form := x.dev.Counts(t)
	r := NewClient(t).Send(http.MethodPost, x.api+tokenPath, "identity_provider=maskinporten&target=nav%3Ateam%2Fstock.read",
		"Content-Type", "application/x-www-form-urlencoded", "Origin", "null")
	if r.StatusCode != 403 || x.dev.Counts(t)["maskinporten/token"] != form["maskinporten/token"] {
		t.Errorf("a form of a page: %d %s", r.StatusCode, r.Body)
	}
}

// The endpoint, the tenant and the parameters of the grant are the operator's, whatever a caller writes.
func TestACallerCannotChooseWhereATokenComesFrom(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	first := token(t, x.ask(tokenPath, map[string]any{
		"identity_provider": "azuread", "target": ordersName, "token_endpoint": "https://evil.example", "tenant": "other", "client_id": "other", "grant_type": "password",
	}))
	if again := token(t, x.ask(tokenPath, map[string]any{"identity_provider": "azuread", "target": ordersName})); again.Access != first.Access {
		t.Error("members that nobody knows made a difference")
	}
}

func TestS22AnotherAddressThanLoopbackMustBeWanted(t *testing.T) {
	t.Parallel()
	x := prepareTexas(t, map[string]string{"BIND_ADDRESS": "0.0.0.0:" + FreePort(t)})
	p := LaunchWith(t, x.env)
	if code := p.Wait(t); code != 2 || !strings.Contains(p.Log.Text(), "BIND_ADDRESS") || !strings.Contains(p.Log.Text(), "token.allow-remote") {
		t.Errorf("exit %d\n%s", code, p.Log.Text())
	}

	secret := filepath.Join(t.TempDir(), "secret")
	writeFile(t, secret, "a-secret-of-this-pod\n")
	port := FreePort(t)
	x = prepareTexas(t, map[string]string{"BIND_ADDRESS": "0.0.0.0:" + port, "POSTERN_TOKEN_ALLOW_REMOTE": "true", "POSTERN_TOKEN_SECRET_FILE": secret})
	x.api = "http://127.0.0.1:" + port
	x.start(t)
	body := map[string]any{"identity_provider": "maskinporten", "target": "nav:team/orders.read"}
	if r := x.ask(tokenPath, body); r.StatusCode != 401 {
		t.Errorf("without the secret: %d %s", r.StatusCode, r.Body)
	}
	if r := x.ask(tokenPath, body, "Authorization", "Bearer another"); r.StatusCode != 401 {
		t.Errorf("with another secret: %d %s", r.StatusCode, r.Body)
	}
	token(t, x.ask(tokenPath, body, "Authorization", "Bearer a-secret-of-this-pod"))
	if own := ownAddress(t); own != "" {
		x.api = "http://" + net.JoinHostPort(own, port)
		token(t, x.ask(tokenPath, body, "Authorization", "Bearer a-secret-of-this-pod"))
	}
	writeFile(t, secret, "the-next-secret\n")
	x.api = "http://127.0.0.1:" + port
	Eventually(t, "the next secret", func() error { // the file is looked at now and then
		if r := x.ask(tokenPath, body, "Authorization", "Bearer the-next-secret"); r.StatusCode != 200 {
			return errorf("status %d", r.StatusCode)
		}
		return nil
	})
	if r := x.ask(tokenPath, body, "Authorization", "Bearer a-secret-of-this-pod"); r.StatusCode != 401 {
		t.Errorf("with the old secret: %d", r.StatusCode)
	}
	x.Log.Without(t, map[string]string{"the secret": "a-secret-of-this-pod"})
}

// A client that begins to ask and does not go on is not waited for, and holds up nobody.
func TestARequestThatDoesNotEndIsCutOff(t *testing.T) {
	t.Parallel()
	x := newTexas(t, map[string]string{"POSTERN_LIMITS_HEADER_TIME": "1s"})
	address := strings.TrimPrefix(x.api, "http://")
	conn := Dial(t, address)
	if _, err := io.WriteString(conn, "POST "+tokenPath+" HTTP/1.1\r\nHost: "+address+"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	token(t, x.ask(tokenPath, map[string]any{"identity_provider": "maskinporten", "target": "nav:team/orders.read"}))
	_ = conn.SetReadDeadline(time.Now().Add(Patience))
	said, err := io.ReadAll(conn)
	if err != nil || strings.Contains(string(said), "access_token") || len(said) > 0 && !strings.HasPrefix(string(said), "HTTP/1.1 400") {
		t.Errorf("%q, %v", said, err)
	}
}

// ownAddress is one of this machine that is not loopback, empty if there is none.
func ownAddress(t testing.TB) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if network, ok := one.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLoopback() {
			return network.IP.String()
		}
	}
	return ""
}

// A unix socket is one more way to be reached by the app alone.
func TestTheTokenAPIOnASocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.sock")
	x := newTexas(t, map[string]string{"BIND_ADDRESS": "", "POSTERN_TOKEN_BIND_ADDRESS": "unix:" + path})
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost"+tokenPath,
		strings.NewReader(`{"identity_provider":"maskinporten","target":"nav:team/orders.read"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	_ = x
}
