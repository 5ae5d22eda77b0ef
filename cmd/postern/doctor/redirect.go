package doctor

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"postern/oidc"
)

// maxRedirects is how many ingresses are tried.
const maxRedirects = 8

func callbackOf(ingress *url.URL) string {
	return strings.TrimSuffix(ingress.String(), "/") + "/oauth2/callback"
}

// redirect finds out whether the provider would send people back, without a login: by a pushed request that nobody ever uses (RFC 9126), else by
// a request with prompt=none and no cookie, which a provider answers at the redirect URI if it knows that, and else with a page (OIDC Core §3.1.2.6).
func (e *examiner) redirect(ctx context.Context, provider *oidc.Provider, md *oidc.Metadata) []Finding {
	check := e.check("redirect")
	client, err := oidc.NewClient(e.world.Config.OpenID, provider, e.deps)
	if err != nil {
		return []Finding{unchecked(check, "", "the client cannot be used")}
	}
	if md.AuthorizationEndpoint == "" {
		return []Finding{unchecked(check, "", "there is no authorization endpoint")}
	}
	var found []Finding
	all := e.world.Config.Front.Ingress
	for _, ingress := range all[:min(len(all), maxRedirects)] {
		uri := callbackOf(ingress)
		_, address, err := client.Authorize(ctx, oidc.AuthorizationRequest{RedirectURI: uri})
		switch {
		case err != nil:
			found = append(found, refusedPush(check, uri, err))
		case md.PushedAuthorizationRequestEndpoint != "":
			found = append(found, ok(check, "%s is accepted (by a pushed request)", uri))
		default:
			found = append(found, e.silently(ctx, check, uri, address))
		}
	}
	return found
}

const registerRedirect = "Register exactly this address as a redirect URI of the client at the provider."

func refusedPush(check, uri string, err error) Finding {
	refusal, refused := errors.AsType[*oidc.RefusalError](err)
	switch {
	case !refused:
		return unchecked(check, adviseDial(err, "Check the way to the provider."), "the authorization request cannot be pushed: %v%s", bare(err), explainDial(err))
	case refusal.Code == "invalid_client" || refusal.Code == "unauthorized_client":
		return unchecked(check, "", "the provider refuses the client before it looks at %s", uri)
	case refusal.Code == "invalid_scope":
		return problem(check, "Take scopes out of openid.scopes that the client may not have.", "a login would be refused: %s", says(refusal))
	}
	return problem(check, registerRedirect+" If it is there, what the provider says tells what else it does not like.", "%s is refused: %s", uri, says(refusal))
}

// silently asks the authorization endpoint for a login without a page.
func (e *examiner) silently(ctx context.Context, check, uri, address string) Finding {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"&prompt=none", nil)
	if err != nil {
		return unchecked(check, "", "the authorization endpoint is no address")
	}
	response, err := e.deps.HTTP.Do(request)
	if err != nil {
		return unchecked(check, adviseDial(err, "People's browsers may reach it all the same."), "the authorization endpoint does not answer here: %v%s", bare(err), explainDial(err))
	}
	defer response.Body.Close()
	if to, err := response.Location(); err == nil && response.StatusCode >= 300 && response.StatusCode < 400 {
		return answeredAt(check, uri, to)
	}
	page, _ := io.ReadAll(io.LimitReader(response.Body, 256<<10))
	if strings.Contains(string(page), "AADSTS50011") || response.StatusCode >= 400 && response.StatusCode < 500 {
		return problem(check, registerRedirect, "%s is refused: the provider answers %d with a page of its own instead of a redirect", uri, response.StatusCode)
	}
	return unchecked(check, registerRedirect, "the provider does not say without a login whether it knows %s (status %d)", uri, response.StatusCode)
}

// answeredAt judges where the answer went.
func answeredAt(check, uri string, to *url.URL) Finding {
	own, err := url.Parse(uri)
	if err != nil || to.Scheme != own.Scheme || to.Host != own.Host || to.Path != own.Path {
		return unchecked(check, registerRedirect, "the provider goes on at %s, so it cannot be told without a login whether it knows %s", to.Host, uri)
	}
	switch code := to.Query().Get("error"); code {
	case "invalid_scope":
		return problem(check, "Take scopes out of openid.scopes that the client may not have.", "a login would be refused: %s", code)
	case "unauthorized_client", "invalid_request", "unsupported_response_type", "access_denied":
		return problem(check, "Look at the client's registration: the authorization code flow with PKCE must be allowed.", "a login would be refused: %s", code)
	}
	return ok(check, "%s is accepted", uri)
}
