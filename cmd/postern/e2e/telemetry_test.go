package e2e

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// traced is a postern with everything on, that tells a collector.
type traced struct {
	*outbound
	collector *OTelCollector
}

// newTraced starts everything; env is on top of what makes the telemetry quick.
func newTraced(t testing.TB, collector *OTelCollector, env map[string]string) *traced {
	t.Helper()
	all := map[string]string{
		"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "300", "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=team-a,k8s.pod=p%201",
		"OTEL_SERVICE_NAME": "my-app", "POSTERN_REDIS_URI": Redis(t).URI(), "POSTERN_SESSION_CACHE_TTL": "0s", "POSTERN_LOG_LEVEL": "debug",
		"POSTERN_BEARER_PROVIDERS": "all",
	}
	maps.Copy(all, env)
	return &traced{outbound: newOutbound(t, outboundOptions{env: all}), collector: collector}
}

// a traceparent of somebody before postern, and the ids in it.
func remote(trace string) (header, traceID, parent string) {
	traceID, parent = strings.Repeat(trace, 32), "00f067aa0ba902b7"
	return "00-" + traceID + "-" + parent + "-01", traceID, parent
}

// trace waits until every one of the wanted spans of a trace is there, and returns them by name.
func (o *traced) trace(t testing.TB, traceID string, wanted ...string) map[string]otlpSpan {
	t.Helper()
	var named map[string]otlpSpan
	Eventually(t, "the spans of trace "+traceID, func() error {
		named = map[string]otlpSpan{}
		spans, _ := o.collector.read(t)
		for _, span := range spans {
			if span.TraceID == traceID {
				named[span.Name] = span
			}
		}
		for _, name := range wanted {
			if _, there := named[name]; !there {
				return errorf("no span %q, only %q", name, sortedKeys(named))
			}
		}
		return nil
	})
	return named
}

func sortedKeys(spans map[string]otlpSpan) []string {
	return slices.Sorted(maps.Keys(spans))
}

// below fails the test for every pair of names whose second is not the parent of the first.
func below(t testing.TB, spans map[string]otlpSpan, pairs ...[2]string) {
	t.Helper()
	for _, pair := range pairs {
		if child, parent := spans[pair[0]], spans[pair[1]]; child.Parent != parent.SpanID || parent.SpanID == "" {
			t.Errorf("%q is below %q, and not %q (%s)", pair[0], child.Parent, pair[1], parent.SpanID)
		}
	}
}

// One request through the front door, the app and the egress is one trace, whichever way it is told; and so are a refresh, a bearer and a token.
func TestTracesTellWhereTheTimeWent(t *testing.T) {
	t.Parallel()
	authority, server, serverKey := tlsFiles(t)
	for name, test := range map[string]struct {
		tls bool
		env func(c *OTelCollector) map[string]string
	}{
		"gRPC": {false, func(c *OTelCollector) map[string]string {
			return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.GRPC}
		}},
		"HTTP, compressed": {false, func(c *OTelCollector) map[string]string {
			return map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.HTTP, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
			}
		}},
		"gRPC with TLS for traces, HTTP with TLS for metrics": {true, func(c *OTelCollector) map[string]string {
			return map[string]string{
				"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": c.GRPC, "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
				"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://" + c.HTTP + "/v1/metrics", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
				"OTEL_EXPORTER_OTLP_CERTIFICATE": authority, "OTEL_EXPORTER_OTLP_HEADERS": "api-key=hush%20hush",
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cert, key := "", ""
			if test.tls {
				cert, key = server, serverKey
			}
			collector := Collector(t, cert, key)
			o := newTraced(t, collector, test.env(collector))
			secrets := map[string]string{"a header of ours": "hush hush", "a person": "01017012345"}
			kari := o.tracesOfASession(t, secrets)
			o.tracesOfTokens(t, kari, secrets)
			o.pushedMetrics(t)
			for _, one := range o.Log.Records() {
				if id, _ := one["trace_id"].(string); one["request_id"] != nil && len(id) != 32 {
					t.Errorf("a line of a request without its trace: %v", one)
				}
			}
			o.Stop(t) // what was not sent yet is sent now
			if !test.tls {
				collector.CatchUp(t)
			}
			for _, name := range leaks(collector.Received(), secrets) {
				t.Errorf("the collector was told %s", name)
			}
		})
	}
}

