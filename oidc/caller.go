package oidc

// Caller is what claims say about who is calling, read per provider and no other (S-19): plain data that decisions are made on. It proves
// nothing; the proof is the [Identity] that carries it. What most decisions are made on comes first.
type Caller struct {
	Provider string // "entra_id", "tokenx", "maskinporten", "idporten", "openid" or the configured issuer's name
	Kind     Kind
	Session  bool // known by a login of this app, not by a bearer token

	App      string // cluster:namespace:app of the client, where the provider vouches for it (Entra ID mapped, TokenX); else empty
	ClientID string // "azp" or "client_id" as in the token; empty for a session
	Roles    []string
	Scopes   []string
	Groups   []string
	Overage  bool // the groups were too many for the token, so that membership is unknown (tokens of Entra ID)

	Subject  string // "sub"
	User     string // durable name of a person: NAVident or oid (Entra ID), pid or sub (ID-porten, TokenX), sub (others); empty for an app
	Username string // "preferred_username", for display
	Name     string // "name", for display
	Email    string // only if the provider vouches for it
	Tenant   string // "tid" of Entra ID
	Object   string // "oid" of Entra ID
	Client   string // for display: cluster:namespace:app for Entra ID (mapped) and TokenX, else <provider>/<client id>; empty for a session

	ACR      string
	SID      string
	AuthTime int64 // seconds since 1970; 0 if absent

	Audience         []string // "aud"
	IDP              string   // "idp" of TokenX: where the person logged in; empty if absent
	FromIDPorten     bool     // IDP is the issuer of the enabled ID-porten
	Organization     string   // nine digits of a Maskinporten consumer with the right authority and ICD; empty otherwise
	Supplier         bool     // of Maskinporten: somebody acts for the consumer, or says by whose leave
	DelegationSource string   // of Maskinporten; empty if absent
}
