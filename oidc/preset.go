package oidc

import (
	"fmt"
	"slices"

	"postern/config"
)

// preset is what is particular to a kind of login provider.
type preset struct {
	name             string // X-Postern-Provider
	scopes           []string
	acr, locale      string // defaults
	authTimeOptional bool   // auth_time is only sent by providers that were set up for it
	grants           bool   // its access tokens can say something about the person (S-18, S-19)
}

// LoginProviderName is the name of a login provider wherever it is shown: "openid", "entra_id" or "idporten".
func LoginProviderName(cfg config.OpenID) string {
	kind, err := presetFor(cfg)
	if err != nil {
		return OpenID // NewClient reports it
	}
	return kind.name
}

func presetFor(cfg config.OpenID) (preset, error) {
	switch cfg.Provider {
	case "", "openid":
		return preset{name: OpenID, scopes: []string{"openid"}, grants: true}, nil
	case "azure":
		// The scope of the app itself makes the access token one for this app, and not for Graph.
		return preset{
			name: EntraID, scopes: []string{"openid", "api://" + cfg.ClientID + "/.default", "offline_access"},
			authTimeOptional: true, grants: true,
		}, nil
	case "idporten":
		return preset{name: IDPorten, scopes: []string{"openid"}, acr: "idporten-loa-high", locale: "nb"}, nil
	}
	return preset{}, fmt.Errorf("provider %q is not one of openid, azure, idporten", cfg.Provider)
}

// LoginScopes are the scopes that a login asks for: those of the kind of provider, then the configured ones.
func LoginScopes(cfg config.OpenID) []string {
	kind, _ := presetFor(cfg) // of an unknown provider nothing is preset, and NewClient reports it
	var scopes []string
	for _, scope := range slices.Concat(kind.scopes, cfg.Scopes) {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}
