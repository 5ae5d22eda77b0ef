package main

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"

	"postern/cmd/postern-injector/webhook"
)

// A connection that the API server keeps would be closed at the end of draining just when it asks by it again, and the pod would not be created.
func TestConnectionsAreGivenUpWhileDraining(t *testing.T) {
	t.Parallel()
	for name, protocols := range map[string][]string{"HTTP/1.1": {"http/1.1"}, "HTTP/2": {"h2"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &health{}
			server := httptest.NewUnstartedServer(nil)
			server.Config = webhook.NewServer(h.releasing(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), slog.New(slog.DiscardHandler))
			server.TLS = &tls.Config{NextProtos: protocols, MinVersion: tls.VersionTLS13}
			server.EnableHTTP2 = protocols[0] == "h2"
			server.StartTLS()
			t.Cleanup(server.Close)
			client := server.Client()
			reused := func() (reused bool) {
				t.Helper()
				trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }}
				req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodPost, server.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.Proto != name && resp.Proto != name+".0" {
					t.Fatalf("the answer came by %s", resp.Proto)
				}
				return reused
			}
			reused()
			if !reused() {
				t.Error("a connection is not kept in ordinary times")
			}
			h.draining.Store(true)
			reused() // the last request of that connection
			if reused() {
				t.Error("a connection is kept while draining")
			}
		})
	}
}
