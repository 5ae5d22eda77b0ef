package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"postern/config"
	"postern/oidc"
)

// examiner looks at one provider.
type examiner struct {
	Provider
	world World
	clock *clock
	deps  oidc.Deps
}

func newExaminer(w World, p Provider) *examiner {
	client := oidc.NewHTTPClient(w.Config.Outbound)
	c := &clock{next: client.Transport, now: w.Now}
	client.Transport = c
	return &examiner{Provider: p, world: w, clock: c, deps: oidc.Deps{HTTP: client, Now: w.Now}}
}

func (e *examiner) check(name string) string { return e.Name + "." + name }

// look reads metadata and keys; only with them at hand can the rest be tried.
func (e *examiner) look(ctx context.Context) []Finding {
	provider, err := oidc.NewProvider(e.Config, e.deps)
	if err != nil {
		return []Finding{problem(e.check("metadata"), "Correct the addresses of this provider.", "%v", err)}
	}
	reading, cancel := context.WithTimeout(ctx, stepLimit)
	seen := provider.Examine(reading)
	cancel()
	if seen.Metadata == nil {
		return append(e.unread(seen), e.clock.finding(e.check("clock")))
	}
	from := e.Config.WellKnownURL
	if from == "" {
		from = "the explicit addresses"
	}
	found := []Finding{ok(e.check("metadata"), "issuer %s, by %s", seen.Metadata.Issuer, from), e.keys(seen)}
	var client, redirect []Finding
	var both sync.WaitGroup
	trying, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	if e.asked() {
		found = append(found, e.capabilities(seen.Metadata)...)
		both.Go(func() {
			if client = e.client(trying, provider, seen.Metadata); client[0].Status == OK {
				client = append(client, e.targets(trying, provider)...)
			}
		})
	}
	if e.Login {
		found = append(found, e.scopes(seen.Metadata)...)
		both.Go(func() { redirect = e.redirect(trying, provider, seen.Metadata) })
	}
	both.Wait()
	found = append(found, e.clock.finding(e.check("clock")))
	return slices.Concat(found, client, redirect)
}

// unread says why the metadata is of no use, and what depends on it.
func (e *examiner) unread(seen oidc.Examination) []Finding {
	advice := map[string]string{
		"metadata_unreachable":  "Check the address, DNS, the egress NetworkPolicy or accessPolicy.outbound, and HTTPS_PROXY.",
		"metadata_invalid":      "The address answers something else than metadata: it must end in /.well-known/openid-configuration or /.well-known/oauth-authorization-server.",
		"issuer_mismatch":       "Take the address of the metadata, and the issuer if it is configured, from the provider's own documents; for Entra ID with the tenant's GUID.",
		"tenants_missing":       "List the tenants whose tokens may come in openid.tenants, or use the address of one tenant.",
		"endpoint_insecure":     "Every address of a provider must be https; allow-http-providers is for tests.",
		"test_provider_refused": "A test provider lets anybody be anybody. Use the real one; allow-test-provider is for tests beyond loopback.",
	}[seen.Reason]
	if seen.Status != 0 { // the way there is as it should be
		advice = "It is reached, and has no metadata there: check host, path and tenant of the address, and what a web proxy says to it."
	}
	found := []Finding{problem(e.check("metadata"), adviseDial(seen.Err, advice), "%s: %v%s", seen.Reason, bare(seen.Err), explainDial(seen.Err))}
	rest := []string{"keys"}
	if e.asked() {
		rest = append(rest, "client")
	}
	if e.Login {
		rest = append(rest, "redirect")
	}
	for _, name := range rest {
		found = append(found, unchecked(e.check(name), "", "there is no usable metadata"))
	}
	return found
}

func (e *examiner) keys(seen oidc.Examination) Finding {
	check := e.check("keys")
	if seen.Reason != "" {
		advice := "Until this is mended no token of this provider is accepted. Check its jwks_uri from here."
		if seen.Reason == "keys_invalid" {
			advice += " Keys must be public RSA (2048 bits or more), EC or Ed25519 keys for signatures."
		}
		return problem(check, adviseDial(seen.Err, advice), "%s: %v%s", seen.Reason, bare(seen.Err), explainDial(seen.Err))
	}
	var algorithms []string
	for _, key := range seen.Keys {
		if !slices.Contains(algorithms, key.Algorithm) {
			algorithms = append(algorithms, key.Algorithm)
		}
	}
	if announced := seen.Metadata.IDTokenSigningAlgValuesSupported; e.Login && len(announced) > 0 && !overlap(announced, algorithms) {
		return problem(check, "Have the provider sign id tokens by one of its published keys; openid.jwks-fallback-alg names the algorithm of RSA keys without \"alg\".",
			"the keys are for %s, but id tokens are signed by %s", list(algorithms), list(announced))
	}
	return ok(check, "%d usable, for %s", len(seen.Keys), list(algorithms))
}

// ssoServer asks the SSO server that this proxy sends people to.
func (w World) ssoServer(ctx context.Context) []Finding {
	address := strings.TrimSuffix(w.Config.SSO.ServerURL, "/") + "/oauth2/ping"
	const advice = "sso.server-url must be the public address of the Postern (or wonderwall) with sso.mode=server."
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return []Finding{problem("sso.server", advice, "sso.server-url is no address")}
	}
	response, err := oidc.NewHTTPClient(config.Outbound{}).Do(request)
	if err != nil {
		return []Finding{problem("sso.server", adviseDial(err, advice), "it does not answer: %v%s", bare(err), explainDial(err))}
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return []Finding{problem("sso.server", advice, "%s answers %d", address, response.StatusCode)}
	}
	return []Finding{ok("sso.server", "it answers at %s", address)}
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(one string) bool { return slices.Contains(b, one) })
}

func list(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return fmt.Sprint(strings.Join(words, ", "))
}
