package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// withTokens is an app whose providers all give tokens, the login provider among them.
func withTokens(env ...string) world {
	return withLogin().with(everybody()...).with("POSTERN_OPENID_AUDIENCES=https://api.example.org").with(env...)
}

const ordersRoute = "name: orders, url: 'https://orders.example.org/api', provider: tokenx, target: 'dev:team:orders'"

func TestEgressRouteSaysTheRestItself(t *testing.T) {
	t.Parallel()
	c := withTokens("POSTERN_EGRESS_ROUTES=[{" + ordersRoute + "}]").load(t).Config
	want := []EgressRoute{{
		Name: "orders", URL: "https://orders.example.org/api", Provider: "tokenx", Target: "dev:team:orders", As: "user", Timeout: 30 * time.Second,
	}}
	if diff := cmp.Diff(want, c.Egress.Routes); diff != "" {
		t.Error(diff)
	}
	if c.Egress.BindAddress != "127.0.0.1:3003" {
		t.Errorf("it listens on %q", c.Egress.BindAddress)
	}
	if got := withTokens().load(t).Config.Egress.BindAddress; got != "" {
		t.Errorf("without a route it listens on %q", got)
	}
}

func TestEgressRoutesThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	const place = "url: 'https://a', target: t"
	for _, test := range []struct {
		name, routes string
		env          []string
		want         string // "": accepted
	}{
		{"app of Entra ID", "{name: a, " + place + ", provider: entra_id, as: app}", nil, ""},
		{"either, of Entra ID", "{name: a, " + place + ", provider: entra_id, as: auto}", nil, ""},
		{"app of Maskinporten", "{name: a, " + place + ", provider: maskinporten, as: app}", nil, ""},
		{"either, of the login provider", "{name: a, " + place + ", provider: openid, as: auto}", nil, ""},
		{"by its address", "{name: a, url: 'https://[2001:db8::1]:8443', target: t, provider: tokenx}", nil, ""},
		{"with a slash at the end", "{name: a, url: 'https://a/v1/', target: t, provider: tokenx}", nil, ""},
		{"without a name", "{" + place + ", provider: tokenx}", nil, "needs a name"},
		{"name with a dot", "{name: a.b, " + place + ", provider: tokenx}", nil, "name must consist"},
		{"name with a slash", "{name: a/b, " + place + ", provider: tokenx}", nil, "name must consist"},
		{"name with an escape", "{name: a%2f, " + place + ", provider: tokenx}", nil, "name must consist"},
		{"name with a letter from elsewhere", "{name: blå, " + place + ", provider: tokenx}", nil, "name must consist"},
		{"name that is a flag", "{name: -a, " + place + ", provider: tokenx}", nil, "name must consist"},
		{"long name", "{name: " + strings.Repeat("a", 64) + ", " + place + ", provider: tokenx}", nil, "name must consist"},
		{"without a url", "{name: a, target: t, provider: tokenx}", nil, "needs url"},
		{"url of another scheme", "{name: a, url: 'ftp://a', target: t, provider: tokenx}", nil, "url must be an address"},
		{"url without a host", "{name: a, url: 'https:///x', target: t, provider: tokenx}", nil, "url must be an address"},
		{"url without a scheme", "{name: a, url: 'orders:8080', target: t, provider: tokenx}", nil, "url must be an address"},
		{"url with a port that is none", "{name: a, url: 'https://a:65536', target: t, provider: tokenx}", nil, "url must be an address"},
		{"url with a user", "{name: a, url: 'https://u:hunter2@a', target: t, provider: tokenx}", nil, "no user, query or fragment"},
		{"url with a query", "{name: a, url: 'https://a/?x', target: t, provider: tokenx}", nil, "no user, query or fragment"},
		{"url with an empty query", "{name: a, url: 'https://a/?', target: t, provider: tokenx}", nil, "no user, query or fragment"},
		{"url with a fragment", "{name: a, url: 'https://a/#x', target: t, provider: tokenx}", nil, "no user, query or fragment"},
		{"url with an empty fragment", "{name: a, url: 'https://a/#', target: t, provider: tokenx}", nil, "no user, query or fragment"},
		{"url with dot segments", "{name: a, url: 'https://a/v1/../v2', target: t, provider: tokenx}", nil, "several ways"},
		{"url with escaped dots", "{name: a, url: 'https://a/v1/%2e%2e', target: t, provider: tokenx}", nil, "several ways"},
		{"url with an escaped slash", "{name: a, url: 'https://a/v1%2fx', target: t, provider: tokenx}", nil, "several ways"},
		{"without a provider", "{name: a, " + place + "}", nil, "needs provider"},
		{"provider of another name", "{name: a, " + place + ", provider: token-x}", nil, "nearest: tokenx"},
		{"ID-porten gives none", "{name: a, " + place + ", provider: idporten}", nil, "tokenx exchanges"},
		{"TokenX gives none to apps", "{name: a, " + place + ", provider: tokenx, as: app}", nil, "on behalf of users only"},
		{"TokenX gives none to either", "{name: a, " + place + ", provider: tokenx, as: auto}", nil, "on behalf of users only"},
		{"Maskinporten gives none for users", "{name: a, " + place + ", provider: maskinporten}", nil, "to the app itself only"},
		{"Maskinporten gives none to either", "{name: a, " + place + ", provider: maskinporten, as: auto}", nil, "to the app itself only"},
		{"as somebody else", "{name: a, " + place + ", provider: tokenx, as: uesr}", nil, "nearest: user"},
		{"without a target", "{name: a, url: 'https://a', provider: tokenx}", nil, "needs target"},
		{"HTTP/2 in clear by TLS", "{name: a, " + place + ", provider: tokenx, h2c: true}", nil, "HTTP/2 over http"},
		{"HTTP/2 in clear", "{name: a, url: 'http://localhost', target: t, provider: tokenx, h2c: true}", nil, ""},
		{"no time at all", "{name: a, " + place + ", provider: tokenx, timeout: 0s}", nil, "timeout must be longer"},
		{"Entra ID is off", "{name: a, " + place + ", provider: entra_id}", []string{"AZURE_ENABLED=false"}, "AZURE_ENABLED=true"},
		{"TokenX is off", "{name: a, " + place + ", provider: tokenx}", []string{"TOKEN_X_ENABLED=false"}, "TOKEN_X_ENABLED=true"},
		{"Maskinporten is off", "{name: a, " + place + ", provider: maskinporten, as: app}", []string{"MASKINPORTEN_ENABLED=false"}, "MASKINPORTEN_ENABLED=true"},
		{"users of a login provider whose tokens cannot be told from id tokens", "{name: a, " + place + ", provider: openid}", []string{"POSTERN_OPENID_AUDIENCES="}, "openid.audiences"},
		{"its app, for which that does not matter", "{name: a, " + place + ", provider: openid, as: app}", []string{"POSTERN_OPENID_AUDIENCES="}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := withTokens(test.env...).with("POSTERN_EGRESS_ROUTES=[" + test.routes + "]")
			if test.want == "" {
				w.load(t)
				return
			}
			w.refused(t, "egress.routes", test.want)
			if got := w.problems(t); !strings.HasPrefix(got[0], "egress.routes: entry 1 ") || strings.Contains(got[0], "hunter2") {
				t.Errorf("%q must say which entry, and no value", got)
			}
		})
	}
}

