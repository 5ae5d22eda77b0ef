package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"postern/config"
)

// tenantPlaceholder stands in the issuer of Entra ID's multi-tenant metadata (tokens carry the tenant itself).
const tenantPlaceholder = "{tenantid}"

// Metadata is the part of a provider's metadata (OIDC Discovery §3, RFC 8414 §2) that is used here. Treat it as read-only: it is shared.
type Metadata struct {
	Issuer                             string   `json:"issuer"`
	AuthorizationEndpoint              string   `json:"authorization_endpoint"`
	TokenEndpoint                      string   `json:"token_endpoint"`
	JWKSURI                            string   `json:"jwks_uri"`
	EndSessionEndpoint                 string   `json:"end_session_endpoint"`
	PushedAuthorizationRequestEndpoint string   `json:"pushed_authorization_request_endpoint"`
	RevocationEndpoint                 string   `json:"revocation_endpoint"`
	CheckSessionIframe                 string   `json:"check_session_iframe"`
	ACRValuesSupported                 []string `json:"acr_values_supported"`
	UILocalesSupported                 []string `json:"ui_locales_supported"`
	IDTokenSigningAlgValuesSupported   []string `json:"id_token_signing_alg_values_supported"`
	TokenEndpointAuthMethodsSupported  []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuthMethodsSupported     []string `json:"revocation_endpoint_auth_methods_supported"`
	TokenEndpointAuthAlgSupported      []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	CodeChallengeMethodsSupported      []string `json:"code_challenge_methods_supported"`
	ResponseTypesSupported             []string `json:"response_types_supported"`
	ResponseModesSupported             []string `json:"response_modes_supported"`
	GrantTypesSupported                []string `json:"grant_types_supported"`
	ScopesSupported                    []string `json:"scopes_supported"`
	AuthorizationResponseIss           bool     `json:"authorization_response_iss_parameter_supported"`
	FrontchannelLogoutSupported        bool     `json:"frontchannel_logout_supported"`
	FrontchannelLogoutSessionSupported bool     `json:"frontchannel_logout_session_supported"`
	BackchannelLogoutSupported         bool     `json:"backchannel_logout_supported"`
	PosternTestProvider                bool     `json:"postern_test_provider"`
}

func parseMetadata(body []byte) (*Metadata, error) {
	var md *Metadata
	if err := json.Unmarshal(body, &md); err != nil {
		return nil, fmt.Errorf("parse metadata: %w", err)
	}
	if md == nil {
		return nil, errors.New("parse metadata: not an object")
	}
	return md, nil
}

// multiTenant says whether the issuer must be completed by a token's tenant.
func (md *Metadata) multiTenant() bool { return strings.Contains(md.Issuer, tenantPlaceholder) }

// The reasons of [Health].
const (
	reasonStarting    = "starting"
	reasonUnreachable = "metadata_unreachable"
	reasonInvalid     = "metadata_invalid"
	reasonIssuer      = "issuer_mismatch"
	reasonTenants     = "tenants_missing"
	reasonInsecure    = "endpoint_insecure"
	reasonTest        = "test_provider_refused"
	reasonKeysUnreach = "keys_unreachable"
	reasonKeysInvalid = "keys_invalid"
	reasonKeysStale   = "keys_stale"
)

// fault is an error with its stable code for [Health].
type fault struct {
	reason string
	err    error
}

