// Command postern is the sidecar: it stands in front of an app and does its login, sessions and identity headers.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
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
	hangups <-chan os.Signal // SIGHUP: serve may take it for more than a wish to stop; nil: there are none
}

type command struct {
	name    string
	summary string
	run     func(ctx context.Context, p program) int
}

// commands is everything that the binary can do. The first is the default.
func commands() []command {
	return []command{
		{"serve", "run the sidecar (the default)", serve},
		{"demo", "a whole world on loopback: test provider, web app and API, Postern in front of both", demo},
		{"idp", "the test provider alone, for local development", idp},
		{"config", "print the effective configuration with the source of every value", printConfig},
		{"explain", "say which rule of the access policy decides a request, and why", explain},
		{"doctor", "check the configuration against the world, with what to do about each problem", diagnose},
		{"healthcheck", "exit 0 if the running sidecar is ready", healthcheck},
		{"version", "print version and commit", printVersion},
	}
}

func main() {
	runtime.MemProfileRate = 0 // see sampleHeap
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	p := program{args: os.Args[1:], environ: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, hangups: hangups}
	code := dispatch(ctx, p)
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
			if name != "serve" {
				var stop context.CancelFunc
				ctx, stop = p.untilHangup(ctx)
				defer stop()
			}
			return c.run(ctx, p)
		}
	}
	_, _ = fmt.Fprintf(p.stderr, "postern: unknown command %q\n\n", name)
	usage(p.stderr)
	return exitUsage
}

// untilHangup is a context that ends with a hangup as well.
func (p program) untilHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		select {
		case <-ctx.Done():
		case <-p.hangups:
			stop()
		}
	}()
	return ctx, stop
}

func usage(w io.Writer) {
	_, _ = fmt.Fprintln(w, "Usage: postern [command] [flags]")
	for _, c := range commands() {
		_, _ = fmt.Fprintf(w, "  %-12s %s\n", c.name, c.summary)
	}
	_, _ = fmt.Fprintln(w, "\n\"postern serve --help\" lists every option. New here? \"postern demo\" shows the whole thing.")
}
