package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/cmd/postern-injector/certs"
	"postern/cmd/postern-injector/kube"
	"postern/cmd/postern-injector/webhook"
)

func run(t *testing.T, environ []string, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = dispatch(t.Context(), program{args: args, environ: environ, stdout: &stdout, stderr: &stderr})
	return code, stdout.String(), stderr.String()
}

// enough is what must be said at least.
func enough(more ...string) []string {
	return append([]string{"--config=c", "--namespace", "ns", "--service=s", "--certificate-dir", "d"}, more...)
}

func TestOptionsAreStrictAndAllProblemsAreSaidAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args, environ []string
		want          []string // a word of each problem
	}{
		"enough":                {enough(), nil, nil},
		"by environment":        {nil, []string{"POSTERN_INJECTOR_CONFIG=c", "POSTERN_INJECTOR_NAMESPACE=n", "POSTERN_INJECTOR_SERVICE=s", "POSTERN_INJECTOR_CERTIFICATE_DIR=d"}, nil},
		"nothing":               {nil, nil, []string{"--config: missing", "--namespace: missing", "--service: missing", "--certificate-secret: want it"}},
		"service links":         {enough(), []string{"POSTERN_INJECTOR_SERVICE_HOST=10.0.0.1", "POSTERN_INJECTOR_PORT=tcp://10.0.0.1:443", "POSTERN_INJECTOR_PORT_443_TCP_ADDR=10.0.0.1", "POSTERN_INJECTOR_SERVICE_PORT_HTTPS=443"}, nil},
		"unknown":               {enough("--bind", "x", "stray"), []string{"POSTERN_INJECTOR_BIND=x"}, []string{"POSTERN_INJECTOR_BIND", `"--bind"`, `"x"`, `"stray"`}},
		"twice":                 {enough("--log-level=info", "--log-level=warn"), nil, []string{"given twice"}},
		"no value":              {enough("--log-level"), nil, []string{"no value"}},
		"bad values":            {enough("--log-level=loud", "--log-format=xml", "--bind-address=9443", "--shutdown-graceful-period=-1s"), nil, []string{"--log-level: want", "--log-format: want", "--bind-address: want", "--shutdown-graceful-period: want"}},
		"a bad variable":        {enough(), []string{"POSTERN_INJECTOR_LOG_LEVEL=loud"}, []string{"POSTERN_INJECTOR_LOG_LEVEL: want"}},
		"both certificates":     {enough("--certificate-secret=s", "--webhook-configuration=w"), nil, []string{"not together"}},
		"no configuration":      {[]string{"--config=c", "--namespace=n", "--service=s", "--certificate-secret=x"}, nil, []string{"--webhook-configuration: wanted"}},
		"names that are none":   {enough("--namespace=A/b"), nil, []string{"given twice", "--namespace: not a name"}},
		"bad certificate names": {[]string{"--config=c", "--namespace=n", "--service=s", "--certificate-secret=x", "--webhook-configuration=w", "--certificate-names=a b"}, nil, []string{"--certificate-names"}},
		"one address for both":  {enough("--bind-address=:1", "--probe-bind-address=:1"), nil, []string{"the same"}},
		"waits too long":        {enough("--shutdown-wait-before-period=1m"), nil, []string{"longer than"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := parse(c.args, c.environ)
			if len(problems) != len(c.want) {
				t.Fatalf("%q", problems)
			}
			for _, want := range c.want {
				if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, want) }) {
					t.Errorf("no %q in %q", want, problems)
				}
			}
			if len(c.want) > 0 {
				if code, _, said := run(t, c.environ, append([]string{"serve"}, c.args...)...); code != exitUsage || strings.Count(said, "\n") != len(c.want) {
					t.Errorf("exit status %d: %s", code, said)
				}
			}
		})
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	if code, out, _ := run(t, nil, "version"); code != exitOK || !strings.HasPrefix(out, "postern-injector ") {
		t.Errorf("version: %d %s", code, out)
	}
	if code, _, said := run(t, nil, "inject"); code != exitUsage || !strings.Contains(said, `"inject"`) {
		t.Errorf("unknown: %d %s", code, said)
	}
	if code, out, _ := run(t, nil, "--help"); code != exitOK || !strings.Contains(out, "--certificate-secret") {
		t.Errorf("help: %d %s", code, out)
	}
	if code, _, said := run(t, nil, enough("--kubeconfig", filepath.Join(t.TempDir(), "none"))...); code != exitUsage || !strings.Contains(said, "kubeconfig") {
		t.Errorf("no kubeconfig: %d %s", code, said)
	}
}

// The tables of the README are those of the program.
func TestREADMEHasEveryFlagAndMetric(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range append(flagRows(), metricRows(t)...) {
		if !strings.Contains(string(text), row+"\n") {
			t.Errorf("README.md lacks %s", row)
		}
	}
	flags, metrics := strings.Count(string(text), "\n| `--"), strings.Count(string(text), "\n| `postern_injector_")
	if flags != len(flagRows()) || metrics != len(metricRows(t)) {
		t.Errorf("README.md has %d flags and %d metrics, the program %d and %d", flags, metrics, len(flagRows()), len(metricRows(t)))
	}
}

func flagRows() (rows []string) {
	for _, o := range table() {
		fallback := ""
		if o.fallback != "" {
			fallback = "`" + o.fallback + "`"
		}
		rows = append(rows, fmt.Sprintf("| `--%s %s` | %s | %s |", o.name, o.value, fallback, o.usage))
	}
	return rows
}

// described gathers what a registry is told.
type described struct{ rows []string }

func (d *described) Register(c prometheus.Collector) error {
	all := make(chan *prometheus.Desc, 10)
	c.Describe(all)
	close(all)
	for one := range all {
		var name, help string
		if _, err := fmt.Sscanf(one.String(), "Desc{fqName: %q, help: %q", &name, &help); err != nil {
			return err
		}
		d.rows = append(d.rows, fmt.Sprintf("| `%s` | %s |", name, help))
	}
	return nil
}

func (d *described) MustRegister(...prometheus.Collector) {}
func (d *described) Unregister(prometheus.Collector) bool { return false }

func metricRows(t *testing.T) []string {
	t.Helper()
	d := &described{}
	if _, err := webhook.NewMetrics(d); err != nil {
		t.Fatal(err)
	}
	if _, err := webhook.NewSettings("", nil, nil, nil, d); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.NewMetrics(d, time.Now); err != nil {
		t.Fatal(err)
	}
	return append(d.rows, "| `postern_injector_build_info` | Always 1; the label is the version. |")
}

func TestKubernetesIsNewEnough(t *testing.T) {
	t.Parallel()
	if !(kube.Version{Major: 1, Minor: 28}).Before(oldest()) || (kube.Version{Major: 1, Minor: 29}).Before(oldest()) {
		t.Error("1.29 is the oldest")
	}
}
