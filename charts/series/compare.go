package series

import (
	"fmt"
	"io/fs"
	"maps"
)

// The alerts of both programs, in the directory charts.
const alertsFile = "alerts/postern.yaml"

// Compare says what a dashboard, and those alerts that are of a program, ask for and neither the program nor anybody else has. The dashboard is
// named by its path in charts.
func (s Set) Compare(charts fs.FS, dashboard string, of func(alert string) bool) (complaints []string, err error) {
	text, err := fs.ReadFile(charts, dashboard)
	if err != nil {
		return nil, err
	}
	expressions, err := Dashboard(text)
	if err != nil {
		return nil, err
	}
	if text, err = fs.ReadFile(charts, alertsFile); err != nil {
		return nil, err
	}
	rules, err := Rules(text)
	if err != nil {
		return nil, err
	}
	for _, rule := range rules {
		if of(rule.Alert) {
			expressions = append(expressions, rule.Expr)
		}
	}
	known := maps.Clone(s)
	maps.Copy(known, Others())
	for _, expression := range expressions {
		for _, complaint := range known.Unknown(expression) {
			complaints = append(complaints, fmt.Sprintf("%s\n  in %s", complaint, expression))
		}
	}
	return complaints, nil
}
