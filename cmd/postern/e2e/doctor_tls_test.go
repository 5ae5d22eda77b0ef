package e2e

import (
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secureName is a host of its own on loopback, where parts of the provider are had by TLS.
const secureName = "secure.localhost"

// Whatever is wrong with a provider's TLS is one line at what cannot be had by it, with what to do.
func TestDoctorFindsFaultsOfTLS(t *testing.T) {
	t.Parallel()
	healthy := newPatient(t)
	at := func(front string) string {
		_, port, _ := net.SplitHostPort(front)
		return "https://" + secureName + ":" + port
	}
	trusting := func(p *patient, front *TLSListener) string {
		p.env["SSL_CERT_FILE"] = front.CAFile
		return at(front.Addr)
	}
	faults := map[string]struct {
		origin func(t *testing.T, p *patient) string // by https, before the provider
		says   string
	}{
		"unknown authority": {func(t *testing.T, p *patient) string { return at(TLSFront(t, p.dev.Addr, secureName).Addr) }, "(its certificate is of an authority that is not trusted here) → Of a CA of your own"},
		"expired": {func(t *testing.T, p *patient) string {
			return trusting(p, tlsFrontWith(t, p.dev.Addr, &x509.Certificate{DNSNames: []string{secureName}, NotAfter: time.Now().Add(-time.Minute)}))
		}, "unless the clock here is wrong) → Have whoever runs it renew"},
		"another name": {func(t *testing.T, p *patient) string { return trusting(p, TLSFront(t, p.dev.Addr, "other.localhost")) }, "(its certificate is for another name) → Write the name"},
		"plain http":   {func(_ *testing.T, p *patient) string { return at(p.dev.Addr) }, "(it does not speak TLS) → Write the port"},
	}
	places := map[string]struct {
		plant func(t *testing.T, p *patient, origin string)
		check string
	}{
		"metadata": {func(_ *testing.T, p *patient, origin string) {
			p.env["TOKEN_X_WELL_KNOWN_URL"] = origin + "/tokenx/.well-known/oauth-authorization-server"
		}, "tokenx.metadata"},
		"keys": {func(t *testing.T, p *patient, origin string) {
			p.behind(t, members("/idporten/", map[string]any{"jwks_uri": origin + "/idporten/jwks"}))
		}, "idporten.keys"},
		"token endpoint": {func(t *testing.T, p *patient, origin string) {
			p.behind(t, members("/maskinporten/", map[string]any{"token_endpoint": origin + "/maskinporten/token"}))
		}, "maskinporten.client"},
		"target of a route": {func(_ *testing.T, p *patient, origin string) {
			p.env["POSTERN_EGRESS_ROUTES"] = `[{name: orders, url: "` + origin + `", provider: entra_id, target: "` + ordersName + `"}]`
		}, "egress.orders"},
	}
	for what, fault := range faults {
		for where, place := range places {
			t.Run(what+" at "+where, func(t *testing.T) {
				t.Parallel()
				plantedFault{func(t *testing.T, p *patient) { place.plant(t, p, fault.origin(t, p)) }, place.check, "problem", fault.says, ""}.mustBeFound(t, healthy)
			})
		}
	}
}

// Both ways in which Go is told of an authority work for a provider; a wrong way is a line of its own, as Go says nothing.
func TestDoctorKnowsWhomToTrust(t *testing.T) {
	t.Parallel()
	healthy := newPatient(t)
	front := TLSFront(t, healthy.dev.Addr, secureName)
	_, port, _ := net.SplitHostPort(front.Addr)
	elsewhere := func(t *testing.T, p *patient) {
		p.behind(t, members("/idporten/", map[string]any{"jwks_uri": "https://" + secureName + ":" + port + "/idporten/jwks"}))
	}
	for variable, value := range map[string]string{"SSL_CERT_FILE": front.CAFile, "SSL_CERT_DIR": filepath.Dir(front.CAFile)} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			p := healthy.infected(t)
			elsewhere(t, p)
			p.env[variable] = value
			if d := p.examine(t); d.Problems != 0 || !d.has("idporten.keys", "ok") {
				t.Errorf("%s", d)
			}
		})
	}
	for name, fault := range map[string]plantedFault{
		"file that is not there": {func(_ *testing.T, p *patient) { p.env["SSL_CERT_FILE"] = filepath.Join(p.dir, "ca.pem") }, "files", "problem", "SSL_CERT_FILE: stat", ""},
		"file without a certificate": {func(t *testing.T, p *patient) {
			p.env["SSL_CERT_FILE"] = p.file(t, "ca.der", "not PEM", 0o600)
		}, "files", "problem", "SSL_CERT_FILE: there is no certificate", ""},
		"directory without a certificate": {func(t *testing.T, p *patient) {
			empty := filepath.Join(p.dir, "empty")
			if err := os.Mkdir(empty, 0o700); err != nil {
				t.Fatal(err)
			}
			p.env["SSL_CERT_DIR"] = strings.Join([]string{filepath.Dir(front.CAFile), empty}, ":")
		}, "files", "problem", "SSL_CERT_DIR: there is no certificate", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault.mustBeFound(t, healthy)
		})
	}
}
