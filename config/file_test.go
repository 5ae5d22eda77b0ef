package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func file(text string) world {
	return world{args: []string{"--config=c.yaml"}, files: map[string]string{"c.yaml": text}}
}

func TestFileNestedAndDottedKeys(t *testing.T) {
	t.Parallel()
	l := file(`
# nested
upstream-host: app:8080
session:
  max-lifetime: 6h
  inactivity: yes-no # replaced by the flag
openid.scopes: [a, "b,c"]
csrf: same-origin
csrf.trusted-origins:
  - https://Forms.example.org:443/
identity:
  claims: {X-Name: name}
ratelimit:
redis.connection-idle-timeout: -1
`)
	l.args = append(l.args, "--session.inactivity")
	l.env = withLogin().env
	c := l.load(t).Config
	if c.Upstream.Host != "app:8080" || c.Session.MaxLifetime != 6*time.Hour || !c.Session.Inactivity || c.Front.CSRF != "same-origin" ||
		c.Redis.ConnectionIdleTimeout != -1 {
		t.Errorf("values are not those of the file: %+v", c)
	}
	if diff := cmp.Diff([]string{"a", "b,c"}, c.OpenID.Scopes); diff != "" {
		t.Errorf("members of a sequence are taken whole: %s", diff)
	}
	if diff := cmp.Diff([]string{"https://forms.example.org"}, c.Front.CSRFTrustedOrigins); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"X-Name": "name"}, c.Identity.Claims); diff != "" {
		t.Error(diff)
	}
}

func TestFileByVariable(t *testing.T) {
	t.Parallel()
	w := world{env: []string{"POSTERN_CONFIG=c.yaml"}, files: map[string]string{"c.yaml": "cookie: {prefix: x}"}}
	if got := w.load(t).value("cookie.prefix"); got != (Value{"cookie.prefix", "x", "file c.yaml"}) {
		t.Errorf("got %+v", got)
	}
}

func TestFileIsEmpty(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "{}", "~"} {
		if got := file(text).problems(t); len(got) > 0 {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestFileStrictness(t *testing.T) {
	t.Parallel()
	const at = "of file c.yaml"
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"all unknown keys", "a-key: 1\nopenid:\n  clientid: x\n  zzzzzzzz: y\n", []string{
			"a-key: unknown key in line 1 " + at,
			"openid.clientid: unknown key in line 3 " + at + "; nearest: openid.client-id",
			"openid.zzzzzzzz: unknown key in line 4 " + at,
		}},
		{"a key twice", "log-level: info\nlog-level: debug\n", []string{"log-level: given twice, in line 1 and line 2 " + at}},
		{
			"a key twice in two spellings", "session: {inactivity: true}\nsession.inactivity: true\n",
			[]string{"session.inactivity: given twice, in line 1 and line 2 " + at},
		},
		{"a second document", "log-level: info\n---\nlog-level: debug\n", []string{"config: file c.yaml must hold one YAML document, a second one starts at line 2"}},
		{"an anchor", "cookie: &a {prefix: x}\n", []string{"config: file c.yaml must not use YAML anchors and aliases (line 1)"}},
		{"an alias bomb", "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", []string{"config: file c.yaml must not use YAML anchors and aliases (line 1)"}},
		{"no YAML", "openid: {client-secret: hunter2\n", []string{"config: file c.yaml must be valid YAML (line 1)"}},
		{"no mapping", "- hunter2\n", []string{"config: file c.yaml must hold options as keys and values"}},
		{"a bare secret", "hunter2\n", []string{"config: file c.yaml must hold options as keys and values"}},
		{
			"a secret as key", "openid:\n  client-secret:\n    c2VjcmV0LWtleS0xMjM0NTY3ODk=: x\n",
			[]string{"openid.client-secret: wants a single value (file c.yaml, line 3)"},
		},
		{"an unprintable key", "c2VjcmV0LWtleS0xMjM0NTY3ODk=: x\n", []string{"config: unknown key in line 1 " + at}},
		{"a value for a section", "openid: x\n", []string{"openid: holds further options, not a value (line 1 " + at + ")"}},
		{"no value", "require-auth:\n", []string{`require-auth: has no value; leave the key out, or write "" (file c.yaml, line 1)`}},
		{"a mapping for a value", "log-level: {a: b}\n", []string{"log-level: wants a single value (file c.yaml, line 1)"}},
		{"a list for a value", "log-level: [debug]\n", []string{"log-level: wants a single value (file c.yaml, line 1)"}},
		{"a mapping in a list", "openid.scopes: [a, {b: c}]\n", []string{"openid.scopes: entry 2 wants a single value (file c.yaml, line 1)"}},
		{"a tag", "log-level: !!binary aGk=\n", []string{"log-level: has a YAML tag that is not understood (file c.yaml, line 1)"}},
		{"a key that is no text", "{a: b}: c\n", []string{"config: key in line 1 of file c.yaml is no text"}},
		{"the file names itself", "config: other.yaml\n", []string{"config: cannot stand in the file (line 1 " + at + ")"}},
		{"a platform variable", "AZURE_ENABLED: true\n", []string{"AZURE_ENABLED: unknown key in line 1 " + at}},
		{"too large", "# " + strings.Repeat("x", maxFile), []string{"config: read c.yaml: file is larger than 1 MiB"}},
		{
			"objects", "egress:\n  routes:\n  - {name: a}\n  - name: b\n    timeout: hunter2\n",
			[]string{"egress.routes: entry 2 key timeout must be a duration such as 30s, 15m or 10h (line 5) (file c.yaml, line 3)"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, file(test.text).problems(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
	world{args: []string{"--config=absent"}}.refused(t, "config", "read absent: file does not exist")
}

func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"openid: {client-id: x}", "a: &a [*a]", "? [a]\n: b", "csrf: {trusted-origins: [x]}", "---\n---\n", "identity.claims: {a: b}", "{", "\x00", "- - - -",
		"egress.routes: [{name: x, claims: 1}]", "!!float x: !<tag> y", "%YAML 9.9\n---\na", "<<: {log-level: info}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := file(string(data))
		if loaded, err := Load(w.source()); err == nil && loaded.Config == nil {
			t.Error("neither a configuration nor a problem")
		}
	})
}

func FuzzLists(f *testing.F) {
	for _, seed := range []string{"a,b", " , ,", "{a,b},c", "}{,", "X=y,Z=w", "::ffff:10.0.0.1/100,10.0.0.0/8", "https://a/,http://[::1]:3", "[{name: a}]", "a=b=c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, entry := range append(commas(text), commasOutsideBraces(text)...) {
			if entry == "" || entry != strings.TrimSpace(entry) {
				t.Errorf("entry %q of %q", entry, text)
			}
		}
		for _, o := range newTable(&Config{}).options {
			if err := o.fromText(text); err == nil && !o.secret {
				// What is shown of lists and networks can be said again and means the same.
				if shown := o.show(); o.list && o.fromText(shown) == nil && o.show() != shown {
					t.Errorf("%s: %q becomes %q when said again", o.name, shown, o.show())
				}
			}
		}
	})
}
