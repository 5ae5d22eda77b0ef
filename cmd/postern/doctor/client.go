package doctor

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"

	"postern/oidc"
)

const (
	grantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantJWTBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"

	// Stands where a code, a token or a scope would be. Nobody can have been given it.
	madeUp = "postern-doctor-made-this-up"
)

// client tries the client's credential by a grant that gives nobody anything: what must be refused must be refused for what was made up, and
// not for who asks. Which grant that is depends on the order in which the provider looks at things.
func (e *examiner) client(ctx context.Context, provider *oidc.Provider, md *oidc.Metadata) []Finding {
	check := e.check("client")
	if e.Kind == oidc.IDPorten && !e.Login {
		return []Finding{unchecked(check, "", "nobody asks ID-porten for tokens here")}
	}
	if md.TokenEndpoint == "" {
		return []Finding{unchecked(check, "", "there is no token endpoint")}
	}
	auth, form, err := e.attempt(md)
	if err != nil {
		return []Finding{problem(check, "Give the whole private JWK with kty, alg and kid (JSON, as the platform made it), or the secret as it was issued.", "%v", err)}
	}
	if file := e.Credentials.FederatedTokenFile; file != "" && e.Credentials.JWK.Empty() && e.Credentials.Secret.Empty() {
		if _, err := os.Stat(file); err != nil {
			return []Finding{problem(check, "Mount the projected service account token there, or correct the path.", "the federated token cannot be read: %v", err)}
		}
	}
	_, err = oidc.NewTokenEndpoint(provider, auth, e.deps).Attempt(ctx, "try credential", form)
	return []Finding{e.judgeClient(check, err)}
}

// attempt is the grant and its credential.
func (e *examiner) attempt(md *oidc.Metadata) (oidc.Authenticator, url.Values, error) {
	if e.Kind == oidc.Maskinporten {
		grant, err := oidc.NewJWTGrant(e.Credentials, e.deps)
		if err != nil {
			return nil, nil, err
		}
		return grant.For(oidc.GrantClaims{Scope: madeUp}), url.Values{"grant_type": {grantJWTBearer}}, nil
	}
	auth, err := oidc.NewAuthenticator(e.Credentials, e.deps)
	switch {
	case err != nil:
		return nil, nil, err
	case e.Kind == oidc.TokenX: // who asks comes first there, then the token
		return auth, url.Values{
			"grant_type": {grantTokenExchange}, "audience": {e.Credentials.ClientID},
			"subject_token": {madeUp}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		}, nil
	case e.isEntra(md): // may look at a code before it looks at who brings it; a token of the app for itself shows all there is to see
		return auth, url.Values{"grant_type": {"client_credentials"}, "scope": {"api://" + e.Credentials.ClientID + "/.default"}}, nil
	}
	redirect := "https://postern.invalid/oauth2/callback"
	if all := e.world.Config.Front.Ingress; len(all) > 0 {
		redirect = callbackOf(all[0])
	}
	return auth, url.Values{
		"grant_type": {"authorization_code"}, "code": {madeUp}, "redirect_uri": {redirect}, "code_verifier": {strings.Repeat(madeUp, 2)},
	}, nil
}

func (e *examiner) isEntra(md *oidc.Metadata) bool {
	return e.Kind == oidc.EntraID || strings.HasPrefix(md.Issuer, "https://login.microsoftonline.com/")
}

func (e *examiner) judgeClient(check string, err error) Finding {
	refusal, refused := errors.AsType[*oidc.RefusalError](err)
	switch {
	case err == nil:
		return ok(check, "the credential of client %s is accepted", e.Credentials.ClientID)
	case !refused && errors.Is(err, oidc.ErrCredential):
		return problem(check, "Look at the key, the secret or the federated token file.", "%v", bare(err))
	case !refused:
		return e.judgeTrouble(check, err)
	case e.refusesClient(refusal):
		return problem(check, e.clientAdvice(refusal), "client %s is refused: %s", e.Credentials.ClientID, says(refusal))
	case e.acceptsClient(refusal):
		return ok(check, "the credential of client %s is accepted (%s for what was made up)", e.Credentials.ClientID, refusal.Code)
	}
	return warning(check, "Compare it with the provider's list of errors; it may be that the client lacks a grant or a scope.",
		"it cannot be told whether client %s is accepted: %s", e.Credentials.ClientID, says(refusal))
}

func (e *examiner) judgeTrouble(check string, err error) Finding {
	trouble, is := errors.AsType[*oidc.TroubleError](err)
	if is && trouble.Malformed && trouble.Status != 0 {
		return problem(check, "Some proxy or web page answers at the token endpoint: check its address.", "the token endpoint answers %d and no OAuth error", trouble.Status)
	}
	return problem(check, adviseDial(err, "Check the way to the token endpoint (DNS, NetworkPolicy, HTTPS_PROXY), and the provider's status page."),
		"the token endpoint is in trouble: %v%s", bare(err), explainDial(err))
}

