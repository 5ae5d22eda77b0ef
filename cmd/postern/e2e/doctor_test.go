package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/session/redistest"
)

// Nothing is wrong: every line is ok, but for what cannot be tried, and nothing is left behind.
func TestDoctorFindsNothingInAHealthyWorld(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	d := p.examine(t)
	if d.code != 0 || d.Status != "ok" || d.Problems != 0 || d.Warnings != 0 {
		t.Errorf("exit code %d, status %s\n%s", d.code, d.Status, d)
	}
	for _, check := range []string{
		"login.metadata", "login.keys", "login.capabilities", "login.scopes", "login.clock", "login.client", "login.redirect",
		"entra_id.client", "tokenx.client", "maskinporten.client", "idporten.metadata", "redis.reach", "redis.commands", "redis.server",
		"upstream.reach", "upstream.exposed", "egress.orders", "egress.orders.target", "access", "encryption-key", "files", "ports", "memory", "ingress", "configuration",
	} {
		if !slices.ContainsFunc(d.Findings, func(f struct{ Check, Status, Text, Advice string }) bool { return f.Check == check && f.Status == "ok" }) {
			t.Errorf("%s is not ok\n%s", check, d)
		}
	}
	if left, err := p.redis.Client(t).DBSize(t.Context()).Result(); err != nil || left != 0 {
		t.Errorf("%d keys are left in Redis (%v)", left, err)
	}
	text := LaunchWith(t, p.env, "doctor")
	if code := text.Wait(t); code != 0 || strings.Count(text.Log.Text(), "\n") != len(d.Findings)+1 {
		t.Errorf("exit code %d, not one line each:\n%s", code, text.Log.Text())
	}
}

