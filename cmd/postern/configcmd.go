package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/config"
)

// load reads the configuration of p. When there is nothing to run it has answered already, and code is the exit status.
func load(p program) (loaded *config.Loaded, code int) {
	for _, arg := range p.args {
		if arg == "--help" || arg == "-help" || arg == "-h" {
			usage(p.stdout)
			_, _ = fmt.Fprintln(p.stdout)
			config.Help(p.stdout)
			return nil, exitOK
		}
	}
	loaded, err := config.Load(config.Source{Args: p.args, Environ: p.environ, CheckPolicy: policyProblemsOf})
	if err == nil {
		return loaded, exitOK
	}
	printProblems(p.stderr, err)
	return nil, exitUsage
}

// printProblems lists what is wrong with a configuration.
func printProblems(w io.Writer, err error) {
	if problems, ok := errors.AsType[*config.ProblemsError](err); ok {
		_, _ = fmt.Fprintln(w, problems)
	} else {
		_, _ = fmt.Fprintln(w, "postern:", err)
	}
}

// printConfig prints every option with its value, secrets redacted, and where it came from.
func printConfig(_ context.Context, p program) int {
	loaded, code := load(p)
	if loaded == nil {
		return code
	}
	for _, warning := range loaded.Warnings {
		_, _ = fmt.Fprintln(p.stderr, "warning:", warning)
	}
	if err := loaded.Print(p.stdout); err != nil {
		return exitFailure
	}
	return exitOK
}

func hasVariable(environ []string, name string) bool {
	for _, entry := range environ {
		if strings.HasPrefix(entry, name+"=") {
			return true
		}
	}
	return false
}