// refusesClient says whether a refusal is about who asks.
func (e *examiner) refusesClient(r *oidc.RefusalError) bool {
	switch r.Code {
	case "invalid_client", "unauthorized_client":
		return true
	case "invalid_grant":
		// The grant of Maskinporten is the credential. What was made up in it is the scope, so a refused grant is a refused client.
		return e.Kind == oidc.Maskinporten
	}
	if e.Kind == oidc.TokenX && strings.HasPrefix(r.Words, "token verification failed") { // of the assertion; that of a subject token says so
		return true
	}
	return strings.Contains(r.Words, "AADSTS70021") // no federated credential fits; sometimes called invalid_request
}

// acceptsClient says whether a refusal is about what was made up.
func (e *examiner) acceptsClient(r *oidc.RefusalError) bool {
	switch e.Kind {
	case oidc.Maskinporten:
		return r.Code == "invalid_scope"
	case oidc.TokenX:
		return r.Code == "invalid_grant" || r.Code == "invalid_request" && afterTokenXClient(r.Words)
	}
	return r.Code == "invalid_grant" || r.Code == "invalid_scope" || r.Code == "invalid_resource"
}

// afterTokenXClient knows the words for what TokenX looks at once it knows who asks: audience, permission, token.
func afterTokenXClient(words string) bool {
	return !strings.HasPrefix(words, "Parameter") &&
		(strings.Contains(words, "subject_token") || strings.Contains(words, "audience") || strings.Contains(words, "is not authorized to get token"))
}

// says is what the provider says, without anything of ours.
func says(r *oidc.RefusalError) string {
	if r.Description == "" {
		return r.Code
	}
	return r.Code + ": " + r.Description
}

const noFederation = "No federated credential fits: issuer, subject (system:serviceaccount:<namespace>:<name>) and audience must be equal; a new one takes minutes."

// hasNumber looks for a whole number: AADSTS700021 is not in AADSTS7000215.
func hasNumber(words, number string) bool {
	_, after, found := strings.Cut(words, number)
	return found && (after == "" || after[0] < '0' || after[0] > '9')
}

// clientAdvice knows the numbers of Entra ID and Maskinporten.
func (e *examiner) clientAdvice(r *oidc.RefusalError) string {
	for _, known := range []struct{ number, advice string }{
		{"AADSTS7000215", "The secret is wrong; it must be the secret's value and not its id. Rotate the credential."},
		{"AADSTS7000222", "The secret has expired: make a new one and roll it out."},
		{"AADSTS700027", "The key is not registered with the app, or its certificate has expired: rotate the credential, and wait until it is everywhere."},
		{"AADSTS50012", "The assertion's signature or time is not accepted: check the key's registration, and the clock."},
		{"AADSTS700023", "The assertion's audience is not accepted: use the metadata of the tenant's own v2.0 endpoint."},
		{"AADSTS70021", noFederation},
		{"AADSTS700211", noFederation},
		{"AADSTS700212", noFederation},
		{"AADSTS700213", noFederation},
		{"AADSTS700016", "The app is not known in this tenant: check client id and tenant."},
		{"AADSTS700021", "The assertion is made for another client: check client id and federated credential."},
		{"AADSTS700024", "The assertion's times are not accepted: set this machine's clock."},
		{"AADSTS90002", "The tenant is not known: check the GUID in the address of the metadata."},
		{"AADSTS7000112", "The app is switched off in this tenant."},
		{"MP-100", "The client id is not known at Maskinporten: check MASKINPORTEN_CLIENT_ID and whether this is its test or production environment."},
		{"MP-110", "The grant's audience is not accepted: the issuer must be exactly Maskinporten's, with its slash."},
		{"MP-121", "The key has expired at Maskinporten: register a new one."},
		{"MP-124", "The key is not registered for this client: compare its kid with the keys of the client."},
		{"MP-130", "The grant's times are not accepted: Maskinporten bears about 10 s. Set this machine's clock."},
	} {
		if hasNumber(r.Words, known.number) {
			return known.advice
		}
	}
	switch {
	case r.Code == "unauthorized_client":
		return "The provider knows the client, but not for this grant: check its registration."
	case !e.Credentials.JWK.Empty():
		return "Check the client id, and that the public half of the configured key (same kid) is registered for it, at this very provider."
	case !e.Credentials.Secret.Empty():
		return "Check client id and secret: the secret may have been rotated, or belong to another environment."
	}
	return "Check the client id, and the federated credential at the provider."
}
