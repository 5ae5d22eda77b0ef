package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/config"
	"postern/oidc"
)

// revokingProvider is a client of a provider whose revocation endpoint answers when it is let.
func revokingProvider(t *testing.T) (client *oidc.Client, asked *atomic.Int32, answer chan struct{}) {
	t.Helper()
	asked, answer = &atomic.Int32{}, make(chan struct{})
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			_, _ = w.Write([]byte(strings.ReplaceAll(
				`{"issuer":"U","token_endpoint":"U/token","jwks_uri":"U/keys","revocation_endpoint":"U/revoke"}`, "U", srv.URL)))
		case "/keys":
			_, _ = w.Write([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
		case "/revoke":
			asked.Add(1)
			<-answer
		}
	}))
	t.Cleanup(srv.Close)
	provider, err := oidc.NewProvider(oidc.ProviderConfig{Name: "openid", WellKnownURL: srv.URL + "/.well-known/openid-configuration"}, oidc.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go provider.Run(ctx)
	client, err = oidc.NewClient(config.OpenID{ClientID: "client", ClientSecret: config.NewSecret("secret")}, provider, oidc.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Metadata(t.Context()); err != nil {
		t.Fatal(err)
	}
	return client, asked, answer
}

// S-56: however many log out at once, the provider is asked by a few at a time, nobody waits, and what is too much is dropped.
func TestS56RevocationsAreBounded(t *testing.T) {
	t.Parallel()
	client, asked, answer := revokingProvider(t)
	r := newRevoker(client, slog.New(slog.DiscardHandler))
	for range revokeWaiting + 50 {
		r.revoke(t.Context(), oidc.Tokens{Refresh: oidc.NewToken("refresh")})
	}
	r.mu.Lock()
	waiting := r.waiting
	r.mu.Unlock()
	if waiting != revokeWaiting {
		t.Errorf("%d wait, want %d", waiting, revokeWaiting)
	}
	for deadline := time.Now().Add(10 * time.Second); asked.Load() < revokeAtOnce; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d at once, want %d", asked.Load(), revokeAtOnce)
		}
	}
	if n := asked.Load(); n != revokeAtOnce {
		t.Errorf("%d at once, want %d", n, revokeAtOnce)
	}
	close(answer)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.close(ctx); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != revokeWaiting {
		t.Errorf("%d were sent, want %d", n, revokeWaiting)
	}
	r.revoke(t.Context(), oidc.Tokens{Refresh: oidc.NewToken("refresh")})
	if err := r.close(ctx); err != nil || asked.Load() != revokeWaiting {
		t.Errorf("begun after the end: %v", err)
	}
}

// At the end a provider that does not answer is left behind in time.
func TestS56TheEndDoesNotWaitForASilentProvider(t *testing.T) {
	t.Parallel()
	client, _, answer := revokingProvider(t)
	defer close(answer)
	r := newRevoker(client, slog.New(slog.DiscardHandler))
	r.revoke(t.Context(), oidc.Tokens{Access: oidc.NewToken("access")})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.close(ctx); err == nil {
		t.Error("the provider has not answered, and nothing is said of it")
	}
}
