package policy

import (
	"cmp"
	"strconv"
	"strings"
)

// assembly is a policy while its parts are found in files and documents.
type assembly struct {
	notes
	doc   Document
	app   App              // as far as files name it
	given map[string]value // the parts, and where
	rules []callerRule
}

// callerRule is an inbound rule before the app is known, from which it may take namespace and cluster.
type callerRule struct {
	at   value
	rule InboundRule
}

// part reads one part of the policy. Each may be given once over all files (S-25).
func (a *assembly) part(name string, read func(value)) func(value) {
	return func(v value) {
		if first, ok := a.given[name]; ok {
			v.problem("%s is already given at %s; it may be given once", name, first.place())
		} else {
			a.given[name] = v
		}
		read(v)
	}
}

// nameApp notes what a document says about the app. Any manifest names its app, so of all parts this one may be given again, if it agrees.
func (a *assembly) nameApp(v value, app App) {
	first, again := a.given["app"]
	if !again {
		a.given["app"] = v
	}
	agree := func(member string, have *string, is string) {
		if *have != "" && is != "" && *have != is {
			v.problem("the app's %s is %q here, but %q at %s", member, is, *have, first.place())
		}
		*have = cmp.Or(*have, is)
	}
	agree("cluster", &a.app.Cluster, app.Cluster)
	agree("namespace", &a.app.Namespace, app.Namespace)
	agree("name", &a.app.Name, app.Name)
}

// settleApp completes the app's name by the cluster, and compares what there is of it with the one by which TokenX knows this app.
func (a *assembly) settleApp(cluster, tokenXClientID string) {
	at, named := a.given["app"]
	if !named {
		return
	}
	if a.app.Cluster != "" && cluster != "" && a.app.Cluster != cluster {
		at.warn("the app's cluster is %q here, but NAIS_CLUSTER_NAME is %q; the policy's counts", a.app.Cluster, cluster)
	}
	app := a.app
	app.Cluster = cmp.Or(app.Cluster, cluster)
	if parts := strings.Split(tokenXClientID, ":"); len(parts) == 3 {
		known := App{parts[0], parts[1], parts[2]}
		if whole := (App{cmp.Or(app.Cluster, known.Cluster), cmp.Or(app.Namespace, known.Namespace), cmp.Or(app.Name, known.Name)}); whole != known {
			at.problem("the policy is for %q, but TOKEN_X_CLIENT_ID is %q", whole, tokenXClientID)
		}
	}
	if app.Name != "" {
		a.doc.App = app
	}
}

// settleRules completes the callers' names by those of the app. Wildcards open networks and name no caller (tokens.md 6.1).
func (a *assembly) settleRules(cluster string) {
	cluster = cmp.Or(a.app.Cluster, cluster)
	for _, r := range a.rules {
		app := &r.rule.App
		if strings.Contains(app.Cluster+app.Namespace+app.Name, "*") {
			r.at.warn("admits nobody: a wildcard opens the network, but no token is issued to one")
			continue
		}
		app.Namespace = cmp.Or(app.Namespace, a.app.Namespace)
		app.Cluster = cmp.Or(app.Cluster, cluster)
		if app.Namespace == "" {
			r.at.problem("namespace is missing, and nothing says the app's own: give it here or in app.namespace")
		}
		if app.Cluster == "" {
			r.at.problem("cluster is missing, and nothing says the app's own: give it here or in app.cluster, or set NAIS_CLUSTER_NAME")
		}
		r.rule.Where = ruleName("inbound.rules", app.String())
		a.doc.Rules = append(a.doc.Rules, r.rule)
	}
}

// readInbound reads the callers, which both formats write alike.
func (a *assembly) readInbound(v value) {
	rules := func(v value) {
		v.list(func(v value) { a.rules = append(a.rules, callerRule{v, readInboundRule(v)}) })
	}
	v.object(fields{"rules": rules}, "rules")
}

func readInboundRule(v value) (rule InboundRule) {
	permissions := func(v value) {
		v.object(fields{"scopes": eachInto(&rule.Scopes, readWord), "roles": eachInto(&rule.Roles, readWord)})
	}
	v.object(fields{
		"application": into(&rule.App.Name, readAppName),
		"namespace":   into(&rule.App.Namespace, readAppName),
		"cluster":     into(&rule.App.Cluster, readAppName),
		"permissions": permissions,
	}, "application")
	return rule
}

// ruleName is how reasons name a rule: `paths "/admin/**"`.
func ruleName(list, rule string) string { return list + " " + strconv.Quote(rule) }
