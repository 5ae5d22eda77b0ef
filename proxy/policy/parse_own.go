package policy

import "slices"

// readOwn reads a document of postern's own format.
func (a *assembly) readOwn(v value) {
	v.object(fields{
		"apiVersion":   unread,
		"app":          a.readApp,
		"inbound":      a.part("inbound", a.readInbound),
		"users":        a.part("users", intoNew(&a.doc.Users, readUsers)),
		"entra":        a.part("entra", into(&a.doc.Entra, readEntra)),
		"tokenx":       a.part("tokenx", into(&a.doc.TokenX, readTokenX)),
		"maskinporten": a.part("maskinporten", intoNew(&a.doc.Maskinporten, readMaskinporten)),
		"idporten":     a.part("idporten", intoNew(&a.doc.IDPorten, readIDPorten)),
		"providers":    a.part("providers", a.readProviders),
		"paths":        a.part("paths", eachInto(&a.doc.Paths, readPath)),
	})
}

func (a *assembly) readApp(v value) {
	var app App
	v.object(fields{
		"cluster":   into(&app.Cluster, readAppName),
		"namespace": into(&app.Namespace, readAppName),
		"name":      into(&app.Name, readAppName),
	})
	a.nameApp(v, app)
}

func readUsers(v value) (users Users) {
	groups := func(v value) { v.list(readGroup(&users.Groups)) }
	v.object(fields{"allowAll": into(&users.AllowAll, value.flag), "groups": groups})
	return users
}

// readEntra takes no empty list of tenants, and none that holds what is no tenant: fewer tenants in the list must not mean more in effect.
func readEntra(v value) (entra Entra) {
	v.object(fields{
		"defaultScope": into(&entra.DefaultScope, readWord),
		"defaultRole":  into(&entra.DefaultRole, readWord),
		"tenants":      someInto(&entra.Tenants, readGUID),
	})
	return entra
}

func readTokenX(v value) (tokenX TokenX) {
	v.object(fields{"idps": eachInto(&tokenX.IDPs, readIssuer)})
	return tokenX
}

func readMaskinporten(v value) (maskinporten Maskinporten) {
	v.object(fields{
		"audience": into(&maskinporten.Audience, readWord),
		"scopes":   eachInto(&maskinporten.Scopes, readScope),
	}, "scopes")
	return maskinporten
}

func readScope(v value) (scope MaskinportenScope) {
	v.object(fields{
		"name":             into(&scope.Name, readWord),
		"consumers":        eachInto(&scope.Consumers, readOrganization),
		"accessibleForAll": into(&scope.AccessibleForAll, value.flag),
		"delegationSource": into(&scope.DelegationSource, readWord),
	}, "name")
	return nameScope(v, scope)
}

// nameScope completes a scope of either format.
func nameScope(v value, scope MaskinportenScope) MaskinportenScope {
	if len(scope.Consumers) == 0 && !scope.AccessibleForAll {
		v.warn("admits nobody: it has neither consumers nor accessibleForAll")
	}
	scope.Where = ruleName("maskinporten.scopes", scope.Name)
	return scope
}

func readIDPorten(v value) (idPorten IDPorten) {
	v.object(fields{"level": into(&idPorten.Level, readLevel), "clients": eachInto(&idPorten.Clients, readWord)})
	return idPorten
}

func (a *assembly) readProviders(v value) {
	names := map[string]value{}
	v.list(func(v value) {
		rule := readProvider(v)
		if first, ok := names[rule.Name]; ok && rule.Name != "" {
			v.problem("%q already has an entry at %s", rule.Name, first.place())
		}
		names[rule.Name] = v
		a.doc.Providers = append(a.doc.Providers, rule)
	})
}

func readProvider(v value) (rule ProviderRule) {
	v.object(fields{
		"name":     into(&rule.Name, readWord),
		"allowAll": into(&rule.AllowAll, value.flag),
		"groups":   someInto(&rule.Groups, readLine),
		"clients":  someInto(&rule.Clients, readWord),
		"scopes":   someInto(&rule.Scopes, readWord),
	}, "name")
	narrowed := len(rule.Groups)+len(rule.Clients)+len(rule.Scopes) > 0
	switch {
	case slices.Contains([]string{"entra_id", "tokenx", "maskinporten", "idporten"}, rule.Name):
		v.problem("%s has parts of its own in a policy; an entry here is for openid and for further issuers", rule.Name)
	case rule.AllowAll && narrowed:
		v.problem("says allowAll and names some: leave out one of the two")
	case !rule.AllowAll && !narrowed:
		v.problem("says nothing about who is admitted: give allowAll, groups, clients or scopes")
	}
	rule.Where = ruleName("providers", rule.Name)
	return rule
}

func readPath(v value) (rule PathRule) {
	v.object(fields{
		"match":   into(&rule.Match, readPattern),
		"methods": someInto(&rule.Methods, readMethod),
		"public":  into(&rule.Public, value.flag),
		"require": intoNew(&rule.Require, readRequire),
	}, "match")
	switch { // S-10
	case rule.Public && rule.Require != nil:
		v.problem("is both public and has require: leave out one of the two")
	case !rule.Public && rule.Require == nil:
		v.problem("has no effect: give it public or require")
	}
	rule.Where = ruleName("paths", rule.Match)
	return rule
}

// readRequire takes no empty list: whether it should admit everybody or nobody is anybody's guess.
func readRequire(v value) (require Require) {
	v.object(fields{
		"groups":        someInto(&require.Groups, readLine),
		"scopes":        someInto(&require.Scopes, readWord),
		"roles":         someInto(&require.Roles, readWord),
		"providers":     someInto(&require.Providers, readWord),
		"organizations": someInto(&require.Organizations, readOrganization),
		"kind":          into(&require.Kind, readKind),
		"level":         into(&require.Level, readLevel),
	})
	if len(v.node.Content) == 0 && v.isObject() {
		v.problem("requires nothing: name what is required, or leave the key out")
	}
	return require
}

func readKind(v value) string {
	kind := v.text()
	if kind != "" && kind != "user" && kind != "app" {
		v.problem("must be user or app")
	}
	return kind
}
