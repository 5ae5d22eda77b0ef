package series

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Set are series by name, each with its labels.
type Set map[string][]string

var (
	description = regexp.MustCompile(`(?s)^Desc\{fqName: "([^"]+)", help: ".*", constLabels: \{(.*?)\}, variableLabels: \{(.*?)\}\}$`)
	parts       = regexp.MustCompile(`_(?:bucket|sum|count)$`)

	// What Prometheus adds when it reads a pod's metrics, and the buckets of histograms.
	scraped = []string{"namespace", "pod", "container", "job", "instance", "le"}
)

// Exposed is what a registry has, also those series that nothing has happened to yet. Two registries of one program may be given.
func Exposed(registries ...*prometheus.Registry) (Set, error) {
	set := Set{}
	for _, registry := range registries {
		found := make(chan *prometheus.Desc)
		go func() {
			registry.Describe(found)
			close(found)
		}()
		for one := range found {
			m := description.FindStringSubmatch(one.String())
			if m == nil {
				set = nil // read on, so that the registry is not left waiting
			}
			if set != nil {
				set[m[1]] = append(set[m[1]], words.FindAllString(literals.ReplaceAllString(m[2], ""), -1)...)
				set[m[1]] = append(set[m[1]], words.FindAllString(m[3], -1)...)
			}
		}
		if set == nil {
			return nil, fmt.Errorf("a description cannot be read")
		}
	}
	return set, nil
}

// Others are series of programs that are not ours.
func Others() Set {
	return Set{
		"up": nil, // Prometheus
		// kube-state-metrics
		"kube_pod_init_container_status_ready":          nil,
		"kube_pod_init_container_status_restarts_total": nil,
		"kube_pod_init_container_status_running":        nil,
		"kube_deployment_status_replicas_available":     {"deployment"},
		// kube-apiserver
		"apiserver_admission_webhook_fail_open_count":       {"name", "type"},
		"apiserver_admission_webhook_rejection_count":       {"name", "type", "operation", "error_type", "rejection_code"},
		"apiserver_validating_admission_policy_check_total": {"policy", "policy_binding", "error_type", "enforcement_action"},
	}
}

// Unknown says which series of an expression, and which of their labels, the set does not have.
func (s Set) Unknown(expression string) (complaints []string) {
	for _, use := range Uses(expression) {
		labels, known := s[use.Name]
		if !known {
			labels, known = s[parts.ReplaceAllString(use.Name, "")]
		}
		if !known {
			complaints = append(complaints, fmt.Sprintf("there is no series %s", use.Name))
			continue
		}
		for _, label := range use.Labels {
			if !slices.Contains(labels, label) && !slices.Contains(scraped, label) {
				complaints = append(complaints, fmt.Sprintf("%s has no label %s", use.Name, label))
			}
		}
	}
	return complaints
}
