package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The access policy of the Postern that bearer callers meet: that of a large app, so that what is measured includes finding the rules.
const (
	policyPaths = 200
	policyApps  = 50

	roleOfApps = "access_as_application" // every app token has it
	roleOfRead = "notes.read"            // what the measured paths ask for
)

// appName and appID are an application that the platform knows, as AZURE_APP_PRE_AUTHORIZED_APPS has it.
func appName(n int) string { return fmt.Sprintf("app-%d", n) }
func appID(n int) string   { return fmt.Sprintf("0a1b2c3d-0000-4000-8000-%012d", n) }

// One application calls, so that all tokens make the same headers; another one is known and has no rule.
const (
	callingApp = policyApps - 1
	strangeApp = policyApps
)

// policyText is a policy of postern's own format.
func policyText() string {
	var b strings.Builder
	b.WriteString("apiVersion: postern/v1\napp: {cluster: bench, namespace: team, name: notes}\ninbound:\n  rules:\n")
	for n := range policyApps {
		_, _ = fmt.Fprintf(&b, "    - {application: %s, permissions: {roles: [%s]}}\n", appName(n), roleOfRead)
	}
	b.WriteString("paths:\n")
	own := []string{pathSmall, pathLarge, pathHeaders}
	for _, path := range own {
		_, _ = fmt.Fprintf(&b, "  - {match: %q, methods: [GET], require: {roles: [%s]}}\n", path, roleOfRead)
	}
	for n := range policyPaths - len(own) {
		switch n % 4 {
		case 0:
			_, _ = fmt.Fprintf(&b, "  - {match: \"/area-%d/**\", require: {kind: app}}\n", n)
		case 1:
			_, _ = fmt.Fprintf(&b, "  - {match: \"/area-%d/*/notes\", methods: [GET, POST], require: {roles: [%s]}}\n", n, roleOfRead)
		case 2:
			_, _ = fmt.Fprintf(&b, "  - {match: \"/area-%d/**/admin\", require: {groups: [8f0bd3b2-9d3d-4f27-8543-5938db3e6a3e]}}\n", n)
		default:
			_, _ = fmt.Fprintf(&b, "  - {match: \"/area-%d/isalive\", public: true}\n", n)
		}
	}
	return b.String()
}

// preAuthorizedApps is the value of AZURE_APP_PRE_AUTHORIZED_APPS.
func preAuthorizedApps() (string, error) {
	type known struct {
		Name     string `json:"name"`
		ClientID string `json:"clientId"`
	}
	var all []known
	for n := range policyApps + 1 {
		all = append(all, known{"bench:team:" + appName(n), appID(n)})
	}
	text, err := json.Marshal(all)
	return string(text), err
}
