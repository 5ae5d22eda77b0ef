package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// noMemory leaves the cache of verified tokens a single byte of the three that are for all caches: nothing fits, so every token is new.
const noMemory = "--cache.max-memory=3"

// openBearer starts the Posterns of services with tokens, one that remembers tokens and one that does not, as far as they are needed.
func (w *world) openBearer(ctx context.Context, callers []*caller, progress io.Writer) error {
	if len(callers) == 0 {
		return nil
	}
	most := 0
	for _, c := range callers {
		most = max(most, c.bearer)
	}
	say(progress, "minting %d tokens", most)
	tokens, err := w.mint(ctx, most, appToken(callingApp, roleOfApps, roleOfRead))
	if err != nil {
		return err
	}
	started := map[bool]*process{} // by whether it is cold
	for _, c := range callers {
		if started[c.cold] == nil {
			p, err := w.startBearer(ctx, c.cold)
			if err != nil {
				return err
			}
			w.targets, started[c.cold] = append(w.targets, p), p
			if err := w.mustRefuse(ctx, p); err != nil {
				return err
			}
		}
		c.postern, c.tokens = started[c.cold], tokens[:c.bearer]
		c.common = serviceHeaders(c.postern.address)
		// Every token is admitted, and from now on known where anything is.
		if err := askEach(ctx, c.postern.address, c.requests(pathSmall)); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// startBearer runs a Postern for bearer tokens of Entra ID, configured by the variables of the platform.
func (w *world) startBearer(ctx context.Context, cold bool) (*process, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	tokenAPI, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	policy := filepath.Join(w.dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(policyText()), 0o600); err != nil {
		return nil, fmt.Errorf("write the policy: %w", err)
	}
	known, err := preAuthorizedApps()
	if err != nil {
		return nil, err
	}
	more := []string{
		"--ingress=http://" + address, "--token.bind-address=" + tokenAPI, "--bearer.providers=entra_id", "--policy-file=" + policy,
	}
	if cold {
		more = append(more, noMemory)
	}
	p, _, err := w.startPostern(ctx, address, append(w.entraEnv(), "AZURE_APP_PRE_AUTHORIZED_APPS="+known), more...)
	return p, err
}

// entraEnv are the variables of a platform that has registered the app at Entra ID.
func (w *world) entraEnv() []string {
	return []string{
		"AZURE_ENABLED=true", "AZURE_APP_CLIENT_ID=" + clientID, "AZURE_APP_CLIENT_SECRET=" + clientSecret, "AZURE_APP_WELL_KNOWN_URL=" + w.wellKnown(),
	}
}

// mustRefuse makes sure that somebody decides: a Postern that let everybody in would be quick too.
func (w *world) mustRefuse(ctx context.Context, p *process) error {
	for _, c := range []struct {
		who   string
		app   int
		roles []string
	}{
		{"an app without a rule", strangeApp, []string{roleOfApps, roleOfRead}},
		{"an app without the path's role", callingApp, []string{roleOfApps}},
	} {
		tokens, err := w.mint(ctx, 1, appToken(c.app, c.roles...))
		if err != nil {
			return err
		}
		caller := caller{common: serviceHeaders(p.address), tokens: tokens}
		status, err := statusFor(ctx, "http://"+p.address+pathSmall, caller.header(0))
		if err != nil {
			return err
		}
		if status != http.StatusForbidden {
			return fmt.Errorf("%s gets status %d in place of 403: the policy does not decide", c.who, status)
		}
	}
	return nil
}
