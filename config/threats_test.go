package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestS04OneLineSaysWhoGetsInWithoutCaller(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		env    string // beside an app; "" is nothing
		public []string
		want   string
	}{
		{"nothing in front of it", "", nil, "everyone reaches the whole app"},
		{"auto-login", "AUTO_LOGIN=true", nil, "everyone reaches these paths of the app and no others: /favicon.ico /robots.txt /open/**"},
		{"require-auth closes ignored paths", "AUTO_LOGIN=true REQUIRE_AUTH=true", nil, "nobody reaches the app"},
		{"preflights", "REQUIRE_AUTH=true AUTH_SKIP_PREFLIGHT=true", nil, "nobody reaches the app; CORS preflights pass as well"},
		{"require-auth that only reports", "REQUIRE_AUTH=true POLICY_MODE=report", nil, "everyone reaches the whole app: policy-mode is report"},
		{"policy", "POLICY_FILE=p", nil, "nobody reaches the app"},
		{"policy with public paths", "POLICY_FILE=p AUTO_LOGIN=true", []string{"/isalive", "/docs/**"}, "these paths of the app and no others: /isalive /docs/**"},
		{"policy whatever require-auth says", "POLICY_FILE=p REQUIRE_AUTH=false", []string{"/isalive"}, "these paths of the app and no others: /isalive"},
		{"policy that only reports", "POLICY_FILE=p POLICY_MODE=report", []string{"/isalive"}, "everyone reaches the whole app"},
		{
			"policy that only reports, and auto-login", "POLICY_FILE=p POLICY_MODE=report AUTO_LOGIN=true",
			[]string{"/isalive"},
			"no others: /favicon.ico /robots.txt /open/** /isalive",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := withLogin().with("POSTERN_AUTO_LOGIN_IGNORE_PATHS=/open/**")
			for _, variable := range strings.Fields(test.env) {
				w = w.with("POSTERN_" + variable)
			}
			if got := w.load(t).Config.WhoWithoutCaller(test.public); !strings.Contains(got, test.want) || strings.Contains(got, "\n") {
				t.Errorf("%q does not say %q", got, test.want)
			}
		})
	}
	alone := Config{OpenID: OpenID{Provider: "openid"}, Providers: Providers{TokenX: Provider{Enabled: true}}}
	if got := alone.WhoWithoutCaller(nil); !strings.Contains(got, "nobody reaches an app") {
		t.Errorf("a token API alone: %q", got)
	}
}

func TestS13TrustedProxies(t *testing.T) {
	t.Parallel()
	trusts := func(c *Config, addr string) bool {
		return slices.ContainsFunc(c.Front.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(addr).Unmap()) })
	}
	t.Run("default", func(t *testing.T) {
		t.Parallel()
		c := withLogin().with("POSTERN_REQUIRE_AUTH=true").load(t).Config
		for _, addr := range []string{"127.0.0.1", "::1", "10.1.2.3", "172.31.0.1", "192.168.7.7", "100.64.0.1", "fd00::1", "fe80::1", "::ffff:10.0.0.1"} {
			if !trusts(c, addr) {
				t.Errorf("%s is not trusted", addr)
			}
		}
		for _, addr := range []string{"172.32.0.1", "100.128.0.1", "11.0.0.1", "2001:db8::1", "::ffff:8.8.8.8"} {
			if trusts(c, addr) {
				t.Errorf("%s is trusted", addr)
			}
		}
		if c.Front.TrustedProxiesSet {
			t.Error("the default counts as named by the operator")
		}
	})
	t.Run("everybody is an error", func(t *testing.T) {
		t.Parallel()
		for _, all := range []string{"0.0.0.0/0", "::/0", "10.0.0.0/8,0.0.0.0/0", "1.2.3.4/0", "::ffff:0.0.0.0/96", "2001:db8::/0"} {
			withLogin().with("POSTERN_TRUSTED_PROXIES="+all).refused(t, "trusted-proxies", "everybody")
		}
	})
	t.Run("compared unmapped and masked", func(t *testing.T) {
		t.Parallel()
		loaded := withLogin().with("POSTERN_TRUSTED_PROXIES=::ffff:10.1.2.3/104,::ffff:192.0.2.7,2001:db8::5/32").load(t)
		if got := loaded.value("trusted-proxies").Value; got != "10.0.0.0/8,192.0.2.7/32,2001:db8::/32" {
			t.Errorf("networks are %s", got)
		}
	})
	for _, wrong := range []string{"10.0.0.0/33", "ten", "fe80::1%eth0", "::ffff:0:0/90", "10.0.0.0/-1"} {
		withLogin().with("POSTERN_TRUSTED_PROXIES="+wrong).refused(t, "trusted-proxies", "must be a network")
	}
}

