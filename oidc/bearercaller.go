package oidc

import "strings"

// caller reads who is calling, per provider and no other (S-19), and refuses tokens of another class than those that authorise a call.
// With an error, it is what could be read.
func (a *acceptance) caller(jwt compactJWT) (Caller, error) {
	r := &claimReader{members: jwt.claims}
	c := Caller{Provider: a.Name, Kind: User}
	c.Audience, _ = jwt.claims.audience() // checked with the issuer
	var err error
	switch a.Name {
	case EntraID:
		err = a.readEntra(r, &c)
	case TokenX:
		err = a.readTokenX(r, &c)
	case Maskinporten:
		err = readMaskinporten(r, &c)
	case IDPorten:
		err = readIDPorten(r, &c)
	default:
		err = a.readOther(r, &c, jwt.typ)
	}
	switch {
	case r.err != nil:
		return c, invalid("it " + r.err.Error())
	case err != nil:
		return c, err
	case c.Kind == User && c.User == "":
		return c, invalid("it does not say who its user is")
	}
	return c, nil
}

func (a *acceptance) readEntra(r *claimReader, c *Caller) error {
	version, kind, hasScope := r.text("ver"), r.text("idtyp"), r.has("scp")
	if kind == "app" { // an optional claim that every API has asked for; never to be guessed from others
		c.Kind = App
	}
	c.Subject, c.Tenant, c.Object = r.text("sub"), r.text("tid"), r.text("oid")
	c.ClientID = r.text("azp") // azp_name is anybody's to choose
	c.App = a.Applications[strings.ToLower(c.ClientID)]
	c.Client = clientOf(EntraID, c.ClientID)
	if c.App != "" {
		c.Client = c.App
	}
	c.Groups, c.Roles, c.Scopes, c.Overage = r.list("groups"), r.list("roles"), r.words("scp"), r.overage()
	if c.Kind == User {
		c.User = first(r.text("NAVident"), c.Object)
		c.Username, c.Name, c.Email = r.text("preferred_username"), r.text("name"), r.verifiedEmail("email")
	}
	switch {
	case isIDToken(r):
		return errIDToken
	case version != "2.0":
		return errEntraVersion
	case c.Kind == App && hasScope:
		return invalid("it says to be an app's (idtyp) and a user's (scp) at once")
	case c.Kind == User && len(c.Scopes) == 0:
		// An id token, or an app's token for an API without the claim idtyp.
		return invalid("it is neither a user's access token (scp) nor an app's (idtyp)")
	case c.ClientID == "":
		return invalid("it does not say to which client it was issued (azp)")
	}
	return a.checkTenant(r.text("iss"), c.Tenant)
}

// checkTenant is contract §5: own tenant only, and never one tenant in the name of another (CVE-2025-55241).
func (a *acceptance) checkTenant(issuer, tenant string) error {
	if tenant != "" && !issuerHasTenant(issuer, tenant) {
		return invalid("its tenant (tid) is not that of its issuer")
	}
	tenant = first(tenant, tenantIn(issuer))
	if a.TenantID != "" && tenant != "" && !strings.EqualFold(tenant, a.TenantID) {
		return invalid("it is from another tenant")
	}
	return nil
}

// readTokenX leaves alone what TokenX copied from the login token: scope, consumer, groups, roles, NAVident, a name.
func (a *acceptance) readTokenX(r *claimReader, c *Caller) error {
	c.Subject, c.ACR, c.IDP = r.text("sub"), r.text("acr"), r.text("idp")
	c.User = first(r.text("pid"), c.Subject)
	c.ClientID = r.text("client_id")
	c.App, c.Client = c.ClientID, c.ClientID
	c.FromIDPorten = a.IDPorten != nil && a.IDPorten.mayIssue(c.IDP, nil)
	if c.ClientID == "" {
		return errNoClient
	}
	return nil
}

func readMaskinporten(r *claimReader, c *Caller) error {
	c.Kind = App
	c.ClientID = r.text("client_id")
	c.Client = clientOf(Maskinporten, c.ClientID)
	c.Scopes = r.words("scope")
	c.Organization = organizationOf(r.members["consumer"])
	c.DelegationSource = r.text("delegation_source")
	c.Supplier = r.has("supplier") || r.has("delegation_source")
	if c.ClientID == "" {
		return errNoClient
	}
	return nil
}

