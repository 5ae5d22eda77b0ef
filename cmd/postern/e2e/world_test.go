package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// testKey is an encryption-key: base64 of 32 bytes.
const testKey = "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8="

// identityProvider is what the login suite needs of a provider, whoever wrote it.
type identityProvider interface {
	WellKnown() string
	SignIn(c *Client, r *Response, person string) *Response
	Cancel(c *Client, r *Response) *Response
}

// world is a postern between a browser, an app and a provider.
type world struct {
	*Process
	app     *AppServer
	idp     identityProvider
	dev     *DevProvider // nil if idp is another one
	ingress string       // origin, and path if there is one
	env     map[string]string
}

// worldOptions shape a world; the zero value is an app on the root of its host, with the project's own provider.
type worldOptions struct {
	path     string            // of the ingress, such as "/app"
	env      map[string]string // on top of the defaults
	idpFlags []string
	app      *AppServer
	provider providerFunc
	idp      func(t testing.TB, redirectURIs, postLogoutURIs []string) (identityProvider, map[string]string)
}

// providerFunc starts the project's own provider; nil is [DevIDP].
type providerFunc func(t testing.TB, port string, redirectURIs, postLogoutURIs []string, flags ...string) *DevProvider

func (f providerFunc) start(t testing.TB, redirectURIs, postLogoutURIs []string, flags ...string) *DevProvider {
	t.Helper()
	if f == nil {
		f = DevIDP
	}
	return f(t, "", redirectURIs, postLogoutURIs, flags...)
}

// newWorld starts everything and returns when it is ready.
func newWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	w := prepareWorld(t, o)
	w.Process = Start(t, w.env)
	return w
}

// prepareWorld starts everything but postern.
func prepareWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	port := FreePort(t)
	w := &world{app: o.app, ingress: "http://app.localhost:" + port + o.path}
	if w.app == nil {
		w.app = App(t, nil)
	}
	redirects, postLogout := []string{w.ingress + "/oauth2/callback"}, []string{w.ingress + "/oauth2/logout/callback"}
	w.env = map[string]string{
		"POSTERN_BIND_ADDRESS":     "127.0.0.1:" + port,
		"POSTERN_INGRESS":          w.ingress,
		"POSTERN_UPSTREAM_HOST":    w.app.Addr,
		"POSTERN_ENCRYPTION_KEY":   testKey,
		"POSTERN_LOG_LEVEL":        "debug",
		"POSTERN_IDENTITY_HEADERS": "postern",
	}
	if o.idp != nil {
		provider, env := o.idp(t, redirects, postLogout)
		w.idp = provider
		maps.Copy(w.env, env)
	} else {
		w.dev = o.provider.start(t, redirects, postLogout, o.idpFlags...)
		w.idp = w.dev
		maps.Copy(w.env, map[string]string{
			"POSTERN_OPENID_PROVIDER":       "azure",
			"POSTERN_OPENID_CLIENT_ID":      DevClientID,
			"POSTERN_OPENID_CLIENT_SECRET":  DevClientSecret,
			"POSTERN_OPENID_WELL_KNOWN_URL": w.dev.WellKnown(),
		})
	}
	maps.Copy(w.env, o.env)
	return w
}

// login signs a person in by a full round through the browser and returns the answer to the callback.
func (w *world) login(t testing.TB, c *Client, person, path string) *Response {
	t.Helper()
	start := w.ingress + "/oauth2/login"
	if path != "" {
		start += "?redirect=" + url.QueryEscape(path)
	}
	back := w.idp.SignIn(c, c.Navigate(start), person)
	done := c.Navigate(back.Where().String())
	if done.StatusCode != 302 {
		t.Fatalf("callback: status %d, want 302\n%.500s", done.StatusCode, done.Body)
	}
	return done
}

// get asks for a path of the app and returns what the app saw.
func (w *world) get(t testing.TB, c *Client, path string, headers ...string) Echo {
	t.Helper()
	r := c.Get(w.ingress+path, headers...)
	if r.StatusCode != 200 {
		t.Fatalf("GET %s: status %d\n%.300s", path, r.StatusCode, r.Body)
	}
	return Echoed(t, r)
}

// sessionCookie is the name and value of the client's session cookie.
func (w *world) sessionCookie(c *Client) (name, value string) {
	for name, value := range c.Cookies(w.ingress + "/") {
		if strings.HasSuffix(name, ".session") {
			return name, value
		}
	}
	return "", ""
}

// loginCookies are the names of the client's logins under way.
func (w *world) loginCookies(c *Client) []string {
	var names []string
	for name := range c.Cookies(w.ingress + "/") {
		if strings.Contains(name, ".callback.") {
			names = append(names, name)
		}
	}
	return names
}

// ask sends one request whose target no client library has touched.
func (w *world) ask(t testing.TB, method, target string, headers ...string) *Response {
	t.Helper()
	return parseAnswer(t, Raw(t, w.Addr, rawRequest(method, target, w.host(), headers...)), method)
}

// host is the ingress as a Host header says it.
func (w *world) host() string { return strings.TrimPrefix(w.origin(), "http://") }

// rawRequest is a request head as bytes.
func rawRequest(method, target, host string, headers ...string) string {
	var head strings.Builder
	head.WriteString(method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n")
	for i := 0; i+1 < len(headers); i += 2 {
		head.WriteString(headers[i] + ": " + headers[i+1] + "\r\n")
	}
	return head.String() + "\r\n"
}

// parseAnswer reads the first answer in what came back.
func parseAnswer(t testing.TB, raw, method string) *Response {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(strings.NewReader(raw)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer: %v\n%.200q", err, raw)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return &Response{Response: answer, Body: string(body)}
}

var errorf = fmt.Errorf

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