// Each fault that is planted is one line that names it and says what to do, and nothing else is called a problem.
func TestDoctorFindsPlantedFaults(t *testing.T) {
	t.Parallel()
	healthy := newPatient(t)
	for name, fault := range map[string]plantedFault{
		"provider out of reach": {func(t *testing.T, p *patient) {
			p.env["TOKEN_X_WELL_KNOWN_URL"] = "http://127.0.0.1:" + FreePort(t) + "/.well-known/oauth-authorization-server"
		}, "tokenx.metadata", "problem", "metadata_unreachable", ""},
		"metadata that are not there": {func(_ *testing.T, p *patient) {
			p.env["MASKINPORTEN_WELL_KNOWN_URL"] = strings.Replace(p.env["MASKINPORTEN_WELL_KNOWN_URL"], "/maskinporten/", "/nowhere/here/", 1)
		}, "maskinporten.metadata", "problem", "answer 404", ""},
		"issuer of another": {func(t *testing.T, p *patient) {
			p.behind(t, members("/tokenx/", map[string]any{"issuer": "https://somebody.example.org"}))
		}, "tokenx.metadata", "problem", "issuer_mismatch", ""},
		"endpoint by plain http": {func(t *testing.T, p *patient) {
			p.behind(t, members("/maskinporten/", map[string]any{"token_endpoint": "http://maskinporten.example.org/token"}))
		}, "maskinporten.metadata", "problem", "endpoint_insecure", ""},
		"keys gone": {func(t *testing.T, p *patient) {
			p.behind(t, members("/idporten/", map[string]any{"jwks_uri": "http://127.0.0.1:" + FreePort(t) + "/jwks"}))
		}, "idporten.keys", "problem", "keys_unreachable", ""},
		"no S256": {func(t *testing.T, p *patient) {
			p.behind(t, members("/v2.0/", map[string]any{"code_challenge_methods_supported": []string{"plain"}}))
		}, "login.capabilities", "problem", "PKCE", ""},
		"no end of sessions": {func(t *testing.T, p *patient) {
			p.behind(t, members("/v2.0/", map[string]any{"end_session_endpoint": nil}))
		}, "login.capabilities", "warning", "end_session_endpoint", ""},
		"key of an algorithm that is not taken": {func(t *testing.T, p *patient) {
			p.behind(t, members("/tokenx/", map[string]any{"token_endpoint_auth_signing_alg_values_supported": []string{"ES256"}}))
		}, "tokenx.capabilities", "problem", "RS256", ""},
		"clock far off": {func(t *testing.T, p *patient) { p.behind(t, dated(-5*time.Minute)) }, "login.clock", "problem", "ahead of", ".clock"},
		"clock off":     {func(t *testing.T, p *patient) { p.behind(t, dated(30*time.Second)) }, "maskinporten.clock", "warning", "behind", ".clock"},
		"secret of another client": {func(_ *testing.T, p *patient) {
			delete(p.env, "AZURE_APP_JWK")
			p.env["AZURE_APP_CLIENT_SECRET"] = "not-the-secret"
			p.secrets = map[string]string{"secret": "not-the-secret"}
		}, "login.client", "problem", "invalid_client", "entra_id.client"},
		"key that is not registered at TokenX": {func(t *testing.T, p *patient) {
			p.env["TOKEN_X_PRIVATE_JWK"], _ = newJWK(t)
		}, "tokenx.client", "problem", "token verification failed", ""},
		"client that TokenX does not know": {func(_ *testing.T, p *patient) {
			p.env["TOKEN_X_CLIENT_ID"] = "dev:team:nobody"
		}, "tokenx.client", "problem", "not registered", ""},
		"key that is not registered at Maskinporten": {func(t *testing.T, p *patient) {
			p.env["MASKINPORTEN_CLIENT_JWK"], _ = newJWK(t)
		}, "maskinporten.client", "problem", "MP-124", ""},
		"key that is not for its alg": {func(t *testing.T, p *patient) {
			p.env["TOKEN_X_PRIVATE_JWK"] = strings.Replace(ecJWK(t, "k"), "ES256", "ES384", 1)
		}, "tokenx.client", "problem", "client JWK", ""},
		"redirect URI that is not registered": {func(t *testing.T, p *patient) {
			p.env["POSTERN_INGRESS"] = "http://other.localhost:" + FreePort(t)
		}, "login.redirect", "problem", "is refused", ""},
		"ingress that does not resolve": {func(_ *testing.T, p *patient) {
			p.env["POSTERN_INGRESS"], p.env["POSTERN_ALLOW_TEST_PROVIDER"] = "https://app.invalid", "true"
		}, "ingress", "warning", "does not resolve", "login.redirect"},
		"Redis gone": {func(t *testing.T, p *patient) {
			p.env["POSTERN_REDIS_URI"] = "redis://127.0.0.1:" + FreePort(t)
		}, "redis.reach", "problem", "nobody listens", ""},
		"wrong password of Redis": {func(_ *testing.T, p *patient) {
			p.env["POSTERN_REDIS_URI"] = "redis://:wrong-password@" + p.redis.Addr
			p.secrets = map[string]string{"password": "wrong-password"}
		}, "redis.reach", "problem", "WRONGPASS", ""},
		"TLS where Redis has none": {func(_ *testing.T, p *patient) {
			p.env["POSTERN_REDIS_URI"] = "rediss://" + p.redis.Addr
		}, "redis.reach", "problem", "TLS", ""},
		"plain text where Redis speaks TLS": {func(t *testing.T, p *patient) {
			p.env["POSTERN_REDIS_URI"] = "redis://" + redistest.StartTLS(t, redistest.NewAuthority(t)).Addr
		}, "redis.reach", "problem", "without an answer", ""},
		"Redis of an authority that is not trusted": {func(t *testing.T, p *patient) {
			p.env["POSTERN_REDIS_URI"] = redistest.StartTLS(t, redistest.NewAuthority(t)).URI()
		}, "redis.reach", "problem", "authority that is not trusted here) → Name the certificate (PEM) of its CA in redis.ca-file", ""},
		"app that answers with a fault": {func(t *testing.T, p *patient) {
			app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
			t.Cleanup(app.Close)
			p.env["POSTERN_UPSTREAM_HOST"] = app.Listener.Addr().String()
		}, "upstream.reach", "warning", "503", ""},
		"user without streams": {func(t *testing.T, p *patient) {
			p.redis.Command(t, "ACL SETUSER narrow on >narrow-password ~postern:* +@all -xrange -xread")
			p.env["POSTERN_REDIS_URI"] = "redis://narrow:narrow-password@" + p.redis.Addr
		}, "redis.commands", "problem", "xrange", ""},
		"Redis that evicts": {func(t *testing.T, p *patient) {
			p.env["POSTERN_REDIS_URI"] = Redis(t, "--appendonly", "yes", "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru").URI()
		}, "redis.server", "problem", "allkeys-lru", ""},
		"Redis that forgets": {func(t *testing.T, p *patient) { p.env["POSTERN_REDIS_URI"] = Redis(t).URI() }, "redis.server", "warning", "nothing on disk", ""},
		"Redis that is a replica": {func(t *testing.T, p *patient) {
			replica := Redis(t, "--masterauth", patientPassword)
			host, port, _ := net.SplitHostPort(p.redis.Addr)
			replica.Command(t, "REPLICAOF "+host+" "+port)
			p.env["POSTERN_REDIS_URI"] = replica.URI()
		}, "redis.commands", "problem", "replica", "redis.server"},
		"app that is down": {func(t *testing.T, p *patient) {
			p.env["POSTERN_UPSTREAM_HOST"] = "127.0.0.1:" + FreePort(t)
		}, "upstream.reach", "problem", "nobody listens", ""},
		"app that speaks TLS": {func(t *testing.T, p *patient) {
			app := httptest.NewTLSServer(http.NotFoundHandler())
			t.Cleanup(app.Close)
			p.env["POSTERN_UPSTREAM_HOST"] = app.Listener.Addr().String()
		}, "upstream.reach", "problem", "speaks TLS", ""},
		"app beside Postern": {func(t *testing.T, p *patient) {
			port := FreePort(t)
			listeningApp(t, "tcp4", "0.0.0.0:"+port)
			p.env["POSTERN_UPSTREAM_HOST"] = "127.0.0.1:" + port
		}, "upstream.exposed", "warning", "beside Postern", ""},
		"target of a route that does not resolve": {func(_ *testing.T, p *patient) {
			p.env["POSTERN_EGRESS_ROUTES"] = `[{name: orders, url: "https://orders.invalid", provider: entra_id, target: "` + ordersName + `"}]`
		}, "egress.orders", "problem", "does not resolve", ""},
		"app that nobody knows, as the target of a route": {routed("entra_id", "dev:team:nobody", "user"), "egress.orders.target", "problem", "AADSTS500011", ""},
		"target that has not admitted this app":           {routed("entra_id", closedName, "app"), "egress.orders.target", "problem", "→ Check that the target reads <cluster>", ""},
		"target that TokenX does not know":                {routed("tokenx", "dev:team:nobody", "user"), "egress.orders.target", "problem", "→ Check the target: TokenX knows no app", ""},
		"target that has not admitted this app at TokenX": {routed("tokenx", closedName, "user"), "egress.orders.target", "problem", "→ Check that spec.accessPolicy.inbound", ""},
		"scope that Maskinporten does not give":           {routed("maskinporten", "nav:other/orders.read", "app"), "egress.orders.target", "problem", "→ Check that the target names scopes", ""},
		"level that the provider does not have": {func(t *testing.T, p *patient) {
			p.env["POSTERN_OPENID_ACR_VALUES"] = "Level9"
			p.behind(t, members("/v2.0/", map[string]any{"acr_values_supported": []string{"Level4"}}))
		}, "login.capabilities", "warning", "acr_values_supported has none of Level9", ""},
		"language that the provider does not have": {func(_ *testing.T, p *patient) {
			p.env["POSTERN_OPENID_UI_LOCALES"] = "tlh"
		}, "login.capabilities", "warning", "ui_locales_supported has no tlh", ""},
		"policy that admits nobody": {func(t *testing.T, p *patient) {
			p.env["POSTERN_POLICY_FILE"] = p.file(t, "policy.yaml", "apiVersion: postern/v1\npaths: [{match: /x, public: true}]\n", 0o600)
		}, "policy", "warning", "admits no caller", ""},
		"everything public": {func(t *testing.T, p *patient) {
			p.env["POSTERN_POLICY_FILE"] = p.file(t, "policy.yaml", "apiVersion: postern/v1\nusers: {allowAll: true}\npaths: [{match: /**, public: true}]\n", 0o600)
		}, "policy", "warning", "is public", ""},
		"secret that everybody reads": {func(t *testing.T, p *patient) {
			p.env["POSTERN_ENCRYPTION_KEY_FILE"] = p.file(t, "key", randomKey(t), 0o644)
		}, "files", "warning", "read by everybody", ""},
		"policy that everybody writes": {func(t *testing.T, p *patient) {
			p.env["POSTERN_POLICY_FILE"] = p.file(t, "policy.yaml", "apiVersion: postern/v1\nusers: {allowAll: true}\n", 0o666)
		}, "files", "problem", "written by everybody", ""},
		"key that is not random": {func(t *testing.T, p *patient) {
			p.env["POSTERN_ENCRYPTION_KEY_FILE"] = p.file(t, "key", strings.Repeat("A", 43)+"=", 0o600)
		}, "encryption-key", "problem", "not random", ""},
		"port that is taken": {func(_ *testing.T, p *patient) {
			p.env["POSTERN_METRICS_BIND_ADDRESS"] = p.redis.Addr
		}, "ports", "problem", "metrics-bind-address", ""},
		"caches larger than the memory": {func(_ *testing.T, p *patient) {
			p.env["GOMEMLIMIT"], p.env["POSTERN_CACHE_MAX_MEMORY"] = "128MiB", "100MiB"
		}, "memory", "problem", "100 MiB", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault.mustBeFound(t, healthy)
		})
	}
}

