package config

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// platformProvider knows under which variables the platform describes one identity provider.
type platformProvider struct {
	provider    *Provider
	name        string   // as in tokens and policies
	enabled     string   // variable
	required    string   // variable that must be set when it is enabled, and its value
	value       *string  //
	credentials []string // one of these must be set; nil if the provider is never asked for tokens
	wellKnown   string
	endpoints   []platformEndpoint
}

// platformEndpoint is needed unless there is metadata to take it from.
type platformEndpoint struct {
	variable string
	value    *string
}

const platformGroup = "Platform variables"

// platformVariables are what Nais puts into a pod, under its own names (contract 2.2).
func (t *table) platformVariables(c *Config) {
	t.group(platformGroup)
	t.azureVariables(&c.Providers.Azure)
	t.tokenXVariables(&c.Providers.TokenX)
	t.maskinportenVariables(&c.Providers.Maskinporten)
	t.idportenVariables(&c.Providers.IDPorten)
	t.outboundVariables(c)
}

func (t *table) azureVariables(p *Provider) {
	t.enabled(p, "AZURE_ENABLED", "Entra ID")
	t.variable(&p.ClientID, "AZURE_APP_CLIENT_ID", "Client id.")
	t.secretVariable(&p.ClientJWK, "AZURE_APP_JWK", "Private JWK of the client.").variables = []string{"AZURE_APP_CLIENT_JWK"}
	t.secretVariable(&p.ClientSecret, "AZURE_APP_CLIENT_SECRET", "Secret of the client, if it has no JWK.")
	t.variable(&p.FederatedTokenFile, "AZURE_FEDERATED_TOKEN_FILE", "File with a token that authenticates the client, if it has neither.")
	t.variable(&p.WellKnownURL, "AZURE_APP_WELL_KNOWN_URL", "Metadata.")
	t.variable(&p.Issuer, "AZURE_OPENID_CONFIG_ISSUER", "Issuer; wins over the metadata's.")
	t.variable(&p.JWKSURI, "AZURE_OPENID_CONFIG_JWKS_URI", "Address of the keys; wins over the metadata's.")
	t.variable(&p.TokenEndpoint, "AZURE_OPENID_CONFIG_TOKEN_ENDPOINT", "Token endpoint; wins over the metadata's.")
	t.variable(&p.TenantID, "AZURE_APP_TENANT_ID", "The app's tenant.")
	apps := variableOf(bind(t, &p.PreAuthorizedApps, "AZURE_APP_PRE_AUTHORIZED_APPS", nil, preAuthorizedKind(),
		"Names of client ids: JSON list of `{name, clientId}`."))
	apps.forgiving = true
	t.providers = append(t.providers, platformProvider{
		provider: p, name: "entra_id", enabled: "AZURE_ENABLED", required: "AZURE_APP_CLIENT_ID", value: &p.ClientID,
		credentials: []string{"AZURE_APP_JWK", "AZURE_APP_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"}, wellKnown: "AZURE_APP_WELL_KNOWN_URL",
		endpoints: []platformEndpoint{
			{"AZURE_OPENID_CONFIG_ISSUER", &p.Issuer},
			{"AZURE_OPENID_CONFIG_JWKS_URI", &p.JWKSURI},
			{"AZURE_OPENID_CONFIG_TOKEN_ENDPOINT", &p.TokenEndpoint},
		},
	})
}

func (t *table) tokenXVariables(p *Provider) {
	t.enabled(p, "TOKEN_X_ENABLED", "TokenX")
	t.tokenProvider(p, "TOKEN_X", "TOKEN_X_PRIVATE_JWK", "tokenx")
}

func (t *table) maskinportenVariables(p *Provider) {
	t.enabled(p, "MASKINPORTEN_ENABLED", "Maskinporten")
	t.tokenProvider(p, "MASKINPORTEN", "MASKINPORTEN_CLIENT_JWK", "maskinporten")
}

// tokenProvider is what TokenX and Maskinporten have in common.
func (t *table) tokenProvider(p *Provider, prefix, jwk, name string) {
	t.variable(&p.ClientID, prefix+"_CLIENT_ID", "Client id.")
	t.secretVariable(&p.ClientJWK, jwk, "Private JWK of the client.")
	t.variable(&p.WellKnownURL, prefix+"_WELL_KNOWN_URL", "Metadata.")
	t.variable(&p.Issuer, prefix+"_ISSUER", "Issuer; wins over the metadata's.")
	t.variable(&p.JWKSURI, prefix+"_JWKS_URI", "Address of the keys; wins over the metadata's.")
	t.variable(&p.TokenEndpoint, prefix+"_TOKEN_ENDPOINT", "Token endpoint; wins over the metadata's.")
	t.providers = append(t.providers, platformProvider{
		provider: p, name: name, enabled: prefix + "_ENABLED", required: prefix + "_CLIENT_ID", value: &p.ClientID,
		credentials: []string{jwk}, wellKnown: prefix + "_WELL_KNOWN_URL",
		endpoints: []platformEndpoint{{prefix + "_ISSUER", &p.Issuer}, {prefix + "_JWKS_URI", &p.JWKSURI}, {prefix + "_TOKEN_ENDPOINT", &p.TokenEndpoint}},
	})
}

