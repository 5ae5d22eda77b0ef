package e2e

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"
)

// S-37: everything at debug level, good and bad, and no secret in the log, on standard error, in audit events, metrics, pages, refusals, what the
// operator is answered, or what the commands print; no person but in audit events.
func TestS37EverythingAndNoSecretIsShown(t *testing.T) {
	t.Parallel()
	const person, password, forwardAuth, query = "01017012345", "password-of-redis-9c1e", "secret-of-the-ingress-55aa-55aa-55aa-55aa", "reset-token-in-the-query-8d2f"
	h := newHoard(map[string]string{
		"personal number": person, "Redis' password": password, "secret of the ingress": forwardAuth, "token in a query": query, "admin token": adminToken,
	})
	dir := t.TempDir()
	server := Redis(t, "--requirepass", password)
	audit, policy := dir+"/audit.jsonl", dir+"/policy.yaml"
	writeFile(t, policy, strings.Replace(auditPolicy("11111111-1111-1111-1111-111111111111"), "cluster: dev, namespace: team,", "cluster: dev-gcp, namespace: team-a,", 1))
	writeFile(t, dir+"/forward-auth", forwardAuth)
	admin, env := adminEnv(t, map[string]string{
		"POSTERN_REDIS_URI": "redis://:" + password + "@" + server.Addr, "POSTERN_AUDIT_FILE": audit, "POSTERN_POLICY_FILE": policy,
		"POSTERN_FORWARD_AUTH_BIND_ADDRESS": "127.0.0.1:" + FreePort(t), "POSTERN_FORWARD_AUTH_SECRET_FILE": dir + "/forward-auth",
		"POSTERN_IDENTITY_ASSERTION": "true", "POSTERN_UPSTREAM_INCLUDE_ID_TOKEN": "true", "POSTERN_UPSTREAM_ACCESS_LOGS": "true",
		"POSTERN_BEARER_PROVIDERS": "all",
		"POSTERN_UPSTREAM_TOKENS": `
- {header: X-Orders-Token, provider: entra_id, target: "` + ordersName + `", paths: ["/handed/**"]}
- {header: X-Closed-Token, provider: entra_id, target: "` + closedName + `", required: true, paths: ["/closed/**"]}
- {header: X-Stock-Token, provider: entra_id, target: "` + stockName + `", required: true, paths: ["/stock/**"]}
`,
	})
	x := newOutbound(t, outboundOptions{env: env, provider: h.provider})
	var key map[string]string
	if err := json.Unmarshal([]byte(x.env["AZURE_APP_JWK"]), &key); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"d", "p", "q", "dp", "dq", "qi"} {
		if key[part] != "" {
			raw, _ := base64.RawURLEncoding.DecodeString(key[part])
			h.keep("private key, "+part, key[part])
			h.keep("private key, "+part+" as bytes", string(raw))
			h.keep("private key, "+part+" as a number", new(big.Int).SetBytes(raw).String())
		}
	}
	x.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 3})

	// Logins: one that is refused, one that is forged, one that comes to an end; and the session's way.
	c := NewClient(t)
	deep := "/p/" + person + "?fnr=" + person + "&token=" + query
	page := h.show("page of an anonymous", c.Navigate(x.ingress+deep))
	if !strings.Contains(page.Header.Get("Cache-Control"), "no-store") || page.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("a page that repeats an address: %v", page.Header)
	}
	started := c.Navigate(x.ingress + "/oauth2/login?redirect=" + strings.ReplaceAll(deep, "&", "%26"))
	h.cookies(c, x.ingress+"/")
	callback := x.idp.SignIn(c, started, "kari").Where()
	h.show("forged callback", NewClient(t).Navigate(x.ingress+"/oauth2/callback?state="+query+"&code="+query+"&error_description="+person))
	c.Navigate(callback.String())
	h.show("callback once more", c.Navigate(callback.String()))
	_, cookie := x.sessionCookie(c)
	h.keep("session cookie", cookie)
	seen := x.get(t, c, deep).Header
	h.token("access token", seen.Get("Authorization"))
	idToken := seen.Get("X-Wonderwall-Id-Token")
	h.token("assertion for the app", seen.Get("X-Postern-Assertion"))
	sid := h.person(t, idToken)
	h.show("session", c.Get(x.ingress+"/oauth2/session"))
	h.show("refresh", c.Send("POST", x.ingress+"/oauth2/session/refresh", ""))
	h.show("not in the group", c.Navigate(x.ingress+"/admin/"+person+"?token="+query))

	// Bearers, the token API and egress.
	authorization := x.get(t, c, "/x").Header.Get("Authorization")
	h.token("renewed access token", authorization)
	token := strings.TrimPrefix(authorization, "Bearer ")
	for name, bad := range map[string]string{"cut": token[:len(token)-8], "id token as bearer": idToken, "nonsense": query} {
		h.token(name, bad)
		h.show(name, NewClient(t).Get(x.ingress+"/y", "Authorization", "Bearer "+bad))
		h.show("egress: "+name, x.call("/orders/1", "Bearer "+bad))
		h.show("introspection: "+name, x.tokens.ask("/api/v1/introspect", map[string]any{"identity_provider": "entra_id", "token": bad}))
		h.show("exchange: "+name, x.tokens.ask("/api/v1/token/exchange", map[string]any{"identity_provider": "entra_id", "target": ordersName, "user_token": bad}))
	}
	h.show("token in the query", NewClient(t).Get(x.ingress+"/y?access_token="+token))
	h.show("token in the path", NewClient(t).Get(x.ingress+"/y/"+token))
	h.show("token as target", x.tokens.ask("/api/v1/token", map[string]any{"identity_provider": "entra_id", "target": token}))
	for name, ask := range map[string]map[string]any{
		"machine token":   {"identity_provider": "entra_id", "target": ordersName},
		"scoped token":    {"identity_provider": "maskinporten", "target": "nav:team/orders.read"},
		"exchanged token": {"identity_provider": "entra_id", "target": ordersName, "user_token": token},
	} {
		path := "/api/v1/token"
		if ask["user_token"] != nil {
			path += "/exchange"
		}
		var got struct {
			AccessToken string `json:"access_token"`
		}
		if r := x.tokens.ask(path, ask); r.StatusCode != 200 || json.Unmarshal([]byte(r.Body), &got) != nil {
			t.Fatalf("%s: status %d", name, r.StatusCode)
		}
		h.token(name, got.AccessToken)
	}
	for _, route := range []string{"/orders/" + person + "?token=" + query, "/closed/1", "/nowhere/" + person, "/ledger/1"} {
		if r := x.call(route, authorization); r.StatusCode != 200 {
			h.show("egress "+route, r)
		}
	}
	for _, request := range x.target.Requests() {
		h.token("egress token", request.Header.Get("Authorization"))
	}

	// Tokens for other APIs, which the app is handed.
	h.token("handed token", x.get(t, c, "/handed/"+person).Header.Get("X-Orders-Token"))
	h.show("handed token, refused", c.Navigate(x.ingress+"/closed/"+person+"?token="+query))
	h.show("handed token, refused to a bearer", NewClient(t).Get(x.ingress+"/closed/1", "Authorization", authorization))

	// Those who run it, what they change, and trouble.
	h.show("admin", operate(t, admin, "GET", "/sessions/count", ""))
	h.show("search", operate(t, admin, "POST", "/sessions/search", `{"sid":"`+sid+`"}`))
	h.show("admin, wrong", operate(t, admin, "POST", "/sessions/end", "{}", "Authorization", "Bearer "+query))
	writeFile(t, policy, "apiVersion: postern/v1\nnonsense: "+query+"\n")
	x.Log.WaitFor(t, map[string]any{"msg": "a newer policy cannot be used: the one in force stays"})
	x.dev.Dev(t, "faults", map[string]any{"endpoint": "token", "status": 500, "body": "<html>" + query})
	time.Sleep(3100 * time.Millisecond) // past the token's life
	h.show("refresh in trouble", c.Navigate(x.ingress+"/open/x"))
	h.show("handed token in trouble", c.Get(x.ingress+"/stock/"+person))
	h.show("exchange in trouble", x.call("/stock/1", authorization))
	x.dev.Dev(t, "faults/clear", map[string]any{})
	for _, command := range []string{"doctor", "config"} {
		run := LaunchWith(t, x.env, command)
		run.Wait(t)
		h.shown["postern "+command] = run.Log.Text()
	}
	server.Stop(t)
	h.show("store in trouble", c.Navigate(x.ingress+"/z/"+person))
	h.show("logout in trouble", c.Navigate(x.ingress+"/oauth2/logout"))

	h.knows(t, "code", "state", "nonce", "code_verifier", "client_assertion", "access_token", "refresh_token", "id_token", "assertion", "session cookie")
	h.kept(t, x.Process)
	events, err := os.ReadFile(audit)
	if err != nil || len(events) == 0 {
		t.Fatalf("audit events: %v", err)
	}
	h.wants(t, "audit events", string(events), "sub", "sid", "oid")
	for _, line := range x.Log.Records() { // contract 8
		if line["msg"] == "request" || line["msg"] == "egress" || line["msg"] == "token request" || line["msg"] == "refusal" {
			if line["request_id"] == nil || line["trace_id"] == nil {
				t.Errorf("a line of a request without its ids: %v", line)
			}
		}
	}
}
