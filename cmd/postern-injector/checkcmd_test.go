package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/cmd/postern-injector/check"
)

const exposedPod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"shop","labels":{"postern.dev/inject":"true"}},
"spec":{"initContainers":[{"name":"postern","image":"p@sha256:aa","restartPolicy":"Always"}],"containers":[{"name":"app","ports":[{"containerPort":8080}]}]}}`

const emptyList = `{"apiVersion":"v1","kind":"List","items":[]}`

// runOnce is one run with this on standard input.
func runOnce(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = runCheck(t.Context(), args, strings.NewReader(stdin), &out, &err)
	return code, out.String(), err.String()
}

// fakeKubectl is a program that does what the script says; its arguments are kept in the file args beside it.
func fakeKubectl(t *testing.T, script string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "kubectl")
	// No other test forks while the file is open for writing: the child would hold it open, and nobody could run it (ETXTBSY).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$0.args\"\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckExitStatus(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pod.json")
	if err := os.WriteFile(file, []byte(exposedPod), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args        []string
		stdin       string
		code        int
		out, stderr string
	}{
		"nothing found":           {args: []string{"-f", "-", "--strict"}, stdin: emptyList, code: 0, out: "nothing was found"},
		"found":                   {args: []string{"-f", "-"}, stdin: exposedPod, code: 0, out: "warning\tPod shop/web: no NetworkPolicy"},
		"found, strict (S-05)":    {args: []string{"-f", "-", "--strict"}, stdin: exposedPod, code: 1, out: "[no_policy]"},
		"several inputs":          {args: []string{"-f", file, "-f", "-", "--strict"}, stdin: emptyList, code: 1, out: "[no_policy]"},
		"a foreign image":         {args: []string{"-f", file, "--image", "q@*", "--image", "r"}, code: 0, out: "[foreign_image]"},
		"help":                    {args: []string{"--help"}, code: 0, out: "kubectl get pods,services,endpointslices"},
		"no such file":            {args: []string{"-f", file + "x"}, code: 2, stderr: "no such file"},
		"a directory":             {args: []string{"-f", filepath.Dir(file)}, code: 2, stderr: "is a directory"},
		"an empty input":          {args: []string{"-f", "-"}, code: 2, stderr: "no Kubernetes objects"},
		"no objects":              {args: []string{"-f", "-"}, stdin: "<html>", code: 2, stderr: "-: read"},
		"an unknown flag":         {args: []string{"--stric"}, code: 2, stderr: "not defined: -stric"},
		"an argument":             {args: []string{"shop"}, code: 2, stderr: `"shop" is not understood`},
		"an unknown output":       {args: []string{"-f", "-", "--output", "xml"}, code: 2, stderr: "must be text or json"},
		"a namespace and all":     {args: []string{"-A", "-n", "shop"}, code: 2, stderr: "exclude each other"},
		"a file and a context":    {args: []string{"-f", "-", "--context", "c"}, code: 2, stderr: "are for kubectl"},
		"an empty name of a file": {args: []string{"-f", ""}, code: 2, stderr: "is empty"},
		"no kubectl":              {args: []string{"--kubectl", file + "x"}, code: 2, stderr: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, stderr := runOnce(t, test.stdin, test.args...)
			if code != test.code || !strings.Contains(out, test.out) || !strings.Contains(stderr, test.stderr) {
				t.Errorf("exit status %d, want %d\n%s%s", code, test.code, out, stderr)
			}
			if (code == 2) != (stderr != "") || code == 2 && out != "" {
				t.Errorf("standard output %q, standard error %q", out, stderr)
			}
		})
	}
}

func TestCheckAsJSON(t *testing.T) {
	t.Parallel()
	for stdin, want := range map[string]int{exposedPod: 1, emptyList: 0} {
		code, out, _ := runOnce(t, stdin, "-f", "-", "--output", "json")
		var answer struct{ Findings []check.Finding }
		if err := json.Unmarshal([]byte(out), &answer); err != nil || code != 0 || len(answer.Findings) != want || answer.Findings == nil {
			t.Errorf("exit status %d, %v\n%s", code, err, out)
		}
	}
}

func TestCheckAsksKubectl(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args, kubectl []string
	}{
		"where kubectl is":      {nil, nil},
		"a namespace":           {[]string{"-n", "shop"}, []string{"--namespace=shop"}},
		"all of them":           {[]string{"-A"}, []string{"--all-namespaces"}},
		"a context":             {[]string{"--context", "prod", "--namespace", "a"}, []string{"--namespace=a", "--context=prod"}},
		"a name like an option": {[]string{"-n", "--token=x"}, []string{"--namespace=--token=x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kubectl := fakeKubectl(t, "cat <<'EOF'\n"+exposedPod+"\nEOF\n")
			code, out, stderr := runOnce(t, "", append(test.args, "--kubectl", kubectl, "--strict")...)
			if code != 1 || !strings.Contains(out, "[no_policy]") {
				t.Errorf("exit status %d\n%s%s", code, out, stderr)
			}
			got, err := os.ReadFile(kubectl + ".args")
			want := strings.Join(append([]string{"get", check.Kinds, "--output=json"}, test.kubectl...), "\n") + "\n"
			if err != nil || string(got) != want {
				t.Errorf("kubectl was called with\n%swant\n%s", got, want)
			}
		})
	}
}

// An answer that is not whole is no answer: what is missing may be the way around.
func TestCheckWithKubectlInTrouble(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ script, says string }{
		"it may not see policies": {"echo '" + emptyList + "'; echo 'Error: networkpolicies is forbidden' >&2; exit 1", "networkpolicies is forbidden"},
		"it fails silently":       {"exit 3", "exit status 3"},
		"it says nothing":         {"exit 0", "no Kubernetes objects"},
		"it says something else":  {"echo hello; exit 0", "an object"},
		"it never stops talking":  {"while :; do echo '{\"kind\":'; done", "read JSON"},
		"it complains at length":  {"yes complaint | head -c 1000000 >&2; echo end >&2; exit 1", "end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, stderr := runOnce(t, "", "--kubectl", fakeKubectl(t, test.script))
			if code != checkTrouble || out != "" || !strings.Contains(stderr, test.says) || len(stderr) > 6000 {
				t.Errorf("exit status %d, %d bytes: %s%.500s", code, len(stderr), out, stderr)
			}
		})
	}
	t.Run("it hangs", func(t *testing.T) {
		t.Parallel()
		ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer stop()
		var out, stderr bytes.Buffer
		if code := runCheck(ctx, []string{"--kubectl", fakeKubectl(t, "exec sleep 600")}, strings.NewReader(""), &out, &stderr); code != checkTrouble {
			t.Errorf("exit status %d: %s", code, stderr.String())
		}
	})
}
