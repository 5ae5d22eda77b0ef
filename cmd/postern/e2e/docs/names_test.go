package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// source is all text of the repository that is neither a document nor a test.
func source(t *testing.T) string {
	t.Helper()
	root := top(t)
	var all strings.Builder
	for _, name := range tracked(t) {
		switch path.Ext(name) {
		case ".go", ".yaml", ".yml", ".tpl", ".js", ".html", ".json", ".txt":
		default:
			continue
		}
		if strings.HasSuffix(name, "_test.go") || strings.Contains(name, "testdata/") || strings.HasPrefix(name, "cmd/postern/e2e/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

var (
	fenced = regexp.MustCompile("(?ms)^```.*?^```")
	span   = regexp.MustCompile("`([^`\n]+)`")

	// What a name in `code` is, by its looks: a metric, a header, a variable, a path of an endpoint, a code, a flag.
	looks = map[string]*regexp.Regexp{
		"metric":   regexp.MustCompile(`^(?:postern|texas|wonderwall)_[a-z0-9_]*[a-z0-9]$`),
		"header":   regexp.MustCompile(`^X-[A-Z][A-Za-z-]*[A-Za-z]$`),
		"variable": regexp.MustCompile(`^(?:POSTERN|AZURE|TOKEN_X|MASKINPORTEN|IDPORTEN|TEXAS|NAIS)_[A-Z0-9_]*[A-Z0-9]$`),
		"endpoint": regexp.MustCompile(`^/(?:oauth2|api/v1|_dev|sessions|inject)/[a-z0-9/._-]*[a-z0-9]$`),
		"code":     regexp.MustCompile(`^[a-z]+(?:_[a-z0-9]+)+$`),
		"option":   regexp.MustCompile(`^(?:openid|session|redis|sso|token|egress|identity|limits|cache|admin|forward-auth|csrf|bearer|login|ratelimit|cookie|audit)\.[a-z][a-z0-9.-]*[a-z0-9]$`),
		"flag":     regexp.MustCompile(`^--[a-z][a-z0-9.-]*[a-z0-9]$`),
	}
)

// foreign are names of others, which our code has no need to know.
var foreign = map[string]string{
	"TOKEN_X_ISSUER": "Texas reads it, we do not", "TOKEN_X_JWKS_URI": "Texas reads it, we do not", "TOKEN_X_TOKEN_ENDPOINT": "Texas reads it, we do not",
	"MASKINPORTEN_JWKS_URI": "Texas reads it, we do not", "MASKINPORTEN_TOKEN_ENDPOINT": "Texas reads it, we do not",
	"X-Real-Ip": "one of those of proxies before us", "X-Department": "an example of a header of one's own", "ext_authz": "Envoy's", "limits.cpu": "of a ResourceQuota",
	"--skip-auth-route": "oauth2-proxy's", "mod_auth_openidc": "a module of Apache", "keepalive_requests": "nginx's", "session.js": "a file, no option",
}

// TestNamesExist: what a page calls by its name is in the code.
func TestNamesExist(t *testing.T) {
	t.Parallel()
	code, looked, used := source(t), 0, map[string]bool{}
	folded := strings.ToLower(code)
	for _, d := range documents(t) {
		if strings.HasPrefix(path.Base(d.name), "from-") { // guides for those who come from elsewhere are full of the names of others
			continue
		}
		for _, m := range span.FindAllStringSubmatch(fenced.ReplaceAllString(d.text, ""), -1) {
			kind, name := whatIs(m[1])
			if kind == "" {
				continue
			}
			looked++
			if foreign[name] != "" {
				used[name] = true
				continue
			}
			if !known(kind, name, code, folded) {
				t.Errorf("%s: there is no %s `%s` in the code; if it is somebody else's, say so in names_test.go", d.name, kind, m[1])
			}
		}
	}
	if looked < 300 {
		t.Errorf("only %d names were looked at", looked)
	}
	for name := range foreign {
		if !used[name] {
			t.Errorf("no page speaks of %s any more", name)
		}
	}
}

// whatIs says what a name looks like; labels in braces, values and arguments do not belong to it.
func whatIs(text string) (kind, name string) {
	name, _, _ = strings.Cut(text, "{")
	name, _, _ = strings.Cut(name, "=")
	name, _, _ = strings.Cut(name, " ")
	name, _, _ = strings.Cut(name, "?")
	for kind, look := range looks {
		if look.MatchString(name) {
			return kind, name
		}
	}
	return "", ""
}

func known(kind, name, code, folded string) bool {
	switch kind {
	case "option": // a secret may come as a file; checks of the doctor are put together
		_, check, _ := strings.Cut(name, ".")
		return strings.Contains(code, `"`+name+`"`) || strings.Contains(code, `, "`+strings.TrimSuffix(name, "-file")+`", "`) || strings.HasPrefix(name, "login.") && strings.Contains(code, `"`+check+`"`)
	case "header":
		return strings.Contains(folded, strings.ToLower(name))
	case "flag":
		return strings.Contains(code, `"`+name[2:]+`"`) || strings.Contains(code, name)
	case "variable": // POSTERN_ and the option's name in capitals, or a name of its own
		option := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(name, "POSTERN_"), "INJECTOR_"), "_", "-"))
		return strings.Contains(code, name) || strings.Contains(strings.ReplaceAll(folded, ".", "-"), `"`+option+`"`)
	case "metric":
		_, bare, _ := strings.Cut(name, "_") // namespace and name may be written apart
		return strings.Contains(code, name) || strings.Contains(code, `"`+bare+`"`)
	case "endpoint": // below a prefix that is written once
		_, rest, _ := strings.Cut(name[1:], "/")
		return strings.Contains(code, name) || strings.Contains(code, "/"+rest) || strings.Contains(code, `"`+rest+`"`)
	default: // a code may be put together of a beginning and what is more exact
		for at, r := range name {
			if r == '_' && strings.Contains(code, `"`+name[:at+1]+`"`) && strings.Contains(code, `"`+name[at+1:]+`"`) {
				return true
			}
		}
		return strings.Contains(code, name)
	}
}

func TestNamesThatDoNotExistAreFound(t *testing.T) {
	t.Parallel()
	code := source(t)
	folded := strings.ToLower(code)
	for text, exists := range map[string]bool{
		"postern_build_info{version}": true, "postern_build_nonsense": false, "X-Postern-User": true, "X-Postern-Uzer": false,
		"POSTERN_UPSTREAM_HOST": true, "POSTERN_UPSTREAM_GHOST": false, "/oauth2/login?redirect=/": true, "/oauth2/logoff": false,
		"session.max-lifetime": true, "session.min-lifetime": false, "level_too_low": true, "level_too_lofty": false, "--listen-anywhere": true, "--listen-everywhere": false,
	} {
		kind, name := whatIs(text)
		if kind == "" || known(kind, name, code, folded) != exists {
			t.Errorf("%s (%s): exists %v, want %v", text, kind, !exists, exists)
		}
	}
}
