package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"postern/config"
	"postern/oidc/devidp"
)

// idpFlags are the options of `postern idp`.
type idpFlags struct {
	address      string
	anywhere     bool
	baseURL      string
	client       devidp.ClientConfig
	clients      string
	fromEnv      bool
	redirects    string
	postLogout   string
	keyFile      string
	rotation     string
	par          string
	revocation   bool
	admin        bool
	tokenX       string
	idPorten     string
	mapACR       bool
	lenient      bool
	tokenMinutes int
	logFormat    string
}

func (f *idpFlags) define(flags *flag.FlagSet) {
	flags.StringVar(&f.address, "bind-address", "127.0.0.1:7081", "where to listen; loopback only")
	flags.BoolVar(&f.anywhere, "listen-anywhere", false, "allow another address than loopback: everybody who reaches it can be anybody")
	flags.StringVar(&f.baseURL, "base-url", "", "scheme and host by which it is reached, such as http://idp.localhost:7081; taken from loopback requests otherwise")
	flags.StringVar(&f.client.ID, "client-id", "5f1d7c1e-8f0a-4d53-9d0c-6a1f0f7f3b10", "client id of the app under development")
	flags.StringVar(&f.client.Secret, "client-secret", "not-a-secret", "client secret of the app under development")
	flags.StringVar(&f.clients, "clients", "", "JSON file with further apps, who may call them, and their scopes; see oidc/devidp/README.md")
	flags.BoolVar(&f.fromEnv, "client-from-env", false, "the app under development is that of AZURE_APP_*, TOKEN_X_* and MASKINPORTEN_*, not of the two flags above")
	flags.StringVar(&f.redirects, "redirect-uri", "http://localhost:3000/oauth2/callback", "redirect URIs, comma-separated")
	flags.StringVar(&f.postLogout, "post-logout-redirect-uri", "http://localhost:3000/oauth2/logout/callback", "post-logout URIs, comma-separated")
	flags.StringVar(&f.client.FrontChannelLogoutURI, "front-channel-logout-uri", "", "address of the app that is loaded in a frame when a session ends")
	flags.StringVar(&f.client.BackChannelLogoutURI, "back-channel-logout-uri", "", "address of the app that gets a logout token when a session ends")
	flags.BoolVar(&f.revocation, "revocation", false, "a revocation endpoint at Entra ID too, which really has none")
	flags.StringVar(&f.keyFile, "key-file", "", "PEM file with RSA keys to sign with, for Entra ID, TokenX, Maskinporten, ID-porten in order; random at each start otherwise")
	flags.StringVar(&f.rotation, "refresh-rotation", "", "\"\" as Entra ID, \"strict\" (reuse revokes), or \"never\"")
	flags.StringVar(&f.par, "par", "", "pushed authorization requests: \"\" offered, \"off\", or \"required\"")
	flags.BoolVar(&f.admin, "admin", false, "serve the knobs under /_dev/ that break things on purpose and mint any token")
	flags.StringVar(&f.tokenX, "tokenx-audience", devidp.DefaultTokenXAudience, "aud of minted tokens of TokenX: the client id of the app under development")
	flags.StringVar(&f.idPorten, "idporten-audience", devidp.DefaultIDPortenAudience, "aud of minted access tokens of ID-porten")
	flags.BoolVar(&f.mapACR, "tokenx-map-acr", false, "exchanged tokens say Level3 and Level4 for the levels of ID-porten")
	flags.BoolVar(&f.lenient, "tokenx-lenient", false, "TokenX takes a client assertion twice, and one without typ")
	flags.IntVar(&f.tokenMinutes, "token-lifetime", 75, "life of access tokens, minutes")
	flags.StringVar(&f.logFormat, "log-format", "text", "json or text")
}

// idp runs the test provider alone.
func idp(ctx context.Context, p program) int {
	flags := flag.NewFlagSet("postern idp", flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	var f idpFlags
	f.define(flags)
	if err := flags.Parse(p.args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage
	}
	if !f.anywhere && !loopbackAddress(f.address) {
		_, _ = fmt.Fprintf(p.stderr, "postern idp: bind-address %s is not loopback, and whoever reaches this provider can log in as anybody; "+
			"say --listen-anywhere if that is what you want\n", f.address)
		return exitUsage
	}
	clients, err := f.allClients(p.environ)
	if err != nil {
		_, _ = fmt.Fprintln(p.stderr, "postern idp:", err)
		return exitUsage
	}
	provider, err := devidp.New(devidp.Config{
		BaseURL: f.baseURL, Clients: clients, KeyFile: f.keyFile, RefreshRotation: devidp.Rotation(f.rotation),
		PAR: devidp.PARMode(f.par), Revocation: f.revocation, Admin: f.admin, TokenXAudience: f.tokenX, IDPortenAudience: f.idPorten,
		TokenXMapACR: f.mapACR, TokenXLenient: f.lenient,
		TokenLifetime: time.Duration(f.tokenMinutes) * time.Minute,
		Log:           newLogger(config.Log{Format: f.logFormat, Level: "info"}, p.stdout),
	})
	if err != nil {
		_, _ = fmt.Fprintln(p.stderr, "postern idp:", err)
		return exitUsage
	}
	l, err := listen(ctx, f.address)
	if errors.Is(err, syscall.EADDRINUSE) {
		_, _ = fmt.Fprintf(p.stderr, "postern idp: %s is taken, perhaps by a \"postern demo\" that still runs; --bind-address chooses another\n", f.address)
		return exitFailure
	}
	if err != nil {
		_, _ = fmt.Fprintln(p.stderr, "postern idp:", err)
		return exitFailure
	}
	describeIDP(p.stdout, provider, cmp.Or(strings.TrimSuffix(f.baseURL, "/"), "http://"+l.Addr().String()), f)
	if err := serveUntil(ctx, l, provider); err != nil {
		_, _ = fmt.Fprintln(p.stderr, "postern idp:", err)
		return exitFailure
	}
	return exitOK
}

func comma(r rune) bool { return r == ',' }

func describeIDP(w io.Writer, provider *devidp.IdP, base string, f idpFlags) {
	_, _ = fmt.Fprintf(w, "Test provider at %s/ (never for production: it checks no password)\n", base)
	for _, line := range []struct {
		issuer devidp.Issuer
		title  string
	}{{devidp.Entra, "Entra ID"}, {devidp.TokenX, "TokenX"}, {devidp.Maskinporten, "Maskinporten"}, {devidp.IDPorten, "ID-porten"}} {
		_, _ = fmt.Fprintf(w, "  %-13s %s\n", line.title, provider.WellKnown(line.issuer, base))
	}
	_, _ = fmt.Fprintf(w, "  %-13s %s\n", "client id", f.client.ID)
	if f.admin {
		_, _ = fmt.Fprintf(w, "  %-13s POST %s/_dev/mint, or GET %[2]s/_dev/token/entra-user\n", "any token", base)
	}
}

// serveUntil serves one listener until ctx ends.
func serveUntil(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.Join(server.Close(), ignoreClosed(<-done))
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
