package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/charts/series"
)

// everything is a configuration in which each room is there that has metrics.
func everything(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return []string{
		"POSTERN_UPSTREAM_HOST=127.0.0.1:8080", "POSTERN_INGRESS=https://app.example.org", "POSTERN_OPENID_CLIENT_ID=x", "POSTERN_OPENID_CLIENT_SECRET=y",
		"POSTERN_OPENID_WELL_KNOWN_URL=https://idp.example.org/.well-known/openid-configuration", "POSTERN_REQUIRE_AUTH=true",
		"POSTERN_REDIS_URI=rediss://redis.example.org", "POSTERN_ENCRYPTION_KEY=" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"POSTERN_POLICY_FILE=" + write("policy.yaml", "apiVersion: postern/v1\n"),
		"POSTERN_ADMIN_BIND_ADDRESS=127.0.0.1:9000", "POSTERN_ADMIN_TOKEN_FILE=" + write("token", strings.Repeat("t", 64)),
		"POSTERN_EGRESS_ROUTES=[{name: orders, url: https://orders.example.org, provider: entra_id, target: 'api://orders/.default', as: app}]",
		"AZURE_ENABLED=true", "AZURE_APP_CLIENT_ID=e", "AZURE_APP_CLIENT_SECRET=f", "AZURE_APP_WELL_KNOWN_URL=https://entra.example.org/.well-known/openid-configuration",
		"IDPORTEN_ENABLED=true", "IDPORTEN_WELL_KNOWN_URL=https://idporten.example.org/.well-known/openid-configuration", "IDPORTEN_AUDIENCE=a", "IDPORTEN_CLIENT_ID=a",
	}
}

// A dashboard with a misspelt name shows an empty panel, and an alert with one never fires.
func TestDashboardsAndAlertsAskForWhatIsThere(t *testing.T) {
	t.Parallel()
	known, err := series.Exposed(registries(t)...)
	if err != nil {
		t.Fatal(err)
	}
	complaints, err := known.Compare(os.DirFS("../../charts"), "dashboards/postern.json", func(alert string) bool {
		return !strings.HasPrefix(alert, "PosternInjector") // those are compared with the injector
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, complaint := range complaints {
		t.Error(complaint)
	}
}
