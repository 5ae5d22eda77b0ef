package main

import (
	"context"
	"errors"
	"strings"

	"postern/cmd/postern/demoapp"
	"postern/config"
	"postern/oidc"
	"postern/proxy/policy"
)

// demoJudge explains what a Postern that runs here decides: by its own providers, keys, configuration and policy in force, in the words of
// `postern explain`.
type demoJudge struct {
	cfg      config.Config
	policy   func() *policy.Policy
	verifier *oidc.Verifier
}

func newDemoJudge(s *sidecar) (demoJudge, error) {
	verifier, err := inboundVerifier(&s.cfg, s.trusted, 0, oidc.Deps{})
	return demoJudge{s.cfg, s.policy.current, verifier}, err
}

// explain looks at a request as Postern does. Unlike `postern explain`, which works offline, it checks the signature as well.
func (j demoJudge) explain(ctx context.Context, ask demoapp.TryRequest, raw string) (demoapp.TryExplanation, error) {
	a := explanation{question: question{method: ask.Method, path: ask.Path}, cfg: &j.cfg}
	if a.path, a.pathErr = policy.Read(ask.Path); a.pathErr != nil {
		return demoapp.TryExplanation{}, a.pathErr
	}
	if raw != "" {
		a.caller, _ = j.verifier.Inspect(raw) // as far as it can be read; what is wrong with the token, Verify says
		_, a.tokenErr = j.verifier.Verify(ctx, raw)
	}
	rules := j.policy()
	request := policy.Request{Path: a.path, Method: ask.Method}
	route := rules.Route(request)
	a.public, a.decided = route.Public(), rules.Explain(request, a.caller)
	return demoapp.TryExplanation{Steps: demoSteps(a, rules.Explain(request, nil)), Advice: demoAdvice(a), Printed: a.text()}, nil
}

// demoSteps are those that Postern went: a token that is not accepted ends the way, or on a public path goes on as nobody's.
func demoSteps(a explanation, asNobody policy.Explanation) (steps []demoapp.TryStep) {
	decided := a.decided
	switch {
	case a.tokenErr != nil:
		steps = append(steps, demoapp.TryStep{Detail: "The token is not accepted: " + a.tokenReason() + "."})
		if decided = asNobody; !a.public {
			return steps
		}
	case a.caller != nil:
		steps = append(steps, demoapp.TryStep{OK: true, Detail: "The token is genuine, made for this API, and in time."})
	}
	for _, step := range decided.Steps {
		detail := strings.TrimSuffix(step.Detail, " "+decided.Decision.Reason.Advice()) // which the page has a place of its own for
		steps = append(steps, demoapp.TryStep{OK: step.OK, Rule: step.Rule, Claim: step.Claim, Detail: detail})
	}
	return steps
}

// demoAdvice says what would have to change for a request that was not let in.
func demoAdvice(a explanation) string {
	d := a.decided.Decision
	switch {
	case a.public || a.tokenErr == nil && d.Outcome == policy.Admitted:
		return ""
	case errors.As(a.tokenErr, new(*oidc.TroubleError)):
		return "The provider has to be reached again. Nothing is wrong with the token, as far as anybody knows."
	case a.tokenErr != nil:
		return "The token. No policy can make up for one that proves nothing."
	}
	return d.Reason.Advice()
}
