package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/oidc"
)

var (
	someApps   = []App{{"c", "n", "a"}, {"c", "n", "b"}, {"c", "n", "*"}}
	someScopes = []string{"s1", "s2", defaultScope}
	someGroups = []string{"g1", "G1", "g2"}
	someACRs   = []string{"", "idporten-loa-low", "Level3", "idporten-loa-high", "odd"}
)

func subset(t *rapid.T, of []string, label string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, 2, rapid.ID[string]).Draw(t, label)
}

func drawDocument(t *rapid.T) *Document {
	maybe := func(label string) bool { return rapid.Bool().Draw(t, label) }
	doc := &Document{App: someApps[0], EntraOff: rapid.IntRange(0, 9).Draw(t, "off") == 0}
	for _, app := range someApps {
		if maybe("rule") {
			doc.Rules = append(doc.Rules, InboundRule{Where: "rule " + app.Name, App: app, Scopes: subset(t, someScopes, "scopes"), Roles: subset(t, someScopes, "roles")})
		}
	}
	if maybe("users") {
		doc.Users = &Users{AllowAll: maybe("all"), Groups: subset(t, someGroups, "groups")}
	}
	if maybe("maskinporten") {
		doc.Maskinporten = &Maskinporten{Scopes: []MaskinportenScope{
			{Where: "scope 1", Name: "s1", Consumers: []string{"111111111"}, DelegationSource: rapid.SampledFrom([]string{"", "altinn"}).Draw(t, "source")},
			{Where: "scope 2", Name: "s2", AccessibleForAll: true},
		}}
	}
	if maybe("idporten") {
		doc.IDPorten = &IDPorten{Level: rapid.SampledFrom(someACRs).Draw(t, "level")}
	}
	if maybe("providers") {
		doc.Providers = []ProviderRule{{Where: "openid", Name: "openid", Groups: subset(t, someGroups, "groups")}, {Where: "x", Name: "x", Scopes: subset(t, someScopes, "scopes"), AllowAll: maybe("all")}}
	}
	for range rapid.IntRange(0, 4).Draw(t, "paths") {
		rule := drawPathRule(t)
		if rule.Require != nil {
			rule.Require = &Require{
				Groups: subset(t, someGroups, "groups"), Scopes: subset(t, someScopes, "scopes"), Roles: subset(t, someScopes, "roles"),
				Kind: rapid.SampledFrom([]string{"", "", "user", "app"}).Draw(t, "kind"), Level: rapid.SampledFrom(someACRs).Draw(t, "level"),
			}
		}
		doc.Paths = append(doc.Paths, rule)
	}
	return doc
}

func drawCaller(t *rapid.T) *oidc.Caller {
	if rapid.IntRange(0, 6).Draw(t, "nobody") == 0 {
		return nil
	}
	app := rapid.SampledFrom([]string{"", "c:n:a", "c:n:b", "c:n:x", "c:n:*"}).Draw(t, "app")
	return &oidc.Caller{
		Provider: rapid.SampledFrom([]string{"entra_id", "tokenx", "maskinporten", "idporten", "openid", "x", "y", ""}).Draw(t, "provider"),
		Kind:     rapid.SampledFrom([]oidc.Kind{oidc.User, oidc.App, ""}).Draw(t, "kind"),
		Session:  rapid.IntRange(0, 3).Draw(t, "session") == 0, App: app, ClientID: rapid.SampledFrom([]string{app, "own", ""}).Draw(t, "client"),
		Groups: subset(t, someGroups, "groups"), Scopes: subset(t, someScopes, "scopes"), Roles: subset(t, someScopes, "roles"),
		Overage: rapid.IntRange(0, 5).Draw(t, "overage") == 0, ACR: rapid.SampledFrom(someACRs).Draw(t, "acr"),
		IDP: rapid.SampledFrom([]string{"", "idp"}).Draw(t, "idp"), FromIDPorten: rapid.Bool().Draw(t, "from"),
		Organization: rapid.SampledFrom([]string{"", "111111111", "222222222"}).Draw(t, "organization"), Supplier: rapid.Bool().Draw(t, "supplier"),
	}
}

// The explanation decides as the decision does, and every decision keeps what it promises.
func TestExplainDecidesAsDecide(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		doc, s := drawDocument(rt), Settings{EntraClientIDs: []string{"own"}, IDPortenClients: []string{"own"}, IDPortenEnabled: true}
		p, _, err := compile(doc, s)
		if err != nil {
			rt.Fatal(err)
		}
		if rapid.IntRange(0, 9).Draw(rt, "unwritten") == 0 {
			p = WithoutFile(s)
		}
		caller := drawCaller(rt)
		r := Request{Path: mustRead(t, drawPath(rt)), Method: rapid.SampledFrom(someMethods).Draw(rt, "method")}
		route := p.Route(r)
		d, e := p.Decide(&route, caller), p.Explain(r, caller)
		if e.Decision != d {
			rt.Fatalf("decided %+v, explained %+v", d, e.Decision)
		}
		last := e.Steps[len(e.Steps)-1]
		if last.OK != (d.Outcome != Refused) || last.Detail == "" {
			rt.Fatalf("the last step is %+v of %+v", last, d)
		}
		failed := 0
		for _, step := range e.Steps[:len(e.Steps)-1] {
			if step.Detail == "" {
				rt.Fatalf("step without words: %+v", step)
			}
			if !step.OK {
				failed++
			}
		}
		if d.Reason != Allowed && failed == 0 && d.Outcome != Public {
			rt.Fatalf("refused, but no step says why: %+v", e)
		}
		switch {
		case (d.Outcome == Admitted) != (d.Reason == Allowed), d.Outcome == Admitted && caller == nil,
			d.Outcome == Public && !route.Public() && !p.unwritten, d.Outcome == Refused && route.Public(),
			(d.Reason == LevelTooLow && d.Outcome == Refused) != (d.ACR != ""), (d.Reason == MethodNotNamed) != (d.Allow != ""),
			d.Scope != "" && d.Reason.Class() != InsufficientScope:
			rt.Fatalf("it contradicts itself: %+v", d)
		}
	})
}

func TestExplainQuotesWhatDecided(t *testing.T) {
	t.Parallel()
	p := withPaths(t, narrowed("/admin/**", Require{Groups: []string{adminGroup}}), public("/public/**"))
	e := p.Explain(Request{Path: mustRead(t, "/public/..%2Fadmin"), Method: "GET"}, outsider())
	var all []string
	for _, step := range e.Steps {
		all = append(all, step.Claim+": "+step.Detail)
	}
	text := strings.Join(all, "\n")
	if strings.Contains(text, "without regard to case") {
		t.Errorf("nothing is folded here:\n%s", text)
	}
	for _, want := range []string{
		"An app may read the path in 3 ways", `"/public/../admin" is matched most specifically by /public/** (literal, **)`, `"/admin" is matched most specifically by /admin/**`,
		"The caller is a person, known by a session of entra_id.", "allowAll admits everybody.", `groups: groups has "` + staffGroup + `"; one of "` + adminGroup + `" is needed.`, "Refused: not_in_group. ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no step says %q:\n%s", want, text)
		}
	}
}
