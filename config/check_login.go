package config

import (
	"encoding/json"
	"net/url"
	"strings"
)

func (l *loader) checkLogin() {
	o := &l.c.OpenID
	for i, tenant := range o.Tenants {
		if !guid(tenant) {
			l.problem("openid.tenants", "entry %d must be a GUID", i+1)
		}
	}
	if !l.c.LoginEnabled() {
		l.loginIsOff()
		return
	}
	if len(strings.Fields(o.ACRValues)) > 1 {
		l.problem("openid.acr-values", "must be a single value")
	}
	if l.c.SSOProxy() { // the server logs in
		return
	}
	if o.ClientID == "" {
		l.missing("openid.client-id", "required for login%s", l.alsoBy("openid.client-id"))
	}
	l.checkCredential()
	if o.WellKnownURL == "" {
		l.missing("openid.well-known-url", "required for login%s", l.alsoBy("openid.well-known-url"))
	} else {
		l.checkProviderURL("openid.well-known-url", o.WellKnownURL)
	}
	if len(o.Tenants) == 0 && manyTenants(o.WellKnownURL) {
		l.problem("openid.tenants", "required, since openid.well-known-url is that of every tenant (S-26)")
	}
	if uri := o.PostLogoutRedirectURI; uri != "" {
		u, err := url.Parse(uri)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
			l.doubt("openid.post-logout-redirect-uri", "must be an http or https address")
		}
	}
}

// loginIsOff refuses what only makes sense with login: a forgotten or misspelt client id must not leave the app open.
func (l *loader) loginIsOff() {
	for _, o := range l.options {
		elsewhere := o.name == "openid.provider" || o.name == "openid.client-id" || o.name == "openid.tenants" && l.c.Providers.Azure.Enabled
		if strings.HasPrefix(o.name, "openid.") && o.given() && !o.invalid && !elsewhere {
			l.missing("openid.client-id", "required, since %s is given", o.name)
			return
		}
	}
}

// alsoBy names the platform's variables that would do as well.
func (l *loader) alsoBy(name string) string {
	variables := l.option(name).presets[l.c.OpenID.Provider].variables
	if len(variables) == 0 {
		return ""
	}
	return " (or " + strings.Join(variables, " or ") + ")"
}

// checkCredential: a private key, else a secret, else a federated token (contract 2.2).
func (l *loader) checkCredential() {
	o := &l.c.OpenID
	jwk, secret, federated := !o.ClientJWK.Empty(), !o.ClientSecret.Empty(), o.FederatedTokenFile != ""
	if !jwk && !secret && !federated {
		if l.offline || l.option("openid.client-jwk").invalid || l.option("openid.client-secret").invalid {
			return // reported already
		}
		l.missing("openid.client-jwk", "required for login, or openid.client-secret, or openid.federated-token-file%s", l.alsoBy("openid.client-jwk"))
		return
	}
	if jwk {
		if why := jwkProblem(o.ClientJWK); why != "" {
			l.problem("openid.client-jwk", "%s", why)
		}
	}
	if jwk && secret && l.said("openid.client-secret") && l.said("openid.client-jwk") {
		l.warn("openid.client-secret", "not used, openid.client-jwk wins")
	}
	if (jwk || secret) && l.said("openid.federated-token-file") {
		l.warn("openid.federated-token-file", "not used, the client's key or secret wins")
	}
}

// jwkProblem looks only as far as every use of the key needs; reading it is for oidc.
func jwkProblem(s Secret) string {
	var key struct {
		Kty, Alg string
		D        *string
	}
	if json.Unmarshal([]byte(s.Reveal()), &key) != nil || key.Kty == "" {
		return "must be a JSON Web Key (RFC 7517)"
	}
	if key.D == nil {
		return "must be a private key: it has no member d"
	}
	if key.Alg == "" {
		return "must say its algorithm: it has no member alg"
	}
	return ""
}

// checkProviderURL refuses what providerURLProblem finds.
func (l *loader) checkProviderURL(name, text string) {
	if why := l.providerURLProblem(text); why != "" {
		l.missing(name, "%s", why)
	}
}

// providerURLProblem is S-50: https, except on loopback or with allow-http-providers.
func (l *loader) providerURLProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return "must be an https address"
	case u.User != nil || u.Fragment != "":
		return "must have no user and no fragment"
	case u.Scheme == "http" && !LoopbackHost(u.Hostname()) && !l.c.Providers.AllowHTTP:
		return "must be https unless it is on loopback; allow-http-providers lifts this for tests"
	}
	return ""
}

// manyTenants recognises the metadata of Entra ID that speak for more than one tenant.
func manyTenants(wellKnown string) bool {
	u, err := url.Parse(wellKnown)
	if err != nil || !strings.Contains(strings.ToLower(u.Hostname()), "microsoftonline.") {
		return false
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return strings.EqualFold(first, "common") || strings.EqualFold(first, "organizations")
}

func (l *loader) checkCookies() {
	if !token(l.c.Cookie.Prefix) {
		l.missing("cookie.prefix", "must consist of characters that a cookie's name may have (RFC 6265 §4.1.1)")
	}
	if l.said("cookie.same-site") && !l.c.SSOServer() && l.c.Cookie.SameSite != "Lax" {
		l.warn("cookie.same-site", "has no effect except as SSO server")
	}
	for _, u := range l.c.Front.Ingress {
		local := u.Scheme == "http" && LoopbackHost(u.Hostname())
		if !l.c.Cookie.Secure && !local {
			l.problem("cookie.secure", "must be true unless every ingress is http on loopback")
			return
		}
		if l.c.Cookie.Secure && u.Scheme == "http" && !LoopbackHost(u.Hostname()) {
			l.warn("ingress", "browsers keep no Secure cookies for an http address; login will not work there")
		}
	}
}
