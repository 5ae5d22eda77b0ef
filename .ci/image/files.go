package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nonroot is the numeric user and group of the images, a number because Kubernetes' runAsNonRoot cannot judge a name.
const nonroot = 65532

// file is an entry of the only layer; a name with a slash at its end is a directory. All belong to root, so that the program cannot change them.
type file struct {
	Name string
	Mode int64
	Data []byte
}

const rootsFile = "etc/ssl/certs/ca-certificates.crt"

// files are everything that an image has. Time zones are not there: no program of ours asks for one.
func files(p program, binary, roots []byte) []file {
	id := strconv.Itoa(nonroot)
	return []file{
		{"etc/", 0o755, nil},
		{"etc/group", 0o644, []byte("root:x:0:\nnonroot:x:" + id + ":\n")},
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:" + id + ":" + id + ":nonroot:/:/sbin/nologin\n")},
		{"etc/ssl/", 0o755, nil},
		{"etc/ssl/certs/", 0o755, nil},
		{rootsFile, 0o644, roots},
		{"tmp/", 0o1777, nil},
		{"usr/", 0o755, nil},
		{"usr/bin/", 0o755, nil},
		{p.Binary(), 0o755, binary},
	}
}

// layer packs files in their order, all of one time.
func layer(list []file, at time.Time) (v1.Layer, error) {
	var archive bytes.Buffer
	out := tar.NewWriter(&archive)
	for _, f := range list {
		header := tar.Header{
			Name: f.Name, Mode: f.Mode, Size: int64(len(f.Data)), ModTime: at, Format: tar.FormatUSTAR, Typeflag: tar.TypeReg,
		}
		if f.Name[len(f.Name)-1] == '/' {
			header.Typeflag = tar.TypeDir
		}
		if err := out.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := out.Write(f.Data); err != nil {
			return nil, err
		}
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	packed := archive.Bytes()
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.DefaultCompression),
		tarball.WithCompressedCaching)
}