// A provider of no particular kind and without PAR: the client is tried by a code that nobody was given, the redirect URI by a silent request.
func TestDoctorTriesAPlainProvider(t *testing.T) {
	t.Parallel()
	healthy := newPatient(t, "--par=off")
	for _, name := range []string{"AZURE_ENABLED", "TOKEN_X_ENABLED", "MASKINPORTEN_ENABLED", "IDPORTEN_ENABLED", "POSTERN_EGRESS_ROUTES", "POSTERN_POLICY_FILE"} {
		delete(healthy.env, name)
	}
	maps.Copy(healthy.env, map[string]string{
		"POSTERN_OPENID_PROVIDER": "openid", "POSTERN_OPENID_CLIENT_ID": ownClientID, "POSTERN_OPENID_CLIENT_JWK": healthy.env["AZURE_APP_JWK"],
		"POSTERN_OPENID_WELL_KNOWN_URL": healthy.dev.WellKnown(), "POSTERN_OPENID_SCOPES": "offline_access",
	})
	for name, c := range map[string]struct {
		plant               func(t *testing.T, env map[string]string)
		check, status, says string
	}{
		"client":               {func(*testing.T, map[string]string) {}, "login.client", "ok", "invalid_grant for what was made up"},
		"redirect URI":         {func(*testing.T, map[string]string) {}, "login.redirect", "ok", "is accepted"},
		"key of somebody else": {func(t *testing.T, env map[string]string) { env["POSTERN_OPENID_CLIENT_JWK"], _ = newJWK(t) }, "login.client", "problem", "invalid_client"},
		"another redirect URI": {func(t *testing.T, env map[string]string) {
			env["POSTERN_INGRESS"] = "http://other.localhost:" + FreePort(t)
		}, "login.redirect", "problem", "page of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := healthy.infected(t)
			c.plant(t, p.env)
			d := p.examine(t)
			if !slices.ContainsFunc(d.Findings, func(f struct{ Check, Status, Text, Advice string }) bool {
				return f.Check == c.check && f.Status == c.status && strings.Contains(f.Text, c.says)
			}) || d.Problems != map[string]int{"problem": 1}[c.status] {
				t.Errorf("want %s %s that says %q\n%s", c.status, c.check, c.says, d)
			}
		})
	}
}

