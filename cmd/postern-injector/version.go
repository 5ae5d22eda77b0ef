package main

import (
	"context"
	"fmt"
	"runtime/debug"
)

// version and commit are set by the release build (-ldflags "-X main.version=… -X main.commit=…").
var version, commit string

func printVersion(_ context.Context, p program) int {
	_, _ = fmt.Fprintln(p.stdout, "postern-injector", versionText())
	return exitOK
}

// versionText is the version, and the commit that it was built from.
func versionText() string {
	v, c := version, commit
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" {
			v = info.Main.Version
		}
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" && c == "" {
				c = setting.Value
			}
		}
	}
	if v == "" {
		v = "(devel)"
	}
	if c == "" {
		c = "unknown"
	}
	return v + " commit " + c
}
