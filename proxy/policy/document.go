package policy

// Document is everything that policy files say, in one form whatever format they were written in. A nil part is one that no file has: it
// refuses all callers that only it could admit.
type Document struct {
	App          App
	Rules        []InboundRule // applications that may call, of Entra ID and TokenX
	EntraOff     bool          // a manifest says that Entra ID is not enabled; Users is nil then, the rules stay for TokenX
	TokenXOff    bool          // a manifest says that TokenX is not enabled
	Users        *Users
	Entra        Entra
	TokenX       TokenX
	Maskinporten *Maskinporten
	IDPorten     *IDPorten
	Providers    []ProviderRule
	Paths        []PathRule
}

// App names an app. Its text form is "cluster:namespace:name", and empty as long as one of them is missing: half a name is nobody's.
type App struct{ Cluster, Namespace, Name string }

func (a App) String() string {
	if a.Cluster == "" || a.Namespace == "" || a.Name == "" {
		return ""
	}
	return a.Cluster + ":" + a.Namespace + ":" + a.Name
}

// InboundRule admits one application (tokens of Entra ID and TokenX). The permissions are grants, never requirements.
type InboundRule struct {
	Where  string // how reasons name it: `inbound.rules "dev-gcp:team-b:app-b"`
	App    App    // complete
	Scopes []string
	Roles  []string
}

// Users admits people of Entra ID.
type Users struct {
	AllowAll bool
	Groups   []string // GUIDs, lower case
}

// Entra is what differs from Nais' naming of permissions, and whose tenants may call.
type Entra struct {
	DefaultScope string // empty: "defaultaccess"
	DefaultRole  string // empty: "access_as_application"
	Tenants      []string
}

// TokenX lists origins of people beside the enabled ID-porten.
type TokenX struct{ IDPs []string }

// Maskinporten admits organisations by scope.
type Maskinporten struct {
	Audience string // empty: not compared
	Scopes   []MaskinportenScope
}

// MaskinportenScope is one scope that the app offers. Scope and consumer of a token must belong to one entry (S-46).
type MaskinportenScope struct {
	Where            string
	Name             string   // in full
	Consumers        []string // organisation numbers
	AccessibleForAll bool
	DelegationSource string // empty: no delegation
}

// IDPorten admits citizens.
type IDPorten struct {
	Level   string   // lowest acr, in the spelling of "idporten-loa-high"; empty: any
	Clients []string // client ids that may carry tokens here beside the app's own (S-02)
}

// ProviderRule admits sessions of a generic provider, or tokens of a further issuer. All members that are given must hold.
type ProviderRule struct {
	Where    string
	Name     string
	AllowAll bool
	Groups   []string
	Clients  []string
	Scopes   []string
}

// PathRule narrows, or opens, what a pattern matches.
type PathRule struct {
	Where   string // `paths "/admin/**"`
	Match   string
	Methods []string // none: every method
	Public  bool
	Require *Require // nil exactly if Public
}

// Require is joined by and; the values of a list by or. Groups are as written: ids of Entra ID in either case, or names at other providers.
// Scopes and roles are single words, but not always ASCII. At least one member is given, and none is an empty list.
type Require struct {
	Groups, Scopes, Roles, Providers, Organizations []string
	Kind                                            string // "user", "app", or empty
	Level                                           string // "idporten-loa-…", or empty
}
