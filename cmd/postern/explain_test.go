package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/oidc"
)

func TestExplainTakesItsOwnArgumentsAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args string
		want question
		err  string
	}{
		{"nobody", "GET /x", question{method: "GET", path: "/x"}, ""},
		{"token", "GET /x --token t", question{method: "GET", path: "/x", token: "t"}, ""},
		{"token from standard input", "GET /x -token -", question{method: "GET", path: "/x", token: "-"}, ""},
		{"claims of a session", "GET /x --session --claims=c", question{method: "GET", path: "/x", claims: "c", session: true}, ""},
		{
			"options before and after", "PUT /x?q=1 --policy-file p --claims c --require-auth --token.allow-remote",
			question{method: "PUT", path: "/x?q=1", claims: "c", options: []string{"--policy-file", "p", "--require-auth", "--token.allow-remote"}},
			"",
		},
		{"no path", "GET", question{}, "come first"},
		{"options first", "--policy-file p GET /x", question{}, "come first"},
		{"no method", "/x /x", question{}, "method such as GET"},
		{"no absolute path", "GET http://x/", question{}, "beginning with a slash"},
		{"token without a file", "GET /x --token", question{}, "--token wants a file"},
		{"both", "GET /x --token t --claims c", question{}, "exclude each other"},
		{"session of a token", "GET /x --token t --session", question{}, "--session needs --claims"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := readQuestion(strings.Fields(test.args))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(question{})); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

func TestExplainReadsASessionPerProvider(t *testing.T) {
	t.Parallel()
	claims := `{"sub":"s","oid":"o","tid":"t","acr":"high","groups":["g"],"Groups":["admin"],"roles":"r","scope":"a b","_claim_names":{"groups":"src1"},"consumer":{"ID":"0192:123456789"}}`
	caller := func(provider string, change func(*oidc.Caller)) *oidc.Caller {
		c := &oidc.Caller{
			Provider: provider, Kind: oidc.User, Session: true, Subject: "s", User: "s", ACR: "high",
			Groups: []string{"g"}, Roles: []string{"r"}, Scopes: []string{"a", "b"}, Overage: true,
		}
		change(c)
		return c
	}
	for _, want := range []*oidc.Caller{
		caller(oidc.OpenID, func(*oidc.Caller) {}),
		caller(oidc.EntraID, func(c *oidc.Caller) { c.Tenant, c.Object, c.User = "t", "o", "o" }),
		caller(oidc.IDPorten, func(c *oidc.Caller) { c.Groups, c.Roles = nil, nil }),
	} {
		got, err := sessionCaller(want.Provider, claims)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", want.Provider, err, diff)
		}
	}
	for _, wrong := range []string{`[]`, `{`, `{}`, `{"sub":1}`, `{"sub":"s","groups":[1]}`, `{"sub":"s","scp":{}}`} {
		if _, err := sessionCaller(oidc.OpenID, wrong); err == nil {
			t.Errorf("%s is taken for claims", wrong)
		}
	}
}

// What a token or a path holds must not drive the terminal, and no part of a token is shown.
func TestExplainShowsNoTokensAndNoControlCharacters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	environ := []string{
		"TOKEN_X_ENABLED=true", "TOKEN_X_CLIENT_ID=dev:team:app", "TOKEN_X_WELL_KNOWN_URL=https://tokenx.example.org/.well-known/oauth-authorization-server",
	}
	for name, args := range map[string][]string{
		"claims that drive a terminal": {
			"GET", "/\u009b2J", "--claims",
			file("claims", `{"iss":"https://tokenx.example.org","aud":"\u001b[2Jx","client_id":"\u001b]0;hi\u0007","sub":"s","exp":4102444800}`),
		},
		"token that is none":      {"GET", "/x", "--token", file("none", "hunter2.hunter2.hunter2")},
		"token in the wrong file": {"GET", "/x", "--claims", file("wrong", "hunter2")},
		"token as a file":         {"GET", "/x", "--token", file("huge", strings.Repeat("hunter2", 1<<18))},
		"token as an argument":    {"GET", "/x", "hunter2.hunter2"},
		"token as a path":         {"GET", "hunter2.hunter2"},
		"token for its file":      {"GET", "/x", "--token", "hunter2.hunter2"},
		"claims for their file":   {"GET", "/x", "--claims", `{"sub":"hunter2"}`},
	} {
		var stdout, stderr bytes.Buffer
		code := explain(t.Context(), program{args: args, environ: environ, stdout: &stdout, stderr: &stderr})
		said := stdout.String() + stderr.String()
		if code == exitOK || said == "" || strings.Contains(said, "hunter2") || strings.ContainsAny(said, "\x1b\x07\u009b") {
			t.Errorf("%s: exit status %d, said %q", name, code, said)
		}
	}
}

// S-15: report mode passes what the policy refuses, and not what is refused whatever the policy says.
func TestExplainSaysWhatReportModePasses(t *testing.T) {
	t.Parallel()
	policyFile, token := filepath.Join(t.TempDir(), "policy.yaml"), filepath.Join(t.TempDir(), "token")
	for path, content := range map[string]string{
		policyFile: "apiVersion: postern/v1\napp: {name: app, namespace: team, cluster: dev}\npaths: [{match: /x, require: {kind: user}}]\n",
		token:      "a.b.c",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name    string
		args    string
		environ []string
		passes  bool
	}{
		{"nobody", "GET /x", nil, true},
		{"nobody, validation by name", "GET /x", []string{"POSTERN_BEARER_PROVIDERS=tokenx"}, true},
		{"bad token", "GET /x --token " + token, nil, true},
		{"bad token, validation by name", "GET /x --token " + token, []string{"POSTERN_BEARER_PROVIDERS=tokenx"}, false},
		{"path of two readings", "GET /a//x", []string{"POSTERN_PATH_STRICTNESS=strict"}, false},
		{"no report mode", "GET /x", []string{"POSTERN_POLICY_MODE=enforce"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := explain(t.Context(), program{stdout: &stdout, stderr: &stderr, args: strings.Fields(test.args), environ: append([]string{
				"POSTERN_POLICY_MODE=report", "POSTERN_POLICY_FILE=" + policyFile, "TOKEN_X_ENABLED=true", "TOKEN_X_CLIENT_ID=dev:team:app",
				"TOKEN_X_WELL_KNOWN_URL=https://tokenx.example.org/.well-known/oauth-authorization-server",
			}, test.environ...)})
			said := stdout.String()
			if code != exitFailure || !strings.Contains(said, "refused: ") || strings.Contains(said, "policy-mode is report") != test.passes {
				t.Errorf("exit status %d, said %s%s", code, said, stderr.String())
			}
		})
	}
}
