package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// compile makes the static binary of a program as it is released: nothing in it comes from the machine that it is made on.
func compile(ctx context.Context, src source, p program, platform v1.Platform) ([]byte, error) {
	dir, err := os.MkdirTemp("", "postern-image-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, p.Name)
	profile := "off"
	if p.Profile != "" {
		profile = filepath.Join(src.Root, p.Profile)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-pgo", profile,
		"-ldflags", "-s -w -X main.version="+src.Version+" -X main.commit="+src.Revision, "-o", binary, p.Package)
	cmd.Dir = src.Root
	cmd.Env = append(cleanEnvironment(os.Environ()), "GOOS="+platform.OS, "GOARCH="+platform.Architecture)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s for %s: %w\n%s", p.Name, platform, err, out)
	}
	return os.ReadFile(binary)
}

// cleanEnvironment fixes every setting that has a say in what the compiler writes.
func cleanEnvironment(environ []string) []string {
	fixed := []string{
		"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOFIPS140=off", "GODEBUG=", "GOAMD64=v1", "GOARM64=v8.0",
	}
	var kept []string
	for _, setting := range environ {
		name, _, _ := strings.Cut(setting, "=")
		switch name {
		case "CGO_ENABLED", "GOFLAGS", "GOWORK", "GOEXPERIMENT", "GOFIPS140", "GODEBUG", "GOAMD64", "GOARM64", "GOOS", "GOARCH", "PWD":
		default:
			kept = append(kept, setting)
		}
	}
	return append(kept, fixed...)
}
