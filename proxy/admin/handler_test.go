package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/obo/guard"
	"postern/oidc/correlation"
	"postern/session"
)

const token = "token-of-the-admin"

// kept is sessions of one person, and how they answer.
type kept struct {
	err     error
	ended   []session.Selector
	hold    chan struct{} // a count waits for it, if it is there
	started chan struct{}
}

func (k *kept) EndAll(ctx context.Context, of session.Selector) (int, error) {
	if k.err != nil {
		return 0, k.err
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	k.ended = append(k.ended, of)
	return 2, nil
}

func (k *kept) List(_ context.Context, of session.Selector) ([]session.Listed, error) {
	if k.err != nil || of.Subject != "kari" {
		return nil, k.err
	}
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	return []session.Listed{{HashedID: "41XIF-pYijDyD6tMP5gF6C", Created: at, Ends: at.Add(10 * time.Hour), Refreshed: at.Add(time.Hour)}}, nil
}

func (k *kept) Count(context.Context) (int, error) {
	if k.hold != nil {
		close(k.started)
		<-k.hold
	}
	return 7, k.err
}

// api is the handler with its log.
type api struct {
	*Handler
	log bytes.Buffer
}

func newAPI(sessions Sessions, profiles bool) *api {
	a := &api{}
	a.Handler = New(Config{Profiles: profiles, BodyBytes: 1 << 14}, Deps{
		Sessions: sessions, Log: slog.New(correlation.NewHandler(slog.NewJSONHandler(&a.log, nil))),
		Guard: guard.New(guard.Config{Secret: func() string { return token }}),
	})
	return a
}

func (a *api) call(method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:41000", "127.0.0.1:9000"
	r.Header.Set("Authorization", "Bearer "+token)
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

func with(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = values }
}

func TestS31SessionsAreFoundEndedAndCounted(t *testing.T) {
	t.Parallel()
	k := &kept{}
	a := newAPI(k, false)
	for _, test := range []struct{ method, path, body, want string }{
		{
			"POST", "/sessions/search", `{"sub":"kari"}`,
			`{"count":1,"sessions":[{"id":"41XIF-pYijDyD6tMP5gF6C","created_at":"2026-11-22T09:00:00Z","ends_at":"2026-11-22T19:00:00Z","refreshed_at":"2026-11-22T10:00:00Z"}]}`,
		},
		{"POST", "/sessions/search", ` { "sid" : "s-1" } `, `{"count":0,"sessions":[]}`},
		{"POST", "/sessions/end", `{"sub":"kari"}`, `{"ended":2}`},
		{"POST", "/sessions/end", `{"s\u0069d":"s-1"}`, `{"ended":2}`},
		{"GET", "/sessions/count", ``, `{"count":7}`},
	} {
		w := a.call(test.method, test.path, test.body)
		if w.Code != 200 || strings.TrimSpace(w.Body.String()) != test.want || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %d %s", test.path, test.body, w.Code, w.Body)
		}
	}
	if diff := cmp.Diff([]session.Selector{{Subject: "kari"}, {SID: "s-1"}}, k.ended); diff != "" {
		t.Error(diff)
	}
}

