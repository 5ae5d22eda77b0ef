package kubelet

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

const (
	dataLink = "..data"     // leads to the directory that holds the files
	nextLink = "..data_tmp" // becomes dataLink
)

// replace gives a volume new files all at once, as a kubelet does: they stand in a new directory, a link to it is renamed over the one to the
// old directory, and each file's own name is a link through that link. Who reads by name sees all old or all new ones.
func replace(dir string, files map[string]file, group int) error {
	old, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	fresh, err := os.MkdirTemp(dir, "..")
	if err != nil {
		return err
	}
	if err := os.Chmod(fresh, 0o755); err != nil { // #nosec G302 -- every user of a pod may read its volumes
		return err
	}
	names := map[string]bool{}
	for name, f := range files {
		if !filepath.IsLocal(name) {
			return errors.New("the file " + name + " would lie outside of its volume")
		}
		full := filepath.Join(fresh, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(f.data), f.mode)); err != nil {
			return err
		}
		mode := f.mode
		if group >= 0 {
			if err := os.Chown(full, 0, group); err != nil {
				return err
			}
			mode |= 0o040
		}
		if err := os.Chmod(full, mode); err != nil { // the umask has taken some of it
			return err
		}
		top, _, _ := strings.Cut(name, "/")
		names[top] = true
	}
	next := filepath.Join(dir, nextLink)
	if err := os.Symlink(filepath.Base(fresh), next); err != nil {
		return err
	}
	if err := os.Rename(next, filepath.Join(dir, dataLink)); err != nil {
		return err
	}
	for name := range names {
		if err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return clear(dir, old, names)
}

// clear removes the old files, and the links to those that are no more.
func clear(dir, old string, names map[string]bool) error {
	if old == "" {
		return nil
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range there {
		if !strings.HasPrefix(e.Name(), "..") && !names[e.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(err, os.RemoveAll(filepath.Join(dir, old)))
}