func TestS14IgnoredPathsThatAreClosedAreNamed(t *testing.T) {
	t.Parallel()
	w := withLogin().with("POSTERN_AUTO_LOGIN=true", "POSTERN_AUTO_LOGIN_IGNORE_PATHS=/api/**")
	if got := w.load(t).Warnings; len(got) > 0 {
		t.Errorf("without require-auth nothing is closed: %q", got)
	}
	if got := w.with("POSTERN_POLICY_FILE=/policy", "POSTERN_POLICY_MODE=report").load(t).Warnings; len(got) > 0 {
		t.Errorf("report mode closes nothing: %q", got)
	}
	for _, guard := range []string{"POSTERN_REQUIRE_AUTH=true", "POSTERN_POLICY_FILE=/policy"} {
		got := w.with(guard).load(t).Warnings
		if len(got) != 1 || !strings.Contains(got[0], "not open: /api/**") {
			t.Errorf("%s: warnings %q", guard, got)
		}
	}
}

func TestS22TokenAPIStaysOnLoopback(t *testing.T) {
	t.Parallel()
	w := withLogin().with("TOKEN_X_ENABLED=true", "TOKEN_X_CLIENT_ID=c", "TOKEN_X_PRIVATE_JWK="+privateJWK, "TOKEN_X_WELL_KNOWN_URL=https://tokenx/")
	w.with("BIND_ADDRESS=0.0.0.0:7164").refused(t, "token.bind-address", "loopback")
	w.with("POSTERN_TOKEN_BIND_ADDRESS=:7164").refused(t, "token.bind-address", "loopback")
	for _, address := range []string{"127.0.0.1:7164", "localhost:7164", "[::1]:7164", "unix:/run/token.sock"} {
		if got := w.with("BIND_ADDRESS=" + address).load(t).Config.Token.BindAddress; got != address {
			t.Errorf("address %s, want %s", got, address)
		}
	}
	if got := w.with("BIND_ADDRESS=0.0.0.0:7164", "POSTERN_TOKEN_ALLOW_REMOTE=true").load(t).Config.Token.BindAddress; got != "0.0.0.0:7164" {
		t.Errorf("address %s", got)
	}
	if got := withLogin().with("BIND_ADDRESS=0.0.0.0:8080").load(t).Config.Token.BindAddress; got != "127.0.0.1:3002" {
		t.Errorf("BIND_ADDRESS counts although the token API is off: %s", got)
	}
}

func TestS24HeaderNamesOfClaims(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Authorization", "host", "Cookie", "Set-Cookie", "Content-Type", "content_length", "Connection", "Transfer-Encoding", "TE", "Upgrade", "Proxy-Authorization",
		"X-Postern-User", "x_postern_anything", "X.Wonderwall.Id-Token", "X-MS-Client-Principal", "X-MS-TOKEN-AAD-ID-TOKEN", "X-Auth-Request-User",
		"X-Forwarded-User", "X~Forwarded~Email", "Remote-User", "X-Remote-User", "REMOTE_GROUPS", "Forwarded", "X-Forwarded-For",
		"X Name", "X:Name", "Bl\u00e5",
	} {
		withLogin().with("POSTERN_IDENTITY_CLAIMS="+name+"=claim").refused(t, "identity.claims", "")
	}
	withLogin().with("POSTERN_IDENTITY_CLAIMS=X-Dept=a,X_Dept=b").refused(t, "identity.claims", "same header")
	withLogin().with("POSTERN_IDENTITY_CLAIMS=X-Dept=a,X-Dept=b").refused(t, "identity.claims", "second time")
	withLogin().with("POSTERN_IDENTITY_CLAIMS=X-Dept").refused(t, "identity.claims", "Header-Name=claim")
	withLogin().with("POSTERN_FORWARD_HEADERS=X-Original-URL,X-Postern-User").refused(t, "forward-headers", "entry 2")
	withLogin().with("POSTERN_AUTHORIZATION_PASSTHROUGH=Basic,bearer").refused(t, "authorization-passthrough", "entry 2")
	c := withLogin().with("POSTERN_IDENTITY_CLAIMS=X-Dept=department", "POSTERN_FORWARD_HEADERS=X-Original-URL").load(t).Config
	if c.Identity.Claims["X-Dept"] != "department" || len(c.Front.ForwardHeaders) != 1 {
		t.Errorf("harmless names are refused: %+v", c.Identity)
	}
}

func TestS26LoginOfManyTenantsNeedsAList(t *testing.T) {
	t.Parallel()
	for _, tenant := range []string{"common", "organizations"} {
		w := withLogin().with("POSTERN_OPENID_WELL_KNOWN_URL=https://login.microsoftonline.com/" + tenant + "/v2.0/.well-known/openid-configuration")
		w.refused(t, "openid.tenants", "every tenant")
		w.with("POSTERN_OPENID_TENANTS=" + tenantID).load(t)
		w.with("POSTERN_OPENID_TENANTS="+tenantID+",example.org").refused(t, "openid.tenants", "entry 2 must be a GUID")
	}
}

