package egress

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"postern/config"
)

// TestReadmeExamplesAreValid loads what the README of the room shows.
func TestReadmeExamplesAreValid(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var examples []string
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1) {
		examples = append(examples, string(m[1]))
	}
	const key = `{"kty":"EC","crv":"P-256","alg":"ES256","kid":"k","d":"d","x":"x","y":"y"}`
	loaded, err := config.Load(config.Source{
		Args: []string{"--config=postern.yaml", "--upstream-host=127.0.0.1:8080", "--require-auth"},
		Environ: []string{
			"AZURE_ENABLED=true", "AZURE_APP_CLIENT_ID=a", "AZURE_APP_CLIENT_SECRET=s", "AZURE_APP_WELL_KNOWN_URL=https://entra.example.org/a/v2.0/.well-known/openid-configuration",
			"TOKEN_X_ENABLED=true", "TOKEN_X_CLIENT_ID=dev-gcp:team-a:app", "TOKEN_X_PRIVATE_JWK=" + key, "TOKEN_X_WELL_KNOWN_URL=https://tokenx.example.org/",
			"MASKINPORTEN_ENABLED=true", "MASKINPORTEN_CLIENT_ID=m", "MASKINPORTEN_CLIENT_JWK=" + key, "MASKINPORTEN_WELL_KNOWN_URL=https://maskinporten.example.org/",
		},
		ReadFile: func(string) ([]byte, error) { return []byte(strings.Join(examples, "")), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	c := loaded.Config
	if len(examples) != 2 || len(c.Egress.Routes) != 3 || len(c.Identity.UpstreamTokens) != 2 {
		t.Errorf("%d examples: %+v, %+v", len(examples), c.Egress, c.Identity)
	}
	if _, err := New(Config{Routes: c.Egress.Routes, Identity: c.Identity}, Deps{Guard: guardFunc(everyone), Users: people{}, Tokens: &broker{}}); err != nil {
		t.Error(err)
	}
}