var consumerNames = newNameSet("authority", "ID")

// organizationOf reads a Maskinporten consumer (ISO 6523): nine digits after the Norwegian register of organisations, or else nothing.
func organizationOf(consumer string) string {
	m, err := readObject(consumer)
	if err != nil || m.noTwinsOf(consumerNames) != nil {
		return ""
	}
	authority, err1 := m.text("authority")
	id, err2 := m.text("ID")
	number, isNorwegian := strings.CutPrefix(id, "0192:")
	if err1 != nil || err2 != nil || authority != "iso6523-actorid-upis" || !isNorwegian || len(number) != 9 {
		return ""
	}
	for _, digit := range []byte(number) {
		if digit < '0' || digit > '9' {
			return ""
		}
	}
	return number
}

// readIDPorten does not ask for a client: whose it may be is for the policy to say (S-02).
func readIDPorten(r *claimReader, c *Caller) error {
	c.Subject, c.ACR = r.text("sub"), r.text("acr")
	c.User = first(r.text("pid"), c.Subject)
	c.ClientID = r.text("client_id")
	c.Client = clientOf(IDPorten, c.ClientID)
	if isIDToken(r) {
		return errIDToken
	}
	return nil
}

// readOther reads tokens of further issuers and of the login provider "openid": besides subject, client and scopes only what was mapped.
func (a *acceptance) readOther(r *claimReader, c *Caller, typ string) error {
	azp, clientID := r.text("azp"), r.text("client_id") // OIDC Core §2, RFC 9068 §2.2
	c.Subject, c.ClientID = r.text("sub"), first(azp, clientID)
	c.Client = clientOf(a.Name, c.ClientID)
	if c.Subject == "" || c.Subject == c.ClientID {
		c.Kind = App
	} else {
		c.User = c.Subject
	}
	if theirs := a.Claims["scope"]; theirs != "" {
		c.Scopes = r.words(theirs)
	} else if c.Scopes = r.words("scp"); len(c.Scopes) == 0 {
		c.Scopes = r.words("scope")
	}
	c.Groups, c.Roles, c.ACR = r.list(a.Claims["groups"]), r.list(a.Claims["roles"]), r.text(a.Claims["acr"])
	if c.Kind == User {
		c.Name, c.Username = r.text(a.Claims["name"]), r.text(a.Claims["preferred_username"])
		c.Email = r.verifiedEmail(a.Claims["email"])
	}
	isAccessToken := strings.HasSuffix(strings.ToLower(typ), "at+jwt") // RFC 9068 §2.1
	switch {
	case azp != "" && clientID != "" && azp != clientID:
		return invalid("it names two clients (azp, client_id)")
	case !isAccessToken && isIDToken(r): // S-26
		return errIDToken
	case !isAccessToken && c.ClientID == "":
		return invalid("it is not known to be an access token: it has neither that type (at+jwt) nor a client (azp, client_id)")
	case c.Subject == "" && c.ClientID == "":
		return invalid("it says neither whom it is about (sub) nor which client it was issued to")
	}
	return nil
}

var (
	errIDToken  = invalid("it is an id token; send an access token for this API")
	errNoClient = invalid("it does not say to which client it was issued (client_id)")
)

// isIDToken knows what only id tokens have (OIDC Core §2, §3.3.2.11; "typ" as Keycloak writes it). S-45.
func isIDToken(r *claimReader) bool {
	for _, mark := range [...]string{"nonce", "at_hash", "c_hash", "s_hash"} {
		if r.has(mark) {
			return true
		}
	}
	typ, err := r.members.text("typ")
	return err == nil && strings.EqualFold(typ, "ID")
}

// clientOf keeps a client of one provider from being called like an application of the platform, or like another provider's (S-19).
func clientOf(provider, clientID string) string {
	if clientID == "" {
		return ""
	}
	return provider + "/" + clientID
}
