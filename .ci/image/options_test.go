package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func mustParse(t *testing.T, at string) (epoch string) {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, at)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatInt(parsed.Unix(), 10)
}

func TestWhatCannotBeBuiltIsRefused(t *testing.T) {
	t.Parallel()
	commit := strings.Repeat("0123456789", 4)
	for name, c := range map[string]struct {
		args  []string
		epoch string
		want  string
	}{
		"an argument too many":      {[]string{"postern"}, "1", `unexpected argument "postern"`},
		"an unknown flag":           {[]string{"-base"}, "1", "-base"},
		"a push to no registry":     {[]string{"-push", "team"}, "1", "is not a registry"},
		"a push to a URL":           {[]string{"-push", "https://registry.example.org"}, "1", "is not a registry"},
		"a push with a password":    {[]string{"-push", "me:secret@registry.example.org"}, "1", "is not a registry"},
		"a platform without images": {[]string{"-platforms", "linux/amd64,windows/amd64"}, "1", `"windows/amd64" is not a platform`},
		"a platform twice":          {[]string{"-platforms", "linux/amd64,linux/amd64"}, "1", "named twice"},
		"no platform":               {[]string{"-platforms", ","}, "1", "no platform"},
		"an unknown program":        {[]string{"-programs", "postern,sh"}, "1", "no such program: sh"},
		"a version for the linker":  {[]string{"-version", "1 -X main.commit=x"}, "1", "cannot be a version"},
		"a short commit":            {[]string{"-revision", "0123456"}, "1", "is not a commit"},
		"a commit for the linker":   {[]string{"-revision", commit + "-dirty -X a.b=c"}, "1", "is not a commit"},
		"an address with password":  {[]string{"-source", "https://me:secret@git.example.org/x"}, "1", "without user information"},
		"an address of no web":      {[]string{"-source", "git@git.example.org:x"}, "1", "https URL"},
		"a time that is none":       {nil, "yesterday", "SOURCE_DATE_EPOCH"},
		"a time before time":        {nil, "-1", "SOURCE_DATE_EPOCH"},
		"a time after tar":          {nil, "99999999999", "SOURCE_DATE_EPOCH"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-out", t.TempDir(), "-revision", commit, "-version", "v1"}, c.args...)
			lookup := func(name string) (string, bool) { return c.epoch, name == "SOURCE_DATE_EPOCH" }
			err := run(t.Context(), ".", args, lookup, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something about %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

func TestTheSourceIsDescribedByGit(t *testing.T) {
	t.Parallel()
	none := func(string) (string, bool) { return "", false }
	dir := t.TempDir()
	do := func(args ...string) {
		t.Helper()
		args = append([]string{"-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"}, args...)
		if _, err := git(t.Context(), dir, args...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := describe(t.Context(), dir, source{}, none); err == nil || !strings.Contains(err.Error(), "give -revision, and SOURCE_DATE_EPOCH") {
		t.Errorf("without a repository: %v", err)
	}
	do("init", "-q")
	do("commit", "-q", "--allow-empty", "-m", "x", "--date", "2001-02-03T04:05:06Z")
	src, err := describe(t.Context(), dir, source{}, none)
	if err != nil {
		t.Fatal(err)
	}
	if want := "v0.0.0-" + src.Created.Format("20060102150405") + "-" + src.Revision[:12]; src.Version != want || time.Since(src.Created) > time.Hour {
		t.Errorf("version %s and time %s, want %s and the time of the commit", src.Version, src.Created, want)
	}
	do("tag", "v1.4.0")
	if src, err = describe(t.Context(), dir, source{}, none); err != nil || src.Version != "v1.4.0" {
		t.Errorf("version %q with a tag (%v)", src.Version, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	epoch := func(name string) (string, bool) { return "86400", name == "SOURCE_DATE_EPOCH" }
	src, err = describe(t.Context(), dir, source{}, epoch)
	if err != nil || src.Version != "v1.4.0+dirty" || !strings.HasSuffix(src.Revision, "-dirty") || src.Created.Format(time.RFC3339) != "1970-01-02T00:00:00Z" {
		t.Errorf("with a file that is not committed: %+v (%v)", src, err)
	}
}

func TestOnlyAnEarlierLayoutIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := makeRoom(filepath.Join(dir, "new")); err != nil {
		t.Error(err)
	}
	if err := makeRoom(filepath.Join(dir, "new")); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
	keep := filepath.Join(dir, "keep")
	if err := os.WriteFile(keep, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := makeRoom(dir); err == nil {
		t.Error("a directory with other things was taken")
	}
	if _, err := os.Stat(keep); err != nil {
		t.Errorf("a file of somebody else: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "oci-layout"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := makeRoom(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(keep); err == nil {
		t.Error("an earlier layout was left")
	}
}

func TestSettingsOfTheMachineDoNotReachTheCompiler(t *testing.T) {
	t.Parallel()
	got := cleanEnvironment([]string{"HOME=/h", "GOFLAGS=-tags=x", "CGO_ENABLED=1", "GOAMD64=v3", "GOEXPERIMENT=x", "GOFIPS140=v1.0.0", "GOOS=plan9"})
	for _, want := range []string{"HOME=/h", "GOFLAGS=", "CGO_ENABLED=0", "GOAMD64=v1", "GOEXPERIMENT=", "GOFIPS140=off"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing in %q", want, got)
		}
	}
	for _, bad := range []string{"GOFLAGS=-tags=x", "CGO_ENABLED=1", "GOAMD64=v3", "GOEXPERIMENT=x", "GOFIPS140=v1.0.0", "GOOS=plan9"} {
		if slices.Contains(got, bad) {
			t.Errorf("%s was passed on", bad)
		}
	}
}

func TestRootsWithALimitAreLeftOut(t *testing.T) {
	t.Parallel()
	if n := countRoots(t, rootsBundle()); n < 100 || n > 300 {
		t.Errorf("%d roots", n)
	}
	if !bytes.Equal(rootsBundle(), rootsBundle()) {
		t.Error("the bundle differs from call to call")
	}
}
