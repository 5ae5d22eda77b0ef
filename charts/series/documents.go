package series

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Dashboard are the expressions of a Grafana dashboard, those of its variables included. A dashboard without any is an error.
func Dashboard(text []byte) ([]string, error) {
	var d struct {
		Panels     []panel
		Templating struct {
			List []struct {
				Type  string
				Query any
			}
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("read the dashboard: %w", err)
	}
	all := expressions(d.Panels)
	if len(all) == 0 {
		return nil, errors.New("the dashboard asks for nothing")
	}
	for _, variable := range d.Templating.List {
		if variable.Type != "query" {
			continue
		}
		query, is := variable.Query.(string)
		if !is {
			return nil, fmt.Errorf("a variable's query is no text: %v", variable.Query)
		}
		all = append(all, query)
	}
	return all, nil
}

type panel struct {
	Title   string
	Targets []struct{ Expr string }
	Panels  []panel
}

func expressions(panels []panel) (all []string) {
	for _, p := range panels {
		for _, t := range p.Targets {
			all = append(all, t.Expr)
		}
		all = append(all, expressions(p.Panels)...)
	}
	return all
}

// Rule is an alert.
type Rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// Rules are the alerts of a PrometheusRule. One without any is an error, and so is a key that it does not have.
func Rules(text []byte) ([]Rule, error) {
	var object struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   map[string]any
		Spec       struct {
			Groups []struct {
				Name  string
				Rules []Rule
			}
		}
	}
	strict := yaml.NewDecoder(bytes.NewReader(text))
	strict.KnownFields(true)
	if err := strict.Decode(&object); err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	var all []Rule
	for _, group := range object.Spec.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		return nil, errors.New("there are no rules")
	}
	return all, nil
}
