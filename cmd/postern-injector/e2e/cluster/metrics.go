package cluster

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var label = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)

// Metric is the sum of the API server's series of this name that have all these labels, and 0 if there is none. What one test does to a
// webhook is told from what another does by the webhook's name:
//
//	c.Metric(t, "apiserver_admission_webhook_rejection_count", map[string]string{"name": "pod.inject.postern.dev"})
func (c *Cluster) Metric(t testing.TB, name string, labels map[string]string) float64 {
	t.Helper()
	var text []byte
	c.Get(t, "/metrics", &text)
	sum, err := sumMetric(string(text), name, labels)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// SumOf is [Cluster.Metric] of a text that some other program shows.
func SumOf(t testing.TB, text, name string, labels map[string]string) float64 {
	t.Helper()
	sum, err := sumMetric(text, name, labels)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// sumMetric reads the Prometheus text format.
func sumMetric(text, name string, labels map[string]string) (sum float64, err error) {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		end := strings.LastIndexByte(rest, ' ')
		has := map[string]string{}
		for _, m := range label.FindAllStringSubmatch(rest[:end], -1) {
			has[m[1]] = m[2]
		}
		fits := true
		for k, v := range labels {
			fits = fits && has[k] == v
		}
		if !fits {
			continue
		}
		value, err := strconv.ParseFloat(rest[end+1:], 64)
		if err != nil {
			return 0, err
		}
		sum += value
	}
	return sum, nil
}
