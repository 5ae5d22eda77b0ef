// Command image builds the container images of Postern's programs, without a container engine and without a registry:
//
//	go run -C .ci/image . -out dist
//
// makes an OCI image layout for each program, with an image for each platform, an index over them and its SBOMs, and prints the digests.
// The same source, version and Go give the same digests, wherever that is done. README.md has the rest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, ".", os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "image:", err)
		}
		stop()
		os.Exit(1)
	}
}

// run builds what the arguments ask for, of the source that the directory is in.
func run(ctx context.Context, dir string, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "dist", "`directory` for the results, from the top of the repository; its images are replaced")
	platformList := flags.String("platforms", "linux/amd64,linux/arm64", "platforms, with commas between them")
	programList := flags.String("programs", "", "programs, with commas between them; by default all that the source has")
	version := flags.String("version", "", "version; by default that of the tag, or one made of time and commit as Go does")
	revision := flags.String("revision", "", "commit; by default git is asked")
	address := flags.String("source", "", "URL of the repository, for the labels")
	registry := flags.String("push", "", "also push the images, below this `registry` or registry/path")
	archives := flags.Bool("docker-archive", false, "also write a tarball for each image, for docker load and podman load")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	root, err := findRoot(dir)
	if err != nil {
		return err
	}
	src, err := describe(ctx, root, source{Version: *version, Revision: *revision, URL: *address}, lookup)
	if err != nil {
		return err
	}
	platforms, err := parsePlatforms(*platformList)
	if err != nil {
		return err
	}
	chosen, err := choosePrograms(root, *programList)
	if err != nil {
		return err
	}
	repositories, err := destinations(*registry, chosen)
	if err != nil {
		return err
	}
	to := *out
	if !filepath.IsAbs(to) { // `go run -C` starts it in its own directory
		to = filepath.Join(root, to)
	}
	for _, p := range chosen {
		result, err := build(ctx, src, p, platforms)
		if err != nil {
			return err
		}
		if err := result.write(to, *archives); err != nil {
			return err
		}
		digest, err := result.index.Digest()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(stdout, "%s %s %s\n", p.Name, src.Version, digest); err != nil {
			return err
		}
		if repository, ok := repositories[p.Name]; ok {
			if err := result.publish(ctx, to, repository, stdout); err != nil {
				return err
			}
		}
	}
	return nil
}

func splitList(list string) (parts []string) {
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
