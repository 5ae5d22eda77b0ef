package policy

import (
	"fmt"

	"postern/oidc"
)

// Explanation is a decision with the way that led to it.
type Explanation struct {
	Decision Decision
	Steps    []Step
}

// Step is one thing that was looked at.
type Step struct {
	OK     bool
	Rule   string // the rule, or "" for a general check
	Claim  string // the claim that decided: "groups"
	Detail string // a sentence
}

// Explain is [Policy.Decide] in slow motion, for people: it may quote the caller's claims and the path. It runs the very same code.
func (p *Policy) Explain(r Request, c *oidc.Caller) Explanation {
	t := &trace{}
	if r.Path.Ambiguous() {
		t.note(true, "", "path", func() string {
			return fmt.Sprintf("An app may read the path in %d ways; each picks its rules, and all of them must hold.", r.Path.Len())
		})
	}
	route := p.route(&r, t)
	if c != nil {
		t.note(true, "", "iss", func() string { return describeCaller(c) })
	}
	d := p.decide(&route, c, t)
	t.note(d.Outcome != Refused, d.Rule, "", func() string { return d.describe(c) })
	return Explanation{Decision: d, Steps: t.steps}
}

func describeCaller(c *oidc.Caller) string {
	how := "a bearer token"
	if c.Session {
		how = "a session"
	}
	return fmt.Sprintf("The caller is %s, known by %s of %s.", describeKind(c.Kind), how, c.Provider)
}

func (d Decision) describe(c *oidc.Caller) string {
	switch {
	case d.Outcome == Admitted:
		return "Admitted: the request goes to the app with the caller's identity."
	case d.Outcome == Public && c == nil:
		return "Public: the request goes to the app, which is told of nobody."
	case d.Outcome == Public:
		return "Public: the request goes to the app without the caller's identity, since elsewhere they would be refused. " + d.Reason.Advice()
	}
	return "Refused: " + d.Reason.Code() + ". " + d.Reason.Advice()
}

// trace records steps for [Policy.Explain]. The nil trace records nothing: the sentences are not even made.
type trace struct{ steps []Step }

func (t *trace) note(ok bool, rule, claim string, detail func() string) {
	if t == nil {
		return
	}
	t.steps = append(t.steps, Step{OK: ok, Rule: rule, Claim: claim, Detail: detail()})
}
