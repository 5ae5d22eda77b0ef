package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// tolerated are the deprecated modules that the project uses knowingly.
var tolerated = map[string]string{
	"github.com/lestrrat-go/jwx/v2": "kept to one file, which only parses, verifies, and signs bytes that were encoded elsewhere",
}

type module struct {
	Path       string
	Version    string
	Main       bool
	Deprecated string
	Retracted  []string
	Error      *struct{ Err string }
}

// deprecated asks the authors' latest word on each module that go.mod names. Without a network there is nothing to ask, and nothing to say.
func deprecated() ([]string, error) {
	names, err := required()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("go", append([]string{"list", "-m", "-u", "-retracted", "-json"}, names...)...)
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && unreachable(string(exit.Stderr)) {
			fmt.Fprintln(os.Stderr, "not checked: the modules' newest versions cannot be asked for here")
			return nil, nil
		}
		return nil, fmt.Errorf("ask for the newest versions: %w", err)
	}
	return judge(strings.NewReader(string(out)))
}

func unreachable(stderr string) bool {
	for _, sign := range []string{
		"no such host", "connection refused", "i/o timeout", "network is unreachable", "TLS handshake timeout", "GOPROXY=off",
	} {
		if strings.Contains(stderr, sign) {
			return true
		}
	}
	return false
}

func required() ([]string, error) {
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		return nil, fmt.Errorf("read go.mod: %w", err)
	}
	var mod struct{ Require []module }
	if err := json.Unmarshal(out, &mod); err != nil {
		return nil, fmt.Errorf("read go.mod: %w", err)
	}
	names := make([]string, len(mod.Require))
	for i, m := range mod.Require {
		names[i] = m.Path
	}
	return names, nil
}

func judge(list io.Reader) (complaints []string, err error) {
	for in := json.NewDecoder(list); ; {
		var m module
		if err := in.Decode(&m); errors.Is(err, io.EOF) {
			return complaints, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the list of modules: %w", err)
		}
		if len(m.Retracted) > 0 {
			complaints = append(complaints, fmt.Sprintf("%s %s: this version was retracted: %s", m.Path, m.Version, strings.Join(m.Retracted, "; ")))
		}
		if m.Deprecated != "" && tolerated[m.Path] == "" {
			complaints = append(complaints, fmt.Sprintf("%s: deprecated: %s", m.Path, m.Deprecated))
		}
	}
}
