package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// What a pod has to pull. A program that grows over it should do so knowingly.
const (
	maxLayer = 12 << 20
	maxRoot  = 32 << 20
)

func inspectPlatform(t *testing.T, root, out string, p program, index v1.ImageIndex, d v1.Descriptor, referrers []v1.Descriptor) {
	image, err := index.Image(d.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Errorf("the image is not valid: %v", err)
	}
	inspectConfig(t, p, image, *d.Platform)
	content := unpack(t, p, image)
	inspectBinary(t, root, content[p.Binary()], d.Platform.Architecture)
	if n := countRoots(t, content[rootsFile]); n < 100 {
		t.Errorf("the bundle has %d roots, which cannot be all", n)
	}
	sbom := referred(t, filepath.Join(out, p.Name), index, d, referrers)
	base := filepath.Join(out, p.Name+"-linux-"+d.Platform.Architecture)
	if beside, err := os.ReadFile(base + ".spdx.json"); err != nil || !bytes.Equal(beside, sbom) {
		t.Errorf("the SBOM beside the layout is not the one in it (%v)", err)
	}
	inspectSBOM(t, p, *d.Platform, sbom, content)
	loaded, err := tarball.ImageFromPath(base+".tar", nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the tarball's configuration", loaded.ConfigName, image.ConfigName)
	t.Run("runs", func(t *testing.T) { runInside(t, p, content, d.Platform.Architecture) })
}

func same(t *testing.T, what string, got, want func() (v1.Hash, error)) {
	t.Helper()
	g, err := got()
	if err != nil {
		t.Fatal(err)
	}
	if w, err := want(); err != nil || g != w {
		t.Errorf("%s is %s and not %s (%v)", what, g, w, err)
	}
}

func inspectConfig(t *testing.T, p program, image v1.Image, platform v1.Platform) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != platform.OS || config.Architecture != platform.Architecture {
		t.Errorf("it is for %s/%s and not %s", config.OS, config.Architecture, platform)
	}
	for _, id := range strings.SplitN(config.Config.User, ":", 2) {
		if n, err := strconv.Atoi(id); err != nil || n < 10_000 {
			t.Errorf("the user is %q: kubelets want a number, and clusters one that is nobody's", config.Config.User)
		}
	}
	if got := config.Config.User; got != "65532:65532" {
		t.Errorf("the user is %q", got)
	}
	if got := config.Config.Entrypoint; !slices.Equal(got, []string{"/usr/bin/" + p.Name}) || len(config.Config.Cmd) > 0 {
		t.Errorf("it starts %q %q", got, config.Config.Cmd)
	}
	if len(config.Config.ExposedPorts) != len(p.Ports) || len(p.Ports) == 0 || len(config.Config.Volumes) > 0 {
		t.Errorf("ports %v, volumes %v", config.Config.ExposedPorts, config.Config.Volumes)
	}
	if len(config.History) != 1 || !config.History[0].Created.Equal(config.Created.Time) || config.Created.IsZero() {
		t.Errorf("created %v with history %v", config.Created, config.History)
	}
	inspectLabels(t, p, config.Config.Labels)
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	inspectLabels(t, p, manifest.Annotations)
	if len(manifest.Layers) != 1 || manifest.Layers[0].Size > maxLayer {
		t.Errorf("the layers are %+v; there should be one of %d bytes at most", manifest.Layers, maxLayer)
	}
	if created := config.Created.Format(time.RFC3339); created != manifest.Annotations["org.opencontainers.image.created"] {
		t.Errorf("created %s, and by its annotation %s", created, manifest.Annotations["org.opencontainers.image.created"])
	}
}

func inspectLabels(t *testing.T, p program, got map[string]string) {
	t.Helper()
	want := map[string]string{"title": p.Name, "version": "v1.2.3-test.1", "licenses": "MIT", "source": "https://git.example.org/postern"}
	for name, value := range want {
		if got["org.opencontainers.image."+name] != value {
			t.Errorf("%s is %q and not %q", name, got["org.opencontainers.image."+name], value)
		}
	}
	if !revisionShape.MatchString(got["org.opencontainers.image.revision"]) {
		t.Errorf("the revision is %q", got["org.opencontainers.image.revision"])
	}
}

