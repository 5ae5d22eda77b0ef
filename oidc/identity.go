package oidc

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// Names of the built-in providers, as they appear in X-Postern-Provider and in policies.
const (
	EntraID      = "entra_id"
	TokenX       = "tokenx"
	Maskinporten = "maskinporten"
	IDPorten     = "idporten"
	OpenID       = "openid"
)

// Kind tells people from machines.
type Kind string

// The kinds of caller.
const (
	User Kind = "user"
	App  Kind = "app"
)

// Identity is a verified caller. It is made in this package only, from claims whose signature and rules have been checked, or brought
// back by [RestoreIdentity] from a sealed session record; nothing else can be forwarded as authenticated.
//
// Claims are read per provider and no other (S-19): a claim that one provider vouches for means nothing from another.
type Identity struct {
	memo    atomic.Value
	caller  Caller
	claims  string // JSON of the token that names the caller, as verified
	granted string // JSON of the access token's claims that count, or empty (S-18)
	issuer  string // "iss" of a bearer token; empty for a session
	tokenID string // "jti" or "uti" of a bearer token; empty for a session
	expiry  time.Time
}

// Caller is what decisions are made on. Callers of this method must not change it.
func (id *Identity) Caller() *Caller { return &id.caller }

// Issuer is "iss" of a bearer token; empty for a session.
func (id *Identity) Issuer() string { return id.issuer }

// TokenID is "jti", or "uti" of Entra ID, of a bearer token; empty for a session and if the token has none.
func (id *Identity) TokenID() string { return id.tokenID }

// Expiry is when a bearer token ends; zero for a session.
func (id *Identity) Expiry() time.Time { return id.expiry }

// AcceptedUntil is when a bearer token is not accepted any more: its end, and what other people's clocks may differ. Zero for a session.
func (id *Identity) AcceptedUntil() time.Time {
	if id.expiry.IsZero() {
		return time.Time{}
	}
	return id.expiry.Add(bearerLeeway * time.Second)
}

// Provider is "entra_id", "tokenx", "maskinporten", "idporten", "openid" or the configured issuer's name.
func (id *Identity) Provider() string { return id.caller.Provider }

// Kind is user or app.
func (id *Identity) Kind() Kind { return id.caller.Kind }

// Subject is "sub".
func (id *Identity) Subject() string { return id.caller.Subject }

// User is the durable name of a person: NAVident or oid (Entra ID), pid or sub (ID-porten, TokenX), sub (others); empty for an app.
func (id *Identity) User() string { return id.caller.User }

// Username is "preferred_username", for display only.
func (id *Identity) Username() string { return id.caller.Username }

// Name is "name", for display only.
func (id *Identity) Name() string { return id.caller.Name }

// Email is "email" if the provider vouches for it (email_verified or xms_edov), else empty.
func (id *Identity) Email() string { return id.caller.Email }

// Tenant is "tid" of Entra ID.
func (id *Identity) Tenant() string { return id.caller.Tenant }

// Object is "oid" of Entra ID.
func (id *Identity) Object() string { return id.caller.Object }

// Client is the calling client; empty for a session.
func (id *Identity) Client() string { return id.caller.Client }

// Organization is the organization number of a Maskinporten consumer.
func (id *Identity) Organization() string { return id.caller.Organization }

// ACR is the authentication context class, "acr".
func (id *Identity) ACR() string { return id.caller.ACR }

// SID is the provider's session id, "sid"; empty if it sent none.
func (id *Identity) SID() string { return id.caller.SID }

// AuthTime is "auth_time" in seconds since 1970; 0 if absent.
func (id *Identity) AuthTime() int64 { return id.caller.AuthTime }

// Groups are those that count for decisions (S-18, S-19), as are [Identity.Roles] and [Identity.Scopes]. Callers must not change the slices.
func (id *Identity) Groups() []string { return id.caller.Groups }

// Roles are "roles". See [Identity.Groups].
func (id *Identity) Roles() []string { return id.caller.Roles }

// Scopes are the words of "scp" or "scope". See [Identity.Groups].
func (id *Identity) Scopes() []string { return id.caller.Scopes }

// ClaimsJSON is the claims of the token that names the caller, byte for byte as verified.
func (id *Identity) ClaimsJSON() string { return id.claims }

// GrantedJSON is the part of the session's access token that counts, to be kept in its record; empty if nothing of it does.
func (id *Identity) GrantedJSON() string { return id.granted }

// Memo returns what derive made of this identity, made once: header values are the same for every request of a caller.
// There is one memo per identity, never nil; it has one user, the writer of the identity headers.
func (id *Identity) Memo(derive func(*Identity) any) any {
	if kept := id.memo.Load(); kept != nil {
		return kept
	}
	id.memo.CompareAndSwap(nil, derive(id))
	return id.memo.Load()
}