func (o *traced) tracesOfASession(t *testing.T, secrets map[string]string) *Client {
	kari := NewClient(t)
	header, loginTrace, _ := remote("a")
	started := kari.Navigate(o.ingress+"/oauth2/login?redirect=%2Fp%2F01017012345%3Ffnr%3D01017012345", "Traceparent", header)
	for name, value := range kari.Cookies(o.ingress + "/") {
		secrets["cookie "+name] = value
	}
	callback := o.idp.SignIn(kari, started, "kari").Where()
	secrets["code"], secrets["state"] = callback.Query().Get("code"), callback.Query().Get("state")
	header, callbackTrace, _ := remote("b")
	kari.Navigate(callback.String(), "Traceparent", header)
	_, secrets["session cookie"] = o.sessionCookie(kari)
	o.trace(t, loginTrace, "GET /oauth2/login")
	login := o.trace(t, callbackTrace, "GET /oauth2/callback", "redeem code", "session store mark", "session store create")
	below(t, login, [2]string{"redeem code", "GET /oauth2/callback"}, [2]string{"session store create", "GET /oauth2/callback"})

	header, through, parent := remote("c")
	answer := kari.Get(o.ingress+"/via/orders/01017012345?fnr=01017012345", "Traceparent", header)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", answer.StatusCode, answer.Body)
	}
	secrets["token for the target"] = strings.TrimPrefix(Echoed(t, answer).Header.Get("Authorization"), "Bearer ")
	spans := o.trace(t, through, "GET app", "session store read", "policy", "app", "GET egress orders", "validate token", "user token", "exchange token", "target")
	if door := spans["GET app"]; door.Parent != parent || door.Kind != 2 || door.service != "my-app" || door.Attributes.get("url.path") != "/via/orders/***********" ||
		door.Attributes.get("http.response.status_code") != "200" || door.Attributes.get("postern.request_id") == "" || door.Start > door.End {
		t.Errorf("the front door: %+v", door)
	}
	below(t, spans, [2]string{"session store read", "GET app"}, [2]string{"policy", "GET app"}, [2]string{"app", "GET app"},
		[2]string{"GET egress orders", "app"}, [2]string{"validate token", "GET egress orders"}, [2]string{"user token", "GET egress orders"},
		[2]string{"exchange token", "user token"}, [2]string{"target", "GET egress orders"})
	if got := Echoed(t, answer).Header.Get("Traceparent"); got != "00-"+through+"-"+spans["target"].SpanID+"-01" {
		t.Errorf("the target is told %q", got)
	}

	o.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 2})
	ola := NewClient(t)
	o.login(t, ola, "ola", "")
	o.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 3600})
	time.Sleep(2100 * time.Millisecond) // past the token's life: the next request refreshes
	header, refreshTrace, _ := remote("d")
	ola.Get(o.ingress+"/x", "Traceparent", header)
	refresh := o.trace(t, refreshTrace, "GET app", "session refresh", "session lock", "refresh tokens", "session store replace")
	below(t, refresh, [2]string{"session refresh", "GET app"}, [2]string{"session lock", "session refresh"}, [2]string{"refresh tokens", "session refresh"},
		[2]string{"session store replace", "session refresh"})
	return kari
}

func (o *traced) tracesOfTokens(t *testing.T, kari *Client, secrets map[string]string) {
	authorization := o.get(t, kari, "/x").Header.Get("Authorization")
	secrets["access token"] = strings.TrimPrefix(authorization, "Bearer ")
	header, bearerTrace, _ := remote("e")
	if got := NewClient(t).Get(o.ingress+"/y", "Authorization", authorization, "Traceparent", header); got.StatusCode != http.StatusOK {
		t.Fatalf("a bearer: status %d", got.StatusCode)
	}
	spans := o.trace(t, bearerTrace, "GET app", "validate token", "policy", "app")
	below(t, spans, [2]string{"validate token", "GET app"}, [2]string{"app", "GET app"})
	if got := spans["GET app"].Attributes; got.get("postern.provider") != "entra_id" || got.get("postern.kind") != "user" {
		t.Errorf("a bearer: %v", got)
	}
	header, tokenTrace, parent := remote("f")
	answer := o.tokens.ask("/api/v1/token", map[string]any{"identity_provider": "entra_id", "target": ordersName}, "Traceparent", header)
	var token struct {
		AccessToken string `json:"access_token"`
	}
	decode(t, answer, &token)
	secrets["token of the app"] = token.AccessToken
	spans = o.trace(t, tokenTrace, "POST /api/v1/token", "machine token", "get token")
	below(t, spans, [2]string{"machine token", "POST /api/v1/token"}, [2]string{"get token", "machine token"})
	api := spans["POST /api/v1/token"]
	if api.Parent != parent || api.Attributes.get("texas.identity_provider") != "entra_id" || api.Attributes.get("texas.token_expires_in_seconds") == "" {
		t.Errorf("the token API: %+v", api)
	}
}

