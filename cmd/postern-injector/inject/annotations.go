package inject

// Short names of annotations that the injector acts on itself.
const (
	keyAppPort      = "app-port"
	keyAppAddress   = "app-address"
	keyPolicy       = "policy"
	keyPolicyMode   = "policy-mode"
	keyRequireAuth  = "require-auth"
	keyProvider     = "provider"
	keyIngress      = "ingress"
	keySecrets      = "secrets"
	keyTokens       = "tokens"
	keyEgress       = "egress-routes"
	keyImage        = "image"
	keyResources    = "resources"
	keyGraceful     = "shutdown-graceful-period"
	keyWait         = "shutdown-wait-before-period"
	keyAcceptShared = "accept-shared-process-namespace"
	keyProxyPort    = "proxy-port"
	keyMetricsPort  = "metrics-port"
	keyProbePort    = "probe-port"
	keyTokenPort    = "token-port"
	keyEgressPort   = "egress-port"
)

// none takes back what the namespace or the chart says.
const none = "none"

// annotation is one thing that can be said of a pod's sidecar.
type annotation struct {
	key    string
	option string // of the sidecar that it becomes; empty if the injector acts on it itself
	value  string // what it looks like
	toggle bool   // exactly true or false
	nones  bool   // the word none is a value of its own
	front  bool   // it is about requests to the app, so it has no meaning without a port
	doc    string
}

