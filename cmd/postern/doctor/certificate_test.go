package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/config"
)

// pairFiles are a certificate for app.example.org that ends at a time, and its key.
func pairFiles(t *testing.T, ends time.Time) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"app.example.org"}, NotBefore: ends.Add(-time.Hour), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, of, of, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

func TestListenersCertificateIsLookedAt(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		ends    time.Duration
		ingress string
		another bool // key
		status  Status
		says    string
	}{
		"good":               {30 * 24 * time.Hour, "https://app.example.org", false, "", ""},
		"behind plain http":  {30 * 24 * time.Hour, "http://localhost:3000", false, "", ""},
		"ended":              {-time.Minute, "https://app.example.org", false, Problem, "ended 2029-12-31"},
		"ends soon":          {24 * time.Hour, "https://app.example.org", false, Warning, "ends 2030-01-02"},
		"for another name":   {30 * 24 * time.Hour, "https://other.example.org/app", false, Warning, "not for other.example.org"},
		"key of another one": {30 * 24 * time.Hour, "https://app.example.org", true, Problem, "does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certificate, key := pairFiles(t, now.Add(c.ends))
			if c.another {
				_, key = pairFiles(t, now.Add(c.ends))
			}
			ingress, err := url.Parse(c.ingress)
			if err != nil {
				t.Fatal(err)
			}
			cfg := &config.Config{Server: config.Server{TLSCertFile: certificate, TLSKeyFile: key}, Front: config.Front{Ingress: []*url.URL{ingress}}}
			found := World{Config: cfg, Now: func() time.Time { return now }}.certificate("files")
			if c.status == "" {
				if len(found) > 0 {
					t.Errorf("%+v", found)
				}
				return
			}
			if len(found) != 1 || found[0].Status != c.status || !strings.Contains(found[0].Text, c.says) || found[0].Advice == "" {
				t.Errorf("%+v, want %s that says %q", found, c.status, c.says)
			}
		})
	}
}
