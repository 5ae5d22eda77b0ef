package oidc

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
)

func TestS41TestProviderIsRefusedUnlessAllowed(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{false, true} {
		p := newIDP(t)
		p.metadata["postern_test_provider"] = true
		w := build(t, p, withProvider(func(c *ProviderConfig) { c.AllowTestProvider = allowed }))
		w.provider.note(w.provider.refresh(t.Context()))
		if h := w.provider.Health(); h.Ready != allowed || (h.Reason == "test_provider_refused") == allowed {
			t.Errorf("allowed %v: %+v", allowed, h)
		}
		if allowed {
			continue
		}
		_, _, err := w.client.Authorize(canceled(t), AuthorizationRequest{RedirectURI: testRedirect})
		wantTrouble(t, err, "test_provider_refused")
		if p.count("/jwks") != 0 {
			t.Error("its keys were fetched")
		}
	}
}

// wonderwall.md appendix B 29, for this room: a login, a refresh and their failures, logged at debug level.
func TestSecretsAreInNoLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := newIDP(t)
	w := newWorld(t, p, func(_ *ProviderConfig, _ *config.OpenID, d *Deps) {
		d.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	g, err := w.login(AuthorizationRequest{})
	must(t, err)
	g, err = w.client.Refresh(t.Context(), g)
	must(t, err)
	p.down("/", http.StatusBadGateway)
	w.provider.note(w.provider.refresh(t.Context()))
	_, err = w.client.Refresh(t.Context(), g)
	w.client.deps.Log.Error("refresh", "error", err, "grant", g.Tokens)
	if !strings.Contains(log.String(), "metadata_unreachable") {
		t.Error("the trouble is not in the log")
	}
	for _, secret := range []string{testSecret, g.Tokens.Access.Raw(), g.Tokens.Refresh.Raw(), g.Tokens.ID.Raw(), "code-", "refresh-"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the log: %s", secret, log.String())
		}
	}
}

func TestTroubleIsLoggedOnceAndNotAtEachAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := newIDP(t)
		p.down("/", http.StatusBadGateway)
		w := build(t, p, func(_ *ProviderConfig, _ *config.OpenID, d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		ctx, stop := context.WithCancel(t.Context())
		go w.provider.Run(ctx)
		time.Sleep(time.Minute)
		p.up()
		time.Sleep(time.Minute)
		stop()
		synctest.Wait()
		if got := strings.Count(log.String(), "\n"); got != 2 || !strings.Contains(log.String(), "ready") {
			t.Errorf("%d lines: %s", got, log.String())
		}
	})
}

func TestMetricsOfTwoProvidersShareTheirFamilies(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	register := func(_ *ProviderConfig, _ *config.OpenID, d *Deps) { d.Registerer = registry }
	w := newWorld(t, newIDP(t), register, withProvider(func(c *ProviderConfig) { c.Name = "one" }))
	_ = newWorld(t, newIDP(t), register, withProvider(func(c *ProviderConfig) { c.Name = "two" }))
	build(t, newIDP(t), register, withProvider(func(c *ProviderConfig) { c.Name = "three" }))
	_, err := w.login(AuthorizationRequest{})
	must(t, err)
	families, err := registry.Gather()
	must(t, err)
	got := map[string]int{}
	ready := 0.0
	for _, f := range families {
		got[f.GetName()] = len(f.GetMetric())
		if f.GetName() == "postern_provider_ready" {
			for _, m := range f.GetMetric() {
				ready += m.GetGauge().GetValue()
			}
		}
	}
	want := map[string]int{
		"postern_provider_call_seconds": 5, // fetches of metadata and keys by two, and one login
		"postern_provider_ready":        3, "postern_provider_degraded": 3, "postern_provider_keys_age_seconds": 3,
		"postern_provider_last_success_timestamp_seconds": 3, "postern_provider_clock_skew_seconds": 3,
		"postern_phase_duration_seconds": 6,
	}
	if diff := cmp.Diff(want, got); diff != "" || ready != 2 {
		t.Errorf("%s, %v ready", diff, ready)
	}
}

func TestResponseIssuerOfManyTenantsIsOneOfTheNamed(t *testing.T) {
	t.Parallel()
	w := build(t, newIDP(t), withProvider(func(c *ProviderConfig) {
		c.WellKnownURL, c.Tenants = "https://l.example/common/v2.0/.well-known/openid-configuration", []string{testTenant}
	}))
	md := &Metadata{Issuer: "https://l.example/{tenantid}/v2.0"}
	must(t, w.client.checkResponseIssuer(md, "https://l.example/"+testTenant+"/v2.0"))
	for _, iss := range []string{md.Issuer, "https://l.example/11111111-1ec3-4962-8869-9b5535279d0b/v2.0", "https://evil.example/" + testTenant + "/v2.0"} {
		wantInvalid(t, w.client.checkResponseIssuer(md, iss), "another issuer")
	}
}

func TestMemoIsMadeOnce(t *testing.T) {
	t.Parallel()
	id, err := RestoreIdentity(OpenID, `{"sub":"s"}`, "")
	must(t, err)
	made := 0
	for range 3 {
		if got := id.Memo(func(id *Identity) any { made++; return id.Subject() }); got != "s" {
			t.Errorf("got %v", got)
		}
	}
	if made != 1 {
		t.Errorf("made %d times", made)
	}
}

func TestRequiredACRIsTheConfiguredOrPresetOne(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]config.OpenID{
		"":             {Provider: "openid"},
		loaHigh:        {Provider: "idporten"},
		loaSubstantial: {Provider: "idporten", ACRValues: "Level3"},
		"urn:x":        {Provider: "azure", ACRValues: " urn:x "},
	} {
		w := build(t, newIDP(t), withOpenID(func(c *config.OpenID) { c.Provider, c.ACRValues = cfg.Provider, cfg.ACRValues }))
		if got := w.client.RequiredACR(); got != want || LoginProviderName(cfg) != w.client.ProviderName() {
			t.Errorf("%+v: %q", cfg, got)
		}
	}
}
