package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLoadPrecedence(t *testing.T) {
	t.Parallel()
	// Sources from the highest to the lowest; each test leaves one more out.
	type source struct {
		name  string
		value string
		add   func(*world)
		label string
	}
	sources := []source{
		{"flag", "by-flag", func(w *world) { w.args = append(w.args, "--openid.client-id=by-flag") }, "flag"},
		{"postern", "by-postern", func(w *world) { w.env = append(w.env, "POSTERN_OPENID_CLIENT_ID=by-postern") }, "environment variable POSTERN_OPENID_CLIENT_ID"},
		{
			"wonderwall", "by-wonderwall", func(w *world) { w.env = append(w.env, "WONDERWALL_OPENID_CLIENT_ID=by-wonderwall") },
			"environment variable WONDERWALL_OPENID_CLIENT_ID",
		},
		{"file", "by-file", func(w *world) {
			w.args = append(w.args, "--config", "c.yaml")
			w.files = map[string]string{"c.yaml": "openid: {client-id: by-file}"}
		}, "file c.yaml"},
		{"platform", "by-platform", func(w *world) { w.env = append(w.env, "AZURE_APP_CLIENT_ID=by-platform") }, "environment variable AZURE_APP_CLIENT_ID"},
		{"default", "", func(*world) {}, "default"},
	}
	for i, want := range sources {
		t.Run(want.name, func(t *testing.T) {
			t.Parallel()
			w := world{env: []string{"POSTERN_OPENID_PROVIDER=azure"}}
			for _, s := range sources[i:] {
				s.add(&w)
			}
			l := newLoader(w.source())
			l.gather(w.args)
			l.fillFromPlatform()
			if got := l.c.OpenID.ClientID; got != want.value {
				t.Errorf("client id is %q, want %q", got, want.value)
			}
			if got := l.option("openid.client-id").origin.label; got != want.label {
				t.Errorf("source is %q, want %q", got, want.label)
			}
		})
	}
}

func TestLoadReportsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	w := world{
		args: []string{"--openid.clientid=x", "--session.max-lifetime=soon", "--config=c.yaml", "--log-level", "loud", "stray"},
		env: []string{
			"POSTERN_UPSTREAM_IP=10.0.0.1", "POSTERN_TRUSTED_PROXIES=0.0.0.0/0", "POSTERN_ENCRYPTION_KEY=c2hvcnQ=",
			"POSTERN_OPENID_PROVIDER=idporten", "AZURE_ENABLED=yes",
		},
		files: map[string]string{"c.yaml": "cookies: {prefix: x}\nratelimit: {logins: many}\n"},
	}
	got := w.problems(t)
	for _, option := range []string{
		"openid.clientid", "session.max-lifetime", "log-level", "flags", "upstream-port", "trusted-proxies", "encryption-key",
		"AZURE_ENABLED", "cookies", "ratelimit.logins", "ingress", "openid.client-id", "openid.client-jwk", "openid.well-known-url",
	} {
		if n := len(slices.DeleteFunc(slices.Clone(got), func(line string) bool { return !strings.HasPrefix(line, option+": ") })); n != 1 {
			t.Errorf("%d problems of %s, want 1", n, option)
		}
	}
	if len(got) != 14 {
		t.Errorf("%d problems, want 14:\n%s", len(got), strings.Join(got, "\n"))
	}
}

func TestLoadNothingGiven(t *testing.T) {
	t.Parallel()
	c := world{}.load(t).Config
	if !c.NothingOn() || c.HasFrontDoor() || c.LoginEnabled() || c.TokenAPIEnabled() {
		t.Error("without any option something is on")
	}
	type defaults struct {
		Bind, Metrics, Upstream, Prefix string
		Lifetime                        time.Duration
		Secure                          bool
	}
	got := defaults{c.Server.BindAddress, c.Server.MetricsBindAddress, c.Upstream.Host, c.Cookie.Prefix, c.Session.MaxLifetime, c.Cookie.Secure}
	want := defaults{"127.0.0.1:3000", "127.0.0.1:3001", "127.0.0.1:8080", "postern", 10 * time.Hour, true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoadHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"-h"}, {"--nonsense", "--help"}} {
		if _, err := Load(Source{Args: args}); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("Load(%q) is %v, want flag.ErrHelp", args, err)
		}
	}
	var b bytes.Buffer
	Help(&b)
	text := b.String()
	for _, o := range newTable(&Config{}).options {
		if shown := strings.Contains(text, "--"+o.name+" "); shown == o.variable {
			t.Errorf("help shows --%s: %v", o.name, shown)
		}
	}
	for i, line := range strings.Split(text, "\n") {
		if len(line) > 120 {
			t.Errorf("line %d of the help text is %d columns wide", i+1, len(line))
		}
	}
}