func annotations() []annotation {
	return []annotation{
		{
			key: keyAppPort, value: "number, name or `none`", nones: true,
			doc: "The app's port; by default the only TCP port that the containers declare, or the only one of the container that " +
				"`kubectl.kubernetes.io/default-container` names. `none`: the pod serves nobody and only wants `tokens` or `egress-routes`; " +
				"that is the default of a pod that declares no port and says neither `policy` nor `provider`.",
		},
		{
			key: keyAppAddress, value: "`pod-ip` or `loopback`", front: true,
			doc: "Where the app listens: at the pod's own address (the default, as not every app listens on loopback), or on 127.0.0.1, which " +
				"is better: nobody gets around the sidecar then.",
		},
		{
			key: keyPolicy, value: "`NAME` or `NAME/KEY`", front: true,
			doc: "ConfigMap with the access policy, and which of its keys holds it (`policy.yaml`). It is read anew when it changes.",
		},
		{
			key: keyPolicyMode, option: "policy-mode", value: "`enforce` or `report`", front: true,
			doc: "`report` lets pass what would be refused, and logs it.",
		},
		{
			key: keyRequireAuth, option: "require-auth", value: "`true` or `false`", toggle: true, front: true,
			doc: "Refuse every request without an admitted caller. `true` unless `false` is said, which is answered with a warning, and is not " +
				"possible in a namespace that requires the sidecar.",
		},
		{key: "bearer-providers", option: "bearer.providers", value: "list", nones: true, front: true, doc: "Whose bearer tokens are accepted."},
		{
			key: "identity-headers", option: "identity.headers", value: "list", nones: true, front: true,
			doc: "Sets of headers that tell the app who is calling.",
		},
		{
			key: "identity-claims", option: "identity.claims", value: "list of Header-Name=claim", front: true,
			doc: "Further headers, each with the value of a claim.",
		},
		{
			key: "identity-assertion", option: "identity.assertion", value: "`true` or `false`", toggle: true, front: true,
			doc: "Send a signed statement of the caller's identity.",
		},
		{
			key: keyProvider, option: "openid.provider", value: "`openid`, `azure` or `idporten`", front: true,
			doc: "Kind of the identity provider that people log in at. Its client comes from `secrets`.",
		},
		{
			key: keyIngress, option: "ingress", value: "list of URLs", front: true,
			doc: "Addresses at which browsers reach the app. Required with `provider`.",
		},
		{
			key: "auto-login", option: "auto-login", value: "`true` or `false`", toggle: true, front: true,
			doc: "Send a browser without a session to log in.",
		},
		{
			key: "ignore-paths", option: "auto-login-ignore-paths", value: "list of globs", front: true,
			doc: "Paths that get 401 instead of a redirect. They are not open, unless `require-auth` is `false` and there is no policy.",
		},
		{key: "acr", option: "openid.acr-values", value: "text", front: true, doc: "Level that login asks for and that every session must have."},
		{key: "locale", option: "openid.ui-locales", value: "text", front: true, doc: "Language that login asks for."},
		{
			key: "scopes", option: "openid.scopes", value: "list", front: true,
			doc: "Scopes that login asks for beyond those of the provider's kind.",
		},
		{key: "audiences", option: "openid.audiences", value: "list", front: true, doc: "Audiences of tokens beside the client id."},
		{
			key: "csrf", option: "csrf", value: "`cross-site`, `same-origin` or `off`", front: true,
			doc: "Which requests of a logged-in browser are refused when they could change something.",
		},
		{key: "csrf-trusted-origins", option: "csrf.trusted-origins", value: "list", front: true, doc: "Origins that may send such requests."},
		{
			key: keySecrets, value: "list of names",
			doc: "Secrets of the namespace whose keys the sidecar gets as environment variables, such as `AZURE_APP_CLIENT_ID`. A later one " +
				"wins. The pod does not start while one is missing.",
		},
		{
			key: keyTokens, value: "list of `entra_id`, `tokenx`, `maskinporten`, `idporten`",
			doc: "Providers that the token API serves, and whose tokens are known inbound. The app's containers get `NAIS_TOKEN_ENDPOINT`, " +
				"`NAIS_TOKEN_EXCHANGE_ENDPOINT` and `NAIS_TOKEN_INTROSPECTION_ENDPOINT`.",
		},
		{
			key: keyEgress, option: "egress.routes", value: "list of objects (YAML)",
			doc: "APIs that the app calls through the sidecar: `{name, url, provider, target, as, …}`. The app's containers get " +
				"`POSTERN_EGRESS_URL`.",
		},
		{
			key: "upstream-tokens", option: "upstream-tokens", value: "list of objects (YAML)", front: true,
			doc: "Tokens for downstream APIs that requests of users bring along: `{header, provider, target, required, paths}`.",
		},
		{
			key: "upstream-timeout", option: "upstream-timeout", value: "duration", front: true,
			doc: "Time for the app to send its response headers.",
		},
		{
			key: "upstream-h2c", option: "upstream-h2c", value: "`true` or `false`", toggle: true, front: true,
			doc: "Speak HTTP/2 without TLS to the app, as gRPC servers want.",
		},
		{
			key: keyImage, value: "NAME@sha256:DIGEST",
			doc: "Another image of the sidecar. One of `allowed-images` of the injector's settings must fit.",
		},
		{
			key: keyResources, value: "`{requests: {…}, limits: {…}}`",
			doc: "Of cpu, memory and ephemeral-storage; what is not said here is as in the injector's settings.",
		},
		{key: "log-level", option: "log-level", value: "`debug`, `info`, `warn` or `error`", doc: "The least severe lines to log."},
		{
			key: keyGraceful, option: keyGraceful, value: "duration",
			doc: "How long the sidecar may take to stop, once the app has stopped: shorter than `terminationGracePeriodSeconds`. By default " +
				"10s, or half of a shorter grace period.",
		},
		{
			key: keyWait, option: keyWait, value: "duration",
			doc: "How much of that it keeps serving first. Kubernetes stops the sidecar after the app, so there is seldom anything to wait for.",
		},
		{
			key: keyAcceptShared, value: "`true` or `false`", toggle: true,
			doc: "Accept that containers of a pod with `shareProcessNamespace` or `hostPID` can read the sidecar's secrets.",
		},
		{key: keyProxyPort, value: "number", doc: "Port for requests to the app, 7564. From 1024 on, as are the others."},
		{key: keyMetricsPort, value: "number", doc: "Port of the metrics, 7565."},
		{key: keyProbePort, value: "number", doc: "Port of the probes, 7566."},
		{key: keyTokenPort, value: "number", doc: "Port of the token API on loopback, 7164."},
		{key: keyEgressPort, value: "number", doc: "Port of the egress proxy on loopback, 7167."},
	}
}

func annotationByKey(key string) (annotation, bool) {
	for _, a := range annotations() {
		if a.key == key {
			return a, true
		}
	}
	return annotation{}, false
}

// annotationKeys are in full.
func annotationKeys() []string {
	var keys []string
	for _, a := range annotations() {
		keys = append(keys, Prefix+a.key)
	}
	return keys
}

// annotationOf is the annotation that sets an option.
func annotationOf(option string) (annotation, bool) {
	for _, a := range annotations() {
		if a.option == option && option != "" {
			return a, true
		}
	}
	return annotation{}, false
}
