package proxy

import (
	"net/http"
	"net/url"
	"strings"
)

// question is what an ingress controller asks (S-16).
type question struct {
	asked   *http.Request // the request that is meant, as if it had come here: its method, target and host, with the headers that came along
	told    bool          // the controller says which request is meant
	unclear bool          // what is said is contradictory, or no request
}

// pairs are the headers by which controllers say which request they mean. Method and target are believed only from one pair: of two, a
// client may have written one.
var pairs = [...]struct{ method, target string }{
	{"X-Original-Method", "X-Original-Url"},
	{"X-Forwarded-Method", "X-Forwarded-Uri"},
}

// readQuestion believes these headers, so whoever calls it knows that an ingress controller is asking.
func readQuestion(r *http.Request) question {
	q := question{asked: r.WithContext(r.Context())}
	var method, target, host string
	for _, pair := range pairs {
		methods, targets := r.Header[pair.method], r.Header[pair.target]
		if len(methods)+len(targets) == 0 {
			continue
		}
		if len(methods) != 1 || len(targets) != 1 || !isMethod(methods[0]) {
			q.unclear = true
			break
		}
		thisHost, thisTarget := splitHost(targets[0])
		if q.told && (methods[0] != method || thisTarget != target) {
			q.unclear = true
			break
		}
		if !q.told {
			q.told, method, target, host = true, methods[0], thisTarget, thisHost
		}
	}
	if !q.told {
		target = "/"
	}
	if forwarded := r.Header["X-Forwarded-Host"]; host == "" && len(forwarded) == 1 {
		host = forwarded[0]
	}
	if host != "" {
		q.asked.Host = host
	}
	parsed, err := url.ParseRequestURI(target)
	if err != nil {
		parsed, q.unclear = &url.URL{Path: "/"}, true
	}
	q.asked.Method, q.asked.RequestURI, q.asked.URL, q.asked.Body = method, target, parsed, http.NoBody
	return q
}

// splitHost takes the origin off an absolute address, which is how ingress-nginx names the target. Nothing else of it changes.
func splitHost(address string) (host, target string) {
	scheme, rest, absolute := strings.Cut(address, "://")
	if !absolute || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", address
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		return rest, "/"
	}
	if rest[end] != '/' {
		return rest[:end], "/" + rest[end:]
	}
	return rest[:end], rest[end:]
}

// isMethod is "token" of RFC 9110 §5.6.2.
func isMethod(method string) bool {
	for i := range len(method) {
		c := method[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return method != ""
}
