package config

import (
	"strings"
	"testing"
)

// asking is a world with login and the files that listeners' secrets stand in.
func asking(env ...string) world {
	w := withLogin().with(env...)
	w.files = map[string]string{"/secret": "s\n", "/empty": "\n", "/cert": "c", "/key": "k"}
	return w
}

func TestS16ForwardAuthOptions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		w              world
		option, words  string // of the problem, if there is one
		warning, about string // of the only warning, if there is one
	}{
		"own listener":             {asking("POSTERN_FORWARD_AUTH_BIND_ADDRESS=127.0.0.1:9"), "", "", "", ""},
		"own listener, bearer":     {withBearerOnly("POSTERN_FORWARD_AUTH_BIND_ADDRESS=127.0.0.1:9"), "", "", "", ""},
		"for everybody":            {asking("POSTERN_FORWARD_AUTH_BIND_ADDRESS=:9"), "", "", "forward-auth.bind-address: ", "tokens included"},
		"for who knows the secret": {asking("POSTERN_FORWARD_AUTH_BIND_ADDRESS=:9", "POSTERN_FORWARD_AUTH_SECRET_FILE=/secret"), "", "", "", ""},
		"secret on the public one": {asking("POSTERN_FORWARD_AUTH_SECRET_FILE=/secret"), "", "", "", ""},
		"empty secret":             {asking("POSTERN_FORWARD_AUTH_SECRET_FILE=/empty"), "forward-auth.secret-file", "file is empty", "", ""},
		"no such secret":           {asking("POSTERN_FORWARD_AUTH_SECRET_FILE=/nowhere"), "forward-auth.secret-file", "does not exist", "", ""},
		"nobody is known":          {withoutLogin("POSTERN_FORWARD_AUTH_BIND_ADDRESS=127.0.0.1:9"), "forward-auth.bind-address", "needs login or bearer", "", ""},
		"secret of no endpoint":    {withoutLogin("POSTERN_FORWARD_AUTH_SECRET_FILE=/secret"), "forward-auth.secret-file", "needs login or", "", ""},
		"as wonderwall":            {asking("WONDERWALL_SESSION_FORWARD_AUTH=true", "WONDERWALL_SESSION_FORWARD_AUTH_SET_HEADERS=true"), "", "", "", ""},
		"without login":            {withoutLogin("WONDERWALL_SESSION_FORWARD_AUTH=true"), "", "", "session.forward-auth: ", "login is off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkAsking(t, test.w, test.option, test.words, test.warning, test.about)
		})
	}
}

func TestS31AdminOptions(t *testing.T) {
	t.Parallel()
	const remote, local, token = "POSTERN_ADMIN_BIND_ADDRESS=0.0.0.0:9", "POSTERN_ADMIN_BIND_ADDRESS=127.0.0.1:9", "POSTERN_ADMIN_TOKEN_FILE=/secret"
	for name, test := range map[string]struct {
		w              world
		option, words  string
		warning, about string
	}{
		"loopback":             {asking(local, token), "", "", "", ""},
		"loopback, no token":   {asking(local), "admin.token-file", "required", "", ""},
		"empty token":          {asking(local, "POSTERN_ADMIN_TOKEN_FILE=/empty"), "admin.token-file", "file is empty", "", ""},
		"no such token":        {asking(local, "POSTERN_ADMIN_TOKEN_FILE=/nowhere"), "admin.token-file", "does not exist", "", ""},
		"socket":               {asking("POSTERN_ADMIN_BIND_ADDRESS=unix:/run/admin.sock"), "", "", "", ""},
		"socket and token":     {asking("POSTERN_ADMIN_BIND_ADDRESS=unix:/run/admin.sock", token), "", "", "", ""},
		"remote in clear":      {asking(remote, token), "admin.bind-address", "tls.cert-file", "", ""},
		"remote by TLS":        {asking(remote, token, "POSTERN_TLS_CERT_FILE=/cert", "POSTERN_TLS_KEY_FILE=/key"), "", "", "", ""},
		"remote, no token":     {asking(remote, "POSTERN_TLS_CERT_FILE=/cert", "POSTERN_TLS_KEY_FILE=/key"), "admin.token-file", "required", "", ""},
		"every address":        {asking("POSTERN_ADMIN_BIND_ADDRESS=:9", token), "admin.bind-address", "tls.cert-file", "", ""},
		"token for nothing":    {asking(token), "", "", "admin.token-file: ", "no effect"},
		"no sessions":          {withoutLogin(local, token), "", "", "admin.bind-address: ", "serves nothing"},
		"profiles alone":       {withoutLogin(local, token, "POSTERN_PPROF_ENABLED=true"), "", "", "", ""},
		"profiles (S-42)":      {asking(local, token, "WONDERWALL_PPROF_ENABLED=true"), "", "", "", ""},
		"profiles for nothing": {asking("WONDERWALL_PPROF_ENABLED=true"), "", "", "pprof-enabled: ", "admin.bind-address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkAsking(t, test.w, test.option, test.words, test.warning, test.about)
		})
	}
}

func withoutLogin(env ...string) world {
	w := world{}.with("POSTERN_UPSTREAM_HOST=app:80").with(env...)
	w.files = asking().files
	return w
}

func withBearerOnly(env ...string) world {
	return withoutLogin(env...).with(`POSTERN_ISSUERS=[{name: partner, issuer: "https://idp.example.org", audience: api, jwks-uri: "https://idp.example.org/keys"}]`,
		"POSTERN_BEARER_PROVIDERS=all")
}

func checkAsking(t *testing.T, w world, option, words, warning, about string) {
	t.Helper()
	if option != "" {
		w.refused(t, option, words)
		return
	}
	if got := w.problems(t); len(got) > 0 {
		t.Fatalf("refused: %q", got)
	}
	got := w.load(t).Warnings
	switch {
	case warning == "" && len(got) > 0:
		t.Errorf("warnings %q", got)
	case warning != "" && (len(got) != 1 || !strings.HasPrefix(got[0], warning) || !strings.Contains(got[0], about)):
		t.Errorf("warnings %q, want one of %s with %q", got, warning, about)
	}
}
