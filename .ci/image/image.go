package main

import (
	"context"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// built is the result for one program.
type built struct {
	program program
	source  source
	index   v1.ImageIndex
	images  []platformImage
}

type platformImage struct {
	platform v1.Platform
	image    v1.Image
	sbom     []byte
}

func build(ctx context.Context, src source, p program, platforms []v1.Platform) (*built, error) {
	out := &built{program: p, source: src}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, platform := range platforms {
		made, err := buildImage(ctx, src, p, platform)
		if err != nil {
			return nil, fmt.Errorf("%s for %s: %w", p.Name, platform, err)
		}
		out.images = append(out.images, made)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: made.image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	out.index = mutate.Annotations(index, annotations(src, p)).(v1.ImageIndex)
	return out, nil
}

func buildImage(ctx context.Context, src source, p program, platform v1.Platform) (platformImage, error) {
	binary, err := compile(ctx, src, p, platform)
	if err != nil {
		return platformImage{}, err
	}
	list := files(p, binary, rootsBundle())
	made, err := assemble(src, p, platform, list)
	if err != nil {
		return platformImage{}, err
	}
	sbom, err := billOfMaterials(src, p, platform, list)
	if err != nil {
		return platformImage{}, err
	}
	return platformImage{platform: platform, image: made, sbom: sbom}, nil
}

// assemble puts the layer on nothing, and says how it is run.
func assemble(src source, p program, platform v1.Platform, list []file) (v1.Image, error) {
	content, err := layer(list, src.Created)
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{
		Layer:   content,
		History: v1.History{Created: v1.Time{Time: src.Created}, CreatedBy: "go run -C .ci/image .", Comment: p.Name + " " + src.Version},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = platform.OS, platform.Architecture, v1.Time{Time: src.Created}
	config.Config = v1.Config{
		User:         fmt.Sprintf("%d:%d", nonroot, nonroot),
		Env:          []string{"PATH=/usr/bin"},
		Entrypoint:   []string{"/" + p.Binary()},
		WorkingDir:   "/",
		Labels:       annotations(src, p),
		ExposedPorts: map[string]struct{}{},
	}
	for _, port := range p.Ports {
		config.Config.ExposedPorts[port] = struct{}{}
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, err
	}
	return mutate.Annotations(image, annotations(src, p)).(v1.Image), nil
}

// annotations are those of the OCI image specification; they are also the image's labels.
func annotations(src source, p program) map[string]string {
	out := map[string]string{
		"org.opencontainers.image.title":       p.Name,
		"org.opencontainers.image.description": p.Title,
		"org.opencontainers.image.version":     src.Version,
		"org.opencontainers.image.revision":    src.Revision,
		"org.opencontainers.image.created":     src.Created.Format(time.RFC3339),
		"org.opencontainers.image.licenses":    "MIT",
	}
	if src.URL != "" {
		out["org.opencontainers.image.source"] = src.URL
	}
	return out
}
