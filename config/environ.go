package config

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	ownPrefix        = "POSTERN_"
	wonderwallPrefix = "WONDERWALL_"
)

// environment is variables by name.
type environment map[string]string

func environmentOf(pairs []string) environment {
	env := environment{}
	for _, pair := range pairs {
		if name, value, ok := strings.Cut(pair, "="); ok && name != "" {
			env[name] = value
		}
	}
	return env
}

// names are sorted, so that warnings come in the same order each time.
func (e environment) names() []string {
	out := make([]string, 0, len(e))
	for name := range e {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// readEnvironment offers POSTERN_* and WONDERWALL_*. A POSTERN_ variable that is set but empty says "empty"; for wonderwall such a variable
// does not exist, so it does not here either.
func (l *loader) readEnvironment() {
	own, wonderwall := map[string]*option{}, map[string]*option{}
	for _, o := range l.options {
		if o.variable {
			continue
		}
		own[ownPrefix+environmentName(o.name)] = o
		if o.wonderwall {
			wonderwall[wonderwallPrefix+environmentName(o.name)] = o
		}
	}
	for _, name := range l.env.names() {
		value := l.env[name]
		switch {
		case serviceLink(name, value):
		case strings.HasPrefix(name, ownPrefix):
			if o, ok := own[name]; ok {
				l.offerText(o, value, origin{rank: byEnvironment, label: "environment variable " + name})
			} else if name != "POSTERN_EGRESS_URL" { // ours, but meant for the app (contract 9)
				l.unknownVariable(name, own)
			}
		case strings.HasPrefix(name, wonderwallPrefix):
			if o, ok := wonderwall[name]; !ok {
				l.unknownVariable(name, wonderwall)
			} else if value != "" {
				l.offerText(o, value, origin{rank: byWonderwall, label: "environment variable " + name})
			}
		}
	}
}

func (l *loader) unknownVariable(name string, known map[string]*option) {
	if len(name) > 100 {
		name = name[:100]
	}
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, n)
	}
	slices.Sort(names)
	if near, ok := Nearest(name, names); ok {
		l.warn(oneLine(name), "unknown environment variable; nearest: %s", near)
		return
	}
	l.warn(oneLine(name), "unknown environment variable")
}

// serviceLink recognises what Kubernetes sets for a Service called postern, postern-something or wonderwall. One that happens to have an
// option's name (POSTERN_UPSTREAM_PORT, for a Service called postern-upstream) is told by its value.
func serviceLink(name, value string) bool {
	if !strings.HasPrefix(name, ownPrefix) && !strings.HasPrefix(name, wonderwallPrefix) {
		return false
	}
	if strings.HasSuffix(name, "_PORT") && serviceAddress().MatchString(value) {
		return true
	}
	return (strings.Contains(name, "_SERVICE_") || strings.Contains(name, "_PORT_")) && serviceName().MatchString(name)
}

// They are compiled for an environment that has such a variable.
var (
	serviceAddress = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(tcp|udp|sctp)://[0-9a-fA-F.:\[\]]+$`) })
	serviceName    = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(POSTERN|WONDERWALL)(_[A-Z0-9_]+)?` +
			`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_ADDR|_PORT|_PROTO)?)$`)
	})
)
