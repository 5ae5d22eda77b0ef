package check

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Severity says how sure it is that traffic goes around the sidecar.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // traffic reaches the app around the sidecar
	Warning Severity = "warning" // it could
)

// Object names what a finding is about.
type Object struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// Finding is one way around the sidecar, and what to do about it.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"` // stable
	Object   Object   `json:"object"`
	Message  string   `json:"message"`
	Fix      string   `json:"fix"`
}

// String is the finding in one line, whatever the objects are called.
func (f Finding) String() string {
	return oneLine(string(f.Severity) + "\t" + f.Object.String() + ": " + f.Message + ". " + f.Fix + ". [" + f.Code + "]")
}

// oneLine shows what could end a line, or steer a terminal, as an escape.
func oneLine(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\t' || r != '\u2028' && strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return b.String()
}

// findings collects; several pods of one workload make one finding.
type findings map[Finding]bool

func (f findings) add(severity Severity, code string, about Object, message, fix string) {
	f[Finding{severity, code, about, message, fix}] = true
}

// sorted is errors first, then by object.
func (f findings) sorted() []Finding {
	all := make([]Finding, 0, len(f))
	for finding := range f {
		all = append(all, finding)
	}
	slices.SortFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Object.Namespace, b.Object.Namespace), cmp.Compare(a.Object.Kind, b.Object.Kind),
			cmp.Compare(a.Object.Name, b.Object.Name), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Fix, b.Fix))
	})
	return all
}
