package policy

import "postern/oidc"

// Outcome is what becomes of a request. The zero value refuses.
type Outcome uint8

// The outcomes.
const (
	Refused  Outcome = iota
	Admitted         // forwarded with the caller's identity
	Public           // forwarded without any identity: nobody, or somebody whom the policy would not admit (S-15)
)

func (o Outcome) String() string {
	switch o {
	case Admitted:
		return "admitted"
	case Public:
		return "public"
	case Refused:
	}
	return "refused"
}

// Decision is the answer to one request, as a value. The texts are made once, when the policy is compiled.
type Decision struct {
	Outcome Outcome
	Reason  Reason // why it is not Admitted; Allowed if it is
	Rule    string // the rule that decided, in words of the policy's author; never of the request
	Scope   string // scopes that would help, for WWW-Authenticate; empty if none would
	ACR     string // the level that is needed
	Allow   string // methods, for 405
}

// allowed is the finding of a check that holds. It becomes a decision when all do.
func allowed(rule string) Decision { return Decision{Rule: rule} }

// refuse is the finding of a check that does not.
func refuse(reason Reason, rule string) Decision { return Decision{Reason: reason, Rule: rule} }

// Decide is the decision on a caller, or on nobody for nil. It does not allocate. The policy that made the route decides, which is an
// older one than p if the files have changed since: one request sees one policy.
func (p *Policy) Decide(r *Route, c *oidc.Caller) Decision { return p.decide(r, c, nil) }

func (p *Policy) decide(r *Route, c *oidc.Caller, t *trace) Decision {
	if p == nil || r == nil || r.policy == nil {
		return refuse(NoPolicy, "")
	}
	p = r.policy
	if r.refused != nil {
		return Decision{Reason: MethodNotNamed, Rule: r.where(), Allow: r.refused.allow} // whoever asks
	}
	if c == nil {
		return p.decideNobody(r, t)
	}
	d := p.admit(c, t)
	if d.Reason == Allowed {
		d = p.meetAll(r, c, d, t)
	}
	switch {
	case d.Reason == Allowed:
		d.Outcome = Admitted
	case r.Public():
		d = Decision{Outcome: Public, Reason: d.Reason, Rule: r.where()}
	}
	return d
}

func (p *Policy) decideNobody(r *Route, t *trace) Decision {
	d := refuse(NoCaller, r.where())
	switch {
	case r.Public():
		d.Outcome = Public
		t.note(true, d.Rule, "", func() string { return "Nobody is calling, and the path is public in every reading." })
	case p.unwritten && !p.requireAuth:
		d.Outcome = Public
		t.note(true, "", "", func() string { return "Nobody is calling; there is no policy, and require-auth is off." })
	default:
		t.note(false, d.Rule, "", func() string { return "Nobody is calling, and a caller is required." })
	}
	return d
}

// meetAll checks what the path requires of a caller whom the base policy admits with base, and the level. That comes last, and the highest
// first: a person who logs in anew for it is not refused thereafter.
func (p *Policy) meetAll(r *Route, c *oidc.Caller, base Decision, t *trace) Decision {
	for i := range r.count {
		rule := r.rule(i)
		if d := rule.require.meet(p, c, rule.where, t); d.Reason != Allowed {
			return d
		}
		if i == 0 {
			base = allowed(rule.where)
		}
	}
	var high Decision
	check := func(level, rule string) {
		if level == "" {
			return
		}
		ok := meetsLevel(c.ACR, level)
		t.note(ok, rule, "acr", func() string { return describeLevel(c.ACR, level) })
		if !ok && (high.Reason == Allowed || levelRank(level) > levelRank(high.ACR)) {
			high = Decision{Reason: LevelTooLow, Rule: rule, ACR: nameLevel(level)}
		}
	}
	if c.Provider == oidc.TokenX || c.Provider == oidc.IDPorten {
		check(p.level, "idporten.level")
	}
	for i := range r.count {
		check(r.rule(i).require.level, r.rule(i).where)
	}
	if high.Reason != Allowed {
		return high
	}
	return base
}
