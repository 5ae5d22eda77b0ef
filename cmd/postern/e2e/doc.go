// Package e2e drives the built postern binary from outside, beside real components: a Redis server, an nginx, a Chromium, an OpenID provider that was not
// written here, and a network that breaks on demand.
//
// It owns the pieces that such tests are put together from, and the tests themselves. It does not own what the binary does: nothing here imports
// another package of the module, so that a test can only see what a user can see; but session/redistest, which knows nothing of Postern.
//
// The pieces, each a function that takes the test and cleans up after it:
//
//	Build, Start, Launch     the binary, built once a test process; its log, exit code and secrets
//	StartReplicas            several posterns behind one address that takes turns; each can be killed, frozen and cut off from its store
//	Redis                    redis-server, to be stopped, frozen and restarted; package redistest has Sentinel, Cluster and TLS
//	Nginx                    nginx as an ingress controller that asks Postern
//	OIDCProvider             npm's oidc-provider with a login form
//	Browser                  Chromium, one profile a test
//	NewClient                an HTTP client that stops at every redirect and keeps cookies as a browser would
//	App, RawUpstream         the app behind Postern: one that echoes what it got, one that records bytes and answers a script
//	FaultProxy, ConnectProxy, TLSFront   what stands between two of them
//
// A component that is not on the machine skips the test with one line that says how to install it; with CI=true it fails instead.
//
// Names: app.localhost is the app, idp.localhost the provider. Cookies ignore ports, so two names are what keeps the jars apart; browsers resolve
// them to the loopback address by themselves, and so does [NewClient].
//
// TestSoak lasts a minute. E2E_SOAK=10m makes it longer (add -timeout 20m), and E2E_SOAK_SEED=n has the same things happen again; it prints the
// seed, and for each violation the last events of the session and what was broken. E2E_FLOOD=30s makes the flood of forged tokens longer than two
// seconds.
//
// Environment: E2E_BINARY uses a binary that is there already, E2E_RACE=1 builds it with the race detector, E2E_SHOTS names a directory that keeps
// the screenshots.
package e2e
