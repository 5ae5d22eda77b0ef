package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// program is one that gets an image.
type program struct {
	Name    string
	Package string // below the root
	Profile string // below the root; empty: built without one
	Title   string
	Ports   []string // that it listens at in a pod
}

// Binary is where the program is in its image.
func (p program) Binary() string { return "usr/bin/" + p.Name }

func programs() []program {
	return []program{
		{
			Name: "postern", Package: "./cmd/postern", Profile: "cmd/postern/bench/release.pgo",
			Title: "Postern: login, access policy and tokens beside an app",
			Ports: []string{"7564/tcp", "7565/tcp", "7566/tcp"},
		},
		{
			Name: "postern-injector", Package: "./cmd/postern-injector",
			Title: "Postern's injector: puts the sidecar into pods",
			Ports: []string{"9440/tcp", "9443/tcp"},
		},
	}
}

// choosePrograms are those of the list, or with an empty one all whose source is there.
func choosePrograms(root, list string) ([]program, error) {
	names := splitList(list)
	var chosen []program
	for _, p := range programs() {
		_, err := os.Stat(filepath.Join(root, p.Package, "main.go"))
		switch {
		case len(names) == 0 && err == nil, slices.Contains(names, p.Name):
			chosen = append(chosen, p)
		}
		names = slices.DeleteFunc(names, func(name string) bool { return name == p.Name })
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("no such program: %s", strings.Join(names, ", "))
	}
	return chosen, nil
}

func parsePlatforms(list string) ([]v1.Platform, error) {
	var platforms []v1.Platform
	for _, name := range splitList(list) {
		system, arch, _ := strings.Cut(name, "/")
		p := v1.Platform{OS: system, Architecture: arch}
		if system != "linux" || arch != "amd64" && arch != "arm64" {
			return nil, fmt.Errorf("%q is not a platform of the images; those are linux/amd64 and linux/arm64", name)
		}
		if slices.ContainsFunc(platforms, p.Equals) {
			return nil, fmt.Errorf("platform %s is named twice", name)
		}
		platforms = append(platforms, p)
	}
	if len(platforms) == 0 {
		return nil, fmt.Errorf("no platform was named")
	}
	slices.SortFunc(platforms, func(a, b v1.Platform) int {
		return strings.Compare(path.Join(a.OS, a.Architecture), path.Join(b.OS, b.Architecture))
	})
	return platforms, nil
}
