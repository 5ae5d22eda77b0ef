package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// handshake verifies the certificate of a server by the trust of this machine.
func handshake(ctx context.Context, conn net.Conn, name string) error {
	return tls.Client(conn, &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}).HandshakeContext(ctx)
}

// adviseTrust says how an authority comes to be trusted: Go reads the directories of SSL_CERT_DIR beside the system's bundle, and SSL_CERT_FILE
// instead of it.
const adviseTrust = "Of a CA of your own, put the certificate (PEM) into a directory and name that in SSL_CERT_DIR: it is trusted beside the system's; " +
	"SSL_CERT_FILE would be instead of those. Of a public CA, have the server send its intermediate certificates too."

// judgeTLS says what of TLS failed and what to do; both are empty if it was something else.
func judgeTLS(err error) (why, advice string) {
	var (
		authority x509.UnknownAuthorityError
		roots     x509.SystemRootsError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		unusable  *tls.CertificateVerificationError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &authority), errors.As(err, &roots):
		return "its certificate is of an authority that is not trusted here", adviseTrust
	case errors.As(err, &name):
		return "its certificate is for another name", "Write the name that the certificate is for, or have it issued for this one."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired or is not valid yet, unless the clock here is wrong", "Have whoever runs it renew the certificate; if its dates are right, set the clock here."
	case errors.As(err, &unusable):
		return "its certificate cannot be used", "Have a certificate for servers issued to it."
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS", "Write the port at which it speaks TLS, or have TLS switched on there."
	}
	return "", ""
}

// trusted looks at the authorities that the environment names. Go passes over what it cannot read in silence.
func (w World) trusted(check string) []Finding {
	var found []Finding
	look := func(variable, path string, files []string) {
		if path == "" {
			return
		}
		if wrong := judgeMode(check, variable, path, false); len(wrong) > 0 {
			found = append(found, wrong...)
			return
		}
		pool := x509.NewCertPool()
		for _, file := range files {
			if data, err := os.ReadFile(file); err == nil && pool.AppendCertsFromPEM(data) {
				return
			}
		}
		found = append(found, problem(check, "Put the certificates of the authorities there, in PEM.", "%s: there is no certificate in %s", variable, path))
	}
	file := w.Env("SSL_CERT_FILE")
	look("SSL_CERT_FILE", file, []string{file})
	for dir := range strings.SplitSeq(w.Env("SSL_CERT_DIR"), ":") {
		var files []string
		entries, _ := os.ReadDir(dir) // what is wrong with it is found by its mode
		for _, entry := range entries {
			files = append(files, filepath.Join(dir, entry.Name()))
		}
		look("SSL_CERT_DIR", dir, files)
	}
	return found
}