func TestLoadRepeatedFlags(t *testing.T) {
	t.Parallel()
	w := world{args: []string{"--openid.scopes=a", "--openid.scopes", "b,c", "--cookie.prefix=one", "--cookie.prefix=two", "--require-auth=false", "--csrf=off"}}
	l := newLoader(w.source())
	l.gather(w.args)
	if diff := cmp.Diff([]string{"a", "b", "c"}, l.c.OpenID.Scopes); diff != "" {
		t.Errorf("a list grows: %s", diff)
	}
	if l.c.Cookie.Prefix != "two" {
		t.Errorf("of a single value the last counts, got %q", l.c.Cookie.Prefix)
	}
	if len(l.problems) > 0 {
		t.Error(l.problems)
	}
}

func TestLoadEmptyVariables(t *testing.T) {
	t.Parallel()
	l := world{env: []string{"POSTERN_METRICS_BIND_ADDRESS=", "WONDERWALL_PROBE_BIND_ADDRESS=", "WONDERWALL_COOKIE_PREFIX=", "POSTERN_TRUSTED_PROXIES="}}.load(t)
	if got := l.Config.Server.MetricsBindAddress; got != "" {
		t.Errorf("an empty POSTERN_ variable says empty, got %q", got)
	}
	if got := l.Config.Cookie.Prefix; got != "postern" {
		t.Errorf("an empty WONDERWALL_ variable is not set, got %q", got)
	}
	if f := l.Config.Front; len(f.TrustedProxies) != 0 || !f.TrustedProxiesSet {
		t.Errorf("an empty list trusts nobody, got %v, set %v", f.TrustedProxies, f.TrustedProxiesSet)
	}
	world{env: []string{"POSTERN_AUTO_LOGIN="}}.refused(t, "auto-login", "true or false")
}