func (f *fault) Error() string { return f.reason + ": " + f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// adopt checks fetched metadata (S-41, S-50) and returns what is used of it: explicit endpoints win.
func (cfg ProviderConfig) adopt(fetched *Metadata) (*Metadata, error) {
	if fetched.PosternTestProvider && !cfg.AllowTestProvider {
		return nil, &fault{reasonTest, errors.New("this is Postern's test provider; allow-test-provider is not set")}
	}
	if err := cfg.checkIssuer(fetched.Issuer); err != nil {
		return nil, err
	}
	md := *fetched
	md.Issuer = first(cfg.Issuer, md.Issuer)
	if md.multiTenant() && len(cfg.Tenants) == 0 {
		return nil, &fault{reasonTenants, errors.New("the issuer is for many tenants, and none is allowed by name (openid.tenants)")}
	}
	// A provider elsewhere must not lead us to plain http, nor to something on our own loopback.
	local := urlOnLoopback(cfg.WellKnownURL)
	for _, e := range []struct {
		member, url string
		required    bool
	}{
		{"jwks_uri", firstIf(cfg.JWKSURI == "", md.JWKSURI), cfg.JWKSURI == ""},
		{"token_endpoint", firstIf(cfg.TokenEndpoint == "", md.TokenEndpoint), false},
		{"authorization_endpoint", md.AuthorizationEndpoint, false},
		{"pushed_authorization_request_endpoint", md.PushedAuthorizationRequestEndpoint, false},
		{"end_session_endpoint", md.EndSessionEndpoint, false},
		{"revocation_endpoint", md.RevocationEndpoint, false},
	} {
		if e.url == "" {
			if e.required {
				return nil, &fault{reasonInvalid, fmt.Errorf("%s is missing", e.member)}
			}
			continue
		}
		if err := checkURL(e.url, cfg.AllowHTTP, local); err != nil {
			return nil, &fault{reasonInsecure, fmt.Errorf("%s %w", e.member, err)}
		}
	}
	md.JWKSURI = first(cfg.JWKSURI, md.JWKSURI)
	md.TokenEndpoint = first(cfg.TokenEndpoint, md.TokenEndpoint)
	return &md, nil
}

// checkIssuer holds the metadata to its own address (OIDC Discovery §4.3, RFC 8414 §3.3): a document that names another issuer would
// let one provider speak for another.
func (cfg ProviderConfig) checkIssuer(got string) error {
	if cfg.Issuer != "" {
		if got == cfg.Issuer {
			return nil
		}
		return &fault{reasonIssuer, errors.New("issuer of the metadata is not the configured one")}
	}
	derived, err := deriveIssuer(cfg.WellKnownURL)
	if err != nil {
		return &fault{reasonIssuer, err}
	}
	candidates := []string{got}
	if strings.Contains(got, tenantPlaceholder) {
		candidates = nil
		for _, all := range manyTenants {
			candidates = append(candidates, strings.Replace(got, tenantPlaceholder, all, 1))
		}
	}
	for _, c := range candidates {
		if c != "" && strings.TrimSuffix(c, "/") == strings.TrimSuffix(derived, "/") {
			return nil
		}
	}
	return &fault{reasonIssuer, fmt.Errorf("issuer of the metadata is not that of its address, %q (for Entra ID use the tenant's GUID, not its domain name)",
		derived)}
}

// deriveIssuer takes the well-known part out of a metadata address: a suffix (OIDC Discovery §4.1) or, as RFC 8414 §3.1 has it, inserted
// between host and path.
func deriveIssuer(wellKnown string) (string, error) {
	u, err := url.Parse(wellKnown)
	if err != nil || u.Host == "" {
		return "", errors.New("well-known URL is not an absolute URL")
	}
	for _, part := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		path := u.EscapedPath()
		rest, isSuffix := strings.CutSuffix(path, part)
		if !isSuffix {
			var inserted bool
			if rest, inserted = strings.CutPrefix(path, part+"/"); !inserted {
				continue
			}
			rest = "/" + rest
		}
		return u.Scheme + "://" + u.Host + rest, nil
	}
	return "", errors.New("well-known URL ends with neither /.well-known/openid-configuration nor /.well-known/oauth-authorization-server")
}

// checkURL enforces S-50: https, or http where it is allowed. The error says what is wrong with "it".
func checkURL(raw string, allowHTTP, allowLoopback bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return errors.New("is not an absolute URL")
	case u.User != nil || u.Fragment != "":
		return errors.New("has a user or a fragment")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (allowHTTP || allowLoopback && config.LoopbackHost(u.Hostname())):
		return nil
	}
	return errors.New("is not https (allow-http-providers is for tests)")
}

func urlOnLoopback(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && config.LoopbackHost(u.Hostname())
}

func firstIf(use bool, text string) string {
	if use {
		return text
	}
	return ""
}
