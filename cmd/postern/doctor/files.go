package doctor

import (
	"context"
	"crypto/tls"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

const (
	othersRead  fs.FileMode = 0o004
	othersWrite fs.FileMode = 0o002
	renewBefore             = 7 * 24 * time.Hour
)

// files looks at the modes of secrets, at the listener's certificate, and at the authorities that are to be trusted.
func (w World) files(context.Context) []Finding {
	const check = "files"
	cfg := w.Config
	secret := maps.Clone(w.SecretFiles)
	if secret == nil {
		secret = map[string]string{}
	}
	for option, path := range map[string]string{
		"tls.key-file": cfg.Server.TLSKeyFile, "identity.assertion-key-file": cfg.Identity.AssertionKeyFile, "token.secret-file": cfg.Token.SecretFile,
		"forward-auth.secret-file": cfg.ForwardAuth.SecretFile, "admin.token-file": cfg.Admin.TokenFile,
	} {
		if path != "" {
			secret[option] = path
		}
	}
	var found []Finding
	for _, option := range slices.Sorted(maps.Keys(secret)) {
		found = append(found, judgeMode(check, option, secret[option], true)...)
	}
	for _, path := range slices.Concat(cfg.Policy.Files, []string{cfg.Redis.CAFile, cfg.Server.TLSCertFile}) {
		if path != "" {
			found = append(found, judgeMode(check, path, path, false)...)
		}
	}
	found = append(found, w.certificate(check)...)
	found = append(found, w.trusted(check)...)
	return judged(found, check, "%d with secrets, readable here and by nobody else", len(secret))
}

func judgeMode(check, option, path string, secret bool) []Finding {
	info, err := os.Stat(path)
	if err != nil {
		return []Finding{problem(check, "Mount it, or correct the path.", "%s: %v", option, err)}
	}
	if !info.IsDir() {
		f, err := os.OpenFile(path, os.O_RDONLY|nonBlocking, 0)
		if err != nil {
			return []Finding{problem(check, "Let the user that Postern runs as read it (fsGroup, defaultMode).", "%s: %v", option, err)}
		}
		_ = f.Close()
	}
	mode := info.Mode().Perm()
	switch {
	case mode&othersWrite != 0:
		return []Finding{problem(check, "chmod o-w, or another volume: who writes it decides what Postern believes.", "%s: %s can be written by everybody (mode %04o)", option, path, mode)}
	case secret && mode&othersRead != 0:
		return []Finding{warning(check, "chmod 0400, or defaultMode: 0440 with fsGroup for a mounted Secret.", "%s: %s can be read by everybody (mode %04o)", option, path, mode)}
	}
	return nil
}

// certificate is that of the public listener.
func (w World) certificate(check string) []Finding {
	server := w.Config.Server
	if server.TLSCertFile == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(server.TLSCertFile, server.TLSKeyFile)
	if err != nil {
		return []Finding{problem(check, "Give a certificate and its own key, both in PEM.", "tls.cert-file: %v", err)}
	}
	for _, ingress := range w.Config.Front.Ingress {
		if ingress.Scheme == "https" && pair.Leaf.VerifyHostname(ingress.Hostname()) != nil {
			return []Finding{warning(check, "Have it issued for the ingress too; no fault if browsers meet another certificate, of a proxy in front.",
				"tls.cert-file: the certificate is not for %s", ingress.Hostname())}
		}
	}
	const advice = "Renew it; it is read anew without a restart."
	switch left := pair.Leaf.NotAfter.Sub(w.Now()); {
	case left <= 0:
		return []Finding{problem(check, advice, "tls.cert-file: the certificate ended %s", pair.Leaf.NotAfter.Format(time.RFC3339))}
	case left < renewBefore:
		return []Finding{warning(check, advice, "tls.cert-file: the certificate ends %s", pair.Leaf.NotAfter.Format(time.RFC3339))}
	}
	return nil
}
