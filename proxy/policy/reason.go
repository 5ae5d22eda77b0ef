package policy

// Reason is why a request is not admitted. Its code is stable: it stands in logs and metrics. The zero value is "admitted".
type Reason uint8

// The reasons.
const (
	Allowed               Reason = iota
	NoCaller                     // nobody, and a caller is required
	MethodNotNamed               // S-10: the deciding pattern names other methods
	NotInPolicy                  // the policy does not speak of this provider, or of this kind of caller
	NoPolicy                     // S-03: this kind of caller needs a policy, and there is none
	UnknownApp                   // the client is none that the platform knows by name (Entra ID: azp)
	AppNotListed                 // no inbound rule names the calling app
	NoDefaultRole                // app token without access_as_application
	NoDefaultScope               // user token without defaultaccess
	UsersNotAllowed              // users: neither allowAll nor groups
	NotInGroup                   // in none of the groups
	GroupsUnknown                // overage: membership is unknown, and unknown is not membership
	WrongTenant                  // 401: tid is none of entra.tenants
	ForeignClient                // 401, S-02: an ID-porten token that another relying party's client obtained
	ForeignIDP                   // 401: TokenX token of a person who logged in elsewhere
	LevelTooLow                  // 401 insufficient_user_authentication: acr missing, unknown or lower
	WrongAudience                // 401: Maskinporten aud is configured and absent or another
	ScopeNotOffered              // Maskinporten: no scope of the token is one that the policy offers
	ConsumerNotListed            // Maskinporten: the consumer is none of the scope's
	DelegationRefused            // Maskinporten: a supplier, and the scope allows none or another source
	ClientNotListed              // provider rule: azp or client_id is none of clients
	ScopeMissing                 // provider rule, or require.scopes: none of the scopes in the token
	ScopeNotGranted              // require.scopes: in the token, but no rule grants it to this caller
	RoleMissing                  // require.roles: none of the roles in the token
	RoleNotGranted               // require.roles: in the token, but no rule grants it to this caller
	KindNotAllowed               // require.kind, or scopes and roles that do not speak of this kind of caller
	ProviderNotAllowed           // require.providers
	OrganizationNotListed        // require.organizations

	reasons // how many there are
)

// Class is how a reason is answered (contract 4.2).
type Class uint8

// The classes.
const (
	Admission         Class = iota // no refusal
	Unauthenticated                // 401 without an error, or login
	InvalidToken                   // 401 invalid_token
	InsufficientLevel              // 401 insufficient_user_authentication, with acr_values (RFC 9470)
	Method                         // 405, with Allow
	InsufficientScope              // 403 insufficient_scope
)

// Class says how the reason is answered. A value that is none of the reasons is refused with 403.
func (r Reason) Class() Class {
	switch r {
	case Allowed:
		return Admission
	case NoCaller:
		return Unauthenticated
	case WrongTenant, ForeignClient, ForeignIDP, WrongAudience:
		return InvalidToken
	case LevelTooLow:
		return InsufficientLevel
	case MethodNotNamed:
		return Method
	default:
		return InsufficientScope
	}
}

// Code is the stable name: "not_in_group".
func (r Reason) Code() string { return r.texts().code }

func (r Reason) String() string { return r.Code() }

// Description says to the caller what is wrong and what they can do about it, in one sentence that quotes nothing. It fits into a
// quoted-string.
func (r Reason) Description() string { return r.texts().description }

// Advice says to the policy's author what would have to change, for `postern explain`.
func (r Reason) Advice() string { return r.texts().advice }

// claim is the claim that decided about a Maskinporten scope, for explanations.
func (r Reason) claim() string {
	switch r {
	case ConsumerNotListed:
		return "consumer"
	case DelegationRefused:
		return "delegation_source"
	default:
		return "scope"
	}
}
