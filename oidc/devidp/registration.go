package devidp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// ReadClients reads a list of [ClientConfig] as JSON. Unknown members are an error, which quotes nothing of what was read: there are secrets in it.
func ReadClients(r io.Reader) ([]ClientConfig, error) {
	raw, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read clients: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if _, err := parseValue(d, 0); err != nil || !ended(d) { // doubled members, which the next reading would not notice
		return nil, errClients
	}
	var clients []ClientConfig
	if err := decodeStrictly(bytes.NewReader(raw), &clients); err != nil {
		return nil, errClients
	}
	return clients, nil
}

var (
	errClients = errors.New("read clients: not a JSON list of clients with the members that the README describes")
	errClient  = errors.New("the body is not a client with the members that the README describes")
)

// decodeStrictly reads one JSON value into something that has a place for all of it.
func decodeStrictly(r io.Reader, into any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if !ended(d) {
		return errors.New("there is something after the JSON value")
	}
	return nil
}

// registerByPOST takes a [ClientConfig] as JSON.
func (x *exchange) registerByPOST() (any, error) {
	var c ClientConfig
	if err := decodeStrictly(http.MaxBytesReader(x.w, x.r.Body, maxBody), &c); err != nil {
		return nil, errClient
	}
	return map[string]any{}, x.idp.SetClient(c)
}

// PublicJWKS is the public half of a private JWK or JWK set, such as the content of TOKEN_X_PRIVATE_JWK.
func PublicJWKS(private string) (json.RawMessage, error) {
	keys, err := publicKeys(json.RawMessage(private))
	if err != nil {
		return nil, err
	}
	public, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("encode public keys: %w", err)
	}
	return public, nil
}

// ClientFromEnv registers the app whose environment this is, by the variables that Nais gives to a pod. Who may call the app at TokenX stands in
// none of them, and neither does where it logs people in.
func ClientFromEnv(getenv func(string) string) (ClientConfig, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if value := getenv(name); value != "" {
				return value
			}
		}
		return ""
	}
	c := ClientConfig{
		ID: first("AZURE_APP_CLIENT_ID", "TOKEN_X_CLIENT_ID", "MASKINPORTEN_CLIENT_ID"), Name: getenv("TOKEN_X_CLIENT_ID"),
		Secret: getenv("AZURE_APP_CLIENT_SECRET"), JWKS: json.RawMessage(first("AZURE_APP_JWK", "AZURE_APP_CLIENT_JWK")),
		TokenX: TokenXClient{ID: getenv("TOKEN_X_CLIENT_ID"), JWKS: json.RawMessage(getenv("TOKEN_X_PRIVATE_JWK"))},
		Maskinporten: MaskinportenClient{
			ID: getenv("MASKINPORTEN_CLIENT_ID"), JWKS: json.RawMessage(getenv("MASKINPORTEN_CLIENT_JWK")),
			Scopes: strings.Fields(getenv("MASKINPORTEN_SCOPES")),
		},
	}
	if c.ID == "" {
		return c, errors.New("none of AZURE_APP_CLIENT_ID, TOKEN_X_CLIENT_ID and MASKINPORTEN_CLIENT_ID is set")
	}
	var callers []struct {
		ClientID string `json:"clientId"`
	}
	if raw := getenv("AZURE_APP_PRE_AUTHORIZED_APPS"); raw != "" {
		if err := json.Unmarshal([]byte(raw), &callers); err != nil {
			return c, fmt.Errorf("AZURE_APP_PRE_AUTHORIZED_APPS is no list of apps: %w", err)
		}
	}
	for _, caller := range callers {
		c.PreAuthorized = append(c.PreAuthorized, caller.ClientID)
	}
	return c, nil
}
