package main

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"
)

// options is what the operator says, checked.
type options struct {
	settings      string
	bind, probe   string
	namespace     string
	service       string
	configuration string
	secret, dir   string
	names         []string // of the certificate, besides those of the Service
	kubeconfig    string
	logFormat     string
	logLevel      string
	wait, grace   time.Duration
}

// option is a flag, and the environment variable of the same name. Each takes a value.
type option struct {
	name, value, usage string
	fallback           string
	check              func(string) string // what is wrong with a value; empty if nothing
	set                func(o *options, value string)
}

const envPrefix = "POSTERN_INJECTOR_"

// table is every option there is; --help and the README say what it says.
func table() []option {
	return []option{
		{"config", "FILE", "settings of the injection (YAML), read anew when they change", "", present, func(o *options, v string) { o.settings = v }},
		{"bind-address", "HOST:PORT", "the webhook, HTTPS", ":9443", address, func(o *options, v string) { o.bind = v }},
		{"probe-bind-address", "HOST:PORT", "/metrics, /livez and /readyz", ":9440", address, func(o *options, v string) { o.probe = v }},
		{"namespace", "NAME", "namespace that this runs in", "", label, func(o *options, v string) { o.namespace = v }},
		{"service", "NAME", "Service through which the API server comes", "", label, func(o *options, v string) { o.service = v }},
		{"webhook-configuration", "NAME", "MutatingWebhookConfiguration whose caBundle is kept right", "", optional(objectName), func(o *options, v string) { o.configuration = v }},
		{"certificate-secret", "NAME", "make certificates, and keep them in this Secret for all replicas", "", optional(objectName), func(o *options, v string) { o.secret = v }},
		{"certificate-dir", "DIR", "use tls.crt and tls.key of this directory, read anew when they change", "", nil, func(o *options, v string) { o.dir = v }},
		{
			"certificate-names", "NAME,NAME", "further DNS names and addresses of certificates that are made here, for a webhook that is reached by url", "",
			optional(hostNames), func(o *options, v string) { o.names = list(v) },
		},
		{"kubeconfig", "FILE", "where the API server is and who asks; without, the service account of the pod", "", nil, func(o *options, v string) { o.kubeconfig = v }},
		{"shutdown-wait-before-period", "DURATION", "time between not being ready and taking no more connections", "5s", period, func(o *options, v string) { o.wait = duration(v) }},
		{"shutdown-graceful-period", "DURATION", "time for all of the shutdown", "20s", period, func(o *options, v string) { o.grace = duration(v) }},
		{"log-format", "FORMAT", "json or text", "json", oneOf("json", "text"), func(o *options, v string) { o.logFormat = v }},
		{"log-level", "LEVEL", "debug, info, warn or error", "info", oneOf("debug", "info", "warn", "error"), func(o *options, v string) { o.logLevel = v }},
	}
}

// parse reads flags and environment; a flag wins. The problems are all that there are, one a line.
func parse(args, environ []string) (*options, []string) {
	all, o := table(), new(options)
	values, sources, problems := given(all, args, environ)
	for _, one := range all {
		value, ok := values[one.name]
		source := cmp.Or(sources[one.name], "--"+one.name)
		if !ok {
			value = one.fallback
		}
		if one.check != nil {
			if why := one.check(value); why != "" {
				problems = append(problems, source+": "+why)
				continue
			}
		}
		one.set(o, value)
	}
	problems = append(problems, o.together()...)
	return o, problems
}

