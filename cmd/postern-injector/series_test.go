package main

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/charts/series"
)

const kubeconfig = `{apiVersion: v1, kind: Config, current-context: t, contexts: [{name: t, context: {cluster: t, user: t}}],
clusters: [{name: t, cluster: {server: "%s", certificate-authority-data: "%s"}}], users: [{name: t, user: {token: t}}]}
`

// A dashboard with a misspelt name shows an empty panel, and an alert with one never fires.
func TestDashboardsAndAlertsAskForWhatIsThere(t *testing.T) {
	t.Parallel()
	api := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(api.Close)
	authority := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}))
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, fmt.Appendf(nil, kubeconfig, api.URL, authority), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := &options{
		settings: path, namespace: "postern-system", service: "postern-injector", configuration: "postern-injector", secret: "certificate", kubeconfig: path,
	}
	i, err := newInjector(t.Context(), opts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	known, err := series.Exposed(i.registry)
	if err != nil {
		t.Fatal(err)
	}
	complaints, err := known.Compare(os.DirFS("../../charts"), "dashboards/postern-injector.json", func(alert string) bool {
		return strings.HasPrefix(alert, "PosternInjector") // the others are compared with the sidecar
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, complaint := range complaints {
		t.Error(complaint)
	}
}
