package docs

// exceptions is the one list of what is not run here.
var exceptions = []exception{
	{page: "charts/README.md", kind: "sh", by: "cmd/postern-injector/e2e/t3/example_test.go:TestWorkedExample"},
	{page: "charts/postern-injector/README.md", kind: "sh", begins: "helm install", by: "cmd/postern-injector/e2e/t2/install_test.go:TestChartFromInstallToUninstall"},
	{page: "charts/postern-injector/README.md", kind: "sh", begins: "kubectl create secret", by: "cmd/postern-injector/e2e/t2/install_test.go:TestChartFromInstallToUninstall"},
	{page: "cmd/postern-injector/inject/README.md", kind: "yaml", by: "cmd/postern-injector/inject/reference_test.go:TestReadmeExampleIsInjected"},
	{page: "proxy/README.md", kind: "js", by: "cmd/postern/e2e/browser_session_readme_test.go:TestBrowserSessionModuleAsItsDocumentUsesIt"},
	{page: "proxy/forward-auth.md", kind: "nginx", by: "cmd/postern/e2e/nginx_test.go:TestS16NginxAsks"},

	{page: ".ci/image/README.md", kind: "sh", why: "it takes minutes, and `bash .ci/run images` does it"},
	{page: "charts/networkpolicy/README.md", kind: "sh", why: "it takes a cluster; both commands are also in step 6 of charts/README.md, which is run"},
	{page: "cmd/postern-injector/check/README.md", kind: "sh", why: "it asks whatever cluster kubectl knows"},
	{page: "cmd/postern/bench/README.md", kind: "sh", why: "each takes minutes of a calm machine"},
	{page: "proxy/README.md", kind: "sh", begins: "curl -H \"Authorization: $AUTHORIZATION\"", why: "the APIs of the example are somewhere else; step 5 of first-app.md makes such a call"},
	{page: "proxy/forward-auth.md", kind: "yaml", begins: "http:", why: "there is no Traefik on the machines that test"},
	{page: "proxy/forward-auth.md", kind: "yaml", begins: "http_service:", why: "there is no Envoy on the machines that test"},
}
