package e2e

import (
	"encoding/base64"
	"strings"
	"testing"
)

// S-37: whatever postern explain is asked, rightly or not, it prints no token, and of a person neither name nor number.
func TestS37ExplainShowsNoToken(t *testing.T) {
	t.Parallel()
	const secret = "secret-of-the-app-3b9d"
	h, dir := newHoard(map[string]string{"client secret": secret}), t.TempDir()
	x := prepareTexas(t, map[string]string{
		"POSTERN_OPENID_PROVIDER": "azure", "POSTERN_OPENID_CLIENT_SECRET": secret, "POSTERN_ENCRYPTION_KEY": testKey,
		"POSTERN_POLICY_FILE": dir + "/policy.yaml", "POSTERN_LOG_LEVEL": "debug",
	})
	writeFile(t, dir+"/policy.yaml", strings.Replace(auditPolicy("11111111-1111-1111-1111-111111111111"), "cluster: dev, namespace: team,", "cluster: dev-gcp, namespace: team-a,", 1))
	for name, token := range map[string]string{
		"user": x.entraUser("kari"), "citizen": x.citizen("gunnar"), "expired": x.dev.Mint(t, map[string]any{
			"profile": "entra-user", "persona": "kari", "claims": map[string]any{"aud": ownClientID, "nbf": 1_000_000_000, "exp": 1_000_003_600},
		}),
	} {
		h.token(name, token)
		for member, value := range claims(t, token) {
			switch text, _ := value.(string); member {
			case "sub", "oid", "pid", "sid", "name", "preferred_username", "NAVident", "jti", "uti":
				h.keep(member, text)
			}
		}
		inside, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		for kind, text := range map[string]string{"token": token, "header": "Bearer " + token, "cut": token[:len(token)-20], "claims": string(inside)} {
			files[kind] = dir + "/" + name + "." + kind
			writeFile(t, files[kind], text)
		}
		ask := func(understood bool, args ...string) {
			t.Helper()
			run := LaunchWith(t, x.env, append([]string{"explain"}, args...)...)
			said := strings.NewReplacer(dir, "", token, "TOKEN", string(inside), "CLAIMS").Replace(strings.Join(args, " "))
			if code := run.Wait(t); (code == 2) == understood || run.Log.Text() == "" {
				t.Errorf("%s: exit status %d\n%s", said, code, run.Log.Text())
			}
			h.wants(t, "explain "+said, run.Log.Text())
		}
		ask(true, "GET", "/x", "--token", files["token"])
		ask(true, "GET", "/admin/x", "--token="+files["header"])
		ask(true, "GET", "/x", "--token", files["cut"])
		ask(true, "GET", "/x", "--claims", files["claims"])
		ask(true, "GET", "/admin/x", "--claims", files["claims"], "--session")
		if name != "user" {
			continue
		}
		// In the wrong place.
		ask(false, "GET", "/x", "--claims", files["token"])
		ask(false, "GET", "/x", "--token", files["claims"])
		ask(false, "GET", "/x", token)
		ask(false, "GET", "/x", "--token", token)
		ask(false, "GET", "/x", "--claims", string(inside))
		ask(false, "GET", "/x", "--policy-file", token)
		ask(false, "GET", "/x", "--bearer.providers="+token)
		ask(true, "GET", "/x/"+token)
		ask(true, "GET", "/x%00/"+token)
	}
	h.knows(t, "oid", "pid", "name", "sub")
}