// Metrics are those of /metrics, with the resource's attributes as labels.
func (o *traced) pushedMetrics(t *testing.T) {
	t.Helper()
	Eventually(t, "pushed metrics", func() error {
		_, metrics := o.collector.read(t)
		requests, seconds := metrics["postern_requests_total"], metrics["postern_request_duration_seconds"]
		if requests.Sum == nil || !requests.Sum.Monotonic || seconds.Histogram == nil || metrics["go_goroutines"].Gauge == nil {
			return errorf("%d metrics", len(metrics))
		}
		for _, point := range requests.Sum.Points {
			a := point.Attributes
			if a.get("route") == "app" && a.get("status") == "2xx" && point.Value > 0 && a.get("service_namespace") == "team-a" && a.get("k8s_pod") == "p 1" {
				return nil
			}
		}
		return errorf("no counted request in %+v", requests.Sum.Points)
	})
}

// A collector that goes away costs no request, and a line of the log; when it is back, so are the traces.
func TestTracesGoOnAfterTheCollectorDied(t *testing.T) {
	t.Parallel()
	collector := Collector(t, "", "")
	o := newTraced(t, collector, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + collector.GRPC})
	c := NewClient(t)
	header, before, _ := remote("1")
	c.Get(o.ingress+"/x", "Traceparent", header)
	o.trace(t, before, "GET app")
	collector.Kill()
	for range 20 {
		header, _, _ := remote("2")
		if got := c.Get(o.ingress+"/x", "Traceparent", header); got.StatusCode != http.StatusOK {
			t.Fatalf("status %d while the collector is away", got.StatusCode)
		}
	}
	o.Log.WaitFor(t, map[string]any{"msg": "telemetry is not delivered"})
	collector.Begin(t)
	header, after, _ := remote("3")
	c.Get(o.ingress+"/x", "Traceparent", header)
	o.trace(t, after, "GET app")
	if n := len(o.Log.Find(map[string]any{"msg": "telemetry is not delivered"})); n != 1 {
		t.Errorf("%d lines about it within a minute", n)
	}
}

// Off, and unsampled: nothing is sent. S-57: what a stranger says neither makes a request be recorded nor keeps it from that.
func TestS57StrangersDoNotDecideWhatIsRecorded(t *testing.T) {
	t.Parallel()
	collector := Collector(t, "", "")
	for name, test := range map[string]struct {
		trusted, sampler, flag string
		recorded               bool
	}{
		"a stranger's flag":                  {"203.0.113.0/24", "parentbased_always_off", "01", false},
		"a stranger who wants to be unseen":  {"203.0.113.0/24", "parentbased_always_on", "00", true},
		"a proxy's flag":                     {"127.0.0.0/8", "parentbased_always_off", "01", true},
		"a proxy that does not record":       {"127.0.0.0/8", "parentbased_always_on", "00", false},
		"a proxy where nobody listens to it": {"127.0.0.0/8", "always_off", "01", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := App(t, nil)
			p := Start(t, map[string]string{
				"POSTERN_UPSTREAM_HOST": app.Addr, "POSTERN_TRUSTED_PROXIES": test.trusted, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + collector.GRPC,
				"OTEL_TRACES_SAMPLER": test.sampler, "OTEL_SERVICE_NAME": name,
			})
			const traceID, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
			seen := Echoed(t, NewClient(t).Get(p.URL()+"/x", "Traceparent", "00-"+traceID+"-"+parent+"-"+test.flag, "Baggage", "a=b")).Header
			p.Stop(t)
			collector.CatchUp(t)
			recorded := false
			spans, _ := collector.read(t)
			for _, span := range spans {
				recorded = recorded || span.service == name && span.TraceID == traceID
			}
			got, given := seen.Get("Traceparent"), "00-"+traceID+"-"+parent+"-"+test.flag
			want := map[bool]string{true: given, false: strings.TrimSuffix(given, test.flag) + "00"}[test.trusted == "127.0.0.0/8"]
			if recorded && len(got) > 36 { // then the app's spans are below ours
				want = "00-" + traceID + "-" + got[36:min(52, len(got))] + "-01"
			}
			if recorded != test.recorded || got != want || recorded && (got[3:35] != traceID || got[36:52] == parent) {
				t.Errorf("recorded %v, and the app is told %q, want %q", recorded, got, want)
			}
			if strings.HasPrefix(test.trusted, "203") && seen.Get("Baggage") != "" {
				t.Error("the app gets a stranger's baggage")
			}
		})
	}
}

// tlsFiles is an authority, and the certificate and key that it gave to 127.0.0.1.
func tlsFiles(t testing.TB) (authority, cert, key string) {
	t.Helper()
	ca, caDER := certificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Postern test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	leaf, leafDER := certificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "collector"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &ca)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"ca": {Type: "CERTIFICATE", Bytes: caDER}, "cert": {Type: "CERTIFICATE", Bytes: leafDER}, "key": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		writeFile(t, filepath.Join(dir, name), string(pem.EncodeToMemory(block)))
	}
	return filepath.Join(dir, "ca"), filepath.Join(dir, "cert"), filepath.Join(dir, "key")
}
