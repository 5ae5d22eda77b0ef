package oidc

// Exchanges says whether a provider takes a user's token of another one, to give a token for the next hop on behalf of that user: its own, and
// TokenX those of ID-porten too. Nobody else's is ever sent there.
func Exchanges(provider, tokenOf string) bool {
	switch provider {
	case EntraID, OpenID:
		return tokenOf == provider
	case TokenX:
		return tokenOf == TokenX || tokenOf == IDPorten
	}
	return false
}
