package e2e

import (
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"postern/oidc/devidp"
)

const forwardPolicy = `
apiVersion: postern/v1
app: {cluster: dev, namespace: team, name: app}
users: {groups: [` + devidp.GroupCaseworkers + `, ` + devidp.GroupAdmins + `]}
paths:
  - {match: "/public/**", public: true}
  - {match: "/admin/**", methods: [GET, POST], require: {groups: [` + devidp.GroupAdmins + `]}}
  - {match: "/orders/**", methods: [POST], require: {kind: user}}
  - {match: "/high/**", require: {level: idporten-loa-high}}
`

// forwardWorld is a postern that ingress controllers ask, on a listener of its own and on the public one.
type forwardWorld struct {
	*world
	listener string // its address
}

// newForwardWorld starts everything. An empty policy is none.
func newForwardWorld(t testing.TB, policy string, env map[string]string) *forwardWorld {
	t.Helper()
	f := prepareForwardWorld(t, policy, env)
	f.Process = Start(t, f.env)
	return f
}

func prepareForwardWorld(t testing.TB, policy string, env map[string]string) *forwardWorld {
	t.Helper()
	f := &forwardWorld{listener: "127.0.0.1:" + FreePort(t)}
	all := map[string]string{
		"POSTERN_FORWARD_AUTH_BIND_ADDRESS": f.listener, "POSTERN_SESSION_FORWARD_AUTH": "true", "POSTERN_BEARER_PROVIDERS": "all",
		"POSTERN_IDENTITY_HEADERS": "postern,claims,oauth2-proxy,easyauth", "AZURE_APP_TENANT_ID": devTenant, "NAIS_CLUSTER_NAME": "dev",
	}
	if policy != "" {
		file := filepath.Join(t.TempDir(), "policy.yaml")
		writeFile(t, file, policy)
		all["POSTERN_POLICY_FILE"] = file
	}
	maps.Copy(all, env)
	f.world = prepareWorld(t, worldOptions{env: all})
	return f
}

// cookie signs a person in and returns the session as a Cookie header.
func (f *forwardWorld) cookie(t testing.TB, person string) string {
	t.Helper()
	c := NewClient(t)
	f.login(t, c, person, "")
	name, value := f.sessionCookie(c)
	if value == "" {
		t.Fatal("no session cookie")
	}
	return name + "=" + value
}

// bearer is the Authorization of a caseworker, or of somebody in other groups.
func (f *forwardWorld) bearer(t testing.TB, groups ...string) string {
	t.Helper()
	return "Bearer " + f.dev.Mint(t, profile("entra-user", "azp", DevClientID, "groups", groups))
}

// about is what ingress-nginx says of a request.
func (f *forwardWorld) about(method, target string) []string {
	return []string{"X-Original-Method", method, "X-Original-Url", f.origin() + target}
}

// question asks the listener; headers are names and values in turn.
func (f *forwardWorld) question(t testing.TB, headers ...string) *Response {
	t.Helper()
	return NewClient(t).Get("http://"+f.listener+"/", headers...)
}

// public asks the endpoint on the public listener.
func (f *forwardWorld) public(t testing.TB, headers ...string) *Response {
	t.Helper()
	return NewClient(t).Get(f.ingress+"/oauth2/session/forwardauth", headers...)
}

// tells are the names of the headers in an answer that say who somebody is.
func tells(header http.Header) []string {
	var names []string
	for name := range header {
		for _, family := range []string{"X-Postern-", "X-Wonderwall-", "X-Forwarded-", "X-Ms-", "Authorization"} {
			if strings.HasPrefix(name, family) {
				names = append(names, name)
			}
		}
	}
	return names
}
