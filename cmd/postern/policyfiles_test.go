package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/config"
)

// put writes files below a directory; a name that ends in -> is a link to its content.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		name, isLink := strings.CutSuffix(name, "->")
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		if isLink {
			err = os.Symlink(content, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadPolicyFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files map[string]string
		paths []string
		want  []string // name=content
	}{
		{"one file, whatever its name", map[string]string{"policy": "a"}, []string{"policy"}, []string{"policy=a"}},
		{"files in their order", map[string]string{"b.yaml": "b", "a.yaml": "a"}, []string{"b.yaml", "a.yaml"}, []string{"b.yaml=b", "a.yaml=a"}},
		{
			"a directory by name, and only what is a policy",
			map[string]string{"d/b.yml": "b", "d/a.yaml": "a", "d/c.json": "c", "d/README.md": "x", "d/.hidden.yaml": "x", "d/sub/e.yaml": "x", "d/f.yaml.bak": "x"},
			[]string{"d"},
			[]string{"d/a.yaml=a", "d/b.yml=b", "d/c.json=c"},
		},
		{
			"a mounted ConfigMap, each key once",
			map[string]string{"d/..2026_01_01/policy.yaml": "a", "d/..data->": "..2026_01_01", "d/policy.yaml->": "..data/policy.yaml"},
			[]string{"d"},
			[]string{"d/policy.yaml=a"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, dir, test.files)
			var paths, got []string
			for _, path := range test.paths {
				paths = append(paths, filepath.Join(dir, path))
			}
			files, err := readPolicyFiles(paths)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				got = append(got, strings.TrimPrefix(f.Name, dir+"/")+"="+string(f.Data))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestS25PolicyFilesThatAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, map[string]string{"empty/README.md": "x", "large.yaml": strings.Repeat("#", maxPolicyFile+1), "just.yaml": strings.Repeat("#", maxPolicyFile)})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	if _, err := readPolicyFiles([]string{in("just.yaml")}); err != nil {
		t.Errorf("1 MiB is refused: %v", err)
	}
	_, err := readPolicyFiles([]string{in("nowhere"), in("empty"), in("large.yaml"), in("pipe"), in("just.yaml")})
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		"read " + in("nowhere") + ": no such file or directory",
		"read " + in("empty") + ": the directory holds no policy file (*.yaml, *.yml or *.json)",
		"read " + in("large.yaml") + ": it is larger than 1024 KiB",
		"read " + in("pipe") + ": it is no regular file",
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("all problems at once: %s", diff)
	}
}

func TestPolicySettings(t *testing.T) {
	t.Parallel()
	loaded, err := config.Load(config.Source{Offline: true, Environ: []string{
		"AZURE_ENABLED=true", "AZURE_APP_CLIENT_ID=entra-app", "AZURE_APP_WELL_KNOWN_URL=https://login.example.org/.well-known/openid-configuration",
		"TOKEN_X_ENABLED=true", "TOKEN_X_CLIENT_ID=dev:team:app", "TOKEN_X_WELL_KNOWN_URL=https://tokenx.example.org/.well-known/oauth-authorization-server",
		"IDPORTEN_ENABLED=true", "IDPORTEN_AUDIENCE=aud", "IDPORTEN_CLIENT_ID=citizens", "IDPORTEN_WELL_KNOWN_URL=https://idporten.example.org/.well-known/openid-configuration",
		"NAIS_CLUSTER_NAME=dev", "POSTERN_OPENID_CLIENT_ID=login", "POSTERN_OPENID_WELL_KNOWN_URL=https://idp.example.org/.well-known/openid-configuration",
		"POSTERN_BEARER_PROVIDERS=tokenx,entra_id", "POSTERN_POLICY_FILE=p", "POSTERN_REQUIRE_AUTH=false",
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := policySettings(loaded.Config)
	if s.Cluster != "dev" || s.TokenXClientID != "dev:team:app" || !s.IDPortenEnabled || s.RequireAuth {
		t.Errorf("settings %+v", s)
	}
	if diff := cmp.Diff([]string{"entra-app"}, s.EntraClientIDs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"citizens"}, s.IDPortenClients); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"entra_id", "tokenx", "openid"}, s.Providers); diff != "" {
		t.Errorf("everybody who can vouch for a caller, login included: %s", diff)
	}
	loaded.Config.Front.RequireAuth = true
	if !policySettings(loaded.Config).RequireAuth {
		t.Error("require-auth does not arrive")
	}
}
