package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRequestsWithABodyArePosts(t *testing.T) {
	t.Parallel()
	c := caller{common: http.Header{"Host": {"h:1"}, "Content-Type": {"application/json"}}, bodies: map[string]string{"/a": `{"a":1}`}}
	for path, want := range map[string]string{"/a": `POST /a {"a":1}`, "/b": "GET /b "} {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(c.requests(path)[0])))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if got := r.Method + " " + r.URL.Path + " " + string(body); err != nil || got != want || r.Host != "h:1" {
			t.Errorf("%q for %q, want %q: %v", got, r.Host, want, err)
		}
	}
}

// What a constant handler has learnt is what it answers, to whoever sends a whole request.
func TestConstantAnswersWhatItHasLearnt(t *testing.T) {
	t.Parallel()
	learnt := map[string]constant{
		"/short": {http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Content-Length": {"2"}}, "{}"},
		"/long":  {http.Header{"Content-Type": {"application/json"}, "Content-Length": {"9000"}}, strings.Repeat("x", 9000)},
	}
	server := httptest.NewServer(newConstant(learnt))
	t.Cleanup(server.Close)
	target := &process{name: roleConstant, address: server.Listener.Addr().String()}
	c := caller{common: serviceHeaders(target.address), bodies: map[string]string{"/short": "q", "/long": strings.Repeat("q", 5000)}}
	for path, want := range learnt {
		got, err := c.answerOf(t.Context(), target, path)
		if err != nil || !got.is(want) {
			t.Errorf("%s: %+v, want %+v: %v", path, got, want, err)
		}
		want.Header.Set("X-More", "1")
		if got.is(want) {
			t.Errorf("%s: another header does not show", path)
		}
	}
}

func TestOnlyGoodAnswersAreCompared(t *testing.T) {
	t.Parallel()
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"active":false}`)
	}))
	t.Cleanup(server.Close)
	target := &process{name: postern, address: server.Listener.Addr().String()}
	c := caller{common: serviceHeaders(target.address), bodies: map[string]string{pathIntrospect: "{}"}}
	learn := func(ctx context.Context) error { _, err := c.learn(ctx, target); return err }
	if err := learn(t.Context()); err == nil || !strings.Contains(err.Error(), pathIntrospect) {
		t.Errorf("a token that is not active: %v", err)
	}
	status = http.StatusForbidden
	if err := learn(t.Context()); err == nil || !strings.Contains(err.Error(), "status 403") {
		t.Errorf("a refusal: %v", err)
	}
}

func TestPlausibleMemoryRefusesTokensThatWereBought(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ok, bought int
		want       string // part of the error; "" for none
	}{
		"all known":       {10000, 0, ""},
		"renewed ahead":   {10000, 1, ""},
		"bought each":     {10000, 10000, "asked for 10000 tokens"},
		"bought too many": {10000, 11, "asked for 11 tokens"},
		"error pages":     {9000, 0, "200"},
	} {
		err := plausibleMemory(10000, c.ok, c.bought)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
