package config

import "testing"

func TestVariablesAreKnownWithTheirSecrets(t *testing.T) {
	t.Parallel()
	all := Variables()
	for name, want := range map[string]Variable{
		"POSTERN_LOG_LEVEL":                {Option: "log-level"},
		"WONDERWALL_LOG_LEVEL":             {Option: "log-level"},
		"POSTERN_REDIS_URI":                {Option: "redis.uri", Secret: true},
		"WONDERWALL_REDIS_URI":             {Option: "redis.uri", Secret: true},
		"POSTERN_ENCRYPTION_KEY":           {Option: "encryption-key", Secret: true},
		"POSTERN_ENCRYPTION_KEY_FILE":      {Option: "encryption-key-file"},
		"POSTERN_OPENID_CLIENT_SECRET":     {Option: "openid.client-secret", Secret: true},
		"AZURE_APP_CLIENT_SECRET":          {Option: "AZURE_APP_CLIENT_SECRET", Secret: true},
		"AZURE_APP_CLIENT_JWK":             {Option: "AZURE_APP_JWK", Secret: true},
		"AZURE_APP_CLIENT_ID":              {Option: "AZURE_APP_CLIENT_ID"},
		"TOKEN_X_PRIVATE_JWK":              {Option: "TOKEN_X_PRIVATE_JWK", Secret: true},
		"NAIS_CLUSTER_NAME":                {Option: "cluster"},
		"BIND_ADDRESS":                     {Option: "token.bind-address"},
		"OTEL_SERVICE_NAME":                {Option: "otel.service-name"},
		"OTEL_EXPORTER_OTLP_ENDPOINT":      {Option: "OTEL_EXPORTER_OTLP_ENDPOINT"},
		"POSTERN_TOKEN_ALLOW_REMOTE":       {Option: "token.allow-remote"},
		"https_proxy":                      {Option: "HTTPS_PROXY"},
		VariableOf("csrf.trusted-origins"): {Option: "csrf.trusted-origins"},
	} {
		if got, ok := all[name]; !ok || got != want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, ok, want)
		}
	}
	for _, name := range []string{"POSTERN_LOG_LEVL", "WONDERWALL_REQUIRE_AUTH", "OTEL_EXPORTER_OTLP_HEADERS", "PATH", "", "POSTERN_AZURE_ENABLED"} {
		if got, ok := all[name]; ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
