package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"postern/cmd/postern-injector/check"
)

// Exit statuses of `check`.
const (
	checkClean   = 0
	checkFound   = 1 // with --strict
	checkTrouble = 2 // it could not be told
)

const checkUsage = `Usage: postern-injector check [-n NAMESPACE | -A] [--context NAME] [--strict] [--output text|json] [--image IMAGE]...
       postern-injector check -f FILE|- [-f FILE]... [-n NAMESPACE] ...

Says what still reaches an app around its sidecar, and what to do about it. Without -f it has kubectl ask the cluster, with the credentials
that kubectl has; with -f it reads what this gives, or manifests:

  kubectl get ` + check.Kinds + ` -o json

An error is traffic that reaches the app around the sidecar, a warning is traffic that could. The exit status is 0, with --strict 1 if there
are findings, and 2 if it could not be told.

`

// checkFlags is what was asked.
type checkFlags struct {
	files, images               []string
	namespace, kontext, kubectl string
	all, strict                 bool
	output                      string
}

// runCheck is the command `postern-injector check`; args do not hold its name.
func runCheck(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	asked, err := parseCheck(args, stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return checkClean
	}
	var found []check.Finding
	if err == nil {
		found, err = asked.findings(ctx, stdin)
	}
	if err == nil {
		err = asked.print(stdout, found)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "postern-injector check:", err)
		return checkTrouble
	}
	if len(found) > 0 && asked.strict {
		return checkFound
	}
	return checkClean
}

func parseCheck(args []string, stdout, stderr io.Writer) (*checkFlags, error) {
	asked := new(checkFlags)
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	list := func(into *[]string, name, usage string) {
		flags.Func(name, usage, func(text string) error {
			if text == "" {
				return errors.New("is empty")
			}
			*into = append(*into, text)
			return nil
		})
	}
	list(&asked.files, "f", "`file` with objects as JSON or YAML, - for standard input; may be said again")
	list(&asked.images, "image", "`image` that the sidecar may have, or a pattern as in the injector's allowed-images; may be said again")
	for _, name := range []string{"n", "namespace"} {
		flags.StringVar(&asked.namespace, name, "", "`namespace` to look at; with -f that of objects which name none")
	}
	for _, name := range []string{"A", "all-namespaces"} {
		flags.BoolVar(&asked.all, name, false, "look at every namespace")
	}
	flags.StringVar(&asked.kontext, "context", "", "`context` of kubectl's configuration")
	flags.StringVar(&asked.kubectl, "kubectl", "kubectl", "the `program` to ask the cluster with")
	flags.BoolVar(&asked.strict, "strict", false, "exit with 1 if there are findings")
	flags.StringVar(&asked.output, "output", "text", "`text` or json")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprint(stdout, checkUsage)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return nil, err
	case err != nil:
		_, _ = fmt.Fprint(stderr, checkUsage)
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q is not understood; --help says what is", flags.Arg(0))
	case asked.output != "text" && asked.output != "json":
		return nil, fmt.Errorf("--output %q: must be text or json", asked.output)
	case asked.all && asked.namespace != "":
		return nil, errors.New("-A and -n exclude each other")
	case len(asked.files) > 0 && (asked.all || asked.kontext != ""):
		return nil, errors.New("-f reads what is there: -A and --context are for kubectl")
	}
	return asked, nil
}

func (c *checkFlags) findings(ctx context.Context, stdin io.Reader) ([]check.Finding, error) {
	objects, err := c.objects(ctx, stdin)
	if err != nil {
		return nil, err
	}
	return objects.Findings(ctx, check.Settings{Images: c.images})
}

func (c *checkFlags) objects(ctx context.Context, stdin io.Reader) (*check.Objects, error) {
	if len(c.files) == 0 {
		return c.askCluster(ctx)
	}
	all := new(check.Objects)
	for _, name := range c.files {
		objects, err := c.readFile(name, stdin)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all.Merge(objects)
	}
	return all, nil
}

func (c *checkFlags) readFile(name string, stdin io.Reader) (*check.Objects, error) {
	if name == "-" {
		return check.Read(stdin, c.namespace)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return check.Read(file, c.namespace)
}

// askCluster has kubectl ask, which knows every way to log in. An answer that is not whole is none: what is missing may be the way around.
func (c *checkFlags) askCluster(ctx context.Context) (*check.Objects, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	args := []string{"get", check.Kinds, "--output=json"}
	switch {
	case c.all:
		args = append(args, "--all-namespaces")
	case c.namespace != "":
		args = append(args, "--namespace="+c.namespace)
	}
	if c.kontext != "" {
		args = append(args, "--context="+c.kontext)
	}
	said := &tail{}
	cmd := exec.CommandContext(ctx, c.kubectl, args...) // #nosec G204 -- the person at the keyboard names it
	cmd.Stderr = said
	answer, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	objects, readErr := check.Read(answer, c.namespace)
	if readErr != nil {
		stop() // it may have more to say than is read
	}
	err = cmd.Wait()
	if words := strings.TrimSpace(said.String()); words != "" && err != nil {
		return nil, fmt.Errorf("kubectl get: %w: %s", err, words)
	}
	if err := errors.Join(readErr, err); err != nil {
		return nil, fmt.Errorf("kubectl get: %w", err)
	}
	return objects, nil
}

// tail keeps the end of what is written to it.
type tail struct{ kept bytes.Buffer }

func (t *tail) String() string { return t.kept.String() }

func (t *tail) Write(p []byte) (int, error) {
	const enough = 4 << 10
	t.kept.Write(p)
	if over := t.kept.Len() - enough; over > 0 {
		t.kept.Next(over)
	}
	return len(p), nil
}

func (c *checkFlags) print(w io.Writer, found []check.Finding) error {
	if c.output == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(struct {
			Findings []check.Finding `json:"findings"`
		}{append([]check.Finding{}, found...)})
	}
	for _, finding := range found {
		if _, err := fmt.Fprintln(w, finding); err != nil {
			return err
		}
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "nothing was found that reaches an app around its sidecar")
		return err
	}
	return nil
}