func TestS36IdentityHeadersByDefault(t *testing.T) {
	t.Parallel()
	headers := func(env ...string) string {
		l := newLoader(withLogin().with(env...).source())
		l.gather(nil)
		l.fillFromPlatform()
		l.dependentDefaults()
		if len(l.problems) > 0 {
			return l.problems[0].String()
		}
		return strings.Join(l.c.Identity.Headers, ",")
	}
	for _, test := range []struct {
		env  []string
		want string
	}{
		{nil, ""},
		{[]string{"POSTERN_AUTO_LOGIN=true"}, ""},
		{[]string{"POSTERN_REQUIRE_AUTH=true"}, "postern"},
		{[]string{"POSTERN_POLICY_FILE=p.yaml"}, "postern"},
		{[]string{"POSTERN_BEARER_PROVIDERS=tokenx", "TOKEN_X_ENABLED=true"}, "postern"},
		{[]string{"POSTERN_BEARER_PROVIDERS=all"}, ""},
		{[]string{"TOKEN_X_ENABLED=true"}, ""},
		{[]string{"POSTERN_REQUIRE_AUTH=true", "POSTERN_IDENTITY_HEADERS=none"}, ""},
		{[]string{"POSTERN_IDENTITY_HEADERS=claims,easyauth"}, "claims,easyauth"},
		{[]string{"POSTERN_IDENTITY_HEADERS=none,postern"}, "identity.headers: none stands alone"},
	} {
		if got := headers(test.env...); got != test.want {
			t.Errorf("%q: headers %q, want %q", test.env, got, test.want)
		}
	}
	l := newLoader(withLogin().with("POSTERN_POLICY_FILE=p.yaml").source())
	l.gather(nil)
	if l.dependentDefaults(); !l.c.Front.RequireAuth {
		t.Error("a policy file does not switch require-auth on")
	}
}

func TestS39EncryptionKey(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"POSTERN_REDIS_URI=redis://r", "WONDERWALL_REDIS_URI=redis://r", "WONDERWALL_REDIS_ADDRESS=r:6379", "POSTERN_REDIS_CLUSTER_ADDRESSES=r:6379"} {
		withLogin().with(store).refused(t, "encryption-key", "required with Redis")
	}
	withLogin().with("POSTERN_ENCRYPTION_KEY="+key('a')+","+key('b')+","+key('a')).refused(t, "encryption-key", "entry 3 is the same key")
	if got := withLogin().load(t).Config.Encryption.Keys; len(got) != 0 {
		t.Error("the in-memory store needs no key")
	}

	w := withLogin().with("POSTERN_REDIS_URI=redis://r", "POSTERN_ENCRYPTION_KEY_FILE=/keys")
	w.files = map[string]string{"/keys": key('a') + "\n" + key('b') + "\n"}
	e := w.load(t).Config.Encryption
	if len(e.Keys) != 2 || e.Keys[0].Reveal() != key('a') || e.Keys[1].Reveal() != key('b') || e.KeysFile != "/keys" {
		t.Errorf("a file holds one key on each line, got %d keys of %q", len(e.Keys), e.KeysFile)
	}
	read := w.source().ReadFile
	if keys, err := ReadEncryptionKeys(read, "/keys"); err != nil || len(keys) != 2 {
		t.Errorf("read anew: %d keys, %v", len(keys), err)
	}
	for _, bad := range []string{"", "\n", "hunter2", key('a') + "," + key('a')} {
		w.files["/bad"] = bad
		if _, err := ReadEncryptionKeys(read, "/bad"); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("file %q: %v", bad, err)
		}
	}
}

func TestS50ProviderURLs(t *testing.T) {
	t.Parallel()
	w := func(url string) world { return withLogin().with("POSTERN_OPENID_WELL_KNOWN_URL=" + url) }
	for _, url := range []string{
		"https://idp.example.org/x", "http://localhost:8080/x", "http://LOCALHOST./x", "http://idp.localhost/x", "http://127.0.0.1/x", "http://127.9.9.9/x",
		"http://[::1]:8080/x", "http://[::ffff:127.0.0.1]/x",
	} {
		if got := w(url).problems(t); len(got) > 0 {
			t.Errorf("%s: %q", url, got)
		}
	}
	for _, url := range []string{"http://idp.example.org/x", "http://localhost.example.org/", "http://10.0.0.1/", "http://[::2]/", "http://0.0.0.0/", "http://mylocalhost/"} {
		w(url).refused(t, "openid.well-known-url", "must be https")
		w(url).with("POSTERN_ALLOW_HTTP_PROVIDERS=true").load(t)
	}
	for _, url := range []string{"ftp://idp/", "idp.example.org", "https://", "https://u:hunter2@idp/", "https://idp/#x"} {
		w(url).refused(t, "openid.well-known-url", "must")
		w(url).with("POSTERN_ALLOW_HTTP_PROVIDERS=true").refused(t, "openid.well-known-url", "must")
	}
	withLogin().with("MASKINPORTEN_ENABLED=true", "MASKINPORTEN_CLIENT_ID=c", "MASKINPORTEN_CLIENT_JWK="+privateJWK, "MASKINPORTEN_ISSUER=http://m/",
		"MASKINPORTEN_JWKS_URI=https://m/jwks", "MASKINPORTEN_TOKEN_ENDPOINT=http://m/token").refused(t, "MASKINPORTEN_TOKEN_ENDPOINT", "must be https")
}
