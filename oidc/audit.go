package oidc

import "log/slog"

// AuditAttrs says who somebody is, for audit events and nothing else (S-38): it names people, which ordinary log lines never do. Personal numbers
// are masked even here (S-37). The nil identity is nobody.
func (id *Identity) AuditAttrs() []slog.Attr {
	if id == nil {
		return nil
	}
	c := &id.caller
	issuer, client, token := id.issuer, c.Client, id.tokenID
	if c.Session {
		issuer, client, token = sessionOrigin(id.claims)
	}
	attrs := make([]slog.Attr, 0, 8)
	for _, a := range [...]struct{ name, text string }{
		{"provider", c.Provider},
		{"kind", string(c.Kind)},
		{"issuer", issuer},
		{"subject", c.Subject},
		{"object", c.Object},
		{"client", client},
		{"organization", c.Organization},
		{"token_id", token},
	} {
		if a.text != "" {
			attrs = append(attrs, slog.String(a.name, cleanText(a.text)))
		}
	}
	return attrs
}

// sessionOrigin is where the id token of a session came from: who issued it, to which client, under which id. What is missing or of another type is
// empty: it was verified, and here it is only shown.
func sessionOrigin(claims string) (issuer, client, token string) {
	m, err := readObject(claims)
	if err != nil {
		return "", "", ""
	}
	text := func(name string) string {
		value, _ := m.text(name)
		return value
	}
	client = text("azp")
	if audience, err := m.audience(); err == nil && client == "" && len(audience) == 1 {
		client = audience[0]
	}
	return text("iss"), client, first(text("jti"), text("uti"))
}
