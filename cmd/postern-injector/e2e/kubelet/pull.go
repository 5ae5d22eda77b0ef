package kubelet

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// maxBlob is more than any image of a test.
const maxBlob = 512 << 20

// pulled is an image that was asked for, or the reason why it cannot be had.
type pulled struct {
	once  sync.Once
	image Image
	err   error
}

// PullFrom lets nodes pull images of a registry ("registry.example.org"), by their digests alone, with a client that finds it.
func (k *Kubelet) PullFrom(registry string, client *http.Client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.registries[registry] = client
}

// Root is the directory that holds the file system of an image that was pulled.
func (k *Kubelet) Root(name string) (string, error) {
	i, err := k.image(name)
	return i.Root, err
}

// image is what a test has said that stands for the name, or else the image of that name in a registry.
func (k *Kubelet) image(name string) (Image, error) {
	k.mu.Lock()
	i, ok := k.images[name]
	host, rest, _ := strings.Cut(name, "/")
	client := k.registries[host]
	if ok || client == nil {
		k.mu.Unlock()
		if !ok {
			return i, errors.New("no test has said what stands for the image " + name)
		}
		return i, nil
	}
	p := k.pulled[name]
	if p == nil {
		p = &pulled{}
		k.pulled[name] = p
	}
	k.mu.Unlock()
	p.once.Do(func() {
		repository, digest, _ := strings.Cut(rest, "@")
		r := remote{client: client, base: "https://" + host + "/v2/" + repository}
		p.image, p.err = r.pull(context.Background(), digest, filepath.Join(k.dir, "images", strings.ReplaceAll(digest, ":", "-")))
	})
	return p.image, p.err
}

// remote is a repository of a registry (OCI distribution specification).
type remote struct {
	client *http.Client
	base   string
}

type descriptor struct {
	MediaType, Digest string
	Platform          struct{ OS, Architecture string }
}

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

// pull unpacks the image of this machine's platform and says how it is run.
func (r remote) pull(ctx context.Context, digest, dir string) (Image, error) {
	var index struct{ Manifests []descriptor }
	if err := r.json(ctx, "manifests", digest, &index); err != nil {
		return Image{}, err
	}
	for _, d := range index.Manifests {
		if d.Platform.OS != "linux" || d.Platform.Architecture != runtime.GOARCH {
			continue
		}
		var manifest struct {
			Config descriptor
			Layers []descriptor
		}
		if err := r.json(ctx, "manifests", d.Digest, &manifest); err != nil {
			return Image{}, err
		}
		var config struct {
			Config struct {
				User                 string
				Env, Entrypoint, Cmd []string
			}
			RootFS struct {
				DiffIDs []string `json:"diff_ids"`
			}
		}
		if err := r.json(ctx, "blobs", manifest.Config.Digest, &config); err != nil {
			return Image{}, err
		}
		if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
			return Image{}, fmt.Errorf("%d layers and %d of their sums", len(manifest.Layers), len(config.RootFS.DiffIDs))
		}
		for i, layer := range manifest.Layers {
			if err := r.unpack(ctx, layer.Digest, config.RootFS.DiffIDs[i], dir); err != nil {
				return Image{}, fmt.Errorf("layer %s: %w", layer.Digest, err)
			}
		}
		user, _, _ := strings.Cut(config.Config.User, ":")
		uid, err := strconv.Atoi(user)
		if err != nil {
			return Image{}, fmt.Errorf("the image's user %q is no number", config.Config.User)
		}
		return Image{Root: dir, Entrypoint: config.Config.Entrypoint, Cmd: config.Config.Cmd, Env: config.Config.Env, User: uid}, nil
	}
	return Image{}, fmt.Errorf("no image for linux/%s", runtime.GOARCH)
}

// get is a manifest or a blob, if it is the one that the digest names.
func (r remote) get(ctx context.Context, kind, digest string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/"+kind+"/"+digest, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", indexType+", "+manifestType)
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBlob))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", req.URL, resp.Status)
	}
	if got := sum(data); got != digest {
		return nil, fmt.Errorf("%s is %s", req.URL, got)
	}
	return data, nil
}

func (r remote) json(ctx context.Context, kind, digest string, to any) error {
	data, err := r.get(ctx, kind, digest)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, to)
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(s[:])
}

// unpack adds a layer to a directory, with its modes and owners.
func (r remote) unpack(ctx context.Context, digest, diff, dir string) error {
	data, err := r.get(ctx, "blobs", digest)
	if err != nil {
		return err
	}
	unzip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	plain, err := io.ReadAll(io.LimitReader(unzip, maxBlob))
	if err != nil {
		return err
	}
	if got := sum(plain); got != diff {
		return fmt.Errorf("unpacked it is %s, not %s", got, diff)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- the users of pods look into it
		return err
	}
	files := tar.NewReader(bytes.NewReader(plain))
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := place(dir, h, files); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// place makes one file or directory.
func place(dir string, h *tar.Header, content io.Reader) error {
	if !filepath.IsLocal(h.Name) || strings.HasPrefix(filepath.Base(h.Name), ".wh.") {
		return errors.New("such a file is not known here")
	}
	at := filepath.Join(dir, h.Name) // #nosec G305 -- a local name, as looked at above
	switch h.Typeflag {
	case tar.TypeDir:
		if err := os.MkdirAll(at, 0o700); err != nil {
			return err
		}
	case tar.TypeReg:
		f, err := os.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content) // #nosec G110 -- bounded above
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	default:
		return fmt.Errorf("a file of type %c is not known here", h.Typeflag)
	}
	return errors.Join(os.Lchown(at, h.Uid, h.Gid), os.Chmod(at, h.FileInfo().Mode()))
}