// idportenVariables describe an issuer that is never asked for tokens; its client serves login.
func (t *table) idportenVariables(p *Provider) {
	t.enabled(p, "IDPORTEN_ENABLED", "ID-porten")
	t.variable(&p.Audience, "IDPORTEN_AUDIENCE", "Audience that its tokens must have.")
	t.variable(&p.ClientID, "IDPORTEN_CLIENT_ID", "Client id.")
	t.secretVariable(&p.ClientJWK, "IDPORTEN_CLIENT_JWK", "Private JWK of the client.")
	t.variable(&p.WellKnownURL, "IDPORTEN_WELL_KNOWN_URL", "Metadata.")
	t.variable(&p.Issuer, "IDPORTEN_ISSUER", "Issuer; wins over the metadata's.")
	t.variable(&p.JWKSURI, "IDPORTEN_JWKS_URI", "Address of the keys; wins over the metadata's.")
	t.providers = append(t.providers, platformProvider{
		provider: p, name: "idporten", enabled: "IDPORTEN_ENABLED", required: "IDPORTEN_AUDIENCE", value: &p.Audience, wellKnown: "IDPORTEN_WELL_KNOWN_URL",
		endpoints: []platformEndpoint{{"IDPORTEN_ISSUER", &p.Issuer}, {"IDPORTEN_JWKS_URI", &p.JWKSURI}},
	})
}

// outboundVariables are about calls to providers. Go's convention: the upper case spelling wins over the lower case one.
func (t *table) outboundVariables(c *Config) {
	h := &c.Token.HTTP
	t.texas(bind(t, &h.ConnectTimeout, "TEXAS_HTTP_CONNECT_TIMEOUT_MILLIS", 0, millisKind(), "Token API: time to connect to a token endpoint."))
	t.texas(bind(t, &h.ReadTimeout, "TEXAS_HTTP_READ_TIMEOUT_MILLIS", 0, millisKind(), "Token API: time until an answer begins."))
	t.texas(bind(t, &h.OverallTimeout, "TEXAS_HTTP_OVERALL_TIMEOUT_MILLIS", 0, millisKind(), "Token API: time of one attempt."))
	t.texas(bind(t, &h.MaxRetries, "TEXAS_HTTP_MAX_RETRIES", nil, optionalNumberKind(), "Token API: attempts after the first."))
	t.texas(bind(t, &h.PoolMaxIdle, "TEXAS_HTTP_POOL_MAX_IDLE", 0, numberKind(0, 1<<20), "Token API: idle connections to keep."))
	for _, proxy := range []struct {
		field *Secret
		name  string
		doc   string
	}{
		{&c.Outbound.HTTPProxy, "HTTP_PROXY", "Web proxy for http calls to identity providers and for egress; never used towards the app."},
		{&c.Outbound.HTTPSProxy, "HTTPS_PROXY", "The same for https calls."},
	} {
		o := variableOf(bind(t, proxy.field, proxy.name, Secret{}, webProxyKind(), proxy.doc))
		o.variables = []string{strings.ToLower(proxy.name)}
	}
	t.variable(&c.Outbound.NoProxy, "NO_PROXY", "Hosts, domains and networks that are called directly.").variables = []string{"no_proxy"}
}

func variableOf(o *option) *option {
	o.variable = true
	return o
}

func (t *table) variable(field *string, name, doc string) *option {
	return variableOf(t.text(field, name, "", doc))
}

func (t *table) secretVariable(field *Secret, name, doc string) *option {
	return variableOf(bind(t, field, name, Secret{}, secretKind(), doc))
}

func (t *table) texas(o *option) {
	variableOf(o).forgiving = true
}

// enabled is exactly true or false, with Texas' message (reference/tokens.md 1.12).
func (t *table) enabled(p *Provider, name, provider string) {
	k := kind[bool]{word: "true/false", format: strconv.FormatBool, parse: func(text string) (bool, error) {
		if text != "true" && text != "false" {
			return false, errors.New("parse boolean option '" + name + "': provided string was not `true` or `false`")
		}
		return text == "true", nil
	}}
	variableOf(bind(t, &p.Enabled, name, false, k, "`true` makes "+provider+" known, and the token API serve it."))
}

func preAuthorizedKind() kind[[]PreAuthorized] {
	k := objectsKind[PreAuthorized]()
	k.word = "JSON"
	k.parse = func(text string) ([]PreAuthorized, error) {
		var list []PreAuthorized
		if strings.TrimSpace(text) == "" {
			return nil, nil
		}
		if json.Unmarshal([]byte(text), &list) != nil { // its error quotes the text
			return nil, errors.New("must be a JSON list of {name, clientId}; no caller is known by name")
		}
		return list, nil
	}
	return k
}

func millisKind() kind[time.Duration] {
	n := numberKind(0, 1<<31-1)
	return kind[time.Duration]{word: "milliseconds", parse: func(text string) (time.Duration, error) {
		v, err := n.parse(text)
		return time.Duration(v) * time.Millisecond, err
	}, format: func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }}
}

func optionalNumberKind() kind[*int] {
	n := numberKind(0, 1000)
	return kind[*int]{word: "number", parse: func(text string) (*int, error) {
		v, err := n.parse(text)
		return &v, err
	}, format: func(v *int) string {
		if v == nil {
			return ""
		}
		return strconv.Itoa(*v)
	}}
}

// webProxyKind takes what golang.org/x/net/http/httpproxy takes. Its user name and password are secrets (S-54), its address is not.
func webProxyKind() kind[Secret] {
	return kind[Secret]{
		word: "URL",
		parse: func(text string) (Secret, error) {
			text = strings.TrimSpace(text)
			if text == "" {
				return Secret{}, nil
			}
			full := text
			if !strings.Contains(full, "://") {
				full = "http://" + full
			}
			u, err := url.Parse(full)
			if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" && u.Scheme != "socks5h") {
				return Secret{}, errors.New("must be the address of a web proxy, such as http://proxy.example.org:8080")
			}
			return NewSecret(text), nil
		},
		format: func(s Secret) string { return hideUserinfo(s.Reveal()) },
	}
}
