package main

import (
	"fmt"

	"postern/cmd/postern/demoapp"
	"postern/oidc"
	"postern/oidc/devidp"
)

// The web app, as the provider and the API know it.
const (
	demoWeb     = "5f1d7c1e-8f0a-4d53-9d0c-6a1f0f7f3b10"
	demoWebName = "demo:postern:web"
)

// demoPayroll is an API that no app may call on behalf of anybody: it exists at the provider alone, and nobody gets further than there.
const demoPayroll = "demo:shop:payroll"

// demoClients are the apps that the test provider knows: the web app, and the APIs that it asks tokens for. Only one of these has listed it.
func demoClients(web devidp.ClientConfig) []devidp.ClientConfig {
	return []devidp.ClientConfig{
		web,
		{ID: demoAPI.entra, Name: demoAPI.tokenX, PreAuthorized: []string{web.Name}, Scopes: []string{"defaultaccess", "orders.write"}},
		{ID: "c5d10000-0000-4000-8000-00000000a003", Name: demoPayroll},
	}
}

// demoRoutes is the option egress.routes of the web app's Postern.
func demoRoutes(world demoWorld) string {
	return fmt.Sprintf(`
- {name: orders, url: "%[1]s", provider: entra_id, target: %[2]q}
- {name: payroll, url: "%[1]s", provider: entra_id, target: %[3]q}`,
		localhost(world.apiFront), demoAPI.tokenX, demoPayroll)
}

// demoOnBehalf is what the web app is told about the APIs that it calls.
func demoOnBehalf(world demoWorld) *demoapp.OnBehalf {
	return &demoapp.OnBehalf{
		TokenAPI: "http://" + bind(world.tokens), Egress: "http://" + bind(world.egress), Provider: oidc.EntraID,
		APIs: []demoapp.DownstreamAPI{
			{
				ID: "orders", Name: "orders API", About: "has listed this app, and its policy admits caseworkers.",
				Target: demoAPI.tokenX, Base: localhost(world.apiFront), Path: "/whoami", Route: "orders",
			},
			{
				ID: "payroll", Name: "payroll API", About: "has not listed this app, so the provider refuses.",
				Target: demoPayroll, Base: localhost(world.apiFront), Path: "/salaries", Route: "payroll",
			},
		},
	}
}
