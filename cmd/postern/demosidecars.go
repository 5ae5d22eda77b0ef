package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"postern/config"
	"postern/oidc/devidp"
	"postern/session"
)

// demoPolicy is the access policy of the API, written to be read.
//
//go:embed demopolicy.yaml
var demoPolicy []byte

// demoClient registers the web app with the test provider.
func demoClient(world demoWorld) devidp.ClientConfig {
	return devidp.ClientConfig{
		ID: demoWeb, Secret: "not-a-secret", Name: demoWebName,
		RedirectURIs:           []string{localhost(world.front) + "/oauth2/callback"},
		PostLogoutRedirectURIs: []string{localhost(world.front) + "/oauth2/logout/callback"},
	}
}

// demoWebSidecar configures Postern for the web app in the way that a platform engineer would: by its options.
func demoWebSidecar(p program, world demoWorld, provider *devidp.IdP, client devidp.ClientConfig, verbose bool) (*sidecar, error) {
	key, err := session.RandomKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return demoSidecar(p, config.Source{
		Args: append(demoOptions(verbose),
			"--bind-address="+bind(world.front),
			"--metrics-bind-address="+bind(world.metrics),
			"--probe-bind-address="+bind(world.probe),
			"--ingress="+localhost(world.front),
			"--upstream-host="+bind(world.app),
			"--openid.provider=azure",
			"--openid.client-id="+client.ID,
			"--openid.client-secret="+client.Secret,
			"--openid.well-known-url="+provider.WellKnown(devidp.Entra, ""),
			"--cookie.secure=false", // plain http on localhost
			"--encryption-key="+key.Reveal(),
			"--auto-login=true",
			"--auto-login-ignore-paths=/,/static/**,/whoami,/stream,/echo,/try",
			"--identity.headers=postern,claims",
			"--token.bind-address="+bind(world.tokens),
			"--egress.bind-address="+bind(world.egress),
			"--egress.routes="+demoRoutes(world),
		),
		Environ: []string{ // with these the app can be a client of other APIs
			"AZURE_ENABLED=true",
			"AZURE_APP_CLIENT_ID=" + client.ID,
			"AZURE_APP_CLIENT_SECRET=" + client.Secret,
			"AZURE_APP_WELL_KNOWN_URL=" + provider.WellKnown(devidp.Entra, ""),
			"AZURE_APP_TENANT_ID=" + devidp.DefaultTenantID,
		},
	})
}

// demoAPISidecar configures Postern for the API: by the variables that Nais gives to a pod, and a policy. There is no login here.
func demoAPISidecar(p program, world demoWorld, provider *devidp.IdP, policyFile string, verbose bool) (*sidecar, error) {
	jwk, err := demoJWK()
	if err != nil {
		return nil, err
	}
	known, err := json.Marshal(demoKnownApps())
	if err != nil {
		return nil, err
	}
	return demoSidecar(p, config.Source{
		Args: append(demoOptions(verbose),
			"--bind-address="+bind(world.apiFront),
			"--metrics-bind-address="+bind(world.apiMetrics),
			"--probe-bind-address="+bind(world.apiProbe),
			"--ingress="+localhost(world.apiFront),
			"--upstream-host="+bind(world.api),
			"--token.bind-address="+bind(world.apiTokens),
			"--bearer.providers=entra_id,tokenx,maskinporten,idporten",
			"--policy-file="+policyFile,
		),
		Environ: []string{
			"AZURE_ENABLED=true",
			"AZURE_APP_CLIENT_ID=" + demoAPI.entra,
			"AZURE_APP_JWK=" + jwk,
			"AZURE_APP_WELL_KNOWN_URL=" + provider.WellKnown(devidp.Entra, ""),
			"AZURE_APP_TENANT_ID=" + devidp.DefaultTenantID,
			"AZURE_APP_PRE_AUTHORIZED_APPS=" + string(known),
			"TOKEN_X_ENABLED=true",
			"TOKEN_X_CLIENT_ID=" + demoAPI.tokenX,
			"TOKEN_X_PRIVATE_JWK=" + jwk,
			"TOKEN_X_WELL_KNOWN_URL=" + provider.WellKnown(devidp.TokenX, ""),
			"MASKINPORTEN_ENABLED=true",
			"MASKINPORTEN_CLIENT_ID=" + demoAPI.maskinporten,
			"MASKINPORTEN_CLIENT_JWK=" + jwk,
			"MASKINPORTEN_WELL_KNOWN_URL=" + provider.WellKnown(devidp.Maskinporten, ""),
			"IDPORTEN_ENABLED=true",
			"IDPORTEN_AUDIENCE=" + demoAPI.idporten,
			"IDPORTEN_CLIENT_ID=" + demoAPI.idportenClient,
			"IDPORTEN_WELL_KNOWN_URL=" + provider.WellKnown(devidp.IDPorten, ""),
		},
	})
}

func demoOptions(verbose bool) []string {
	return []string{"--shutdown-graceful-period=2s", "--log-format=text", "--log-level=" + map[bool]string{true: "debug", false: "warn"}[verbose]}
}

func demoSidecar(p program, source config.Source) (*sidecar, error) {
	loaded, err := config.Load(source)
	if err != nil {
		return nil, err
	}
	log := newLogger(loaded.Config.Log, p.stdout)
	return newSidecar(loaded, log, log)
}

// writeDemoPolicy puts the policy where the person can edit it; remove takes it away again.
func writeDemoPolicy() (path string, remove func() error, err error) {
	dir, err := os.MkdirTemp("", "postern-demo-")
	if err != nil {
		return "", nil, fmt.Errorf("make a place for the policy: %w", err)
	}
	path = filepath.Join(dir, "policy.yaml")
	remove = func() error { return os.RemoveAll(dir) }
	if err := os.WriteFile(path, demoPolicy, 0o600); err != nil {
		return "", nil, errors.Join(fmt.Errorf("write the policy: %w", err), remove())
	}
	return path, remove, nil
}

// demoJWK is a key that the API's Postern could ask for tokens with. It never does here, so nobody knows the public half.
func demoJWK() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("generate a key: %w", err)
	}
	private, err := key.Bytes()
	if err != nil {
		return "", fmt.Errorf("encode a key: %w", err)
	}
	public, err := key.PublicKey.Bytes() // 0x04, x, y (SEC 1 §2.3.3)
	if err != nil {
		return "", fmt.Errorf("encode a key: %w", err)
	}
	half := (len(public) - 1) / 2
	encode := base64.RawURLEncoding.EncodeToString
	text, err := json.Marshal(map[string]string{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "demo",
		"x": encode(public[1 : 1+half]), "y": encode(public[1+half:]), "d": encode(private),
	})
	return string(text), err
}
