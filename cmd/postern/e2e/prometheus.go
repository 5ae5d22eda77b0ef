package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const installPrometheus = "apt-get install prometheus, or run .ci/test"

// PrometheusServer is a real Prometheus that reads the metrics of one postern every second.
type PrometheusServer struct {
	t   testing.TB
	URL string
}

// Prometheus starts one, with a rule file of its own format. The labels are those that a pod's metrics have in a cluster.
func Prometheus(t testing.TB, target, rules string) *PrometheusServer {
	t.Helper()
	path := program(t, installPrometheus, "prometheus")
	dir, p := t.TempDir(), &PrometheusServer{t: t, URL: "http://127.0.0.1:" + FreePort(t)}
	for name, text := range map[string]string{"rules.yml": rules, "prometheus.yml": `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [` + dir + `/rules.yml]
scrape_configs:
  - job_name: postern
    static_configs:
      - targets: ["` + target + `"]
        labels: {namespace: team-a, pod: app-1, container: postern}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log capture
	running := spawn(t, &log, &log, dir, nil, path, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data",
		"--web.listen-address="+p.URL[len("http://"):], "--log.level=warn")
	Eventually(t, "waiting for Prometheus", func() error {
		if !running.alive() {
			t.Fatalf("Prometheus ended:\n%s", log.String())
		}
		return p.ask("/-/ready", nil, nil)
	})
	return p
}

func (p *PrometheusServer) ask(path string, query url.Values, answer any) error {
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Get(p.URL + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.300s", res.StatusCode, body)
	}
	if err == nil && answer != nil {
		err = json.Unmarshal(body, answer)
	}
	return err
}

// Sample is one element of an answer.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Query evaluates an expression now. What is not a number is left out.
func (p *PrometheusServer) Query(expression string) ([]Sample, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := p.ask("/api/v1/query", url.Values{"query": {expression}}, &answer); err != nil {
		return nil, err
	}
	var all []Sample
	for _, one := range answer.Data.Result {
		text, _ := one.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		if !math.IsNaN(value) {
			all = append(all, Sample{one.Metric, value})
		}
	}
	return all, nil
}

// Firing are the alerts that fire now. Rules that cannot be evaluated fail the test.
func (p *PrometheusServer) Firing() map[string]bool {
	p.t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError, State string }
			}
		}
	}
	if err := p.ask("/api/v1/rules", nil, &answer); err != nil {
		p.t.Fatal(err)
	}
	firing := map[string]bool{}
	for _, group := range answer.Data.Groups {
		for _, rule := range group.Rules {
			if rule.Health == "err" {
				p.t.Fatalf("%s: %s", rule.Name, rule.LastError)
			}
			if rule.State == "firing" {
				firing[rule.Name] = true
			}
		}
	}
	if len(answer.Data.Groups) == 0 {
		p.t.Fatal("there are no rules")
	}
	return firing
}
