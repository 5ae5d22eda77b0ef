package e2e

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// outbound is a postern with a front door, a login at Entra ID and the way out. The app is the one of the texas tests, and knows the same APIs.
type outbound struct {
	*world
	t      testing.TB
	egress string     // host and port
	target *AppServer // behind every usual route
	tokens *texas     // how the token API is asked
	known  int        // calls of the target at the last mark
}

type outboundOptions struct {
	routes string            // of the egress, after the usual ones; TARGET is where the target is
	env    map[string]string // on top of the usual; an empty value takes a variable away
	own    map[string]any    // of the app at the provider: its credentials
	target *AppServer
	setup  func(x *outbound) // what there is to say only when the provider is there

	provider providerFunc // nil is DevIDP
}

// usualRoutes lead to one place, so that a test can say that nobody was called.
const usualRoutes = `
- {name: orders, url: "http://TARGET/api", provider: entra_id, target: "` + ordersName + `"}
- {name: stock, url: "http://TARGET", provider: entra_id, target: "` + stockName + `"}
- {name: citizens, url: "http://TARGET", provider: tokenx, target: "` + ordersName + `"}
- {name: closed, url: "http://TARGET", provider: entra_id, target: "` + closedName + `"}
- {name: ledger, url: "http://TARGET", provider: entra_id, target: "` + ordersName + `", as: app}
- {name: register, url: "http://TARGET", provider: maskinporten, target: "nav:team/orders.read", as: app, open: true}
- {name: either, url: "http://TARGET", provider: entra_id, target: "` + stockName + `", as: auto}
`

func newOutbound(t testing.TB, o outboundOptions) *outbound {
	t.Helper()
	x := &outbound{t: t, target: o.target, egress: "127.0.0.1:" + FreePort(t)}
	if x.target == nil {
		x.target = App(t, nil)
	}
	api := "127.0.0.1:" + FreePort(t)
	x.world = prepareWorld(t, worldOptions{
		app: App(t, map[string]http.HandlerFunc{"/via/": x.forwardEverything}),
		idp: func(t testing.TB, redirects, postLogout []string) (identityProvider, map[string]string) {
			jwk, public := newJWK(t)
			own := map[string]any{"jwks": public, "redirect_uris": redirects, "post_logout_redirect_uris": postLogout}
			maps.Copy(own, o.own)
			dev := o.provider.start(t, nil, nil, "--clients="+platformApps(t, own), "--idporten-audience="+ownAudience, "--tokenx-audience="+ownName)
			x.tokens = &texas{t: t, api: "http://" + api, dev: dev}
			env := platformEnv(dev, jwk)
			maps.Copy(env, map[string]string{
				"POSTERN_OPENID_PROVIDER": "azure", "IDPORTEN_CLIENT_ID": ourIDPorten,
				"POSTERN_TOKEN_BIND_ADDRESS": api, "POSTERN_EGRESS_BIND_ADDRESS": x.egress,
				"POSTERN_EGRESS_ROUTES": strings.ReplaceAll(usualRoutes+strings.TrimPrefix(o.routes, "\n"), "TARGET", x.target.Addr),
			})
			return dev, env
		},
	})
	x.dev = x.tokens.dev
	maps.Copy(x.env, o.env)
	if o.setup != nil {
		o.setup(x)
	}
	maps.DeleteFunc(x.env, func(_, value string) bool { return value == "" })
	x.Process = Start(t, x.env)
	return x
}

// forwardEverything is how a careless app calls another API: /via/orders/17 goes to /orders/17 of the egress with every header that came in.
func (x *outbound) forwardEverything(w http.ResponseWriter, r *http.Request) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+x.egress+strings.TrimPrefix(r.URL.RequestURI(), "/via"), r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	out.Header = r.Header.Clone()
	transport := loopback()
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer answer.Body.Close()
	maps.Copy(w.Header(), answer.Header)
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

// signedIn is a browser with a session, and the Authorization header that the app is handed for it.
func (x *outbound) signedIn(person string) (browser *Client, authorization string) {
	x.t.Helper()
	browser = NewClient(x.t)
	x.login(x.t, browser, person, "")
	return browser, x.get(x.t, browser, "/x").Header.Get("Authorization")
}

// call is a call of the app: GET unless the path begins with a method. An empty authorization is none.
func (x *outbound) call(path, authorization string, headers ...string) *Response {
	x.t.Helper()
	method, rest, found := strings.Cut(path, " ")
	if !found {
		method, rest = http.MethodGet, path
	}
	if authorization != "" {
		headers = append([]string{"Authorization", authorization}, headers...)
	}
	return NewClient(x.t).Send(method, "http://"+x.egress+rest, "", headers...)
}

// mark is where [outbound.unseen] counts from.
func (x *outbound) mark() {
	x.t.Helper()
	x.dev.Forget(x.t)
	x.known = len(x.target.Requests())
}

// unseen fails the test if the target was called, or a provider asked for a token, since the last mark, and sets another one.
func (x *outbound) unseen(what string) {
	x.t.Helper()
	if len(x.target.Requests()) != x.known {
		x.t.Errorf("%s: the target was called", what)
	}
	for _, one := range x.dev.TokenRequests(x.t) {
		x.t.Errorf("%s: %s was asked for a token by %s", what, one.Issuer, one.GrantType)
	}
	x.mark()
}

// bearer is the claims of a token in an Authorization header.
func bearer(t *testing.T, header http.Header) map[string]any {
	t.Helper()
	raw, found := strings.CutPrefix(header.Get("Authorization"), "Bearer ")
	if !found || len(header["Authorization"]) != 1 {
		t.Fatalf("Authorization is %d values and no bearer token", len(header["Authorization"]))
	}
	return claims(t, raw)
}
