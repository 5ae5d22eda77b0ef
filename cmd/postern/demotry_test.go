package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/cmd/postern/demoapp"
	"postern/oidc/devidp"
	"postern/proxy/policy"
)

// The policy of the demo is what newcomers read first: it must load without a word, and fit a screen.
func TestDemoPolicyLoadsWithoutWarnings(t *testing.T) {
	t.Parallel()
	p, warnings, err := policy.Load([]policy.File{{Name: "policy.yaml", Data: demoPolicy}}, policy.Settings{
		TokenXClientID: demoAPI.tokenX, EntraClientIDs: []string{demoAPI.entra}, IDPortenClients: []string{demoAPI.idportenClient},
		IDPortenEnabled: true, Providers: []string{"entra_id", "tokenx", "maskinporten", "idporten"}, RequireAuth: true,
	})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %q", err, warnings)
	}
	if got := p.App().String(); got != demoAPI.tokenX {
		t.Errorf("it is about %s", got)
	}
	if lines := bytes.Count(demoPolicy, []byte("\n")); lines > 45 {
		t.Errorf("%d lines", lines)
	}
	for line := range strings.Lines(string(demoPolicy)) {
		if len(line) > 145 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
	if !bytes.Contains(demoPolicy, []byte(devidp.GroupCaseworkers)) {
		t.Error("the caseworkers' group is another one at the test provider")
	}
}

// The configuration of the API's Postern is accepted, and says nothing that would worry a newcomer.
func TestDemoSidecarsAreConfigured(t *testing.T) {
	t.Parallel()
	world := newDemoWorld(17080)
	provider, err := devidp.New(devidp.Config{BaseURL: localhost(world.idp), Clients: demoClients(demoClient(world))})
	if err != nil {
		t.Fatal(err)
	}
	path, remove, err := writeDemoPolicy()
	if err != nil {
		t.Fatal(err)
	}
	printed, errs := new(output), new(output)
	p := program{stdout: printed, stderr: errs}
	web, err := demoWebSidecar(p, world, provider, demoClient(world), false)
	if err != nil {
		t.Error(err)
	}
	api, err := demoAPISidecar(p, world, provider, path, false)
	if err != nil {
		t.Fatal(err)
	}
	if said := printed.String() + errs.String(); said != "" {
		t.Errorf("it says %s", said)
	}
	if got := slices.Sorted(maps.Keys(api.trusted.byName)); !slices.Equal(got, []string{"entra_id", "idporten", "maskinporten", "tokenx"}) {
		t.Errorf("it takes tokens of %q", got)
	}
	if web.cfg.Bearer.Enabled() || !web.cfg.LoginEnabled() || api.cfg.LoginEnabled() {
		t.Error("login belongs to the web app alone, bearer tokens to the API alone")
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the policy stays behind: %v", err)
	}
}

// Every caller has a token that the test provider can make, an address of its own, and stands with others of its group.
func TestDemoCastIsComplete(t *testing.T) {
	t.Parallel()
	provider, err := devidp.New(devidp.Config{BaseURL: "http://localhost:17081"})
	if err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile(`^[a-z-]+$`)
	var ids, groups []string
	for _, c := range demoCast() {
		if !plain.MatchString(c.ID) || slices.Contains(ids, c.ID) || c.Name == "" || c.About == "" {
			t.Errorf("caller %+v", c.TryCaller)
		}
		ids = append(ids, c.ID)
		if len(groups) == 0 || groups[len(groups)-1] != c.Group {
			groups = append(groups, c.Group)
		}
		if c.token == nil {
			continue
		}
		raw, err := provider.Mint(*c.token)
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		if token := readDemoToken(raw); token == nil || token.Length != len(raw) {
			t.Errorf("%s: not readable", c.ID)
		}
	}
	if distinct := slices.Compact(slices.Sorted(slices.Values(groups))); len(distinct) != len(groups) {
		t.Errorf("a group is in pieces: %q", groups)
	}
	for _, r := range demoRequests() {
		if !plain.MatchString(r.ID) || slices.Contains(ids, r.ID) || r.About == "" {
			t.Errorf("request %+v", r)
		}
		ids = append(ids, r.ID)
	}
}

func TestDemoTokenIsShownWithoutItsSignature(t *testing.T) {
	t.Parallel()
	encode := base64.RawURLEncoding.EncodeToString
	raw := encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(`{"sub":"x"}`)) + ".c2lnbmF0dXJl"
	want := &demoapp.TryToken{Header: []byte(`{"alg":"RS256"}`), Claims: []byte(`{"sub":"x"}`), Length: len(raw)}
	if diff := cmp.Diff(want, readDemoToken(raw)); diff != "" {
		t.Error(diff)
	}
	for _, none := range []string{"", "a.b", "a.b.c.d", "!.e30.x", "e30.!.x"} {
		if got := readDemoToken(none); got != nil {
			t.Errorf("%q: %+v", none, got)
		}
	}
}

// The tap notes what came through to the API, for the call that is waited for and no other.
func TestDemoTapNotesWhatReachesTheAPI(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 64)
	tap := newDemoTap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Clone() }))
	send := func(h http.Header) {
		r := httptest.NewRequest(http.MethodGet, "/orders", nil)
		r.Header = h
		tap.ServeHTTP(httptest.NewRecorder(), r)
	}
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			h := http.Header{"Authorization": {"Bearer secret"}, "X-Postern-User": {fmt.Sprint(i)}, "Accept": {"*/*"}}
			watch := tap.watch(h)
			defer watch.forget()
			if _, reached := watch.header(); reached {
				t.Error("reached before it was sent")
			}
			send(h)
			got, reached := watch.header()
			if diff := cmp.Diff(http.Header{"Authorization": {"Bearer …"}, "X-Postern-User": {fmt.Sprint(i)}}, got); !reached || diff != "" {
				t.Error(diff)
			}
		})
	}
	wait.Wait()
	send(http.Header{demoCallID: {"of somebody else"}})
	send(http.Header{})
	close(seen)
	for h := range seen {
		if h.Get(demoCallID) != "" {
			t.Error("the API sees how the demo watches it")
		}
	}
	if len(tap.watched) != 0 {
		t.Errorf("%d calls are still waited for", len(tap.watched))
	}
}
