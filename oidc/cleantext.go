package oidc

import (
	"net/url"
	"strings"
)

const maxDescription = 300

// isErrorCode holds an "error" to its alphabet (RFC 6749 §5.2) and to a length that fits a log line.
func isErrorCode(code string) bool {
	if code == "" || len(code) > 64 {
		return false
	}
	for _, c := range []byte(code) {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// isTokenText holds a token to VSCHAR (RFC 6749 appendix A.12): it is going to be a header's value.
func isTokenText(token string) bool {
	for _, c := range []byte(token) {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return len(token) <= maxToken
}

// secretsOf lists what a provider might quote from our request.
func secretsOf(form url.Values, auth Authenticator) []string {
	var secrets []string
	for _, name := range []string{
		"code", "code_verifier", "refresh_token", "client_secret", "client_assertion", "assertion", "subject_token", "token", "state", "nonce", "id_token_hint",
	} {
		secrets = append(secrets, form[name]...)
	}
	if r, ok := auth.(*rotating); ok {
		auth = *r.current.Load()
	}
	if s, ok := auth.(*clientSecret); ok { // not in the form when sent as Basic
		secrets = append(secrets, s.secret.Reveal())
	}
	return secrets
}

func redact(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	return text
}

// CleanText makes a foreign text fit for a log line of another room: short, printable, and without tokens and personal numbers (S-37).
func CleanText(text string) string { return cleanText(text) }

// cleanText makes a foreign text fit for a log: short, printable ASCII, without the secrets, without tokens and without personal numbers (S-37).
func cleanText(text string, secrets ...string) string {
	text = HideTokens(redact(text, secrets))
	out := make([]byte, 0, min(len(text), maxDescription))
	digits := 0
	for i := 0; i < len(text) && len(out) < maxDescription; i++ {
		c := text[i]
		if c < 0x20 || c > 0x7e {
			c = '?'
		}
		out = append(out, c)
		if c < '0' || c > '9' {
			digits = 0
			continue
		}
		if digits++; digits < 11 {
			continue
		}
		for j := len(out) - 1; j >= 0 && out[j] >= '0' && out[j] <= '9'; j-- {
			out[j] = '*'
		}
		digits = 10 // the run goes on: mask its rest as well
	}
	return string(out)
}
