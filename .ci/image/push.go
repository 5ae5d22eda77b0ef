package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// destinations says where in a registry the images go, by program: nowhere if none is named. The registry must be: what has none would go to Docker Hub.
func destinations(prefix string, chosen []program) (map[string]name.Repository, error) {
	repositories := map[string]name.Repository{}
	if prefix == "" {
		return repositories, nil
	}
	if strings.Contains(prefix, "@") || strings.Contains(prefix, "://") { // never repeated: there may be a password in it
		return nil, errors.New("-push is not a registry, with or without a path: no scheme, and who you are is what `docker login` or `podman login` has left")
	}
	for _, p := range chosen {
		repository, err := name.NewRepository(strings.TrimSuffix(prefix, "/")+"/"+p.Name, name.StrictValidation)
		if err != nil {
			return nil, fmt.Errorf("-push %q is not a registry, with or without a path: %w", prefix, err)
		}
		repositories[p.Name] = repository
	}
	return repositories, nil
}

// publish pushes, says by which reference the images can be had, and leaves it in a file beside the layout for whoever installs them.
func (b *built) publish(ctx context.Context, dir string, to name.Repository, stdout io.Writer) error {
	reference, err := b.push(ctx, dir, to)
	if err != nil {
		return err
	}
	if err := os.WriteFile(referenceFile(dir, b.program), []byte(reference+"\n"), 0o644); err != nil { // #nosec G306 -- no secret
		return err
	}
	_, err = fmt.Fprintln(stdout, "pushed", reference)
	return err
}

// push publishes what [built.write] has left in the directory: the index, tagged with the version, then the SBOMs that refer to it. Whoever asks is
// known by what `docker login` and `podman login` leave. It returns the reference that names these very images, by digest.
func (b *built) push(ctx context.Context, dir string, to name.Repository) (string, error) {
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("postern-ci-image")}
	if err := remote.WriteIndex(to.Tag(tagOf(b.source)), b.index, options...); err != nil {
		return "", fmt.Errorf("push %s: %w", to, err)
	}
	stored, err := layout.ImageIndexFromPath(filepath.Join(dir, b.program.Name))
	if err != nil {
		return "", err
	}
	manifest, err := stored.IndexManifest()
	if err != nil {
		return "", err
	}
	for _, d := range manifest.Manifests {
		if d.ArtifactType == "" {
			continue // the index itself
		}
		if err := pushArtifact(stored, d, to, options); err != nil {
			return "", fmt.Errorf("push the SBOM of %s: %w", to, err)
		}
	}
	digest, err := b.index.Digest()
	if err != nil {
		return "", err
	}
	return to.Digest(digest.String()).String(), nil
}

func pushArtifact(stored v1.ImageIndex, d v1.Descriptor, to name.Repository, options []remote.Option) error {
	artifact, err := stored.Image(d.Digest)
	if err != nil {
		return err
	}
	return remote.Write(to.Digest(d.Digest.String()), artifact, options...)
}

// tagOf is the version; a tag has no plus sign.
func tagOf(src source) string { return strings.ReplaceAll(src.Version, "+", "_") }

// referenceFile holds the reference of the images that were pushed last; a build that is not pushed takes it away.
func referenceFile(dir string, p program) string { return filepath.Join(dir, p.Name+".ref") }
