package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"postern/config"
)

const explainUsage = `Usage: postern explain METHOD PATH [--token FILE | --claims FILE [--session]] [--option value]...

Says which rules of the access policy decide a request, and why. It works offline, on the policy files of
the configuration (--policy-file); whose tokens are accepted is taken from the configuration as well.

  --token FILE    a bearer token; its signature is not checked
  --claims FILE   the claims of a bearer token as JSON
  --session       the claims are those of the id token of a login, not of a bearer token

FILE may be - for standard input. Without token and claims nobody calls. The exit status is 0 if the request
is allowed, 1 if it is refused, 2 if that cannot be told.
`

// question is what `postern explain` was asked.
type question struct {
	method, path string
	token        string // file
	claims       string // file
	session      bool
	options      []string // of the configuration
}

// explain says in words how the policy decides one request.
func explain(_ context.Context, p program) int {
	q, err := readQuestion(p.args)
	if errors.Is(err, errHelp) {
		_, _ = fmt.Fprint(p.stdout, explainUsage)
		return exitOK
	}
	if err != nil {
		_, _ = fmt.Fprintf(p.stderr, "postern explain: %v\n\n%s", err, explainUsage)
		return exitUsage
	}
	loaded, err := config.Load(config.Source{Args: q.options, Environ: p.environ, Offline: true})
	if err != nil {
		printProblems(p.stderr, err)
		return exitUsage
	}
	a, err := answer(loaded.Config, q, p.stdin)
	for _, warning := range append(loaded.Warnings, a.warnings...) {
		_, _ = fmt.Fprintln(p.stderr, "warning:", printable(warning))
	}
	if err != nil {
		_, _ = fmt.Fprintln(p.stderr, "postern explain:", printable(err.Error()))
		return exitUsage
	}
	_, _ = io.WriteString(p.stdout, a.text())
	if !a.allowed() {
		return exitFailure
	}
	return exitOK
}

var errHelp = errors.New("help was asked for")

// readQuestion takes what is ours from the arguments; the rest is for the configuration. The errors repeat no argument, which might be a
// token in the wrong place.
func readQuestion(args []string) (question, error) {
	if slices.ContainsFunc(args, func(arg string) bool { return arg == "--help" || arg == "-help" || arg == "-h" }) {
		return question{}, errHelp
	}
	if len(args) < 2 || strings.HasPrefix(args[0], "-") || strings.HasPrefix(args[1], "-") {
		return question{}, errors.New("METHOD and PATH come first")
	}
	q := question{method: args[0], path: args[1]}
	for rest := args[2:]; len(rest) > 0; rest = rest[1:] {
		name, value, inline := strings.Cut(rest[0], "=")
		switch name = "--" + strings.TrimLeft(name, "-"); {
		case name == "--session" && !inline:
			q.session = true
			continue
		case name != "--token" && name != "--claims":
			q.options = append(q.options, rest[0])
			continue
		case !inline && len(rest) == 1:
			return q, fmt.Errorf("%s wants a file", name)
		case !inline:
			rest = rest[1:]
			value = rest[0]
		}
		if name == "--token" {
			q.token = value
		} else {
			q.claims = value
		}
	}
	return q, q.check()
}

func (q question) check() error {
	switch {
	case strings.Trim(q.method, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-") != "":
		return errors.New("the first argument must be a method such as GET")
	case !strings.HasPrefix(q.path, "/"):
		return errors.New("the second argument must be a path, beginning with a slash")
	case q.token != "" && q.claims != "":
		return errors.New("--token and --claims exclude each other")
	case q.session && q.claims == "":
		return errors.New("--session needs --claims: those of an id token")
	}
	return nil
}
