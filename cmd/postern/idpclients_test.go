package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/oidc/devidp"
)

func TestClientsOfTheTestProvider(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("apps.json", `[{"id":"b","name":"c:n:b","pre_authorized":["c:n:a"],"tokenx":{"inbound":["c:n:a"]}}]`)
	const key = `{"kty":"EC","crv":"P-256","kid":"k","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}` // RFC 7517 A.1
	for name, c := range map[string]struct {
		flags   idpFlags
		environ []string
		ids     string
		logsIn  bool
		wrong   string
	}{
		"flags alone": {idpFlags{client: devidp.ClientConfig{ID: "a", Secret: "s"}, redirects: "http://x/cb"}, nil, "a", true, ""},
		"and a file":  {idpFlags{client: devidp.ClientConfig{ID: "a", Secret: "s"}, redirects: "http://x/cb", clients: file}, nil, "a b", true, ""},
		"environment": {idpFlags{client: devidp.ClientConfig{ID: "a", Secret: "s"}, redirects: "http://x/cb", fromEnv: true, clients: file}, []string{
			"AZURE_APP_CLIENT_ID=e", "AZURE_APP_JWK=" + key, "TOKEN_X_CLIENT_ID=c:n:e",
		}, "e b", true, ""},
		"environment of TokenX":  {idpFlags{redirects: "http://x/cb", fromEnv: true}, []string{"TOKEN_X_CLIENT_ID=c:n:e", "TOKEN_X_PRIVATE_JWK=" + key}, "c:n:e", false, ""},
		"environment of nothing": {idpFlags{fromEnv: true}, nil, "", false, "client-from-env: none of AZURE_APP_CLIENT_ID"},
		"no file":                {idpFlags{clients: filepath.Join(dir, "none.json")}, nil, "", false, "clients: open"},
		"unknown member":         {idpFlags{clients: write("odd.json", `[{"id":"b","inbound":[]}]`)}, nil, "", false, "odd.json: read clients: not a JSON list"},
	} {
		got, err := c.flags.allClients(c.environ)
		if c.wrong != "" || err != nil {
			if err == nil || c.wrong == "" || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var ids []string
		for _, client := range got {
			ids = append(ids, client.ID)
		}
		if strings.Join(ids, " ") != c.ids || (len(got[0].RedirectURIs) == 1) != c.logsIn {
			t.Errorf("%s: %v, redirect URIs %v", name, ids, got[0].RedirectURIs)
		}
		if _, err := devidp.New(devidp.Config{Clients: got}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever comes from the demo and left it running reads what is in the way, and what to do.
func TestIDPOnATakenPort(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var said bytes.Buffer
	code := idp(t.Context(), program{args: []string{"--bind-address", l.Addr().String()}, stdout: &said, stderr: &said})
	if want := l.Addr().String() + " is taken"; code != exitFailure || !strings.Contains(said.String(), want) || !strings.Contains(said.String(), "--bind-address") {
		t.Errorf("exit status %d, %q; want %d and %q", code, said.String(), exitFailure, want)
	}
}
