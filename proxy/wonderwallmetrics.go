package proxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/oidc"
	"postern/oidc/meter"
	"postern/proxy/forward"
)

// wonderwall are the series of login under wonderwall's names, for the dashboards that there are. What they say of a request is bounded here: a path
// is one of ours, a host one of the ingresses. A nil one counts nothing.
type wonderwall struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	logins   *prometheus.CounterVec
	logouts  *prometheus.CounterVec

	methods   *meter.Bounded // of authentication, in the provider's words
	redirects *meter.Bounded
}

const (
	mostMethods   = 32
	mostRedirects = 50
)

// wonderwallOperations are its words for ours.
var wonderwallOperations = map[string]string{
	"self_initiated": "self_initiated", "local": "local", "frontchannel": "front_channel", "backchannel": "back_channel",
}

func newWonderwall(reg prometheus.Registerer, provider string) *wonderwall {
	of := prometheus.Labels{"service": "wonderwall", "provider": provider}
	scaled := prometheus.Labels{"hpa": "rate", "provider": provider}
	request := []string{"code", "method", "path", "host"}
	w := &wonderwall{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "requests_total", Help: "Requests to the own endpoints of login, by status, method, path and host.", ConstLabels: of,
		}, request),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "request_duration_seconds", Help: "Duration of requests to the own endpoints of login.", ConstLabels: of,
			Buckets: []float64{.001, .01, .05, .1, .5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5},
		}, request),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wonderwall_logins", Help: "Completed logins, by how the person was authenticated and where they were sent on to beyond this app.", ConstLabels: scaled,
		}, []string{"amr", "redirect"}),
		logouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wonderwall_logouts", Help: "Ended sessions, by the way that they were ended.", ConstLabels: scaled,
		}, []string{"operation"}),
		methods: meter.NewBounded(mostMethods), redirects: meter.NewBounded(mostRedirects),
	}
	if reg != nil {
		reg.MustRegister(w.requests, w.seconds, w.logins, w.logouts)
	}
	w.methods.Label("")
	w.redirects.Label("")
	for _, operation := range wonderwallOperations {
		w.logouts.WithLabelValues(operation)
	}
	return w
}

// observe counts a request to an own endpoint.
func (w *wonderwall) observe(v *visit, r *http.Request, e *endpoint, in *ingress, took time.Duration) {
	if w == nil || e == nil || e.route == routePing {
		return
	}
	method, path, host := r.Method, ownPrefix+e.path, ""
	if !slices.Contains(e.methods, method) {
		method = meter.Other
	}
	if in != nil {
		path, host = in.path+path, in.host
	}
	code := "0" // nothing was answered
	if v.Status >= 100 && v.Status < 600 {
		code = strconv.Itoa(v.Status)
	}
	w.requests.WithLabelValues(code, method, path, host).Inc()
	w.seconds.WithLabelValues(code, method, path, host).Observe(took.Seconds())
}

func (w *wonderwall) loggedIn(id *oidc.Identity, target string) {
	if w == nil {
		return
	}
	w.logins.WithLabelValues(w.methods.Label(methodsOf(id)), w.redirects.Label(redirectLabel(target))).Inc()
}

func (w *wonderwall) loggedOut(operation string, sessions int) {
	if w != nil {
		w.logouts.WithLabelValues(wonderwallOperations[operation]).Add(float64(sessions))
	}
}

// methodsOf are the authentication methods of an id token (RFC 8176), which some providers give as one text.
func methodsOf(id *oidc.Identity) string {
	var claims struct {
		AMR json.RawMessage `json:"amr"`
	}
	var one string
	var several []string
	if json.Unmarshal([]byte(id.ClaimsJSON()), &claims) != nil || len(claims.AMR) == 0 {
		return ""
	}
	if json.Unmarshal(claims.AMR, &one) == nil {
		return one
	}
	if json.Unmarshal(claims.AMR, &several) != nil {
		return "" // anything else is none
	}
	return strings.Join(several, ",")
}

// redirectLabel is scheme, host and the first two segments of the path; nothing for a place in this app.
func redirectLabel(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return ""
	}
	segments := strings.SplitN(strings.TrimPrefix(u.EscapedPath(), "/"), "/", 3)
	label := u.Scheme + "://" + u.Host
	for _, segment := range segments[:min(2, len(segments))] {
		if segment != "" {
			label += "/" + segment
		}
	}
	return forward.MaskDigits(label) // S-37: a path may name a person
}