// given gathers what is said, by the name of the option, and where.
func given(all []option, args, environ []string) (values, sources map[string]string, problems []string) {
	values, sources = map[string]string{}, map[string]string{}
	find := func(name string) bool { return slices.ContainsFunc(all, func(o option) bool { return o.name == name }) }
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		rest, ours := strings.CutPrefix(name, envPrefix)
		option := strings.ToLower(strings.ReplaceAll(rest, "_", "-"))
		switch {
		case !ours || serviceLink.MatchString(rest) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://"):
		case !find(option) || rest != strings.ToUpper(rest):
			problems = append(problems, fmt.Sprintf("%.100q: no such environment variable", name))
		default:
			values[option], sources[option] = value, name
		}
	}
	byFlag := map[string]bool{}
	for len(args) > 0 {
		text := args[0]
		args = args[1:]
		name, value, joined := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(text, "-"), "-"), "=")
		switch {
		case !strings.HasPrefix(text, "-"):
			problems = append(problems, fmt.Sprintf("%.100q: not a flag", text))
			continue
		case !find(name):
			problems = append(problems, fmt.Sprintf("%.100q: no such flag", "--"+name))
			continue
		case byFlag[name]:
			problems = append(problems, "--"+name+": given twice")
		}
		if !joined {
			if len(args) == 0 || strings.HasPrefix(args[0], "--") {
				problems = append(problems, "--"+name+": no value")
				continue
			}
			value, args = args[0], args[1:]
		}
		byFlag[name] = true
		values[name], sources[name] = value, "--"+name
	}
	return values, sources, problems
}

// together is what options say to each other.
func (o *options) together() (problems []string) {
	say := func(text string) { problems = append(problems, text) }
	switch {
	case o.secret == "" && o.dir == "":
		say("--certificate-secret: want it, or --certificate-dir")
	case o.secret != "" && o.dir != "":
		say("--certificate-secret: not together with --certificate-dir")
	case o.secret != "" && o.configuration == "":
		say("--webhook-configuration: wanted by --certificate-secret")
	case o.dir != "" && len(o.names) > 0:
		say("--certificate-names: for --certificate-secret alone")
	}
	if o.bind != "" && o.bind == o.probe && !strings.HasSuffix(o.bind, ":0") {
		say("--probe-bind-address: the same as --bind-address")
	}
	if o.grace != 0 && o.wait > o.grace {
		say("--shutdown-wait-before-period: longer than --shutdown-graceful-period")
	}
	return problems
}

// certificateNames are all names that a certificate made here is for.
func (o *options) certificateNames() []string {
	inCluster := o.service + "." + o.namespace + ".svc"
	return append([]string{inCluster, inCluster + ".cluster.local"}, o.names...)
}

func help(w io.Writer) {
	_, _ = fmt.Fprintln(w, "Usage: postern-injector [serve] [flags]\n\nEach flag is also an environment variable: --log-level is "+envPrefix+"LOG_LEVEL. A flag wins.")
	for _, o := range table() {
		text := o.usage
		if o.fallback != "" {
			text += " (default " + o.fallback + ")"
		}
		_, _ = fmt.Fprintf(w, "\n  --%s %s\n        %s\n", o.name, o.value, text)
	}
}

var (
	dnsLabel    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	dnsName     = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	serviceLink = regexp.MustCompile(`^([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_ADDR|_PORT|_PROTO)?)$`)
)

func present(v string) string {
	if v == "" {
		return "missing"
	}
	return ""
}

func label(v string) string {
	if v == "" {
		return "missing"
	}
	if !dnsLabel.MatchString(v) {
		return "not a name of this kind"
	}
	return ""
}

func objectName(v string) string {
	if !dnsName.MatchString(v) {
		return "not a name of an object"
	}
	return ""
}

func optional(check func(string) string) func(string) string {
	return func(v string) string {
		if v == "" {
			return ""
		}
		return check(v)
	}
}

func hostNames(v string) string {
	for _, name := range list(v) {
		if net.ParseIP(name) == nil && !dnsName.MatchString(name) {
			return "not a list of DNS names and addresses"
		}
	}
	return ""
}

func list(v string) (all []string) {
	for part := range strings.SplitSeq(v, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

func address(v string) string {
	if _, port, err := net.SplitHostPort(v); err != nil || port == "" {
		return "want HOST:PORT or :PORT"
	}
	return ""
}

func duration(v string) time.Duration {
	d, _ := time.ParseDuration(v) // period has checked it
	return d
}

func period(v string) string {
	if d, err := time.ParseDuration(v); err != nil || d < 0 || d > 10*time.Minute {
		return "want a duration such as 5s, 10 minutes at most"
	}
	return ""
}

func oneOf(allowed ...string) func(string) string {
	return func(v string) string {
		if !slices.Contains(allowed, v) {
			return "want " + strings.Join(allowed, ", ")
		}
		return ""
	}
}
