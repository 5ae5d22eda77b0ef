package kubelet

import (
	"path/filepath"
	"testing"
)

// Image is what stands for an image of this name: which programs are in it and which one runs.
type Image struct {
	Files      map[string]string // path in the container → file of this machine, read-only
	Entrypoint []string          // what `command` of a container replaces
	Cmd        []string          // what `args` of a container replaces
	Env        []string          // "NAME=value"
	User       int               // 0: 65532. A container's runAsUser replaces it
	Root       string            // directory that holds the whole file system; empty: this machine's
}

// nobody is the user of images that name none.
const nobody = 65532

// Program is an image of one program of this machine, which is found under its own name at the root of the container.
func Program(path string, args ...string) Image {
	inside := "/" + filepath.Base(path)
	return Image{Files: map[string]string{inside: path}, Entrypoint: []string{inside}, Cmd: args}
}

// Shell is an image that runs a script with the machine's /bin/sh.
func Shell(script string) Image { return Image{Entrypoint: []string{"/bin/sh", "-c", script}} }

// Image says what the name of an image stands for from now on.
func (k *Kubelet) Image(name string, i Image) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.images[name] = i
}

// UniqueImage is the name of an image for this test alone, with a digest as the injector asks for one.
func (k *Kubelet) UniqueImage(t testing.TB, i Image) string {
	t.Helper()
	name := "test.local/" + uniqueName()
	k.Image(name, i)
	return name
}
