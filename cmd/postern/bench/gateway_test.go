package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGatewayFlagNamesACommand(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"other=run":                                 {"run"},
		"other= /bin/run  --a={listen}\t-b ":        {"/bin/run", "--a={listen}", "-b"},
		`other=sh -c 'exec run "$LISTEN" x=y'`:      {"sh", "-c", `exec run "$LISTEN" x=y`},
		`other=run "a b"c '' "it's"`:                {"run", "a bc", "", "it's"},
		`other=run {"json": {}} {A} { x {client-id`: {"run", "{json:", "{}}", "{A}", "{", "x", "{client-id"},
	} {
		var got gateways
		if err := got.Set(text); err != nil || got[0].name != "other" {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, got[0].words); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	for text, want := range map[string]string{
		"":                        "name=command",
		"run --upstream":          "name=command",
		"=run":                    "name=command",
		" other=run":              "name=command",
		"other=":                  "no command",
		"other=  ":                "no command",
		"other=run 'x":            "not closed",
		"other=run {listen-port}": "{listen-port} is not one of {listen}",
		"postern=run":             "another target",
		"bare=run":                "another target",
	} {
		var got gateways
		if err := got.Set(text); err == nil || !strings.Contains(err.Error(), want) || len(got) > 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
	if code := realMain(t.Context(), []string{"-gateway", "nothing"}, io.Discard, io.Discard); code != exitUsage {
		t.Errorf("exit status %d", code)
	}
}

func TestPlaceholdersAreFilledInOnce(t *testing.T) {
	t.Parallel()
	values := map[string]string{"listen": "127.0.0.1:1", "client-secret": "{listen}", "url": "http://localhost:1"}
	got, err := fill("-a={listen}{url}/cb {client-secret} {}{x", values)
	if want := "-a=127.0.0.1:1http://localhost:1/cb {listen} {}{x"; got != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// A gateway that is quick because it does not do the work must not get into the table.
func TestGatewayThatLiesIsCaught(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x", smallSize)
	constant := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = io.WriteString(w, text) }
	token := "Bearer e30.e30." + strings.Repeat("s", 342)
	for name, test := range map[string]struct {
		gateway func(w http.ResponseWriter, r *http.Request, app http.Handler)
		caller  *caller
		want    string
	}{
		"constant 200": {constant, &caller{name: anonymous}, "reached it 0 times"},
		"another body": {func(w http.ResponseWriter, r *http.Request, app http.Handler) {
			app.ServeHTTP(httptest.NewRecorder(), r)
			_, _ = io.WriteString(w, "ok")
		}, &caller{name: anonymous}, "is not the app's"},
		"asks the app and refuses": {func(w http.ResponseWriter, r *http.Request, app http.Handler) {
			app.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusForbidden)
		}, &caller{name: anonymous}, "the app was asked and the answer is status 403"},
		"any token will do": {func(w http.ResponseWriter, r *http.Request, app http.Handler) {
			if r.Header.Get("Authorization") == "" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			app.ServeHTTP(w, r)
		}, &caller{name: bearerName(fewTokens), tokens: []string{token}}, "tokens are not looked at"},
		"a constant for a token": {func(w http.ResponseWriter, r *http.Request, app http.Handler) {
			if r.Header.Get("Authorization") != "Bearer "+token {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			constant(w, r, app)
		}, &caller{name: bearerName(fewTokens), tokens: []string{token}}, "reached it 0 times"},
		"only the first token": {func(w http.ResponseWriter, r *http.Request, app http.Handler) {
			if r.Header.Get("Authorization") != "Bearer "+token {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			app.ServeHTTP(w, r)
		}, &caller{name: bearerName(fewTokens), tokens: []string{token, token + "t"}}, "as good a token as the last"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := httptest.NewServer(newApp())
			t.Cleanup(app.Close)
			through := newBare(bareConfig{App: app.Listener.Addr().String()})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { test.gateway(w, r, through) }))
			t.Cleanup(server.Close)
			w := &world{app: &process{address: app.Listener.Addr().String()}}
			g := &gateway{name: "liar", address: "localhost:1", process: &process{address: server.Listener.Addr().String()}}
			if own, err := w.enter(t.Context(), g, test.caller); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, %v; want %q", own, err, test.want)
			}
		})
	}
}

func TestPlausibleReachIsEnoughForOthers(t *testing.T) {
	t.Parallel()
	m := &meter{caller: &caller{foreign: true}, done: witnessed{seen: counts{Requests: 10000}}}
	if err := m.believe(10000, 10000); err != nil {
		t.Error(err)
	}
	m.done.seen.Requests = 100 // answers remembered from a first round
	if err := m.believe(10000, 10000); err == nil || !strings.Contains(err.Error(), "reached the app") {
		t.Errorf("answers without the app: %v", err)
	}
}