// A target for which the provider has tokens is no problem, by any provider; what only a user's token can tell is not called ok.
func TestDoctorTriesTargetsOfRoutes(t *testing.T) {
	t.Parallel()
	healthy := newPatient(t)
	for name, c := range map[string]struct{ provider, target, as, status string }{
		"Entra ID, the app":  {"entra_id", ordersName, "auto", "ok"},
		"Entra ID, a user":   {"entra_id", ordersName, "user", "not checked"},
		"Entra ID, a closed": {"entra_id", closedName, "user", "not checked"},
		"TokenX":             {"tokenx", ordersName, "user", "ok"},
		"Maskinporten":       {"maskinporten", "nav:team/orders.read", "app", "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := healthy.infected(t)
			p.env["POSTERN_EGRESS_ROUTES"] = p.route(c.provider, c.target, c.as)
			if d := p.examine(t); d.Problems != 0 || !d.has("egress.orders.target", c.status) {
				t.Errorf("want %s\n%s", c.status, d)
			}
		})
	}
}

// Sentinel and Cluster are tried as the store uses them, and each sentinel by itself.
func TestDoctorTriesSentinelAndCluster(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	delete(p.env, "POSTERN_REDIS_URI")
	problems := func(t *testing.T, env map[string]string, want ...string) {
		t.Helper()
		patient := p.infected(t)
		maps.Copy(patient.env, env)
		d := patient.examine(t)
		var found []string
		for _, f := range d.Findings {
			if f.Status == "problem" || f.Status == "not checked" {
				found = append(found, f.Check)
			}
		}
		if !slices.Equal(found, want) {
			t.Errorf("found %q, want %q\n%s", found, want, d)
		}
	}
	sentinel := redistest.StartSentinel(t, redistest.SentinelOptions{})
	sentinel.AwaitSynced(t)
	addresses := strings.Join(sentinel.Addresses(), ",")
	problems(t, map[string]string{"POSTERN_REDIS_SENTINEL_MASTER": redistest.Master, "POSTERN_REDIS_SENTINEL_ADDRESSES": addresses})
	problems(t, map[string]string{
		"POSTERN_REDIS_SENTINEL_MASTER": redistest.Master, "POSTERN_REDIS_SENTINEL_ADDRESSES": addresses + ",127.0.0.1:" + FreePort(t),
	}, "redis.sentinel")
	cluster := redistest.StartCluster(t, redistest.ClusterOptions{})
	problems(t, map[string]string{"POSTERN_REDIS_CLUSTER_ADDRESSES": strings.Join(cluster.Addresses(), ",")})
}

// An invalid configuration is told as `postern config` does, and nothing else is looked at.
func TestDoctorListsWhatIsInvalid(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"configuration": {"doctor", "--openid.provider=azure", "--log-level=loud"},
		"output":        {"doctor", "--output=xml"},
		"nothing on":    {"doctor"},
	} {
		run := LaunchWith(t, nil, args...)
		if code := run.Wait(t); code != 2 || run.Log.out.String() != "" || run.Log.Stderr() == "" {
			t.Errorf("%s: exit code %d\n%s", name, code, run.Log.Text())
		}
	}
}

// members lays members over the metadata of one issuer; nil takes one away.
func members(issuer string, change map[string]any) func(*http.Response) error {
	return func(r *http.Response) error {
		path := r.Request.URL.Path
		if !strings.Contains(path, "/.well-known/") || !strings.Contains(path, issuer) {
			return nil
		}
		var all map[string]any
		if err := json.NewDecoder(r.Body).Decode(&all); err != nil {
			return err
		}
		for name, value := range change {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		body, err := json.Marshal(all)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return err
	}
}

// dated sets the provider's clock.
func dated(by time.Duration) func(*http.Response) error {
	return func(r *http.Response) error {
		r.Header.Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
		return nil
	}
}
