package config

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// world is a complete Source.
type world struct {
	args  []string
	env   []string
	files map[string]string
}

func (w world) source() Source {
	return Source{Args: w.args, Environ: w.env, ReadFile: func(path string) ([]byte, error) {
		text, ok := w.files[path]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return []byte(text), nil
	}}
}

// with adds variables.
func (w world) with(env ...string) world {
	w.env = append(append([]string(nil), w.env...), env...)
	return w
}

func (w world) load(t *testing.T) *Loaded {
	t.Helper()
	loaded, err := Load(w.source())
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return loaded
}

// problems are the lines of the error, none if there is no error.
func (w world) problems(t *testing.T) []string {
	t.Helper()
	loaded, err := Load(w.source())
	if err == nil {
		return nil
	}
	var problems *ProblemsError
	if !errors.As(err, &problems) {
		t.Fatalf("error is a %T, want *ProblemsError: %v", err, err)
	}
	if loaded == nil || loaded.Config != nil {
		t.Error("with problems there must be values to show and no configuration to run with")
	}
	return strings.Split(err.Error(), "\n")
}

// refused fails unless the only problem is about the option and says the words.
func (w world) refused(t *testing.T, option, words string) {
	t.Helper()
	lines := w.problems(t)
	if len(lines) != 1 || !strings.HasPrefix(lines[0], option+": ") || !strings.Contains(lines[0], words) {
		t.Errorf("problems %q, want one of %s that says %q", lines, option, words)
	}
}

func (l *Loaded) value(name string) Value {
	for _, v := range l.Values {
		if v.Name == name {
			return v
		}
	}
	return Value{}
}

func key(fill byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(fill)), 32)))
}

// withLogin is the least that login needs.
func withLogin() world {
	return world{env: []string{
		"POSTERN_OPENID_CLIENT_ID=app",
		"POSTERN_OPENID_CLIENT_SECRET=open-sesame",
		"POSTERN_OPENID_WELL_KNOWN_URL=https://idp.example.org/.well-known/openid-configuration",
		"POSTERN_INGRESS=https://app.example.org",
	}}
}

const privateJWK = `{"kty":"EC","crv":"P-256","alg":"ES256","kid":"k","d":"very-private","x":"x","y":"y"}`
