package config

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a text that no log, error, JSON or %v ever shows. Use [Secret.Reveal] at the one place that needs the bytes.
//
// The text is behind a pointer because package fmt looks past every method when it reports a verb that does not fit
// (`%!s(*config.Config=&{…})`); of a pointer it shows the address.
type Secret struct{ text *string }

// NewSecret wraps a text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the text itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty says whether there is no text.
func (s Secret) Empty() bool { return s.text == nil }

// Equal compares the texts in a time that does not depend on them. == would compare where they are kept.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return redacted
}

// Format implements [fmt.Formatter], so that every verb shows the same.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText serves encoding/json and the YAML encoder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
