package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"postern/oidc"
	"postern/proxy"
	"postern/proxy/policy"
)

// allowed says whether the request would reach the app, as somebody or as nobody.
func (a *explanation) allowed() bool {
	switch {
	case a.pathErr != nil || a.tooStrict():
		return false
	case a.tokenErr != nil:
		return a.public // where a bad token is as good as none (contract 4.1)
	default:
		return a.decided.Decision.Outcome != policy.Refused
	}
}

// tooStrict says whether path-strictness refuses the path whatever the policy says.
func (a *explanation) tooStrict() bool {
	return a.cfg.Front.PathStrictness == "strict" && a.path.Ambiguous()
}

// text is the whole answer.
func (a *explanation) text() string {
	var s sheet
	s.row("Request", a.question.method+" "+a.question.path)
	if a.pathErr != nil {
		code := "ambiguous_path"
		if errors.Is(a.pathErr, policy.ErrEscape) || errors.Is(a.pathErr, policy.ErrControl) {
			code = "invalid_target"
		}
		s.row("Verdict", "refused: 400 "+code)
		s.row("Why", "Nobody can ask for such a path: "+a.pathErr.Error()+".")
		return s.String()
	}
	for i := range a.path.Len() {
		s.row("Readings", a.path.At(i))
	}
	a.describeCaller(&s)
	s.gap()
	for _, rule := range a.rules() {
		s.row("Rules", rule)
	}
	if steps := a.decided.Steps; len(steps) > 0 {
		for _, step := range steps[:len(steps)-1] { // the last one is the verdict
			s.row("Checks", checkLine(step))
		}
	}
	s.gap()
	a.describeVerdict(&s)
	return s.String()
}

// tokenReason is what the caller would be told about the token.
func (a *explanation) tokenReason() string {
	if invalid, ok := errors.AsType[*oidc.InvalidTokenError](a.tokenErr); ok {
		return invalid.Reason
	}
	return a.tokenErr.Error()
}

// rules are those that were looked at, in the order in which they were.
func (a *explanation) rules() (out []string) {
	for _, step := range a.decided.Steps {
		if step.Rule != "" && !slices.Contains(out, step.Rule) {
			out = append(out, step.Rule)
		}
	}
	if out == nil {
		return []string{"none"}
	}
	return out
}

func checkLine(step policy.Step) string {
	mark := "ok   "
	if !step.OK {
		mark = "no   "
	}
	if step.Claim == "" {
		return mark + step.Detail
	}
	return mark + step.Detail + " [" + step.Claim + "]"
}

// describeCaller shows what decisions are made on, and nothing that only names a person.
func (a *explanation) describeCaller(s *sheet) {
	if a.tokenErr != nil {
		s.row("Token", "not accepted: "+a.tokenReason())
	} else if a.question.token != "" {
		s.row("Token", "would be accepted, if its signature is right: that was not checked, for it takes the provider's keys")
	}
	c := a.caller
	if c == nil {
		s.row("Caller", "nobody")
		return
	}
	how := map[bool]string{true: "by a session (a login at %s)", false: "by a bearer token of %s"}[c.Session]
	s.row("Caller", string(c.Kind)+" "+fmt.Sprintf(how, c.Provider))
	for _, fact := range []struct{ name, value string }{
		{"client", clientText(c)},
		{"organization", c.Organization},
		{"tenant", c.Tenant},
		{"groups", listText(c.Groups)},
		{"roles", listText(c.Roles)},
		{"scopes", listText(c.Scopes)},
		{"acr", c.ACR},
		{"idp", c.IDP},
		{"audience", listText(c.Audience)},
		{"delegation", c.DelegationSource},
	} {
		if fact.value != "" {
			s.row("Caller", fmt.Sprintf("  %-13s %s", fact.name, fact.value))
		}
	}
	if c.Overage {
		s.row("Caller", "  the groups were too many for the token, so that membership is unknown")
	}
}

func clientText(c *oidc.Caller) string {
	if strings.HasSuffix(c.Client, c.ClientID) {
		return c.Client
	}
	return c.Client + " (" + c.ClientID + ")"
}

