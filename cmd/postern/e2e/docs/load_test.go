package docs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postern/config"
	"postern/oidc/devidp"
	"postern/proxy/policy"
)

// TestBlocks reads what is configuration or data, compiles what is Go, and knows the kind of everything else.
func TestBlocks(t *testing.T) {
	t.Parallel()
	code := source(t)
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if exceptionOf(b) != nil {
				continue
			}
			t.Run(b.String(), func(t *testing.T) {
				t.Parallel()
				if err := check(t, b, code); err != nil {
					t.Errorf("%s: %v\nMend the block or what reads it; if that cannot be, list it in exceptions_list_test.go.\n%s", b, err, b.text)
				}
			})
		}
	}
}

func check(t *testing.T, b block, code string) error {
	t.Helper()
	switch b.kind {
	case "sh", "browser": // TestPages
		return nil
	case "text", "apache": // there, or a picture, or read by a program that is not here
		return nil
	case "yaml":
		return readYAML(b)
	case "json":
		return readJSON(b, code)
	case "go":
		return compile(t, b)
	case "":
		return errors.New("a block without a kind: say ```sh, ```yaml, … or, of what is only to be looked at, ```text")
	default:
		return fmt.Errorf("nothing here knows what %q is: teach check in load_test.go, or say ```text", b.kind)
	}
}

func readYAML(b block) error {
	if strings.Contains(b.text, "apiVersion: postern/") || strings.Contains(b.text, "kind: Application") {
		_, warnings, err := policy.Load([]policy.File{{Name: b.page, Data: []byte(b.text)}}, policy.Settings{})
		if err == nil && len(warnings) > 0 {
			err = fmt.Errorf("warnings: %q", warnings)
		}
		return err
	}
	alone := readConfig(b)
	if alone == nil || readConfig(b, platform...) == nil {
		return nil
	}
	return readConfig(b, platform...)
}

// platform is what Nais says to an app for which everything is enabled.
var platform = []string{
	"AZURE_ENABLED=true", "AZURE_APP_CLIENT_ID=a", "AZURE_APP_CLIENT_SECRET=s", "AZURE_APP_WELL_KNOWN_URL=https://entra.example.org/a/v2.0/.well-known/openid-configuration",
	"TOKEN_X_ENABLED=true", "TOKEN_X_CLIENT_ID=dev-gcp:team-a:app", "TOKEN_X_PRIVATE_JWK=" + somebodysKey, "TOKEN_X_WELL_KNOWN_URL=https://tokenx.example.org/",
	"MASKINPORTEN_ENABLED=true", "MASKINPORTEN_CLIENT_ID=m", "MASKINPORTEN_CLIENT_JWK=" + somebodysKey, "MASKINPORTEN_WELL_KNOWN_URL=https://maskinporten.example.org/",
	"POSTERN_UPSTREAM_HOST=127.0.0.1:8080", "POSTERN_REQUIRE_AUTH=true",
}

const somebodysKey = `{"kty":"EC","crv":"P-256","alg":"ES256","kid":"k","d":"d","x":"x","y":"y"}`

// readConfig reads a block as the file of a configuration. Secrets' files need not be there.
func readConfig(b block, environ ...string) error {
	_, err := config.Load(config.Source{
		Args: []string{"--config=postern.yaml"}, Environ: environ,
		ReadFile: func(name string) ([]byte, error) {
			if name == "postern.yaml" {
				return []byte(b.text), nil
			}
			return []byte("3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8="), nil
		},
	})
	return err
}

var member = regexp.MustCompile(`"([a-z_]+)":`)

// readJSON reads a block as what it is on this page, else as JSON whose members the program knows.
func readJSON(b block, code string) error {
	if b.page == "oidc/devidp/README.md" {
		_, err := devidp.ReadClients(strings.NewReader(b.text))
		return err
	}
	var anything any
	if err := json.NewDecoder(bytes.NewReader([]byte(b.text))).Decode(&anything); err != nil {
		return err
	}
	for _, m := range member.FindAllStringSubmatch(b.text, -1) {
		if !strings.Contains(code, `json:"`+m[1]) && !strings.Contains(code, `"`+m[1]+`"`) {
			return fmt.Errorf("no code has a member %q", m[1])
		}
	}
	return nil
}

// preludes declare what the Go of a page takes for granted.
var preludes = map[string]string{
	"oidc/README.md": `
		ctx context.Context, cfg *config.Config, deps oidc.Deps, code, state, iss, raw, clientID, tenant string, provider *oidc.Provider, cacheBytes int64,
		claimsOrToken string`,
}

var unused = regexp.MustCompile(`declared and not used|imported and not used|^#`)

// compile builds the block as the body of a function, with what its page takes for granted. What is only shown may stay unused.
func compile(t *testing.T, b block) error {
	t.Helper()
	text := "package main\n\nimport (\n\t\"context\"\n\t\"postern/config\"\n\t\"postern/oidc\"\n)\n\nfunc page(" + strings.TrimSpace(preludes[b.page]) + ") {\n" + b.text + "}\n\nfunc main() {}\n"
	dir := t.TempDir()
	file, overlay, root := filepath.Join(dir, "page.go"), filepath.Join(dir, "overlay.json"), top(t)
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "cmd", "page", "page.go"): file}})
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return err
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-gcflags=-e", "-overlay="+overlay, "-o", os.DevNull, "./cmd/page")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	var wrong []string
	for line := range strings.Lines(string(out)) {
		if !unused.MatchString(line) {
			wrong = append(wrong, line)
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("it does not compile:\n%s", strings.Join(wrong, ""))
	}
	return nil
}
