package egress

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/config"
	"postern/oidc"
	"postern/oidc/correlation"
)

// TestOneEventForEachCall: what was called and how it went, and nothing that is a secret or a person (S-37).
func TestOneEventForEachCall(t *testing.T) {
	t.Parallel()
	target := newOutside(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/broken") {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	for _, test := range []struct {
		line, header, level, route, reason string
		status                             float64
	}{
		{"GET /orders/p/01017012345?fnr=01017012345", asUser, "DEBUG", "orders", "", 200},
		{"GET /orders/broken", asUser, "WARN", "orders", "", 502},
		{"GET /orders/p/0101701234%35", "", "INFO", "orders", "unauthenticated", 401},
		{"GET /orders/01017012345", "Authorization: Bearer 01017012345\r\n", "INFO", "orders", "invalid_token", 401},
		{"GET /orders/../01017012345", asUser, "INFO", "orders", "path_leaves_route", 400},
		{"GET /01017012345?a=01017012345", asUser, "INFO", "", "unknown_route", 404},
		{"GET /orders/x", "Authorization: Bearer trouble\r\n", "WARN", "orders", "provider_unavailable", 503},
	} {
		audit := new(lockedBuffer)
		s := newSidecar(t, func(_ *Config, d *Deps) { d.Audit = slog.New(correlation.NewHandler(slog.NewJSONHandler(audit, nil))) }, orders(target.URL))
		s.call(t, test.line, test.header+"Cookie: c=secret-cookie\r\nX-Request-Id: id-7\r\nTraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n")
		s.Close() // waits for the handler
		var event map[string]any
		if err := json.Unmarshal([]byte(s.log.String()), &event); err != nil {
			t.Fatalf("%s: not one line: %s", test.line, s.log)
		}
		got := []any{event["msg"], event["level"], event["route"], event["reason"], event["status"], event["method"], event["request_id"], event["trace_id"]}
		want := []any{"egress", test.level, test.route, nil, test.status, "GET", "id-7", "4bf92f3577b34da6a3ce929d0e0e4736"}
		if test.reason != "" {
			want[3] = test.reason
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", test.line, diff)
		}
		if _, timed := event["duration_ms"].(float64); !timed {
			t.Errorf("%s: %v", test.line, event)
		}
		wantRefusal(t, test.line, audit.String(), test.reason, test.route, test.status)
		for _, secret := range []string{"01017012345", "secret-cookie", "entra_id\"", "exchanged", "fnr", "?"} {
			if text := s.log.String() + audit.String(); strings.Contains(text, secret) && secret != "entra_id\"" || strings.Contains(s.log.String(), secret) {
				t.Errorf("%s: %q in %s", test.line, secret, text)
			}
		}
	}
}

// wantRefusal wants exactly one audit event of a refusal, and none of trouble or of what went well (S-38).
func wantRefusal(t *testing.T, call, audit, reason, route string, status float64) {
	t.Helper()
	if reason == "" || status >= 500 {
		if audit != "" {
			t.Errorf("%s: an audit event of what is no refusal: %s", call, audit)
		}
		return
	}
	var event map[string]any
	if err := json.Unmarshal([]byte(audit), &event); err != nil {
		t.Fatalf("%s: not one event: %q", call, audit)
	}
	template := any(nil)
	if route != "" {
		template = "/" + route + "/**"
	}
	got := []any{event["msg"], event["audit"], event["listener"], event["reason"], event["status"], event["path_template"], event["request_id"], event["trace_id"]}
	want := []any{"refusal", true, "egress", reason, status, template, "id-7", "4bf92f3577b34da6a3ce929d0e0e4736"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", call, diff)
	}
}

