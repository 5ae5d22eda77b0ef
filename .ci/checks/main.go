// Command checks holds the checks of the repository that no tool at hand does. `.ci/run` and `.ci/test` call it.
//
//	checks house        the layout of the house, its documents, and what must not stand in a file
//	checks deprecated   modules of go.mod whose authors have given them up or taken the version back
//	checks summary      reads `go test -json`, shows what matters of it, and ends with one line of counts
//
// It works from anywhere in the repository, and exits with 1 if it has something to say.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	commands := map[string]func() (complaints []string, err error){"house": house, "deprecated": deprecated, "summary": summary}
	if len(os.Args) != 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: checks house|deprecated|summary")
		os.Exit(2)
	}
	// `go run -C` starts it in its own directory.
	if top, err := exec.Command("git", "rev-parse", "--show-toplevel").Output(); err == nil {
		_ = os.Chdir(strings.TrimSpace(string(top)))
	}
	complaints, err := commands[os.Args[1]]()
	for _, c := range complaints {
		fmt.Println(c)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "checks %s: %v\n", os.Args[1], err)
	}
	if err != nil || len(complaints) > 0 {
		os.Exit(1)
	}
}
