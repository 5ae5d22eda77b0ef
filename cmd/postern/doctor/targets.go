package doctor

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"postern/config"
	"postern/obo"
	"postern/oidc"
)

// maxTargets is how many routes of one provider are tried.
const maxTargets = 8

// targets finds out whether the provider has tokens for the targets of its routes, by the sidecar's own way to them. What is given is dropped.
func (e *examiner) targets(ctx context.Context, provider *oidc.Provider) []Finding {
	name := e.Name
	if e.Login {
		name = oidc.OpenID // as routes call it
	}
	routes := slices.DeleteFunc(slices.Clone(e.world.Config.Egress.Routes), func(r config.EgressRoute) bool { return r.Provider != name })
	auth, err := oidc.NewAuthenticator(e.Credentials, e.deps)
	if err != nil {
		return nil // told by the client's own check
	}
	once := 0
	tokens, err := obo.NewBroker([]obo.Provider{{
		Name: name, Endpoint: oidc.NewTokenEndpoint(provider, auth, e.deps), Credentials: e.Credentials, Deps: e.deps,
	}}, obo.Config{MaxRetries: &once}, obo.Deps{Now: e.world.Now})
	if err != nil {
		return nil
	}
	var found []Finding
	for _, route := range routes[:min(len(routes), maxTargets)] {
		check, request := "egress."+route.Name+".target", obo.Request{Provider: name, Target: route.Target}
		switch {
		case name == oidc.TokenX: // looks at the target, and at who may call it, before it looks at the user's token
			request.UserToken = madeUp
			_, err = tokens.Exchange(ctx, request)
		case route.As == "user" && name != oidc.EntraID:
			found = append(found, unchecked(check, "", "only a user's token tells whether the provider exchanges it for %s", route.Target))
			continue
		default:
			_, err = tokens.Machine(ctx, request)
		}
		found = append(found, judgeTarget(check, name, route, err))
	}
	return found
}

func judgeTarget(check, provider string, route config.EgressRoute, err error) Finding {
	refusal, refused := errors.AsType[*oidc.RefusalError](err)
	switch {
	case err != nil && !refused:
		return unchecked(check, adviseDial(err, "Run it again."), "the provider does not say whether it has tokens for %s: %v%s", route.Target, bare(err), explainDial(err))
	case refused && provider == oidc.TokenX && strings.Contains(refusal.Words, "subject_token"), !refused && (provider != oidc.EntraID || route.As != "user"):
		return ok(check, "the provider has tokens for %s", route.Target)
	case !refused, provider == oidc.EntraID && route.As == "user" && !unknownTarget(refusal.Code): // Entra ID looks at the user's token first
		return unchecked(check, "", "%s is known; only a user's token tells whether the provider exchanges it for that", route.Target)
	}
	advice := cmp.Or(obo.Explain(err).Body.Hint, "Check the route's target, and that its owner admits this app.")
	return problem(check, advice, "the provider gives no token for %s: %s", route.Target, says(refusal))
}

// unknownTarget knows how providers call one (RFC 6749 §5.2, RFC 8707 §2, and Entra ID).
func unknownTarget(code string) bool {
	return code == "invalid_scope" || code == "invalid_target" || code == "invalid_resource"
}
