package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// source is what the images are made of, and what they say about that.
type source struct {
	Root     string // directory of the module postern
	Version  string
	Revision string    // full commit, with -dirty if files differ from it
	Created  time.Time // of everything in an image: that of the commit, unless SOURCE_DATE_EPOCH says otherwise
	URL      string    // empty if not known
}

// Both end up in the arguments of the linker, in a tag and in names of files.
var (
	versionShape  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$`)
	revisionShape = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?(-dirty)?$`)
)

// describe completes what was said about the source with what git knows, which is not asked if there is nothing left to know.
func describe(ctx context.Context, root string, said source, lookup func(string) (string, bool)) (source, error) {
	src := said
	src.Root = root
	if epoch, ok := lookup("SOURCE_DATE_EPOCH"); ok {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || seconds < 0 || seconds >= 1<<33 { // more does not fit into the header of a tar archive
			return source{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q; it has to be seconds since 1970", epoch)
		}
		src.Created = time.Unix(seconds, 0).UTC()
	}
	if src.Revision == "" || src.Created.IsZero() {
		if err := src.askGit(ctx); err != nil {
			return source{}, fmt.Errorf("%w (without git, give -revision, and SOURCE_DATE_EPOCH in the environment)", err)
		}
	}
	if !revisionShape.MatchString(src.Revision) {
		return source{}, fmt.Errorf("%q is not a commit: 40 or 64 hexadecimal digits", src.Revision)
	}
	if src.Version == "" {
		src.Version = src.pseudoVersion(ctx)
	}
	if !versionShape.MatchString(src.Version) {
		return source{}, fmt.Errorf("%q cannot be a version: letters, digits and ._+- only, at most 100", src.Version)
	}
	if u, err := url.Parse(src.URL); src.URL != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
		return source{}, errors.New("-source has to be an https URL without user information")
	}
	return src, nil
}

func (s *source) askGit(ctx context.Context) error {
	log, err := git(ctx, s.Root, "log", "-1", "--format=%H %ct")
	if err != nil {
		return err
	}
	commit, at, _ := strings.Cut(log, " ")
	if s.Revision == "" {
		changed, err := git(ctx, s.Root, "status", "--porcelain")
		if err != nil {
			return err
		}
		s.Revision = commit
		if changed != "" {
			s.Revision += "-dirty"
		}
	}
	if s.Created.IsZero() {
		seconds, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return fmt.Errorf("git gave %q for the time of the commit", at)
		}
		s.Created = time.Unix(seconds, 0).UTC()
	}
	return nil
}

// pseudoVersion is the tag of the commit, or what Go would make of a commit without one.
func (s *source) pseudoVersion(ctx context.Context) string {
	commit, dirty := strings.CutSuffix(s.Revision, "-dirty")
	version := "v0.0.0-" + s.Created.Format("20060102150405") + "-" + commit[:12]
	if tag, err := git(ctx, s.Root, "describe", "--tags", "--exact-match", "--match", "v[0-9]*", commit); err == nil {
		version = tag
	}
	if dirty {
		version += "+dirty"
	}
	return version
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// findRoot is the directory of the module postern that a directory is in.
func findRoot(from string) (string, error) {
	dir, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte("module postern\n")) {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("%s is not in the repository of postern", from)
		}
		dir = up
	}
}