func TestS31WithoutASelectorNobodysSessionEnds(t *testing.T) {
	t.Parallel()
	k := &kept{}
	a := newAPI(k, false)
	for _, body := range []string{
		``, `{}`, `[]`, `null`, `"kari"`, `{"sub":""}`, `{"sid":""}`, `{"sub":null}`, `{"sub":7}`, `{"sub":["kari"]}`, `{"sub":{"a":"b"}}`, `{"sub":true}`,
		`{"sub":"kari","sid":"s"}`, `{"sub":"kari","sub":"kari"}`, `{"sub":"kari","all":true}`, `{"SUB":"kari"}`, `{"Sub":"kari"}`, `{"subject":"kari"}`, `{"":"kari"}`,
		`{"sub":"kari"} x`, `{"sub":"kari"}{}`, `{"sub":"kari"`, `{"sub" "kari"}`, `{"sub":"kari",}`, `{,"sub":"kari"}`, `{sub:"kari"}`, `{'sub':'kari'}`, `["sub","kari"]`,
		`{"sub":"` + strings.Repeat("k", maxSelector+1) + `"}`, `{"sub":"` + strings.Repeat("k", 1<<15) + `"}`, "{\"sub\":\"k\xffri\"}", "{\"sub\":\"k\nri\"}", "\xef\xbb\xbf{\"sub\":\"kari\"}",
		`sub=kari`,
	} {
		for _, path := range []string{"/sessions/end", "/sessions/search"} {
			w := a.call("POST", path, body)
			var answer struct {
				Error string `json:"error"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &answer); w.Code != 400 || err != nil || answer.Error != "invalid_request" {
				t.Errorf("%s %.60q: %d %s", path, body, w.Code, w.Body)
			}
		}
	}
	if w := a.call("POST", "/sessions/end?sub=kari", ""); w.Code != 400 {
		t.Errorf("selector in the query: %d", w.Code)
	}
	if len(k.ended) > 0 {
		t.Errorf("ended: %v", k.ended)
	}
	if strings.Contains(a.log.String(), "kari") {
		t.Error("a selector that was refused is in the log")
	}
}

func TestS31WhoMayAsk(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
		code   string
	}{
		"without the token":     {with("Authorization"), 401, "invalid_client"},
		"another token":         {with("Authorization", "Bearer "+token+"x"), 401, "invalid_client"},
		"the token twice":       {with("Authorization", "Bearer "+token, "Bearer "+token), 401, "invalid_client"},
		"another scheme":        {with("Authorization", "Basic "+token), 401, "invalid_client"},
		"a page":                {with("Origin", "https://evil.example"), 403, "access_denied"},
		"a page of this host":   {with("Origin", "http://127.0.0.1:9000"), 403, "access_denied"},
		"an opaque page":        {with("Origin", "null"), 403, "access_denied"},
		"an image":              {with("Sec-Fetch-Site", "cross-site"), 403, "access_denied"},
		"a name that points us": {func(r *http.Request) { r.Host = "evil.example" }, 403, "access_denied"},
		"somebody else":         {func(r *http.Request) { r.RemoteAddr = "10.0.0.1:1" }, 403, "access_denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &kept{}
			a := newAPI(k, true)
			for _, path := range []string{"/sessions/end", "/debug/pprof/heap", "/whatever"} {
				w := a.call("POST", path, `{"sub":"kari"}`, test.change)
				if w.Code != test.status || !strings.Contains(w.Body.String(), `"error":"`+test.code+`"`) {
					t.Errorf("%s: %d %s", path, w.Code, w.Body)
				}
				if challenge := w.Header().Get("Www-Authenticate"); (challenge != "") != (w.Code == 401) {
					t.Errorf("%s: WWW-Authenticate %q", path, challenge)
				}
			}
			if len(k.ended) > 0 {
				t.Error("a session was ended")
			}
			if got := strings.Count(a.log.String(), `"audit":true`); got != 3 || strings.Contains(a.log.String(), token) || strings.Contains(a.log.String(), "kari") {
				t.Errorf("%d audit events\n%s", got, a.log.String())
			}
		})
	}
}

func TestS31SocketNeedsNoToken(t *testing.T) {
	t.Parallel()
	h := New(Config{BodyBytes: 1 << 14}, Deps{Sessions: &kept{}, Log: slog.New(slog.DiscardHandler), Guard: guard.New(guard.Config{})})
	r := httptest.NewRequest("GET", "/sessions/count", http.NoBody)
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Name: "/run/admin.sock", Net: "unix"}))
	r.RemoteAddr, r.Host = "@", "localhost"
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAnswersOfTheAdminAPI(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sessions           *kept
		method, path, body string
		status             int
		header, value      string
	}{
		"method":               {&kept{}, "GET", "/sessions/end", "", 405, "Allow", "POST"},
		"method of the search": {&kept{}, "DELETE", "/sessions/search", "", 405, "Allow", "POST"},
		"method of the count":  {&kept{}, "POST", "/sessions/count", "", 405, "Allow", "GET"},
		"no endpoint":          {&kept{}, "GET", "/", "", 404, "Content-Type", "application/json"},
		"no profiles":          {&kept{}, "GET", "/debug/pprof/heap", "", 404, "Content-Type", "application/json"},
		"another spelling":     {&kept{}, "POST", "/sessions/end/", `{"sub":"kari"}`, 404, "Content-Type", "application/json"},
		"store, end":           {&kept{err: &session.StoreError{Op: "end sessions", Err: errors.New("down")}}, "POST", "/sessions/end", `{"sub":"kari"}`, 503, "Retry-After", "2"},
		"store, search":        {&kept{err: &session.StoreError{Op: "list sessions", Err: errors.New("down")}}, "POST", "/sessions/search", `{"sub":"kari"}`, 503, "Retry-After", "2"},
		"store, count":         {&kept{err: &session.StoreError{Op: "count sessions", Err: errors.New("down")}}, "GET", "/sessions/count", "", 503, "Retry-After", "2"},
		"fault of ours":        {&kept{err: errors.New("odd")}, "POST", "/sessions/end", `{"sub":"kari"}`, 500, "Content-Type", "application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(test.sessions, false)
			w := a.call(test.method, test.path, test.body)
			var body map[string]string
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != test.status || w.Header().Get(test.header) != test.value ||
				body["error"] == "" || body["request_id"] == "" || body["request_id"] != w.Header().Get("X-Request-Id") {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
			if strings.Contains(w.Body.String(), "kari") || strings.Contains(w.Body.String(), "down") {
				t.Errorf("the answer says too much: %s", w.Body)
			}
		})
	}
	alone := newAPI(nil, true)
	if w := alone.call("POST", "/sessions/end", `{"sub":"kari"}`); w.Code != 404 || !strings.Contains(w.Body.String(), "login is off") {
		t.Errorf("without login: %d %s", w.Code, w.Body)
	}
}

func TestSessionsAreCountedByOneAtATime(t *testing.T) {
	t.Parallel()
	k := &kept{hold: make(chan struct{}), started: make(chan struct{})}
	a := newAPI(k, false)
	first := make(chan int)
	go func() { first <- a.call("GET", "/sessions/count", "").Code }()
	<-k.started
	if w := a.call("GET", "/sessions/count", ""); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("meanwhile: %d %s", w.Code, w.Body)
	}
	close(k.hold)
	if code := <-first; code != 200 {
		t.Errorf("the first one: %d", code)
	}
	k.hold = nil
	if w := a.call("GET", "/sessions/count", ""); w.Code != 200 {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}

// An end that was begun is finished, also when whoever asked is gone.
func TestEndIsNotCutOff(t *testing.T) {
	t.Parallel()
	k := &kept{}
	gone := func(r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		*r = *r.WithContext(ctx)
	}
	if newAPI(k, false).call("POST", "/sessions/end", `{"sub":"kari"}`, gone); len(k.ended) != 1 {
		t.Errorf("ended %v", k.ended)
	}
}

// S-38, S-37: the event of a call names whose sessions were meant, but never by a personal number.
func TestS38EachCallIsAnAuditEvent(t *testing.T) {
	t.Parallel()
	a := newAPI(&kept{}, true)
	a.call("POST", "/sessions/end", `{"sub":"kari"}`, with("X-Request-Id", "r-1"))
	a.call("POST", "/sessions/search", `{"sid":"of 01017012345"}`)
	a.call("GET", "/sessions/count", "")
	a.call("GET", "/debug/pprof/goroutine?debug=1", "")
	a.call("POST", "/sessions/end", `{}`)
	want := []map[string]any{
		{"action": "sessions.end", "outcome": "done", "subject": "kari", "sessions": 2.0, "request_id": "r-1", "method": "POST", "peer": "127.0.0.1:41000"},
		{"action": "sessions.search", "outcome": "done", "sid": "of ***********", "sessions": 0.0},
		{"action": "sessions.count", "outcome": "done", "sessions": 7.0},
		{"action": "profile", "outcome": "done", "sessions": nil},
		{"action": "sessions.end", "outcome": "invalid_request", "sessions": nil, "subject": nil},
	}
	lines := strings.Split(strings.TrimSpace(a.log.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines\n%s", len(lines), a.log.String())
	}
	for i, line := range lines {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil || got["audit"] != true || got["request_id"] == "" {
			t.Errorf("%s", line)
		}
		for name, value := range want[i] {
			if got[name] != value {
				t.Errorf("line %d: %s is %v, want %v", i, name, got[name], value)
			}
		}
	}
}

func TestS42Profiles(t *testing.T) {
	t.Parallel()
	a := newAPI(nil, true)
	for path, want := range map[string]int{
		"/debug/pprof/": 200, "/debug/pprof/heap?debug=1": 200, "/debug/pprof/goroutine?debug=1": 200, "/debug/pprof/symbol": 200,
		"/debug/pprof/cmdline": 404, "/debug/pprof/nothing": 404, "/debug/pprof": 404,
	} {
		if w := a.call("GET", path, ""); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	if w := newAPI(nil, false).call("GET", "/debug/pprof/heap", ""); w.Code != 404 {
		t.Errorf("switched off: %d", w.Code)
	}
}
