package policy

// reasonTexts is what a reason says to whom.
type reasonTexts struct {
	code        string // to logs and metrics; never changes
	description string // to the caller: no double quotes and no backslashes, ASCII (RFC 6750 §3)
	advice      string // to the policy's author
}

func (r Reason) texts() *reasonTexts {
	if r >= reasons {
		return &unknownReason
	}
	return &allReasons[r]
}

var unknownReason = reasonTexts{"unknown", "The request is not allowed.", "This is a fault of Postern."}

var allReasons = [reasons]reasonTexts{
	Allowed: {
		"allowed",
		"The request is allowed.",
		"Nothing has to change.",
	},
	NoCaller: {
		"no_caller",
		"Nobody is logged in and no bearer token was sent; log in, or send a token.",
		"Log in or send a bearer token, or let a rule of paths make the path public.",
	},
	MethodNotNamed: {
		"method_not_named",
		"This path does not take that method; Allow lists those that it takes.",
		"Name the method in a rule with the same pattern, or leave out methods there to name all; wider patterns do not decide here.",
	},
	NotInPolicy: {
		"not_in_policy",
		"The app's policy admits no callers of this kind; ask its owner to admit yours.",
		"Give the policy the part that admits such callers: users, inbound.rules, maskinporten, idporten or providers.",
	},
	NoPolicy: {
		"no_policy",
		"The app has no policy that says which machines may call it; ask its owner for one that admits you.",
		"Give Postern a policy file: without one only sessions and tokens of people are admitted.",
	},
	UnknownApp: {
		"unknown_app",
		"The platform does not know the application that obtained the token; ask the owner of the API to admit it.",
		"Add the calling app to inbound.rules and deploy, so that the platform lists its client id in AZURE_APP_PRE_AUTHORIZED_APPS.",
	},
	AppNotListed: {
		"app_not_listed",
		"The calling application is not admitted to this app; ask its owner to list it.",
		"Add the calling app to inbound.rules, with its namespace and cluster if these are not the app's own.",
	},
	NoDefaultRole: {
		"no_default_role",
		"The token lacks the role that every calling application needs; it is granted when the owner of the API admits the application.",
		"Let Entra ID grant the default role (access_as_application, or entra.defaultRole) to the calling app; a fresh token then carries it.",
	},
	NoDefaultScope: {
		"no_default_scope",
		"The token lacks the scope that every caller on behalf of a user needs; obtain a token for this app with that scope.",
		"Let Entra ID grant the default scope (defaultaccess, or entra.defaultScope) to the calling app; a fresh token then carries it.",
	},
	UsersNotAllowed: {
		"users_not_allowed",
		"The app's policy admits no users; ask its owner to admit you.",
		"Give users either allowAll: true or groups.",
	},
	NotInGroup: {
		"not_in_group",
		"You are in none of the groups that have access; ask for membership, then log in again.",
		"Add the caller to one of the groups directly, or add one of the caller's groups to the policy; nested membership does not count.",
	},
	GroupsUnknown: {
		"groups_unknown",
		"You are in so many groups that the token cannot list them; ask the app's owner to have only assigned groups sent.",
		"Let Entra ID send only groups that are assigned to the application, so that the token can list them; or use allowAll.",
	},
	WrongTenant: {
		"wrong_tenant",
		"The token belongs to a tenant that this app does not serve; log in with an account of another one.",
		"Add the tenant's id to entra.tenants.",
	},
	ForeignClient: {
		"foreign_client",
		"The token was obtained by another service than this one; log in to this app instead.",
		"Add the client that obtained the token to idporten.clients, if it may act for its users here.",
	},
	ForeignIDP: {
		"foreign_idp",
		"The person logged in at an identity provider that this app does not accept; log in with ID-porten.",
		"Add the identity provider to tokenx.idps, or let the person log in with the enabled ID-porten.",
	},
	LevelTooLow: {
		"level_too_low",
		"The login is not at the level that is needed; log in again at the level of acr_values.",
		"Log in at the higher level, or lower idporten.level or require.level.",
	},
	WrongAudience: {
		"wrong_audience",
		"The token is not meant for this app; request one with its audience as resource.",
		"Request the token with resource set to maskinporten.audience, or drop that member of the policy.",
	},
	ScopeNotOffered: {
		"scope_not_offered",
		"The token has none of the scopes that this app offers; request one with such a scope.",
		"Request one of the scopes, or add the token's scope to maskinporten.scopes with its full name.",
	},
	ConsumerNotListed: {
		"consumer_not_listed",
		"The organisation is not admitted to this scope; ask the owner of the API for access.",
		"Add the organisation number to consumers of that scope, or set accessibleForAll: true.",
	},
	DelegationRefused: {
		"delegation_refused",
		"The scope does not let a supplier act for another organisation in this way.",
		"Set delegationSource of the scope to the source in the token, if suppliers may use it.",
	},
	ClientNotListed: {
		"client_not_listed",
		"The client that obtained the token is not admitted to this app; ask its owner to list it.",
		"Add the client id to clients of the entry; sessions have none and need an entry without clients.",
	},
	ScopeMissing: {
		"scope_missing",
		"The token has none of the scopes that this needs; obtain a token with such a scope.",
		"Obtain a token with the scope, or change the scopes that the rule names.",
	},
	ScopeNotGranted: {
		"scope_not_granted",
		"The token has a scope that is not granted to this caller any more, or never was; ask the owner of the API for it.",
		"Grant the scope where the caller is admitted: permissions.scopes of its inbound rule, the Maskinporten entry, or scopes of the provider.",
	},
	RoleMissing: {
		"role_missing",
		"The token has none of the roles that this needs; ask the owner of the API to grant one, then obtain a new token.",
		"Grant the role in permissions.roles of the caller's inbound rule, and let the caller obtain a new token.",
	},
	RoleNotGranted: {
		"role_not_granted",
		"The token has a role that is not granted to this caller any more, or never was; ask the owner of the API for it.",
		"Grant the role in permissions.roles of the caller's inbound rule.",
	},
	KindNotAllowed: {
		"kind_not_allowed",
		"This path is not open to callers of this kind, or asks for a permission that tokens of this provider cannot carry.",
		"Change require.kind, or give require.scopes or require.roles for this kind of caller; TokenX and ID-porten have neither.",
	},
	ProviderNotAllowed: {
		"provider_not_allowed",
		"This path is not open to tokens and logins of this provider; use another one.",
		"Add the provider to require.providers.",
	},
	OrganizationNotListed: {
		"organization_not_listed",
		"This path is not open to the organisation; ask the owner of the API for access.",
		"Add the organisation number to require.organizations; only callers of Maskinporten have one.",
	},
}
