package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	spdxType  = types.MediaType("application/spdx+json")
	emptyType = types.MediaType("application/vnd.oci.empty.v1+json")
	refName   = "org.opencontainers.image.ref.name"
)

// write puts the layout into a directory of the program's name, and beside it the SBOMs, and the tarballs if they are wanted.
func (b *built) write(dir string, archives bool) error {
	at := filepath.Join(dir, b.program.Name)
	if err := makeRoom(at); err != nil {
		return err
	}
	if err := os.Remove(referenceFile(dir, b.program)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	path, err := layout.Write(at, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(b.index, layout.WithAnnotations(map[string]string{refName: b.source.Version})); err != nil {
		return err
	}
	subject, err := partial.Descriptor(b.index)
	if err != nil {
		return err
	}
	for _, made := range b.images {
		base := fmt.Sprintf("%s-%s-%s", b.program.Name, made.platform.OS, made.platform.Architecture)
		if err := refer(path, *subject, base+".spdx.json", made); err != nil {
			return fmt.Errorf("attach the SBOM: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, base+".spdx.json"), made.sbom, 0o644); err != nil {
			return err
		}
		if archives {
			if err := archive(filepath.Join(dir, base+".tar"), b.program.Name, tagOf(b.source), made.image); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeRoom takes an earlier layout away, and nothing that is not one.
func makeRoom(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return os.MkdirAll(dir, 0o755)
	}
	if _, err := os.Stat(filepath.Join(dir, "oci-layout")); err != nil {
		return fmt.Errorf("%s is there and is no image layout", dir)
	}
	return os.RemoveAll(dir)
}

// refer adds the SBOM of an image as an artifact whose subject is the index (OCI image specification 1.1, "Guidelines for artifact usage").
func refer(path layout.Path, subject v1.Descriptor, title string, made platformImage) error {
	config, err := blob(path, emptyType, []byte("{}"))
	if err != nil {
		return err
	}
	content, err := blob(path, spdxType, made.sbom)
	if err != nil {
		return err
	}
	image, err := made.image.Digest()
	if err != nil {
		return err
	}
	content.Annotations = map[string]string{"org.opencontainers.image.title": title}
	about := map[string]string{
		"org.opencontainers.image.created": made.created(),
		"dev.postern.image.platform":       made.platform.String(),
		"dev.postern.image.digest":         image.String(),
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: string(spdxType), Config: config,
		Layers: []v1.Descriptor{content}, Subject: &v1.Descriptor{MediaType: subject.MediaType, Size: subject.Size, Digest: subject.Digest},
		Annotations: about,
	})
	if err != nil {
		return err
	}
	described, err := blob(path, types.OCIManifestSchema1, manifest)
	if err != nil {
		return err
	}
	described.ArtifactType, described.Annotations = string(spdxType), about
	return path.AppendDescriptor(described)
}

func (p platformImage) created() string {
	manifest, err := p.image.Manifest()
	if err != nil {
		return ""
	}
	return manifest.Annotations["org.opencontainers.image.created"]
}

func blob(path layout.Path, mediaType types.MediaType, data []byte) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{MediaType: mediaType, Size: size, Digest: digest}, path.WriteBlob(digest, io.NopCloser(bytes.NewReader(data)))
}

// archive writes what docker load reads.
func archive(path, repository, version string, image v1.Image) error {
	tag, err := name.NewTag(repository + ":" + version)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(path, tag, image)
}