// RestoreIdentity brings back the identity of a session from the claims that were verified when the record was sealed.
// Only package session may call it (a test of the import arrows holds it to that).
func RestoreIdentity(provider, claims, granted string) (*Identity, error) {
	return newSessionIdentity(provider, claims, granted)
}

// SessionCaller reads the claims of an id token as those of a session, for `postern explain`. It makes nobody known: that takes a sealed
// record.
func SessionCaller(provider, claims string) (*Caller, error) {
	id, err := newSessionIdentity(provider, claims, "")
	if err != nil {
		return nil, err
	}
	return &id.caller, nil
}

// newSessionIdentity reads the claims of a login. granted holds groups, roles, scp and scope of the access token if that passed the
// checks of a bearer token for this client; it wins over the id token for these four and for nothing else (S-18).
func newSessionIdentity(provider, claims, granted string) (*Identity, error) {
	c, err := readSessionClaims(claims)
	if err != nil {
		return nil, &InvalidTokenError{Reason: "its claims are not as expected", Err: err}
	}
	caller := Caller{
		Provider: provider, Kind: User, Session: true,
		Subject: c.Subject, Username: c.PreferredUsername, Name: c.Name,
		ACR: c.ACR, SID: c.SID, AuthTime: int64(c.AuthTime),
		Groups: c.Groups, Roles: c.Roles, Scopes: c.scopeWords(), Overage: c.overage,
	}
	if c.Email != "" && (c.EmailVerified.yes() || c.XMSEdov.yes()) {
		caller.Email = c.Email
	}
	if granted != "" {
		g, err := readSessionClaims(granted)
		if err != nil {
			return nil, &InvalidTokenError{Reason: "the claims of its access token are not as expected", Err: err}
		}
		caller.Groups, caller.Roles, caller.Scopes, caller.Overage = g.Groups, g.Roles, g.scopeWords(), g.overage
	}
	switch provider {
	case EntraID:
		caller.Tenant, caller.Object = c.TenantID, c.ObjectID
		caller.User = first(c.NAVident, c.ObjectID)
	case IDPorten:
		caller.User = first(c.PID, c.Subject)
		caller.Groups, caller.Roles = nil, nil // ID-porten vouches for neither
	default:
		caller.User = c.Subject
	}
	return &Identity{caller: caller, claims: claims, granted: granted}, nil
}

type sessionClaims struct {
	Subject, PreferredUsername, Name, Email string
	EmailVerified, XMSEdov                  looseBool
	ACR, SID, TenantID, ObjectID            string
	NAVident, PID                           string
	AuthTime                                float64
	Groups, Roles, SCP, Scope               stringOrList
	overage                                 bool
}

// readSessionClaims takes each claim by its exact name.
func readSessionClaims(text string) (c sessionClaims, err error) {
	m, err := readObject(text)
	if err != nil {
		return c, fmt.Errorf("it %w", err)
	}
	for _, claim := range [...]struct {
		name   string
		target any
	}{
		{"sub", &c.Subject},
		{"preferred_username", &c.PreferredUsername},
		{"name", &c.Name},
		{"email", &c.Email},
		{"email_verified", &c.EmailVerified},
		{"xms_edov", &c.XMSEdov},
		{"acr", &c.ACR},
		{"sid", &c.SID},
		{"tid", &c.TenantID},
		{"oid", &c.ObjectID},
		{"NAVident", &c.NAVident},
		{"pid", &c.PID},
		{"auth_time", &c.AuthTime},
		{"groups", &c.Groups},
		{"roles", &c.Roles},
		{"scp", &c.SCP},
		{"scope", &c.Scope},
	} {
		if err := m.decode(claim.name, claim.target); err != nil {
			return c, fmt.Errorf("it %w", err)
		}
	}
	c.overage = m.overage()
	return c, nil
}

func (c sessionClaims) scopeWords() []string {
	if len(c.SCP) > 0 {
		return strings.Fields(strings.Join(c.SCP, " "))
	}
	return strings.Fields(strings.Join(c.Scope, " "))
}

// looseBool reads true, "true", 1 and "1" as true: Entra ID writes xms_edov in each of these ways.
type looseBool string

func readLooseBool(raw string) looseBool { return looseBool(strings.Trim(raw, `"`)) }

func (b looseBool) yes() bool { return b == "true" || b == "1" }

// stringOrList reads one string as a list of one; OIDC providers write single values in both ways.
type stringOrList []string

func readStringOrList(raw string) (list stringOrList, err error) {
	switch raw[0] {
	case '"':
		list = make(stringOrList, 1)
		list[0], err = unquote(raw)
	case '[':
		list, err = listOfTexts(raw)
	default:
		err = json.Unmarshal([]byte(raw), (*[]string)(&list))
	}
	return list, err
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
