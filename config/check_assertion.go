package config

// checkAssertion looks at what the signed statement of contract 4.4 needs: a key that can be read, if one was named, and a name for its
// issuer and audience.
func (l *loader) checkAssertion() {
	i := &l.c.Identity
	if !i.Assertion {
		for _, name := range []string{"identity.assertion-key-file", "identity.assertion-issuer"} {
			if l.said(name) {
				l.warn(name, "has no effect without identity.assertion")
			}
		}
		return
	}
	if i.AssertionKeyFile != "" && !l.offline {
		if _, err := secretIn(l.read, i.AssertionKeyFile); err != nil {
			l.problem("identity.assertion-key-file", "read %s: %v", shownPath(i.AssertionKeyFile), err)
		}
	}
	if i.AssertionIssuer == "" && len(l.c.Front.Ingress) == 0 && l.c.Providers.TokenX.ClientID == "" && len(l.c.Policy.Files) == 0 {
		l.missing("identity.assertion-issuer", "required, or an ingress, TOKEN_X_CLIENT_ID or a policy-file: the statement must name who made it and for whom")
	}
}
