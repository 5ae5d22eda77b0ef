package obo

import (
	"strings"
	"unicode"

	"postern/oidc"
)

// Request asks for one token.
type Request struct {
	Provider             string  // oidc.EntraID, oidc.TokenX, oidc.Maskinporten, oidc.IDPorten or oidc.OpenID
	Target               string  // for whom: a scope, an app or an API, as the provider calls it; not looked into
	Resource             *string // Maskinporten: audience of the token; nil: none
	AuthorizationDetails []byte  // Maskinporten: JSON list of objects (RFC 9396) in one canonical spelling; nil: none
	UserToken            string  // on whose behalf, for [Broker.Exchange]
	SkipCache            bool    // a token that is new

	User       string // whose UserToken is, for callers who know: a refusal counts for all their tokens then
	RefusalAge int64  // seconds for which a refusal of just this still counts; 0 means a few
}

// entraTarget is the scope that Entra ID knows an app of the platform by. "cluster:namespace:app" is how the platform's other providers and
// policies call it; every other text is taken as it is.
func entraTarget(target string) string {
	cluster, rest, _ := strings.Cut(target, ":")
	namespace, app, _ := strings.Cut(rest, ":")
	if cluster == "" || namespace == "" || app == "" || strings.ContainsRune(app, ':') ||
		strings.ContainsFunc(target, func(r rune) bool { return r == '/' || unicode.IsSpace(r) }) {
		return target
	}
	return "api://" + cluster + "." + namespace + "." + app + "/.default"
}

// normalized is the same request in the one spelling that is asked and cached.
func (r Request) normalized() Request {
	if r.Provider == oidc.EntraID {
		r.Target = entraTarget(r.Target)
	}
	return r
}