func TestS37EgressRequestID(t *testing.T) {
	t.Parallel()
	target := newOutside(t, nil)
	s := newSidecar(t, nil, orders(target.URL))
	for given, taken := range map[string]bool{"abc-1": true, "01017012345": false, "a b": false} {
		s.call(t, "GET /orders/x", asUser+"X-Request-Id: "+given+"\r\n")
		if got := target.last().Header.Get("X-Request-Id"); (got == given) != taken || got == "" {
			t.Errorf("%q was sent as %q", given, got)
		}
		if res, _ := s.call(t, "GET /billing", "X-Request-Id: "+given+"\r\n"); (res.Header.Get("X-Request-Id") == given) != taken {
			t.Errorf("%q was answered as %q", given, res.Header.Get("X-Request-Id"))
		}
	}
}

func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	target := newOutside(t, nil)
	s := newSidecar(t, nil, orders(target.URL), config.EgressRoute{Name: "app", URL: target.URL, As: "app"})
	for range 2 {
		s.call(t, "GET /orders/x", asUser)
	}
	s.call(t, "GET /orders/x", "")
	s.call(t, "GET /app/x", "")
	s.call(t, "GET /invented-by-whoever-calls/x", "")
	s.broker.err = &oidc.RefusalError{Provider: oidc.EntraID, Status: 400, Code: "invented_by_the_provider"}
	s.call(t, "GET /orders/x", asUser)
	s.Close()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got, timed := map[string]float64{}, map[string]uint64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range m.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			switch family.GetName() {
			case "postern_egress_requests_total":
				got[labels["route"]+" "+labels["outcome"]] = m.GetCounter().GetValue()
			case "postern_egress_request_duration_seconds":
				timed[labels["route"]] = m.GetHistogram().GetSampleCount()
			}
		}
	}
	want := map[string]float64{
		"orders answered": 2, "orders unauthenticated": 1, "orders token_refused": 1, "app answered": 0, "app egress_header_missing": 1, " unknown_route": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]uint64{"orders": 4, "app": 1, "": 1}, timed); diff != "" {
		t.Error(diff)
	}
}

func TestPanicIs500(t *testing.T) {
	t.Parallel()
	target := newOutside(t, nil)
	s := newSidecar(t, nil, orders(target.URL))
	s.broker.panic = true
	res, body := s.call(t, "GET /orders/x", asUser)
	if res.StatusCode != 500 || errorOf(t, body).Code != "server_error" || strings.Contains(body+s.log.String(), "hush") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if got := s.log.String(); !strings.Contains(got, `"msg":"panic"`) || strings.Contains(got, "hush") {
		t.Error(got)
	}
}

func TestRoutesThatCannotWorkAreRefusedAtStart(t *testing.T) {
	t.Parallel()
	deps := Deps{Guard: guardFunc(everyone), Tokens: &broker{}}
	route := func(change func(*config.EgressRoute)) []config.EgressRoute {
		r := config.EgressRoute{Name: "orders", URL: "http://orders.example.org/api", As: "app", Provider: oidc.EntraID, Timeout: time.Second}
		change(&r)
		return []config.EgressRoute{r}
	}
	for name, cfg := range map[string]Config{
		"a path of several readings":     {Routes: route(func(r *config.EgressRoute) { r.URL += "/%252e%252e/x" })},
		"a URL that is none":             {Routes: route(func(r *config.EgressRoute) { r.URL = "http://%zz" })},
		"users whom nobody knows":        {Routes: route(func(r *config.EgressRoute) { r.As = "user" })},
		"HTTP/2 in clear by a web proxy": {Routes: route(func(r *config.EgressRoute) { r.H2C = true }), Outbound: config.Outbound{HTTPProxy: config.NewSecret("http://proxy")}},
		"a web proxy that is none":       {Routes: route(func(*config.EgressRoute) {}), Outbound: config.Outbound{HTTPProxy: config.NewSecret("http://%zz")}},
	} {
		if _, err := New(cfg, deps); err == nil || errors.Unwrap(err) == nil || !strings.HasPrefix(err.Error(), "egress.routes: entry 1: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Config{Routes: route(func(*config.EgressRoute) {})}, deps); err != nil {
		t.Error(err)
	}
}
