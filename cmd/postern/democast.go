package main

import (
	"postern/cmd/postern/demoapp"
	"postern/config"
	"postern/oidc/devidp"
)

// demoAPI is under which names the API is known to the providers. The policy calls the same app demo:shop:orders-api.
var demoAPI = struct{ entra, tokenX, maskinporten, idporten, idportenClient string }{
	entra:          "0d9e6b52-6f0c-4f5e-8a35-2a1b9c4d7e20",
	tokenX:         "demo:shop:orders-api",
	maskinporten:   "c5d10000-0000-4000-8000-00000000a001",
	idporten:       "https://orders.demo.example",
	idportenClient: "c5d10000-0000-4000-8000-00000000a002",
}

// Programs that call the API, by their client ids at Entra ID.
const (
	demoWarehouse = "c5d10000-0000-4000-8000-00000000c001"
	demoCasework  = "c5d10000-0000-4000-8000-00000000c002"
	demoStranger  = "c5d10000-0000-4000-8000-00000000c003"
)

// demoKnownApps is AZURE_APP_PRE_AUTHORIZED_APPS: the platform's word for which client id is which program.
func demoKnownApps() []config.PreAuthorized {
	return []config.PreAuthorized{
		{Name: "demo:shop:warehouse", ClientID: demoWarehouse},
		{Name: "demo:shop:casework", ClientID: demoCasework},
		{Name: demoWebName, ClientID: demoWeb},
	}
}

// demoCaller is one of the cast, with the order for its token. Nobody has none.
type demoCaller struct {
	demoapp.TryCaller
	token *devidp.MintRequest
}

// demoCast is everybody who can call the API from the page /try, in the order of the page.
func demoCast() []demoCaller {
	const programs, employees, citizens = "Programs, by Entra ID", "Employees, by Entra ID", "Citizens, by TokenX"
	const organisations, worthless = "Organisations, by Maskinporten", "Tokens that prove nothing"
	as := func(group, id, name, about string, token *devidp.MintRequest) demoCaller {
		return demoCaller{demoapp.TryCaller{ID: id, Group: group, Name: name, About: about}, token}
	}
	hour := 60 * 60
	expired := demoAppToken(demoWarehouse, "demo:shop:warehouse", "access_as_application", "orders.write")
	expired.ExpIn, expired.IatIn, expired.NbfIn = new(-hour), new(-2*hour), new(-2*hour)
	forged := demoAppToken(demoWarehouse, "demo:shop:warehouse", "access_as_application", "orders.write")
	forged.BadSignature = true
	return []demoCaller{
		as(programs, "warehouse", "The warehouse", "Is in the policy. Its token also holds the role stats.read, which the policy does not grant it.",
			demoAppToken(demoWarehouse, "demo:shop:warehouse", "access_as_application", "orders.write", "stats.read")),
		as(programs, "stranger", "A stranger", "Has a genuine token for this API, as any program of the organisation can get one. No rule names it.",
			demoAppToken(demoStranger, "demo:elsewhere:newsletter")),

		as(employees, "caseworker", "Kari, caseworker", "Calls through the casework program.", demoEmployeeToken("kari")),
		as(employees, "wrong-group", "Siri, administrator", "Comes the same way, and is no caseworker.", demoEmployeeToken("siri")),
		as(employees, "many-groups", "Anna, in 250 groups", "So many that the token does not list them.", demoEmployeeToken("anna")),

		as(citizens, "citizen", "Turid, with BankID", "Logged in to My page, at the level that is asked for.", demoCitizenToken(devidp.LevelHigh)),
		as(citizens, "low-level", "Turid, with MinID", "The same person, logged in at a level below.", demoCitizenToken(devidp.LevelSubstantial)),

		as(organisations, "consumer", "312 000 008", "Is listed as a consumer of the scope.", demoOrganisationToken("312000008")),
		as(organisations, "other-consumer", "312 000 016", "Has the scope too, and is not listed.", demoOrganisationToken("312000016")),

		as(worthless, "id-token", "An id token", "Kari's receipt for a login, used as if it were a key.", &devidp.MintRequest{
			Profile: devidp.MintEntraIDToken, Persona: "kari", Claims: map[string]any{"aud": demoAPI.entra},
		}),
		as(worthless, "expired", "An expired token", "The warehouse's, of two hours ago.", expired),
		as(worthless, "forged", "A forged token", "Says all the right things, and the signature does not fit.", forged),
		as(worthless, "other-service", "Another service's token", "A citizen logged in elsewhere, and that service asked ID-porten for a token for this API.",
			&devidp.MintRequest{Profile: devidp.MintIDPorten, Persona: "turid", Claims: map[string]any{
				"aud": demoAPI.idporten, "client_id": "c5d10000-0000-4000-8000-00000000d001", "acr": devidp.LevelHigh,
			}}),

		as("Nobody", "nobody", "Nobody", "No token at all.", nil),
	}
}

func demoAppToken(client, name string, roles ...string) *devidp.MintRequest {
	claims := map[string]any{"aud": demoAPI.entra, "azp": client, "azp_name": name, "roles": roles}
	if roles == nil {
		claims["roles"] = nil // as Entra ID does for a program that was granted none
	}
	return &devidp.MintRequest{Profile: devidp.MintEntraApp, Claims: claims}
}

// demoEmployeeToken is what a program gets for somebody who is logged in to it (on behalf of).
func demoEmployeeToken(who string) *devidp.MintRequest {
	return &devidp.MintRequest{Profile: devidp.MintEntraUser, Persona: who, Claims: map[string]any{
		"aud": demoAPI.entra, "azp": demoCasework, "azp_name": "demo:shop:casework", "scp": "defaultaccess orders.write",
	}}
}

func demoCitizenToken(level string) *devidp.MintRequest {
	return &devidp.MintRequest{Profile: devidp.MintTokenX, Persona: "turid", Claims: map[string]any{
		"aud": demoAPI.tokenX, "client_id": "demo:citizens:my-page", "acr": level,
	}}
}

func demoOrganisationToken(number string) *devidp.MintRequest {
	return &devidp.MintRequest{Profile: devidp.MintMaskinporten, Claims: map[string]any{
		"scope": "demo:orders.read", "consumer": map[string]any{"authority": "iso6523-actorid-upis", "ID": "0192:" + number},
	}}
}

// demoRequests is what can be asked for on the page /try.
func demoRequests() []demoapp.TryRequest {
	return []demoapp.TryRequest{
		{ID: "list", Method: "GET", Path: "/orders", About: "Read the orders"},
		{ID: "order", Method: "POST", Path: "/orders", About: "Order something"},
		{ID: "stats", Method: "GET", Path: "/admin/stats", About: "Read the figures"},
		{ID: "alive", Method: "GET", Path: "/isalive", About: "Open to everybody"},
		{ID: "delete", Method: "DELETE", Path: "/orders/1", About: "Named by no rule"},
	}
}
