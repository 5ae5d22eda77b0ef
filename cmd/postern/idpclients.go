package main

import (
	"fmt"
	"os"
	"strings"

	"postern/oidc/devidp"
)

// settleClient makes the app under development of the flags, or of the environment where that was asked for.
func (f *idpFlags) settleClient(environ []string) error {
	redirects, postLogout := strings.FieldsFunc(f.redirects, comma), strings.FieldsFunc(f.postLogout, comma)
	if f.fromEnv {
		client, err := devidp.ClientFromEnv(func(name string) string { return variable(environ, name) })
		if err != nil {
			return fmt.Errorf("client-from-env: %w", err)
		}
		client.FrontChannelLogoutURI, client.BackChannelLogoutURI = f.client.FrontChannelLogoutURI, f.client.BackChannelLogoutURI
		f.client = client
		if client.Secret == "" && len(client.JWKS) == 0 { // nobody logs in with it
			return nil
		}
	}
	f.client.RedirectURIs, f.client.PostLogoutRedirectURIs = redirects, postLogout
	return nil
}

// allClients are the app under development and those of the file.
func (f *idpFlags) allClients(environ []string) ([]devidp.ClientConfig, error) {
	if err := f.settleClient(environ); err != nil {
		return nil, err
	}
	clients := []devidp.ClientConfig{f.client}
	if f.clients == "" {
		return clients, nil
	}
	file, err := os.Open(f.clients)
	if err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	defer file.Close()
	others, err := devidp.ReadClients(file)
	if err != nil {
		return nil, fmt.Errorf("clients: %s: %w", f.clients, err)
	}
	return append(clients, others...), nil
}

// variable is the value of an environment variable, "" if it is not set.
func variable(environ []string, name string) string {
	for _, entry := range environ {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}
