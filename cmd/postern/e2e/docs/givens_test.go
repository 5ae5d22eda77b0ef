package docs

// givens are what pages take for granted, by the name that their remark gives: programs that run already, and files that are there.
var givens = map[string]func(*reader){
	"texas": func(r *reader) {
		r.provider()
		r.goesOn("identity provider ready", entraVariables+"postern")
	},
	"admin": func(r *reader) {
		r.provider()
		r.goesOn("identity provider ready", entraVariables+`
			head -c 32 /dev/urandom | base64 >admin-token
			export POSTERN_ADMIN_BIND_ADDRESS=127.0.0.1:3005 POSTERN_ADMIN_TOKEN_FILE=admin-token POSTERN_PPROF_ENABLED=true
			export POSTERN_INGRESS=http://localhost:3000 POSTERN_OPENID_PROVIDER=azure
			postern`)
	},
}

const entraVariables = `
	export AZURE_ENABLED=true AZURE_APP_CLIENT_ID=5f1d7c1e-8f0a-4d53-9d0c-6a1f0f7f3b10 AZURE_APP_CLIENT_SECRET=not-a-secret
	export AZURE_APP_WELL_KNOWN_URL=http://localhost:7081/7d1a4a5e-0b5c-4f0e-9a53-5f1d0c6e2b11/v2.0/.well-known/openid-configuration
	`

// provider runs the test provider, which knows the API that pages speak of.
func (r *reader) provider() {
	r.goesOn("client id", `
		echo '[{"id": "app-b", "name": "prod-gcp:team-b:app-b", "pre_authorized": ["5f1d7c1e-8f0a-4d53-9d0c-6a1f0f7f3b10"]}]' >apps.json
		postern idp --clients apps.json --admin`)
}

func (r *reader) goesOn(until, script string) {
	r.elsewhere(block{page: "givens_test.go", kind: "sh", text: script, until: until})
}