func TestEgressProblemsComeAllAtOnce(t *testing.T) {
	t.Parallel()
	got := withTokens("POSTERN_EGRESS_ROUTES=[{" + ordersRoute + "}, {name: ORDERS, url: x, provider: idporten, as: app}, {}]").problems(t)
	want := []string{
		"egress.routes: entry 2 name is that of an earlier entry",
		"egress.routes: entry 2 url must be an address such as https://orders.example.org/api",
		"egress.routes: entry 2 provider idporten gives no tokens for calls; tokenx exchanges those of its users",
		"egress.routes: entry 2 needs target: whom its tokens are for",
		"egress.routes: entry 3 needs a name, by which the app calls it",
		"egress.routes: entry 3 needs url: where its calls go",
		"egress.routes: entry 3 needs provider: who gives its tokens",
		"egress.routes: entry 3 needs target: whom its tokens are for",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEgressOverHTTPIsAWarning(t *testing.T) {
	t.Parallel()
	for url, warned := range map[string]bool{
		"http://orders.team.svc.cluster.local": true, "https://orders": false, "http://localhost:8080": false, "http://127.0.0.1": false, "http://a.localhost": false,
	} {
		got := withTokens("POSTERN_EGRESS_ROUTES=[{name: a, url: '" + url + "', provider: tokenx, target: t}]").load(t).Warnings
		if (len(got) == 1) != warned || warned && !strings.Contains(got[0], "entry 1 sends tokens over http") {
			t.Errorf("%s: warnings %q", url, got)
		}
	}
	got := withTokens("POSTERN_EGRESS_ROUTES=[{" + ordersRoute + ", open: true}]").load(t).Warnings
	if len(got) != 1 || !strings.Contains(got[0], "open, which has no effect") {
		t.Errorf("warnings %q", got)
	}
}

func TestS22EgressStaysOnLoopback(t *testing.T) {
	t.Parallel()
	w := withTokens("POSTERN_EGRESS_ROUTES=[{" + ordersRoute + "}]")
	for _, address := range []string{"0.0.0.0:3003", ":3003", "10.0.0.1:3003", "[::]:3003"} {
		w.with("POSTERN_EGRESS_BIND_ADDRESS="+address).refused(t, "egress.bind-address", "must be on loopback")
		got := w.with("POSTERN_EGRESS_BIND_ADDRESS="+address, "POSTERN_TOKEN_ALLOW_REMOTE=true").load(t).Warnings
		if len(got) != 1 || !strings.HasPrefix(got[0], "egress.bind-address: other machines can reach it") {
			t.Errorf("%s: warnings %q", address, got)
		}
	}
	for _, address := range []string{"127.0.0.1:7167", "localhost:7167", "unix:/run/egress.sock"} {
		if got := w.with("POSTERN_EGRESS_BIND_ADDRESS=" + address).load(t); got.Config.Egress.BindAddress != address || len(got.Warnings) > 0 {
			t.Errorf("%s: %q", address, got.Warnings)
		}
	}
}

func TestS22RefusalNamesWhereTheAddressCameFrom(t *testing.T) {
	t.Parallel()
	withTokens("BIND_ADDRESS=0.0.0.0:7164").refused(t, "token.bind-address", "environment variable BIND_ADDRESS")
	texas := world{env: everybody()}
	texas.with("BIND_ADDRESS=0.0.0.0:7164").refused(t, "token.bind-address", "environment variable BIND_ADDRESS")
	got := texas.with("BIND_ADDRESS=0.0.0.0:7164", "POSTERN_TOKEN_ALLOW_REMOTE=true", "POSTERN_TOKEN_SECRET_FILE=/secret")
	got.files = map[string]string{"/secret": "s"}
	if warnings := got.load(t).Warnings; len(warnings) != 1 || !strings.Contains(warnings[0], "with the secret of token.secret-file") {
		t.Errorf("warnings %q", warnings)
	}
}

func TestS22SecretAndHostsOfTheTokenAPI(t *testing.T) {
	t.Parallel()
	w := withTokens("POSTERN_TOKEN_SECRET_FILE=/secret")
	w.refused(t, "token.secret-file", "read /secret: file does not exist")
	w.files = map[string]string{"/secret": "\n"}
	w.refused(t, "token.secret-file", "file is empty")
	w.files["/secret"] = "s\n"
	w.load(t)
	for _, host := range []string{"postern.example.org", "postern.team.svc:7164", "10.0.0.1", "[::1]:80", "a_b"} {
		if got := withTokens("POSTERN_TOKEN_ALLOWED_HOSTS=" + host).problems(t); len(got) > 0 {
			t.Errorf("%s: %q", host, got)
		}
	}
	for _, host := range []string{"https://postern", "postern/", "a b", "*.example.org", "u@a", "a:", "a:99999", "blå"} {
		withTokens("POSTERN_TOKEN_ALLOWED_HOSTS=ok,"+host).refused(t, "token.allowed-hosts", "entry 2 must be a host name")
	}
}

func TestS43UpstreamTokensThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	c := withTokens("POSTERN_UPSTREAM_TOKENS=[{header: X-Orders-Token, provider: tokenx, target: t, required: true, paths: ['orders/**', /o]}]").load(t).Config
	want := []UpstreamToken{{Header: "X-Orders-Token", Provider: "tokenx", Target: "t", Required: true, Paths: []string{"/orders/**", "/o"}}}
	if diff := cmp.Diff(want, c.Identity.UpstreamTokens); diff != "" {
		t.Error(diff)
	}
	if got := c.Identity.OwnHeaders(); !slices.Equal(got, []string{"X-Orders-Token"}) {
		t.Errorf("own headers %q", got)
	}
	const rest = ", provider: tokenx, target: t}"
	for _, test := range []struct{ tokens, want string }{
		{"{provider: tokenx, target: t}", "entry 1 needs header"},
		{"{header: 'X Token'" + rest, "entry 1 header is no header name"},
		{"{header: Authorization" + rest, "a meaning of its own"},
		{"{header: cookie" + rest, "a meaning of its own"},
		{"{header: Host" + rest, "a meaning of its own"},
		{"{header: Content-Type" + rest, "describes the body"},
		{"{header: TE" + rest, "one connection only"},
		{"{header: X_Postern_User" + rest, "Postern manages"},
		{"{header: X-Forwarded-Access-Token" + rest, "Postern manages"},
		{"{header: X-Dept" + rest, "a header of identity.claims too"},
		{"{header: X-A" + rest + ", {header: x_a" + rest, "entry 2 header is that of an earlier entry too"},
		{"{header: X-A, target: t}", "needs provider"},
		{"{header: X-A, provider: maskinporten, target: t}", "to the app itself only"},
		{"{header: X-A, provider: idporten, target: t}", "tokenx exchanges"},
		{"{header: X-A, provider: tokenx}", "needs target"},
	} {
		withTokens("POSTERN_IDENTITY_CLAIMS=X-Dept=dept", "POSTERN_UPSTREAM_TOKENS=["+test.tokens+"]").refused(t, "upstream-tokens", test.want)
	}
	withTokens("TOKEN_X_ENABLED=false", "POSTERN_UPSTREAM_TOKENS=[{header: X-A"+rest+"]").refused(t, "upstream-tokens", "TOKEN_X_ENABLED=true")
	nobody := world{env: append(everybody(), "POSTERN_UPSTREAM_HOST=app:80", "POSTERN_UPSTREAM_TOKENS=[{header: X-A"+rest+"]")}
	nobody.refused(t, "upstream-tokens", "needs login or bearer validation")
	nobody.with("POSTERN_BEARER_PROVIDERS=all").load(t)
}
