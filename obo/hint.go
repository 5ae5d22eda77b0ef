package obo

import (
	"encoding/json"
	"strconv"
	"strings"

	"postern/oidc"
)

// hint says in one sentence what to do about a refusal that is known; empty for the others. Numbers come first, as they are exact, then the
// codes that RFCs define: both are for people, and nothing is decided on them.
func hint(r *oidc.RefusalError) string {
	var codes []int64
	if json.Unmarshal(r.ErrorCodes, &codes) == nil {
		for _, code := range codes {
			if text := entraHint(strconv.FormatInt(code, 10)); text != "" {
				return text
			}
		}
	}
	if text := entraHint(numberAfter(r.Words, "AADSTS")); text != "" {
		return text
	}
	if text := maskinportenHint(numberAfter(r.Words, "MP-")); text != "" {
		return text
	}
	if r.Provider == oidc.TokenX {
		if text := tokenXHint(r.Words); text != "" {
			return text
		}
	}
	if strings.Contains(r.Words, "does not exist in tenant") { // Entra ID says this under several numbers
		return hintTenant
	}
	for _, code := range []string{r.Suberror, r.Code} {
		if text := plainHint(code); text != "" {
			return text
		}
	}
	return ""
}

// numberAfter is the number behind the first mark that has one: "501051" of "AADSTS501051: …".
func numberAfter(words, mark string) string {
	for {
		_, after, found := strings.Cut(words, mark)
		if !found {
			return ""
		}
		if end := strings.IndexFunc(after, func(c rune) bool { return c < '0' || c > '9' }); end != 0 && after != "" {
			if end < 0 {
				return after
			}
			return after[:end]
		}
		words = after
	}
}

const (
	hintAccess = "Check that the target reads <cluster>:<namespace>:<app> or api://<cluster>.<namespace>.<app>/.default, and that spec.accessPolicy.inbound of the app that is called lists this app."
	hintUser   = "Check that the app named in the message gives its users access (spec.azure.application.allowAllUsers, or claims.groups), and that this user is a direct member of one of its groups."
	hintTenant = "Check that the user has signed in with an account of the tenant that the app belongs to (spec.azure.application.tenant)."
	hintMFA    = "Send the user to log in again with the given claims, since Entra ID asks for more than this login has shown; asking again with the same token will not help."
	hintLogin  = "Send the user to log in again: this login has ended."
	hintCaller = "The user token is not one to exchange: answer 401 to whoever sent it, so that they get a new one for this app."
	hintTarget = "Check the target: Entra ID knows no such app or scope in this tenant."
	hintKey    = "Check this app's credential: Entra ID does not accept the secret or key that it has, perhaps since it was renewed and the pod still has the old one."
	hintGone   = "Check that this app's client id exists in this tenant and is not disabled."
	hintWait   = "Wait and ask again: Entra ID is in trouble or has too much to do."
	hintTrust  = "Wait some minutes and ask again if the app is new; else check that its federated credential names the issuer, subject and audience of the token that it has."
)

// entraHint knows the numbers of Entra ID (tokens.md 5.7).
func entraHint(code string) string {
	switch code {
	case "501051", "65001":
		return hintAccess
	case "50105":
		return hintUser
	case "50020", "16003", "90072":
		return hintTenant
	case "50013", "500131", "500133":
		return hintCaller
	case "50027":
		return "A token or assertion in the request is no well-formed JWT: check that the user token is passed on whole, without \"Bearer\"."
	case "500011", "650057", "70011":
		return hintTarget
	case "50072", "50074", "50076", "50078", "50079", "53000", "53001", "53002", "53003", "50158", "700020":
		return hintMFA
	case "50173", "700082", "700084", "70008", "70043", "50089", "54005":
		return hintLogin
	case "501481":
		return "Start the login anew: the code was asked for by another browser or another login."
	case "700016", "7000112":
		return hintGone
	case "7000215", "7000222", "700027", "50012":
		return hintKey
	case "700023":
		return "Check that the issuer of Entra ID is configured as its metadata give it: the client's assertion was made out to another audience."
	case "700024":
		return "Check the clock of this machine: Entra ID does not accept the times in this client's assertion."
	case "90002":
		return "Check the tenant in the address of Entra ID's metadata: it does not know it."
	case "70021", "700211", "700212", "700213":
		return hintTrust
	case "50196":
		return "Find out why the app asks for the same token again and again, and let it use the one it has: Entra ID has seen a loop."
	case "90033", "90006", "90024", "50033", "90055":
		return hintWait
	}
	return ""
}

// maskinportenHint knows the numbers of Maskinporten (tokens.md 4.3).
func maskinportenHint(code string) string {
	switch code {
	case "011":
		return "The grant is malformed: check that resource and authorization_details are what Maskinporten expects."
	case "012":
		return "Ask again: this grant was used before, and a new one is made for each request."
	case "100":
		return "Check MASKINPORTEN_CLIENT_ID: Maskinporten does not know this client in this environment."
	case "110":
		return "Check MASKINPORTEN_ISSUER: the grant must be made out to Maskinporten's issuer exactly, with the slash at its end."
	case "121":
		return "Renew this client's key: the one it has is out of date at Maskinporten."
	case "124":
		return "Check MASKINPORTEN_CLIENT_JWK: Maskinporten does not have the public half of this key for this client."
	case "130":
		return "Check the clock of this machine: the grant was too old when it arrived."
	case "200", "201":
		return "Check that the target names scopes that exist, that this app consumes them (spec.maskinporten.scopes.consumes), and that their owner has given access to its organisation."
	case "301":
		return "Check the type in authorization_details: Maskinporten does not know it for this scope."
	}
	return ""
}

// tokenXHint goes by TokenX' words, as it has no numbers (tokens.md 2.2).
func tokenXHint(words string) string {
	has := func(part string) bool { return strings.Contains(words, part) }
	switch {
	case has("is not authorized to get token"):
		return "Check that spec.accessPolicy.inbound of the app that is called lists this app, with namespace and cluster where they differ."
	case has("token exchange audience"):
		return "Check the target: TokenX knows no app <cluster>:<namespace>:<app> of this name, or TokenX is not enabled for it."
	case has("not registered"):
		return "Check TOKEN_X_CLIENT_ID: TokenX does not know this app, or not yet."
	case has("audience does not match"):
		return "The user token is for another app: answer 401 to whoever sent it, so that they get one for this app."
	case has("subject_token"):
		return "The user token is not one that TokenX accepts: answer 401 to whoever sent it, so that they get a new one."
	case has("token verification failed"), has("client assertion exceeded"):
		return "Check TOKEN_X_PRIVATE_JWK and the clock of this machine: TokenX does not accept this client's assertion."
	}
	return ""
}

// plainHint knows codes of RFC 6749 §5.2 and those of Entra ID that have a name of their own.
func plainHint(code string) string {
	switch code {
	case "consent_required":
		return hintAccess
	case "interaction_required", "basic_action", "additional_action":
		return hintMFA
	case "login_required", "bad_token", "token_expired":
		return hintLogin
	case "invalid_client":
		return "Check this client's id and credential: the provider does not accept them."
	case "unauthorized_client", "unsupported_grant_type":
		return "Check at the provider that this client may use this kind of grant."
	case "invalid_scope", "invalid_resource", "invalid_target": // RFC 8707 §2
		return "Check the target: the provider does not know it, or not for this client."
	}
	return ""
}
