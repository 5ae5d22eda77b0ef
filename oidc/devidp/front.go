package devidp

import (
	"net/http"
	"slices"
	"strings"
)

type frontView struct {
	Issuers  []frontIssuer
	Tenant   string
	Clients  []frontClient
	Personas []personaView
	Admin    bool
}

type frontIssuer struct{ Title, Issuer, Metadata string }

type frontClient struct {
	ID, Name, Methods string
	RedirectURIs      []string
}

// front says what this is. It shows no secret: people find here what to write into their configuration.
func (p *IdP) front(x *exchange) {
	if !x.allow(http.MethodGet) {
		return
	}
	view := frontView{Tenant: p.cfg.TenantID, Admin: p.cfg.Admin}
	for _, name := range allIssuers() {
		s := x.of(name)
		view.Issuers = append(view.Issuers, frontIssuer{s.at.title, s.issuer(), s.url(EndpointMetadata)})
	}
	p.mu.Lock()
	for _, c := range p.clients {
		methods := make([]string, 0, len(c.AuthMethods))
		for _, m := range c.AuthMethods {
			methods = append(methods, string(m))
		}
		view.Clients = append(view.Clients, frontClient{c.ID, c.Name, strings.Join(methods, ", "), c.RedirectURIs})
	}
	p.mu.Unlock()
	slices.SortFunc(view.Clients, func(a, b frontClient) int { return strings.Compare(a.ID, b.ID) })
	for i, who := range p.cfg.Personas {
		view.Personas = append(view.Personas, viewOf(who, i))
	}
	x.page(http.StatusOK, pageFront, view, policy{})
}
