package doctor

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"postern/config"
	"postern/oidc"
)

// upstream asks the app for its front page. What it answers does not matter, but that it does.
func (w World) upstream(ctx context.Context) []Finding {
	const check = "upstream.reach"
	cfg := w.Config.Upstream
	conn, err := dialApp(ctx, cfg.Host)
	if err != nil {
		return []Finding{problem(check, "Start the app, or correct upstream-host (host and port on which it listens).", "%s does not take connections: %v%s", cfg.Host, err, explainDial(err))}
	}
	_ = conn.Close()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!cfg.H2C)
	protocols.SetUnencryptedHTTP2(cfg.H2C)
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Protocols: protocols, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialApp(ctx, cfg.Host) },
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+appName(cfg.Host)+"/", nil)
	if err != nil {
		return []Finding{problem(check, "Correct upstream-host.", "%s is no address", cfg.Host)}
	}
	request.Header.Set("User-Agent", "postern-doctor")
	response, err := client.Do(request)
	if err != nil {
		advice := "The app must speak plain HTTP/1.1 there; upstream-h2c is for HTTP/2 (gRPC)."
		if cfg.H2C {
			advice = "The app must speak HTTP/2 without TLS there, as upstream-h2c says."
		}
		return []Finding{problem(check, advice, "%s takes connections, but does not answer GET /: %v%s", cfg.Host, bare(err), explainDial(err))}
	}
	defer response.Body.Close()
	page, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	switch {
	case response.StatusCode == http.StatusBadRequest && strings.Contains(string(page), "HTTPS"): // as Go and nginx say it
		return []Finding{problem(check, "Let the app speak plain HTTP on loopback: Postern is the one that ends TLS.", "%s speaks TLS", cfg.Host)}
	case response.StatusCode >= 500:
		return []Finding{warning(check, "Look at the app's own log.", "%s answers GET / with %d", cfg.Host, response.StatusCode)}
	}
	return []Finding{ok(check, "%s answers GET / with %d", cfg.Host, response.StatusCode)}
}

func dialApp(ctx context.Context, host string) (net.Conn, error) {
	if path, isUnix := strings.CutPrefix(host, "unix:"); isUnix {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return oidc.DialLocalNames(new(net.Dialer))(ctx, "tcp", host)
}

func appName(host string) string {
	if strings.HasPrefix(host, "unix:") {
		return "localhost"
	}
	return host
}

// exposure is S-05: who else reaches the app.
func (w World) exposure(ctx context.Context) []Finding {
	const check = "upstream.exposed"
	if w.Exposed == nil {
		return []Finding{ok(check, "the app listens on a Unix socket")}
	}
	exposed, pending, err := w.Exposed(ctx)
	switch {
	case err != nil:
		return []Finding{unchecked(check, "Look with \"ss -ltn\" in the pod.", "it cannot be told whether the app's port can be reached beside Postern: %v", err)}
	case pending:
		return []Finding{unchecked(check, "Run it again when the app listens.", "nobody listens on the app's port in this network namespace")}
	case len(exposed) == 0:
		return []Finding{ok(check, "the app listens on loopback alone, or on another host")}
	}
	const advice = "Let the app listen on 127.0.0.1, or admit only Postern's ports by a NetworkPolicy; else whoever reaches it writes identity headers as they like."
	text := fmt.Sprintf("the app also listens on %v, beside Postern", exposed)
	if w.Config.Upstream.Exposed == "refuse" {
		return []Finding{problem(check, advice, "%s, and upstream-exposed is refuse: the pod never gets ready", text)}
	}
	return []Finding{warning(check, advice, "%s", text)}
}

// egress connects to the target of a route, without a request.
func (w World) egress(ctx context.Context, route config.EgressRoute) []Finding {
	check := "egress." + route.Name
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, route.URL, nil)
	if err != nil {
		return []Finding{problem(check, "Correct the route's url.", "its url is no address")}
	}
	if proxy, err := oidc.WebProxy(w.Config.Outbound)(request); err != nil || proxy != nil {
		return []Finding{unchecked(check, "Ask the web proxy for it: curl -I "+request.URL.Scheme+"://"+request.URL.Host, "calls go through the web proxy")}
	}
	port := request.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[request.URL.Scheme]
	}
	address := net.JoinHostPort(request.URL.Hostname(), port)
	const advice = "Check the route's url, DNS, and what lets this pod out (accessPolicy.outbound, NetworkPolicy)."
	conn, err := oidc.DialLocalNames(new(net.Dialer))(ctx, "tcp", address)
	if err != nil {
		return []Finding{problem(check, advice, "%s cannot be reached: %v%s", address, err, explainDial(err))}
	}
	defer conn.Close()
	if request.URL.Scheme == "https" {
		if err := handshake(ctx, conn, request.URL.Hostname()); err != nil {
			return []Finding{problem(check, adviseDial(err, "Check the name and port in the route's url."), "%s: TLS fails: %v%s", address, err, explainDial(err))}
		}
	}
	return []Finding{ok(check, "%s can be reached", address)}
}
