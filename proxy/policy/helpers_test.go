package policy

import (
	"fmt"
	"testing"

	"postern/oidc"
)

const (
	adminGroup = "8f0bd3b2-9d3d-4f27-8543-5938db3e6a3e"
	staffGroup = "43451d82-19cd-4828-918d-cbf7d5b572ec"
)

func mustCompile(tb testing.TB, doc *Document, s Settings) *Policy {
	tb.Helper()
	p, _, err := compile(doc, s)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func mustRead(tb testing.TB, raw string) Path {
	tb.Helper()
	path, err := Read(raw)
	if err != nil {
		tb.Fatalf("%q: %v", raw, err)
	}
	return path
}

// ask is the decision on a request, which the explanation must share.
func ask(tb testing.TB, p *Policy, method, path string, c *oidc.Caller) Decision {
	tb.Helper()
	r := Request{Path: mustRead(tb, path), Method: method}
	route := p.Route(r)
	d := p.Decide(&route, c)
	if e := p.Explain(r, c); e.Decision != d {
		tb.Fatalf("%s %s: decided %+v, explained %+v", method, path, d, e.Decision)
	}
	return d
}

func manyGroups(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("8f0bd3b2-9d3d-4f27-8543-%012x", i))
	}
	return all
}

// narrowed and public are path rules as short as tests want them.
func narrowed(match string, q Require, methods ...string) PathRule {
	return PathRule{Where: fmt.Sprintf("paths %q", match), Match: match, Methods: methods, Require: &q}
}

func public(match string, methods ...string) PathRule {
	return PathRule{Where: fmt.Sprintf("paths %q", match), Match: match, Methods: methods, Public: true}
}