func listText(list []string) string { return strings.Join(list, ", ") }

func (a *explanation) describeVerdict(s *sheet) {
	d := a.decided.Decision
	switch {
	case a.tooStrict():
		s.row("Verdict", "refused: 400 ambiguous_path")
		s.row("Why", "The path can be read in several ways, and path-strictness is strict.")
	case a.tokenErr != nil && a.public:
		s.row("Verdict", "allowed, without identity")
		s.row("Why", "The path is public. The token is not accepted, and is taken away before the request goes to the app.")
	case a.tokenErr != nil:
		s.row("Verdict", "refused: 401 invalid_token")
		s.row("Why", "The token is not accepted: "+a.tokenReason()+".")
		if a.caller != nil {
			s.row("Otherwise", "With a token that is accepted: "+verdict(d, a.caller)+".")
			a.describeReason(s)
		}
	default:
		s.row("Verdict", verdict(d, a.caller))
		a.describeReason(s)
	}
	if a.reportPasses() {
		s.row("But", "policy-mode is report: what the policy refuses passes for now, without identity, and is logged.")
	}
	if a.caller == nil && d.Reason == policy.NoCaller && a.cfg.Front.AutoLogin {
		s.row("But", "A browser that navigates is sent to log in (auto-login).")
	}
}

// reportPasses says whether the request is refused, and passes nevertheless while policy-mode is report (S-15). Paths that nobody can be sure of
// do not, nor does a token that is no valid one where bearer.providers asks for validation by name.
func (a *explanation) reportPasses() bool {
	d := a.decided.Decision
	if a.cfg.Policy.Mode != "report" || d.Outcome != policy.Refused || a.tooStrict() {
		return false
	}
	invalid := a.tokenErr != nil || a.caller != nil && !a.caller.Session && d.Reason.Class() == policy.InvalidToken
	return !invalid || !a.cfg.Bearer.Set
}

// describeReason says why a caller is not admitted, to whom it may concern, and what would have to change.
func (a *explanation) describeReason(s *sheet) {
	d := a.decided.Decision
	if d.Rule != "" {
		s.row("Rule", d.Rule)
	}
	if d.Outcome == policy.Admitted {
		return
	}
	if d.Outcome == policy.Public && a.caller == nil {
		return
	}
	s.row("Why", d.Reason.Description())
	s.row("To change", d.Reason.Advice())
	if d.Scope != "" {
		s.row("To change", "A token with one of these scopes would help: "+d.Scope)
	}
	if d.ACR != "" {
		s.row("To change", "The level must be at least "+d.ACR)
	}
	if d.Allow != "" {
		s.row("To change", "Methods that pass: "+d.Allow)
	}
}

// verdict is the decision in a few words, with the status and error code of contract 4.2.
func verdict(d policy.Decision, c *oidc.Caller) string {
	switch {
	case d.Outcome == policy.Admitted:
		return "allowed"
	case d.Outcome == policy.Public && c == nil:
		return "allowed, without identity: no caller is required here"
	case d.Outcome == policy.Public:
		return "allowed, without identity: the path is public, and the caller would not be admitted elsewhere (" + d.Reason.Code() + ")"
	}
	status, code := proxy.Answer(d.Reason, c != nil && c.Session)
	return fmt.Sprintf("refused: %d %s (%s)", status, code, d.Reason.Code())
}

// sheet is lines with a label in front; a label that repeats is shown once.
type sheet struct {
	b    strings.Builder
	last string
}

func (s *sheet) row(label, text string) {
	if text == "" {
		return
	}
	shown := label
	if label == s.last {
		shown = ""
	}
	s.last = label
	fmt.Fprintf(&s.b, "%-10s %s\n", shown, printable(text))
}

func (s *sheet) gap() { s.b.WriteString("\n") }

func (s *sheet) String() string { return s.b.String() }

// printable keeps what a token or path says from driving the terminal, and tokens that were given for something else from being shown. Line ends stay:
// several problems are several lines.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, oidc.HideTokens(text))
}
