package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

// verifying is the bare proxy that does also what an app without a sidecar would: it verifies the token of each request by the library that most
// programs in Go use for it.
const verifying = "bare and go-oidc"

// newVerifying asks the provider for its keys once.
func newVerifying(ctx context.Context, c bareConfig, wellKnown string) (http.Handler, error) {
	provider, err := gooidc.NewProvider(ctx, strings.TrimSuffix(wellKnown, "/.well-known/openid-configuration"))
	if err != nil {
		return nil, err
	}
	verifier, next := provider.VerifierContext(ctx, &gooidc.Config{ClientID: clientID}), newBare(c)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, has := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); has {
			verified, err := verifier.Verify(r.Context(), token)
			var caller struct {
				App   string   `json:"azp"`
				Roles []string `json:"roles"`
			}
			if err == nil {
				err = verified.Claims(&caller)
			}
			if err != nil || caller.App == "" || len(caller.Roles) == 0 {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
		}
		next.ServeHTTP(w, r)
	}), nil
}

// openVerifying starts it beside the bare proxy of a caller, and makes sure that it looks at tokens.
func (w *world) openVerifying(ctx context.Context, c *caller, bare bareConfig) error {
	p, err := start(ctx, roleVerifying, part{Bare: bare, WellKnown: w.wellKnown()}, bareGC)
	if err != nil {
		return err
	}
	w.targets = append(w.targets, p)
	header := c.header(0)
	for altered, want := range map[string]int{"": http.StatusOK, "x": http.StatusUnauthorized} {
		header.Set("Authorization", "Bearer "+altered+c.tokens[0])
		status, err := statusFor(ctx, "http://"+p.address+pathSmall, header)
		if err != nil {
			return err
		}
		if status != want {
			return fmt.Errorf("%s answers %d in place of %d", verifying, status, want)
		}
	}
	c.entrants = append(c.entrants, entrant{&gateway{name: verifying, process: p}, c})
	return nil
}

// costOfVerification is what verifying a token takes beyond passing the request on: the median of the rounds. It is not there unless that was
// measured.
func (o outcome) costOfVerification() (cost time.Duration, ok bool) {
	for i, e := range o.scenario.caller.entrants {
		if e.gateway.name != verifying || len(o.others) <= i || len(o.others[i]) == 0 {
			continue
		}
		var all []time.Duration
		for round, s := range o.others[i] {
			all = append(all, s.cpu-o.peer[round].cpu)
		}
		return median(all), true
	}
	return 0, false
}