func TestLoadNamesTheNearest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		w    world
		want string
	}{
		{"flag", world{args: []string{"--openid.clientid=x"}}, "openid.clientid: unknown flag; nearest: --openid.client-id"},
		{"flag without its section", world{args: []string{"--client-id", "x"}}, "client-id: unknown flag; nearest: --openid.client-id"},
		{"flag with other separators", world{args: []string{"--auto_login"}}, "auto_login: unknown flag; nearest: --auto-login"},
		{"nothing near", world{args: []string{"--frobnicate=x"}}, "frobnicate: unknown flag; --help lists all"},
		{
			"key",
			world{args: []string{"--config=c"}, files: map[string]string{"c": "\nsession:\n  max-lifetme: 1h"}},
			"session.max-lifetme: unknown key in line 3 of file c; nearest: session.max-lifetime",
		},
		{
			"word",
			world{args: []string{"--csrf=same-orign"}},
			"csrf: must be one of cross-site, same-origin, off; nearest: same-origin (flag)",
		},
		{
			"word in a list",
			world{args: []string{"--identity.headers=postern,esyauth"}},
			"identity.headers: entry 2 must be one of postern, claims, oauth2-proxy, easyauth, none; nearest: easyauth (flag)",
		},
		{"key of an object", world{args: []string{"--egress.routes=[{name: a, ulr: b}]"}}, "egress.routes: entry 1 has an unknown key (line 1); nearest: url (flag)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff([]string{test.want}, test.w.problems(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoadUnknownVariablesAreWarnings(t *testing.T) {
	t.Parallel()
	got := world{env: []string{"POSTERN_OPENID_CLIENTID=hunter2", "WONDERWALL_UPSTREAM_HOTS=hunter2", "WONDERWALL_REQUIRE_AUTH=true", "POSTERN_QUITE_OTHER=hunter2"}}.
		load(t).Warnings
	want := []string{
		"POSTERN_OPENID_CLIENTID: unknown environment variable; nearest: POSTERN_OPENID_CLIENT_ID",
		"POSTERN_QUITE_OTHER: unknown environment variable",
		"WONDERWALL_REQUIRE_AUTH: unknown environment variable",
		"WONDERWALL_UPSTREAM_HOTS: unknown environment variable; nearest: WONDERWALL_UPSTREAM_HOST",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoadIgnoresServiceLinks(t *testing.T) {
	t.Parallel()
	var env []string
	for _, service := range []string{"POSTERN", "POSTERN_INJECTOR", "POSTERN_UPSTREAM", "WONDERWALL"} {
		env = append(env,
			service+"_SERVICE_HOST=10.96.0.7", service+"_SERVICE_PORT=80", service+"_SERVICE_PORT_HTTP=80",
			service+"_PORT=tcp://10.96.0.7:80", service+"_PORT_80_TCP=tcp://10.96.0.7:80", service+"_PORT_80_TCP_PROTO=tcp",
			service+"_PORT_80_TCP_PORT=80", service+"_PORT_80_TCP_ADDR=10.96.0.7")
	}
	if got := (world{env: env}).load(t).Warnings; len(got) > 0 {
		t.Errorf("warnings about what Kubernetes sets: %q", got)
	}
	w := world{env: []string{"POSTERN_UPSTREAM_PORT=9", "POSTERN_UPSTREAM_IP=10.0.0.1"}}
	if got := w.load(t).Config.Upstream.Host; got != "10.0.0.1:9" {
		t.Errorf("the option upstream-port is still read: %q", got)
	}
}

func TestLoadedPrint(t *testing.T) {
	t.Parallel()
	w := withLogin().with("AZURE_APP_CLIENT_ID=abc")
	w.args = []string{"--session.max-lifetime=6h"}
	var b bytes.Buffer
	if err := w.load(t).Print(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	find := func(name string) string {
		for _, line := range lines {
			if strings.HasPrefix(line, name+" ") {
				return strings.Join(strings.Fields(line), " ")
			}
		}
		return ""
	}
	for _, want := range []string{
		"session.max-lifetime 6h flag",
		"openid.client-secret [redacted] environment variable POSTERN_OPENID_CLIENT_SECRET",
		"bind-address 127.0.0.1:3000 default",
		"identity.headers none default",
		"AZURE_APP_CLIENT_ID abc environment variable AZURE_APP_CLIENT_ID",
	} {
		name, _, _ := strings.Cut(want, " ")
		if got := find(name); got != want {
			t.Errorf("line %q, want %q", got, want)
		}
	}
	column := strings.Index(lines[0], "default")
	for _, line := range lines[1:] {
		if len(line) <= column || line[column-1] != ' ' || line[column] == ' ' {
			t.Errorf("the source does not stand in column %d: %q", column, line)
		}
	}
}

func ExampleLoad() {
	loaded, err := Load(Source{
		Args: []string{"--upstream-host", "127.0.0.1:9000"},
		Environ: []string{
			"POSTERN_INGRESS=https://app.example.org/", "POSTERN_OPENID_CLIENT_ID=app", "POSTERN_OPENID_CLIENT_SECRET=s",
			"POSTERN_OPENID_WELL_KNOWN_URL=https://idp.example.org/.well-known/openid-configuration",
		},
	})
	if err != nil {
		fmt.Println(err) // every problem on a line of its own
		return
	}
	fmt.Println(loaded.Config.Front.Ingress[0], loaded.Config.Upstream.Host, loaded.Config.OpenID.ClientSecret)
	fmt.Println(loaded.Config.WhoWithoutCaller(nil))
	// Output:
	// https://app.example.org 127.0.0.1:9000 [redacted]
	// without a caller everyone reaches the whole app: the app itself must refuse them (require-auth or auto-login would)
}
