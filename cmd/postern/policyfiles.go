package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"postern/config"
	"postern/oidc"
	"postern/proxy/policy"
)

// maxPolicyFile bounds one policy file; ten thousand rules take less.
const maxPolicyFile = 1 << 20

// readPolicyFiles reads policy files, and of directories those that end in .yaml, .yml or .json, by name. The error lists all problems.
func readPolicyFiles(paths []string) ([]policy.File, error) {
	var files []policy.File
	var problems []error
	for _, path := range paths {
		names, err := policyFilesAt(path)
		if err != nil {
			problems = append(problems, err)
		}
		for _, name := range names {
			data, err := readBounded(name, maxPolicyFile)
			if err != nil {
				problems = append(problems, fmt.Errorf("read %s: %w", name, err))
				continue
			}
			files = append(files, policy.File{Name: name, Data: data})
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return files, nil
}

// policyFilesAt is the path itself, or what of a directory counts. A mounted ConfigMap holds each key twice: as a link, and in a directory
// whose name begins with two dots. Whatever begins with a dot does not count, nor does anything below the directory.
func policyFilesAt(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, withoutPath(err))
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, withoutPath(err))
	}
	var names []string
	for _, entry := range entries {
		extension := filepath.Ext(entry.Name())
		if strings.HasPrefix(entry.Name(), ".") || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, extension) {
			continue
		}
		names = append(names, filepath.Join(path, entry.Name()))
	}
	if len(names) == 0 { // S-25: an emptied ConfigMap is no policy
		return nil, fmt.Errorf("read %s: the directory holds no policy file (*.yaml, *.yml or *.json)", path)
	}
	return names, nil
}

// readBounded reads a file of at most limit bytes. Pipes and devices are refused: they might never end, or never answer. No error names the file: what was
// given for one may be a secret in the wrong place.
func readBounded(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	if err != nil {
		return nil, withoutPath(err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("it is larger than %d KiB", limit>>10)
	}
	return data, nil
}

// withoutPath keeps a path from standing twice in one message.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// policyProblems are what is wrong with the policy files, a line each, in the form of [config.ProblemsError].
type policyProblems struct{ err error }

func asPolicyProblems(err error) error {
	if err == nil {
		return nil
	}
	return &policyProblems{err}
}

func (p *policyProblems) Error() string {
	return "policy-file: " + strings.ReplaceAll(p.err.Error(), "\n", "\npolicy-file: ")
}

func (p *policyProblems) Unwrap() error { return p.err }

// policyProblemsOf is everything that is wrong with the policy of a configuration, a line each.
func policyProblemsOf(cfg *config.Config) []string {
	if len(cfg.Policy.Files) == 0 {
		return nil
	}
	files, err := readPolicyFiles(cfg.Policy.Files)
	if err == nil {
		_, _, err = policy.Load(files, policySettings(cfg))
	}
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

// policySettings is what the configuration adds to a policy.
func policySettings(cfg *config.Config) policy.Settings {
	p := &cfg.Providers
	s := policy.Settings{
		Cluster:         cfg.Policy.Cluster,
		EntraClientIDs:  cfg.EntraClientIDs(),
		IDPortenClients: cfg.IDPortenClientIDs(),
		IDPortenEnabled: p.IDPorten.Enabled,
		Providers:       cfg.InboundProviders(),
		RequireAuth:     cfg.Front.RequireAuth,
	}
	if p.TokenX.Enabled {
		s.TokenXClientID = p.TokenX.ClientID
	}
	if login := oidc.LoginProviderName(cfg.OpenID); cfg.LoginEnabled() && !slices.Contains(s.Providers, login) {
		s.Providers = append(s.Providers, login)
	}
	return s
}
