package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"postern/oidc"
)

// File is one policy file as it was read.
type File struct {
	Name string
	Data []byte
}

// Settings is what the configuration adds to a policy.
type Settings struct {
	Cluster         string   // of the app, where the document says none
	TokenXClientID  string   // TOKEN_X_CLIENT_ID: the app's own cluster:namespace:app; empty if TokenX is off
	EntraClientIDs  []string // own client ids at Entra ID: bearer tokens of these count as the app's own
	IDPortenClients []string // own client ids at ID-porten (S-02)
	IDPortenEnabled bool     // TokenX: idp, where present, must then be ID-porten's
	Providers       []string // names of everything that can vouch for a caller here, for warnings
	RequireAuth     bool     // without a policy file: a caller is required. With one, nobody passes but where it says public (S-14)
}

// Policy is compiled rules: immutable, safe for concurrent use. The nil *Policy refuses.
type Policy struct {
	app  App
	hash string

	unwritten   bool // there is no file
	requireAuth bool // matters only then

	open    tree // patterns with public rules, exactly
	narrow  tree // patterns with other rules, folded
	publics []string
	paths   bool // there are path rules
	scopes  []string

	inbound         map[string]*inboundRule
	ownApp          string
	entraOff        bool
	entraClients    []string
	tenants         names
	defaultScope    string
	defaultRole     string
	users           *users
	tokenXOff       bool
	checkIDP        bool
	idps            []string
	level           string // of idporten, for TokenX too
	idporten        *IDPorten
	idportenClients []string
	maskinporten    *maskinporten
	providers       map[string][]*provider
}

// inboundRule is the compiled [InboundRule], or several for one app.
type inboundRule struct {
	where         string
	scopes, roles names
}

// users is the compiled [Users].
type users struct {
	allowAll bool
	groups   groups
}

// Load reads and compiles all files together. Warnings are about names that nothing here knows, and rules that never apply. The error lists
// all problems.
func Load(files []File, s Settings) (p *Policy, warnings []string, err error) {
	doc, warnings, err := Parse(files, s.Cluster, s.TokenXClientID)
	if err != nil {
		return nil, warnings, err
	}
	p, more, err := compile(doc, s)
	warnings = append(warnings, more...)
	if err != nil {
		return nil, warnings, err
	}
	p.hash = HashFiles(files)
	return p, warnings, nil
}

// WithoutFile is the policy of an app that has none: sessions are admitted, and of bearer tokens those of people (S-03).
func WithoutFile(s Settings) *Policy {
	p := &Policy{
		unwritten: true, requireAuth: s.RequireAuth,
		defaultScope: defaultScope, defaultRole: defaultRole,
		checkIDP: s.IDPortenEnabled, idportenClients: slices.Clone(s.IDPortenClients),
	}
	if slices.Contains(s.Providers, oidc.EntraID) {
		p.scopes = []string{defaultScope}
	}
	return p
}

// HashFiles tells contents apart, however they are cut into files, and not where they were mounted: 16 hex digits, or empty without files.
func HashFiles(files []File) string {
	if len(files) == 0 {
		return ""
	}
	h := sha256.New()
	for _, f := range files {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f.Data))))
		h.Write(f.Data)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Request is what the path rules look at.
type Request struct {
	Path   Path
	Method string
}

// App is the app that the files name; its zero value if they name none.
func (p *Policy) App() App {
	if p == nil {
		return App{}
	}
	return p.app
}

// Hash is the SHA-256 of the files, in hex, shortened to 16 digits; empty without files.
func (p *Policy) Hash() string {
	if p == nil {
		return ""
	}
	return p.hash
}

// PublicPatterns are the patterns of public paths, for the line at start that says who can reach the app without a caller (S-04).
func (p *Policy) PublicPatterns() []string {
	if p == nil {
		return nil
	}
	return slices.Clone(p.publics)
}

// LooksAtRequests says whether a decision takes more than the caller: which path, which method, which level. Without any path a caller is all
// that matters (S-16).
func (p *Policy) LooksAtRequests() bool { return p == nil || p.paths || p.level != "" }

// EntraTenants are those of entra.tenants; nil if the files name none.
func (p *Policy) EntraTenants() []string { return slices.Clone(p.tenants) }

// Scopes are those that the policy speaks of, sorted: scopes_supported of RFC 9728.
func (p *Policy) Scopes() []string {
	if p == nil {
		return nil
	}
	return slices.Clone(p.scopes)
}
