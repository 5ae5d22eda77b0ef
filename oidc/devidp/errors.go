package devidp

import (
	"cmp"
	"fmt"
	"net/http"
)

// oauthError is a refusal as Entra ID words it.
type oauthError struct {
	status   int
	code     string // RFC 6749 §5.2 and §4.1.2.1
	aadsts   int
	text     string
	suberror string
	claims   string
}

func (e *oauthError) Error() string { return fmt.Sprintf("%s (AADSTS%d)", e.code, e.aadsts) }

// describe is the text as the issuer words it, without the trace, which is added where it is written.
func (s site) describe(e *oauthError) string {
	if !s.at.numbered {
		return e.text
	}
	return fmt.Sprintf("AADSTS%d: %s", e.aadsts, e.text)
}

type entry struct {
	status int
	code   string
	text   string
}

// catalogue is the codes that are given here, and those that a test may want to provoke. Never changed.
var catalogue = map[int]entry{
	16000:   {400, "interaction_required", "Select another user account; the session has none that fits the request."},
	28000:   {400, "invalid_request", "The scope is not valid because it contains more than one resource."},
	50011:   {400, "invalid_request", "The redirect URI specified in the request does not match the redirect URIs configured for the application."},
	50012:   {401, "invalid_client", "Authentication failed: the client assertion has no 'jti', or one that was used before."},
	50013:   {400, "invalid_grant", "The assertion is invalid: its signature or its issuer is not one of this tenant."},
	50027:   {401, "invalid_client", "JWT token is invalid or malformed."},
	50033:   {503, "temporarily_unavailable", "A retryable error has occurred. Please try again later."},
	50058:   {400, "login_required", "Session information is not sufficient for single-sign-on."},
	50072:   {400, "interaction_required", "Due to a configuration change made by your administrator, you must enroll in multi-factor authentication."},
	50074:   {400, "interaction_required", "Strong authentication is required."},
	50076:   {400, "interaction_required", "Due to a configuration change made by your administrator, you must use multi-factor authentication."},
	50078:   {400, "interaction_required", "Presented multi-factor authentication has expired due to policies configured by your administrator."},
	50079:   {400, "interaction_required", "Due to a configuration change made by your administrator, you must enroll in multi-factor authentication."},
	50089:   {400, "invalid_grant", "Authentication failed due to the flow token having expired."},
	50105:   {400, "access_denied", "The signed in user is not assigned to a role for the application."},
	50158:   {400, "interaction_required", "External security challenge was not satisfied."},
	50173:   {400, "invalid_grant", "The provided grant has expired due to it being revoked, a fresh auth token is needed."},
	50196:   {400, "invalid_grant", "The server terminated an operation because it encountered a client request loop."},
	53000:   {400, "interaction_required", "Device is not in the required state: it must be compliant."},
	53001:   {400, "interaction_required", "Device is not in the required state: it must be joined to the domain."},
	53002:   {400, "interaction_required", "The app that was used is not approved for conditional access."},
	53003:   {400, "interaction_required", "Access has been blocked by Conditional Access policies."},
	54005:   {400, "invalid_grant", "OAuth2 Authorization code was already redeemed."},
	65001:   {400, "invalid_grant", "The user or administrator has not consented to use the application."},
	65004:   {400, "access_denied", "User declined to consent to access the app."},
	70000:   {400, "invalid_grant", "The provided grant is invalid: it is unknown here, or was given to another client."},
	70003:   {400, "unsupported_grant_type", "The app requested an unsupported grant type."},
	70007:   {400, "invalid_request", "The value of 'response_mode' is not supported when requesting a code."},
	70008:   {400, "invalid_grant", "The provided authorization code or refresh token has expired."},
	70011:   {400, "invalid_scope", "The provided value for the input parameter 'scope' is not valid."},
	70043:   {400, "invalid_grant", "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access."},
	90002:   {400, "invalid_request", "Tenant not found. Check to make sure you have the correct tenant ID."},
	90006:   {503, "temporarily_unavailable", "The service is temporarily unavailable. Please try again later."},
	90013:   {400, "invalid_request", "Invalid input received: a parameter has a value that is not understood."},
	90014:   {400, "invalid_request", "A required field is missing from the request."},
	90023:   {400, "invalid_request", "The parameter 'prompt' has a value that is not supported."},
	90024:   {503, "temporarily_unavailable", "The request was throttled. Please try again later."},
	90033:   {503, "temporarily_unavailable", "A transient error has occurred. Please try again."},
	500011:  {400, "invalid_resource", "The resource principal was not found in the tenant."},
	500112:  {400, "invalid_grant", "The reply address does not match the reply address provided when requesting Authorization code."},
	500131:  {400, "invalid_grant", "The audience of the assertion is not the application that presents it."},
	500133:  {400, "invalid_grant", "The assertion is not within its valid time range."},
	501051:  {400, "invalid_grant", "The application is not assigned to a role for the application that it asks a token for."},
	501481:  {400, "invalid_grant", "The Code_Verifier does not match the code_challenge supplied in the authorization request."},
	501491:  {400, "invalid_request", "Invalid Code_Challenge: 43 characters of base64url and the method S256 are required."},
	650057:  {400, "invalid_resource", "The client has requested access to a resource that is not listed in its requested permissions."},
	700016:  {400, "unauthorized_client", "Application with the given identifier was not found in the directory."},
	700020:  {400, "interaction_required", "Interaction is required."},
	700021:  {401, "invalid_client", "Client assertion application identifier doesn't match 'client_id' parameter."},
	700023:  {401, "invalid_client", "Client assertion audience claim does not match Realm issuer."},
	700024:  {401, "invalid_client", "Client assertion is not within its valid time range, or is valid for too long."},
	700027:  {401, "invalid_client", "The certificate with identifier used to sign the client assertion is not registered, or the signature is invalid."},
	700051:  {400, "unsupported_response_type", "response_type is not enabled for the application."},
	700082:  {400, "invalid_grant", "The refresh token has expired due to inactivity."},
	700084:  {400, "invalid_grant", "The refresh token was issued to a single page app, and has expired."},
	700211:  {401, "invalid_client", "No matching federated identity record found for presented assertion issuer."},
	700212:  {401, "invalid_client", "No matching federated identity record found for presented assertion audience."},
	700213:  {401, "invalid_client", "No matching federated identity record found for presented assertion subject."},
	900144:  {400, "invalid_request", "The request must contain the following parameter: "},
	1002012: {400, "invalid_scope", "The provided value for scope is not valid: an application asks for /.default of one application ID URI."},
	7000112: {400, "unauthorized_client", "The application is disabled."},
	7000114: {400, "invalid_grant", "The application is not allowed to make application on-behalf-of calls: the assertion is not about a user."},
	7000215: {401, "invalid_client", "Invalid client secret provided."},
	7000218: {401, "invalid_client", "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."},
	7000222: {401, "invalid_client", "The provided client secret keys are expired."},
	9000411: {400, "invalid_request", "The request is not properly formatted: a parameter is duplicated."},
	9002313: {400, "invalid_request", "Invalid request. Request is malformed or invalid."},
	9002325: {400, "invalid_request", "Proof Key for Code Exchange is required for authorization code redemption."},
	9002326: {400, "invalid_request", "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type."},
}

// refuse makes the error of that number. Each number that is written in this package is in the catalogue (a test looks).
func refuse(aadsts int) *oauthError {
	e := catalogue[aadsts]
	return &oauthError{status: cmp.Or(e.status, http.StatusBadRequest), code: cmp.Or(e.code, "invalid_request"), aadsts: aadsts, text: e.text}
}

// refuseGrant is refuse in the words of the token endpoint, where they differ from those at login.
func refuseGrant(aadsts int) *oauthError {
	e := refuse(aadsts)
	switch aadsts {
	case 50105:
		e.code = "invalid_grant"
	case 65001:
		e.suberror = "consent_required"
	}
	return e
}

// missing names a parameter of ours, never one of the caller's.
func missing(parameter string) *oauthError {
	e := refuse(900144)
	e.text += "'" + parameter + "'."
	return e
}

// because adds a sentence of ours to the text.
func (e *oauthError) because(reason string) *oauthError {
	e.text += " " + reason
	return e
}
