package egress

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"postern/config"
	"postern/obo"
	"postern/oidc"
	"postern/proxy/forward"
	"postern/proxy/policy"
)

// localhost ends the host names of routes. They are loopback wherever they are resolved (RFC 6761 §6.3), and no web page can take one.
const localhost = ".localhost"

// route is where the calls of one name go, and with whose tokens.
type route struct {
	name      string
	as        string // "user", "app" or "auto"
	open      bool
	cookies   bool
	request   obo.Request // without a user
	host      string      // of the URL, as it is sent in Host
	path      string      // of the URL, escaped
	base      string      // the same without slashes at its end
	forwarder *forward.Forwarder
}

func (h *Handler) newRoute(cfg config.EgressRoute, roots *x509.CertPool) (*route, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, errors.New("url cannot be read") // the error would quote it
	}
	e := &route{
		name: cfg.Name, as: cfg.As, open: cfg.Open, cookies: cfg.Cookies,
		request: obo.Request{Provider: cfg.Provider, Target: cfg.Target},
		host:    u.Host, path: u.EscapedPath(), base: strings.TrimRight(u.EscapedPath(), "/"),
	}
	if path, err := policy.Read(e.base); err != nil || path.Ambiguous() {
		return nil, errors.New("url has a path that can be read in several ways")
	}
	if cfg.As != "app" && h.users == nil {
		return nil, errors.New("nobody is there to say whose a token is")
	}
	webProxy := oidc.WebProxy(h.cfg.Outbound)
	by, err := webProxy(&http.Request{URL: u})
	if err != nil {
		return nil, err
	}
	if by != nil && cfg.H2C {
		return nil, fmt.Errorf("%s is called by a web proxy, which h2c cannot pass; NO_PROXY may name it", u.Hostname())
	}
	way := forward.Way{
		Dial:     oidc.DialLocalNames(&net.Dialer{Timeout: forward.DialTimeout}),
		WebProxy: webProxy,
		H2C:      cfg.H2C,
		Timeout:  cfg.Timeout,
	}
	if u.Scheme == "https" {
		way.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	server := forward.Server{
		Scheme: u.Scheme, Host: u.Host, Transport: forward.NewTransport(way), Withheld: h.private,
		Absolute: by != nil && u.Scheme == "http" && strings.HasPrefix(by.Scheme, "http"),
	}
	e.forwarder = forward.New(server, e.clean, h.targetFailed)
	return e, nil
}

// find reads which route a call is for: by its host, else by the first segment of its path. What is left of the path, and the query with its
// "?", are as they came.
func (h *Handler) find(r *http.Request) (e *route, rest, query string, err error) {
	target := forward.RawTarget(r)
	if !strings.HasPrefix(target, "/") {
		return nil, "", "", fail(http.StatusBadRequest, "invalid_target", "The request target must be a path.")
	}
	rest = target
	if end := strings.IndexByte(target, '?'); end >= 0 {
		rest, query = target[:end], target[end:]
	}
	host, _, _ := strings.Cut(r.Host, ":")
	if host = strings.ToLower(strings.TrimSuffix(host, ".")); strings.HasSuffix(host, localhost) {
		e = h.byHost[host]
	} else {
		name := rest[1:]
		if end := strings.IndexByte(name, '/'); end >= 0 {
			name = name[:end]
		}
		e, rest = h.byName[name], rest[1+len(name):]
	}
	if e == nil {
		return nil, "", "", fail(http.StatusNotFound, "unknown_route", "No route of that name is configured (egress.routes).")
	}
	return e, rest, query, nil
}

// target is what is sent: the URL's path and the rest of the call's, byte for byte. A rest that leaves the URL's path in any reading is
// refused (S-21): going up and in again leaves it too.
func (e *route) target(rest, query string) (string, error) {
	if rest == "" {
		if e.path == "" {
			return "/" + query, nil
		}
		return e.path + query, nil
	}
	path, err := policy.Read(rest)
	if err != nil {
		return "", fail(http.StatusBadRequest, "ambiguous_path", "The path cannot be read in a bounded number of ways.")
	}
	for i := range path.Len() {
		// A target that begins with "//" is a host and a path to some servers.
		if reading := path.At(i); leaves(reading) || e.base == "" && strings.HasPrefix(reading, "//") {
			return "", fail(http.StatusBadRequest, "path_leaves_route", "The path leaves that of the route's URL in at least one reading.")
		}
	}
	return e.base + rest + query, nil
}

// leaves says whether a path goes above where it began. Empty segments are no way down: many servers drop them.
func leaves(path string) bool {
	depth := 0
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}
