package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// TestImages builds everything as a release does, and looks at what came of it.
func TestImages(t *testing.T) {
	root, err := findRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	said := command(t, root, nil, "-out", out, "-docker-archive", "-version", "v1.2.3-test.1", "-source", "https://git.example.org/postern")
	chosen, err := choosePrograms(root, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(chosen) == 0 || chosen[0].Name != "postern" {
		t.Fatalf("the programs are %v, and postern is not the first", chosen)
	}
	for _, p := range chosen {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			index, referrers := open(t, filepath.Join(out, p.Name))
			digest, err := index.Digest()
			if err != nil {
				t.Fatal(err)
			}
			if want := p.Name + " v1.2.3-test.1 " + digest.String() + "\n"; !strings.Contains(said, want) {
				t.Errorf("the command printed %q, which lacks %q", said, want)
			}
			inspectIndex(t, p, index)
			manifest, err := index.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range manifest.Manifests {
				t.Run(d.Platform.Architecture, func(t *testing.T) {
					t.Parallel()
					inspectPlatform(t, root, out, p, index, d, referrers)
				})
			}
		})
	}
	t.Run("again elsewhere", func(t *testing.T) { buildElsewhere(t, root, out) })
}

// command runs the builder, and returns what it printed.
func command(t *testing.T, dir string, environ map[string]string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	lookup := func(name string) (string, bool) { value, ok := environ[name]; return value, ok }
	if err := run(t.Context(), dir, args, lookup, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return stdout.String()
}

// open reads a layout back: the index of the images, and the artifacts beside it.
func open(t *testing.T, dir string) (v1.ImageIndex, []v1.Descriptor) {
	t.Helper()
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var index v1.ImageIndex
	var referrers []v1.Descriptor
	for _, d := range manifest.Manifests {
		switch {
		case d.MediaType == types.OCIManifestSchema1 && d.ArtifactType == string(spdxType):
			referrers = append(referrers, d)
		case d.MediaType == types.OCIImageIndex && index == nil && d.Annotations[refName] == "v1.2.3-test.1":
			if index, err = top.ImageIndex(d.Digest); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("the layout has an entry that nobody asked for: %+v", d)
		}
	}
	if index == nil {
		t.Fatalf("the layout has no index of this version: %+v", manifest.Manifests)
	}
	return index, referrers
}

func inspectIndex(t *testing.T, p program, index v1.ImageIndex) {
	t.Helper()
	if err := validate.Index(index); err != nil {
		t.Errorf("the index is not valid: %v", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, d := range manifest.Manifests {
		platforms = append(platforms, d.Platform.String())
	}
	if got := strings.Join(platforms, " "); got != "linux/amd64 linux/arm64" {
		t.Errorf("the platforms are %q", got)
	}
	inspectLabels(t, p, manifest.Annotations)
}

// buildElsewhere builds a copy of the source in another directory, without git, and wants the very same files. With IMAGE_COLD=1 no
// result of the first compilation is used, which takes minutes; otherwise only what depends on the directory is done again.
func buildElsewhere(t *testing.T, root, first string) {
	index, _ := open(t, filepath.Join(first, "postern"))
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	tree, second := filepath.Join(t.TempDir(), "some", "where else"), t.TempDir()
	copyTree(t, root, tree)
	if os.Getenv("IMAGE_COLD") == "1" {
		t.Setenv("GOCACHE", t.TempDir())
	}
	created := mustParse(t, manifest.Annotations["org.opencontainers.image.created"])
	command(t, tree, map[string]string{"SOURCE_DATE_EPOCH": created},
		"-out", second, "-docker-archive", "-version", "v1.2.3-test.1", "-revision", manifest.Annotations["org.opencontainers.image.revision"],
		"-source", "https://git.example.org/postern")
	want, got := readTree(t, first), readTree(t, second)
	if len(want) < 10 {
		t.Errorf("only %d files to compare", len(want))
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs between two directories (%q and %q)", name, want[name], got[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files in one directory and %d in the other", len(want), len(got))
	}
}

// copyTree copies what git knows of, or is about to know of.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	list, err := exec.CommandContext(t.Context(), "git", "-C", from, "ls-files", "--cached", "--others", "--exclude-standard", "-z").Output()
	if err != nil {
		t.Fatalf("list the files of the source: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(from, name))
		if os.IsNotExist(err) { // deleted, and not yet committed
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// readTree is the SHA-256 of every file below a directory.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		sums[name] = sha256Hex(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func goEnv(ctx context.Context, t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(ctx, "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
