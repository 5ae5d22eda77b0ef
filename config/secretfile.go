package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxFile bounds every file that is read here; a configuration or a key is far smaller.
const maxFile = 1 << 20

var (
	errTooLarge = errors.New("file is larger than 1 MiB")
	errEmpty    = errors.New("file is empty")
)

// ReadFile reads at most one byte more than 1 MiB, which all secrets and configurations keep within, so that a device or a log in the wrong
// place does no harm.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// ReadSecret reads a secret from a file (nil: the file system): the content without one line end at its end. An empty file is an error.
func ReadSecret(read func(path string) ([]byte, error), path string) (Secret, error) {
	if read == nil {
		read = ReadFile
	}
	s, err := secretIn(read, path)
	if err != nil {
		return Secret{}, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

// secretIn leaves the path to its callers: at first sight it may be the secret itself, in the wrong option.
func secretIn(read func(string) ([]byte, error), path string) (Secret, error) {
	data, err := read(path)
	switch {
	case err != nil:
		return Secret{}, withoutPath(err)
	case len(data) > maxFile:
		return Secret{}, errTooLarge
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return Secret{}, errEmpty
	}
	return NewSecret(text), nil
}

// withoutPath keeps a path from standing twice in one message.
func withoutPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// ReadEncryptionKeys reads the file of encryption-key anew and checks the keys as at start (S-39): rotation without a restart.
func ReadEncryptionKeys(read func(path string) ([]byte, error), path string) ([]Secret, error) {
	text, err := ReadSecret(read, path)
	if err != nil {
		return nil, err
	}
	keys, err := secretsKind().parse(text.Reveal())
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("read %s: holds no key", path)
	}
	if problems := keyProblems(keys); len(problems) > 0 {
		return nil, fmt.Errorf("read %s: %s", path, strings.Join(problems, "; "))
	}
	return keys, nil
}

// readSecretFiles gives each secret the content of its file. A secret that is given twice is an error rather than a choice.
func (l *loader) readSecretFiles() {
	for _, file := range l.options {
		path, secret := file.secretPath(), file.fileOf
		if secret == nil || file.invalid || !file.given() || path == "" {
			continue
		}
		if secret.given() && (secret.invalid || secret.show() != "") {
			l.problem(secret.name, "given in place (%s) and as %s (%s); give one", secret.origin.label, file.name, file.origin.label)
			continue
		}
		value, err := secretIn(l.read, path)
		if err != nil {
			l.problem(file.name, "read %s: %v (%s)", shownPath(path), err, file.origin.label)
			file.invalid, secret.invalid = true, true
			continue
		}
		secret.origin = origin{rank: file.origin.rank, label: fmt.Sprintf("file %s (%s)", path, file.name)}
		if err := secret.fromText(value.Reveal()); err != nil {
			secret.invalid = true
			l.problem(file.name, "%v", err)
		}
	}
}

// shownPath is the path, if it can hardly be anything else.
func shownPath(path string) string {
	if filepath.IsAbs(path) || strings.Trim(path, "abcdefghijklmnopqrstuvwxyz._-/") == "" {
		return path
	}
	return "the file"
}

func (o *option) secretPath() string {
	if o.fileOf == nil {
		return ""
	}
	return *o.fileOf.secretFile
}

func (l *loader) secretFiles() map[string]string {
	out := map[string]string{}
	for _, file := range l.options {
		if path := file.secretPath(); path != "" {
			out[file.fileOf.name] = path
		}
	}
	return out
}
