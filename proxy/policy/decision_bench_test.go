package policy

import (
	"fmt"
	"testing"

	"postern/oidc"
)

// manyRules is a policy of n path rules and n inbound rules, with a few patterns of each shape.
func manyRules(tb testing.TB, n int) *Policy {
	tb.Helper()
	doc := &Document{
		App:          App{"dev-gcp", "team-a", "my-app"},
		Users:        &Users{Groups: []string{adminGroup}},
		Maskinporten: &Maskinporten{},
	}
	for i := range n {
		app := App{"dev-gcp", "team-b", fmt.Sprintf("app-%d", i)}
		doc.Rules = append(doc.Rules, InboundRule{Where: "inbound.rules " + app.String(), App: app, Scopes: []string{"orders.read"}})
		doc.Maskinporten.Scopes = append(doc.Maskinporten.Scopes, MaskinportenScope{Name: fmt.Sprintf("nav:s%d", i), Consumers: []string{"123456789"}})
		match := fmt.Sprintf([]string{"/api-%d/**", "/api-%d/orders/*", "/api-%d", "/api-%d/**/lines"}[i%4], i)
		doc.Paths = append(doc.Paths, PathRule{Match: match, Require: &Require{Groups: []string{adminGroup}}})
	}
	doc.Paths = append(doc.Paths, PathRule{Match: "/public/**", Public: true})
	return mustCompile(tb, doc, Settings{})
}

func BenchmarkDecide(b *testing.B) {
	person := oidc.Caller{Provider: oidc.EntraID, Kind: oidc.User, Session: true, Groups: append(manyGroups(199), adminGroup)}
	user := person
	user.Session, user.App, user.Scopes, user.Groups = false, "dev-gcp:team-b:app-5", []string{"defaultaccess", "orders.read"}, []string{adminGroup}
	tokenX := oidc.Caller{Provider: oidc.TokenX, Kind: oidc.User, ClientID: "dev-gcp:team-b:app-7"}
	machine := oidc.Caller{Provider: oidc.Maskinporten, Kind: oidc.App, Scopes: []string{"nav:s3"}, Organization: "123456789"}
	for _, n := range []int{10, 1000, 10000} {
		p := manyRules(b, n)
		for _, bench := range []struct {
			name, path string
			caller     *oidc.Caller
		}{
			{"public", "/public/app.js", nil},
			{"deep pattern", "/api-4/orders/12345/lines", &user},
			{"wildcard", "/api-5/orders/12345", &user},
			{"upper case", "/API-5/Orders/12345", &user},
			{"no pattern", "/other/orders/12345", &tokenX},
			{"maskinporten", "/other/orders/12345", &machine},
			{"200 groups", "/api-4/orders/12345", &person},
		} {
			b.Run(fmt.Sprintf("%s/%d rules", bench.name, n), func(b *testing.B) {
				path, err := Read(bench.path)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					route := p.Route(Request{Path: path, Method: "GET"})
					if d := p.Decide(&route, bench.caller); d.Outcome == Refused {
						b.Fatal(d.Reason.Code())
					}
				}
			})
		}
	}
}

func BenchmarkRouteOfManyReadings(b *testing.B) {
	p := manyRules(b, 1000)
	path, err := Read("/public/..%2Fapi-4;v=1/%2e./x")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		route := p.Route(Request{Path: path, Method: "GET"})
		if route.Public() {
			b.Fatal("public")
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		manyRules(b, 10000)
	}
}

func TestDecisionsDoNotAllocate(t *testing.T) { // not parallel: it counts
	p := manyRules(t, 10000)
	user := &oidc.Caller{
		Provider: oidc.EntraID, Kind: oidc.User, App: "dev-gcp:team-b:app-5", Scopes: []string{"defaultaccess"}, Groups: append(manyGroups(199), adminGroup),
	}
	for _, raw := range []string{"/api-4/orders/1", "/api-5/orders/12", "/api-7/a/b/lines", "/Api-5/ORDERS/12.", "/public/x", "/other", "/caf%C3%A9/x"} {
		path, err := Read(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, caller := range []*oidc.Caller{nil, user, {Provider: oidc.TokenX, Kind: oidc.User, ClientID: "dev-gcp:team-b:app-9"}, {Provider: "partner"}} {
			if n := testing.AllocsPerRun(100, func() {
				route := p.Route(Request{Path: path, Method: "POST"})
				p.Decide(&route, caller)
			}); n != 0 {
				t.Errorf("%s, %+v: %v allocations", raw, caller, n)
			}
		}
	}
}
