package main

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// small is a result like that of build, of a program that is none.
func small(t *testing.T) *built {
	t.Helper()
	p := programs()[0]
	b := &built{program: p, source: source{Version: "v1.2.3+dirty", Revision: strings.Repeat("0", 40), Created: time.Unix(1, 0).UTC()}}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range []string{"amd64", "arm64"} {
		platform := v1.Platform{OS: "linux", Architecture: arch}
		image, err := assemble(b.source, p, platform, files(p, []byte("a program for "+arch), []byte("roots")))
		if err != nil {
			t.Fatal(err)
		}
		b.images = append(b.images, platformImage{platform: platform, image: image, sbom: []byte(`{"spdxVersion": "SPDX-2.3", "name": "` + arch + `"}`)})
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	b.index = mutate.Annotations(index, annotations(b.source, p)).(v1.ImageIndex)
	return b
}

// serveRegistry is a registry of this test's own, by its host and port.
func serveRegistry(t *testing.T, around func(http.Handler) http.Handler, options ...registry.Option) string {
	t.Helper()
	server := httptest.NewServer(around(registry.New(append(options, registry.Logger(log.New(io.Discard, "", 0)))...)))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func asItIs(h http.Handler) http.Handler { return h }

func TestPushedIsWhatWasBuilt(t *testing.T) {
	t.Parallel()
	for what, options := range map[string][]registry.Option{
		"a registry that knows referrers":       {registry.WithReferrersSupport(true)},
		"a registry from before there were any": nil,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b, dir := small(t), t.TempDir()
			if err := b.write(dir, false); err != nil {
				t.Fatal(err)
			}
			host := serveRegistry(t, asItIs, options...)
			to, err := destinations(host+"/team/", []program{b.program})
			if err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			for range 2 { // what is there already is no trouble
				said.Reset()
				if err := b.publish(t.Context(), dir, to["postern"], &said); err != nil {
					t.Fatal(err)
				}
			}
			digest, err := b.index.Digest()
			if err != nil {
				t.Fatal(err)
			}
			want := host + "/team/postern@" + digest.String()
			left, err := os.ReadFile(filepath.Join(dir, "postern.ref"))
			if err != nil || string(left) != want+"\n" || said.String() != "pushed "+want+"\n" {
				t.Errorf("said %q, left %q (%v), want %q", said.String(), left, err, want)
			}
			tagged, err := name.ParseReference(host + "/team/postern:v1.2.3_dirty")
			if err != nil {
				t.Fatal(err)
			}
			index, err := remote.Index(tagged)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := index.Digest(); err != nil || got != digest {
				t.Errorf("the tag leads to %s, not %s (%v)", got, digest, err)
			}
			pushedImages(t, b, tagged)
			pushedBills(t, b, to["postern"].Digest(digest.String()))
			if err := b.write(dir, false); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "postern.ref")); err == nil {
				t.Error("a build that was not pushed still has the reference of one that was")
			}
		})
	}
}

// pushedImages looks at each platform's image as a node would.
func pushedImages(t *testing.T, b *built, from name.Reference) {
	t.Helper()
	for _, made := range b.images {
		there, err := remote.Image(from, remote.WithPlatform(made.platform))
		if err != nil {
			t.Fatal(err)
		}
		want, err := made.image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := there.Digest(); err != nil || got != want {
			t.Errorf("%s is %s, not %s (%v)", made.platform, got, want, err)
		}
		layers, err := there.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%d layers (%v)", len(layers), err)
		}
		content, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(content)
		if err != nil || !bytes.Contains(data, []byte("a program for "+made.platform.Architecture)) {
			t.Errorf("the layer of %s: %v", made.platform, err)
		}
	}
}

// pushedBills looks for the SBOMs as a scanner would: by what refers to the index.
func pushedBills(t *testing.T, b *built, subject name.Digest) {
	t.Helper()
	referrers, err := remote.Referrers(subject)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := referrers.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, d := range manifest.Manifests {
		artifact, err := remote.Image(subject.Digest(d.Digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		if manifest, err := artifact.RawManifest(); err != nil || !bytes.Contains(manifest, []byte(`"artifactType":"`+string(spdxType)+`"`)) {
			t.Errorf("the artifact is %s (%v)", manifest, err)
		}
		layers, err := artifact.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%d layers (%v)", len(layers), err)
		}
		content, err := layers[0].Compressed()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		found[string(data)] = true
	}
	for _, made := range b.images {
		if !found[string(made.sbom)] {
			t.Errorf("the SBOM of %s cannot be found at the index; there are %d", made.platform, len(found))
		}
	}
}

func TestPushThatFailsLeavesNoReference(t *testing.T) {
	t.Parallel()
	refuse := func(method, part string) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == method && strings.Contains(r.URL.Path, part) {
					http.Error(w, "no", http.StatusForbidden)
					return
				}
				h.ServeHTTP(w, r)
			})
		}
	}
	for what, around := range map[string]func(http.Handler) http.Handler{
		"nobody may write":           refuse(http.MethodPost, "/blobs/uploads"),
		"no manifest is taken":       refuse(http.MethodPut, "/manifests/"),
		"the tag is not to be moved": refuse(http.MethodPut, "/manifests/v1.2.3"),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b, dir := small(t), t.TempDir()
			if err := b.write(dir, false); err != nil {
				t.Fatal(err)
			}
			to, err := destinations(serveRegistry(t, around), []program{b.program})
			if err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			if err := b.publish(t.Context(), dir, to["postern"], &said); err == nil || !strings.Contains(err.Error(), "push ") {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "postern.ref")); err == nil || said.Len() > 0 {
				t.Errorf("a reference was left, or %q said", said.String())
			}
		})
	}
}