func TestPlausibleExchangeIsOneOfRememberedTokens(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		seen   counts
		bought int
		want   string
	}{
		"remembered":     {counts{Handed: 10000}, 1, ""},
		"no token":       {counts{Handed: 9000}, 0, "brought the app a token"},
		"anew each time": {counts{Handed: 10000}, 10000, "asked for 10000 tokens"},
	} {
		err := plausibleExchange(10000, test.seen, test.bought)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The CPU and the memory of a gateway are those of its workers too.
func TestFamilyIsMeasuredWhole(t *testing.T) {
	needLinux(t)
	p, err := spawn(t.Context(), "sh", "", nil, nil, "/bin/sh", "-c", "(i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; sleep 60) & wait")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	for begun := time.Now(); p.said.String() != "done"; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("the worker does not work")
		}
	}
	alone, err := p.cpu()
	if err != nil {
		t.Fatal(err)
	}
	p.family = true
	pids, err := p.members()
	if err != nil || len(pids) < 2 {
		t.Fatalf("members %v, %v", pids, err)
	}
	if all, err := p.cpu(); err != nil || all < alone+10*time.Millisecond {
		t.Errorf("CPU %v with the worker, %v without: %v", all, alone, err)
	}
	if memory, err := p.resident(); err != nil || memory < 64<<10 {
		t.Errorf("%d bytes: %v", memory, err)
	}
	p.stop()
	p.stop() // once more does nothing
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		status, err := os.ReadFile(procFile(pids[1], "stat"))
		if err != nil || strings.Contains(string(status), ") Z ") {
			return
		}
		if time.Since(begun) > time.Minute {
			t.Fatal("the worker outlives the gateway")
		}
	}
}

// Posterns of three kinds take part as gateways like any other, each in what it can do.
func TestGatewaysAreMeasuredInWhatTheyCanDo(t *testing.T) {
	needLinux(t)
	binary := filepath.Join(t.TempDir(), "postern")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "postern/cmd/postern").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(policyText()), 0o600); err != nil {
		t.Fatal(err)
	}
	apps, err := preAuthorizedApps()
	if err != nil {
		t.Fatal(err)
	}
	common := "=env AZURE_ENABLED=true AZURE_APP_CLIENT_ID={client-id} AZURE_APP_CLIENT_SECRET={client-secret} " +
		"AZURE_APP_WELL_KNOWN_URL={issuer}/.well-known/openid-configuration 'AZURE_APP_PRE_AUTHORIZED_APPS=" + apps + "' " + binary +
		" serve --bind-address={listen} --upstream-host={upstream} --token.bind-address=unix:{dir}/tokens --probe-bind-address= --metrics-bind-address= "
	s := settings{rounds: 1, duration: 100 * time.Millisecond, warmUp: 10 * time.Millisecond, connections: 4, starts: 1, idle: 50 * time.Millisecond, tokens: 60, binary: binary}
	for _, text := range []string{
		"open" + common,
		"people" + common + "--ingress={url} --cookie.secure=false --require-auth=true --auto-login=true " +
			"--openid.provider=azure --openid.client-id={client-id} --openid.client-secret={client-secret} --openid.well-known-url={issuer}/.well-known/openid-configuration",
		"services" + common + "--ingress={url} --bearer.providers=entra_id --policy-file=" + policy,
	} {
		if err := s.gateways.Set(text); err != nil {
			t.Fatal(err)
		}
	}
	took := map[string][]string{}
	for _, s.only = range []string{anonymous + ",", session + ", 1 KiB", bearerName(fewTokens) + ", 1 KiB"} {
		var progress strings.Builder
		r, err := bench(t.Context(), s, &progress)
		if err != nil {
			t.Fatalf("%s: %v\n%s", s.only, err, progress.String())
		}
		for _, o := range r.outcomes {
			for i, e := range o.scenario.caller.entrants {
				took[o.scenario.name] = append(took[o.scenario.name], e.gateway.name)
				if got := o.others[i]; len(got) != 1 || got[0].cpu <= 0 || got[0].p99 < got[0].p50 || got[0].memory < 1<<20 {
					t.Errorf("%s, %s: %+v", o.scenario.name, e.gateway.name, got)
				}
			}
		}
		var table strings.Builder
		r.print(&table)
		for name, gateways := range took {
			if strings.Contains(name, s.only) && !regexp.MustCompile(regexp.QuoteMeta(name)+` +`+gateways[0]+` +[0-9.]+ +[0-9.]+ +[0-9.]+-[0-9.]+ `).MatchString(table.String()) {
				t.Errorf("no line of %s for %s:\n%s", gateways[0], name, table.String())
			}
		}
	}
	want := map[string][]string{
		"anonymous, 1 KiB": {"open"}, "anonymous, 64 KiB": {"open"}, "session, 1 KiB": {"people"}, "bearer, 50 tokens, 1 KiB": {"services"},
	}
	if diff := cmp.Diff(want, took); diff != "" {
		t.Error(diff)
	}
}

func TestAGatewayThatEndsAtOnceFailsTheRun(t *testing.T) {
	t.Parallel()
	needLinux(t)
	address, err := freeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"issuer": "i"}`) }))
	t.Cleanup(provider.Close)
	known := &process{address: provider.Listener.Addr().String()}
	w := &world{dir: t.TempDir(), idp: known, app: known}
	err = w.startGateway(context.WithoutCancel(t.Context()), &gateway{name: "short", address: address, words: []string{"sh", "-c", "echo cannot bind $LISTEN for $CLIENT_ID; exit 1"}})
	if err == nil || !strings.Contains(err.Error(), "short ended before it answered") || !strings.Contains(err.Error(), "cannot bind "+address+" for "+clientID) {
		t.Error(err)
	}
}
