package oidc

import "testing"

func TestExchangesOnlyWhatTheProviderKnows(t *testing.T) {
	t.Parallel()
	want := map[[2]string]bool{
		{EntraID, EntraID}: true, {OpenID, OpenID}: true, {TokenX, TokenX}: true, {TokenX, IDPorten}: true,
	}
	all := []string{EntraID, TokenX, Maskinporten, IDPorten, OpenID, "partner", ""}
	for _, provider := range all {
		for _, tokenOf := range all {
			if got := Exchanges(provider, tokenOf); got != want[[2]string{provider, tokenOf}] {
				t.Errorf("%q takes tokens of %q: %v", provider, tokenOf, got)
			}
		}
	}
}
