package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A Postern at the front door, and one that is configured by the platform's variables alone, both serve profiles while they are loaded.
func TestProfileOfBusyPosterns(t *testing.T) {
	needLinux(t)
	file := filepath.Join(t.TempDir(), "release.pgo")
	s := settings{duration: time.Second, warmUp: 20 * time.Millisecond, connections: 4, tokens: 120, profile: file}
	for only, function := range map[string]string{"anonymous, 1 KiB": "postern/proxy.(*Handler).ServeHTTP", "cached token": "postern/obo/tokenapi.(*Handler).ServeHTTP"} {
		s.only = only
		var said strings.Builder
		if err := profile(t.Context(), s, &said); err != nil {
			t.Fatalf("%s: %v\n%s", only, err, said.String())
		}
		packed, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(unpacked)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte(function)) {
			t.Errorf("%s: the profile does not know %s", only, function)
		}
	}
}

func TestProfileOfNoScenario(t *testing.T) {
	t.Parallel()
	if err := profile(t.Context(), settings{only: "nothing", profile: "unused"}, io.Discard); err == nil {
		t.Error("a profile of nothing was taken")
	}
}
