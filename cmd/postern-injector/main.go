// Command postern-injector is the admission webhook that puts the sidecar into pods.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses: a configuration that cannot be used is told apart from a failure at run time.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// program is what a command may touch of the process that it runs in.
type program struct {
	args    []string // without the program's and the command's name
	environ []string
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
}

type command struct {
	name    string
	summary string
	run     func(ctx context.Context, p program) int
}

// commands is everything that the binary can do. The first is the default.
func commands() []command {
	return []command{
		{"serve", "run the webhook (the default)", serve},
		{"check", "say what reaches apps around their sidecars", func(ctx context.Context, p program) int {
			return runCheck(ctx, p.args, p.stdin, p.stdout, p.stderr)
		}},
		{"version", "print version and commit", printVersion},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := dispatch(ctx, program{args: os.Args[1:], environ: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr})
	stop()
	os.Exit(code) //nolint:gocritic // stop has been called
}

func dispatch(ctx context.Context, p program) int {
	if len(p.args) == 0 || len(p.args[0]) > 0 && p.args[0][0] == '-' {
		return serve(ctx, p)
	}
	name := p.args[0]
	p.args = p.args[1:]
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, p)
		}
	}
	_, _ = fmt.Fprintf(p.stderr, "postern-injector: unknown command %q\n\n", name)
	usage(p.stderr)
	return exitUsage
}

func usage(w io.Writer) {
	_, _ = fmt.Fprintln(w, "Usage: postern-injector [command] [flags]")
	for _, c := range commands() {
		_, _ = fmt.Fprintf(w, "  %-12s %s\n", c.name, c.summary)
	}
	_, _ = fmt.Fprintln(w, "\n\"postern-injector serve --help\" lists every flag.")
}