// unpack reads the layer as it is in the archive, and wants exactly the files that belong there.
func unpack(t *testing.T, p program, image v1.Image) map[string][]byte {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, total := map[string][]byte{}, int64(0)
	var list []string
	for _, l := range layers {
		packed, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for in := tar.NewReader(packed); ; {
			h, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			total += h.Size
			content[h.Name] = data
			list = append(list, fmt.Sprintf("%s %c %04o %d:%d", h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid))
			if h.Mode&0o6000 != 0 || !h.ModTime.Equal(config.Created.Time) || len(h.PAXRecords) > 0 || h.Uname+h.Gname != "" {
				t.Errorf("%s: mode %o, time %s, records %v, names %q %q", h.Name, h.Mode, h.ModTime, h.PAXRecords, h.Uname, h.Gname)
			}
		}
	}
	want := []string{
		"etc/ 5 0755 0:0", "etc/group 0 0644 0:0", "etc/passwd 0 0644 0:0", "etc/ssl/ 5 0755 0:0", "etc/ssl/certs/ 5 0755 0:0",
		"etc/ssl/certs/ca-certificates.crt 0 0644 0:0", "tmp/ 5 1777 0:0", "usr/ 5 0755 0:0", "usr/bin/ 5 0755 0:0",
		"usr/bin/" + p.Name + " 0 0755 0:0",
	}
	if !slices.Equal(list, want) {
		t.Errorf("the image has\n%s\nand should have\n%s", strings.Join(list, "\n"), strings.Join(want, "\n"))
	}
	if total > maxRoot {
		t.Errorf("unpacked it has %d bytes, the limit is %d", total, maxRoot)
	}
	if !strings.Contains(string(content["etc/passwd"]), "\nnonroot:x:65532:65532:") || !strings.Contains(string(content["etc/group"]), "\nnonroot:x:65532:") {
		t.Errorf("the user has no name: %q %q", content["etc/passwd"], content["etc/group"])
	}
	return content
}

func inspectBinary(t *testing.T, root string, data []byte, arch string) {
	t.Helper()
	binary, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	if binary.Machine != machines[arch] || binary.Type != elf.ET_EXEC {
		t.Errorf("it is an %s for %s", binary.Type, binary.Machine)
	}
	for _, part := range binary.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC || part.Type == elf.PT_GNU_STACK && part.Flags&elf.PF_X != 0 {
			t.Errorf("it has a part %s with %s", part.Type, part.Flags)
		}
	}
	for _, name := range []string{".interp", ".dynamic", ".dynsym", ".symtab", ".debug_info", ".zdebug_info"} {
		if binary.Section(name) != nil {
			t.Errorf("it has a section %s", name)
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	local := map[string]string{
		"the source": root, "home": strings.TrimSuffix(home, "/") + "/", "temporary directories": filepath.Join(os.TempDir(), "postern-image-"),
		"the host": host,
	}
	for _, name := range []string{"GOMODCACHE", "GOPATH", "GOROOT", "GOCACHE"} {
		local[name] = goEnv(t.Context(), t, name)
	}
	for what, text := range local {
		if len(text) > 3 && bytes.Contains(data, []byte(text)) { // less could stand there by chance
			t.Errorf("%s of this machine is in it: %s", what, text)
		}
	}
}

func countRoots(t *testing.T, bundle []byte) int {
	t.Helper()
	seen := map[string]bool{}
	for rest := bundle; len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			t.Fatalf("%d bytes at the end are no certificate", len(rest))
		}
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil || !root.IsCA || seen[string(block.Bytes)] {
			t.Errorf("a root that is doubled, none, or none that Go knows: %v", err)
		}
		seen[string(block.Bytes)] = true
	}
	if pool := x509.NewCertPool(); !pool.AppendCertsFromPEM(bundle) {
		t.Error("Go reads no certificate from the bundle")
	}
	return len(seen)
}
