package policy

import (
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"go.yaml.in/yaml/v3"
)

// What texts of a policy look like. The empty text, of which value.text complains, has every form.
var (
	appNameForm      = newForm(`^[A-Za-z0-9._*-]*$`)
	guidForm         = newForm(`^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?$`)
	issuerForm       = newForm(`^(https?://[^\s"\\]+)?$`)
	methodForm       = newForm("^[!#$%&'*+.^_`|~0-9A-Za-z-]*$") // token, RFC 9110 §5.6.2
	organizationForm = newForm(`^([0-9]{9})?$`)
	separatorForm    = newForm(`^[/:.]?$`)

	queryForm  = newForm(`#|\?[^/?]*=`)
	escapeForm = newForm(`%[0-9A-Fa-f]{2}`)
)

func readForm(v value, form *form, complaint string) string {
	text := v.text()
	if !form.MatchString(text) {
		v.problem("%s", complaint)
	}
	return text
}

// readLine reads text of one line, such as a group's name.
func readLine(v value) string {
	text := v.text()
	if strings.TrimSpace(text) != text || strings.ContainsFunc(text, isControlRune) {
		v.problem("must not begin or end with a space, nor hold line breaks or other control characters")
	}
	return text
}

// readWord reads text without spaces: a scope, a role, a client id.
func readWord(v value) string {
	text := v.text()
	if strings.ContainsFunc(text, func(r rune) bool { return r == ' ' || isControlRune(r) }) {
		v.problem("must be one word, without spaces and control characters")
	}
	return text
}

// isControlRune knows C0, C1 and Unicode's line ends, with which a text would be more than one line of a log.
func isControlRune(r rune) bool {
	return r < 0x20 || 0x7f <= r && r < 0xa0 || r == '\u2028' || r == '\u2029'
}

// readAppName reads a name of Kubernetes, or a wildcard: never with the colon that separates the members of an app's id.
func readAppName(v value) string {
	return readForm(v, appNameForm, "must be a name of letters, digits, dots and hyphens")
}

// readMethod reads the name of a method, which is case-sensitive (RFC 9110 §9.1).
func readMethod(v value) string {
	name := readForm(v, methodForm, "must be an HTTP method")
	if upper := strings.ToUpper(name); upper != name {
		v.warn("methods are compared exactly, and %s is not %s", quoteOdd(name), quoteOdd(upper))
	}
	return name
}

func readIssuer(v value) string {
	return readForm(v, issuerForm, "must be an issuer, which begins with https://")
}

func readGUID(v value) string { return strings.ToLower(readForm(v, guidForm, "must be a GUID")) }

// readGroup reads the id of a group of Entra ID. What is none is skipped with a warning, as the platform does (tokens.md 6.1).
func readGroup(to *[]string) func(value) {
	return func(v value) {
		switch id := v.text(); {
		case id == "":
		case guidForm.MatchString(id):
			*to = append(*to, strings.ToLower(id))
		default:
			v.warn("admits nobody: %.80q is not the id of a group, which is a GUID", id)
		}
	}
}

// readOrganization reads an organisation number. Without quotes it is a number to YAML, whose digits are still those that were written.
func readOrganization(v value) string {
	number := v.node.Value
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!int" {
		number = v.text()
	}
	if !organizationForm.MatchString(number) {
		v.problem("must be an organisation number of nine digits, without a prefix")
	}
	return number
}

// readLevel reads a level of ID-porten in either spelling.
func readLevel(v value) string {
	switch level := v.text(); level {
	case "", "idporten-loa-low", "idporten-loa-substantial", "idporten-loa-high":
		return level
	case "Level3":
		return "idporten-loa-substantial"
	case "Level4":
		return "idporten-loa-high"
	}
	v.problem("must be idporten-loa-low, idporten-loa-substantial (Level3) or idporten-loa-high (Level4)")
	return ""
}

// readPattern reads a glob for decoded paths. One that matches less than it seems to would leave open what it is meant to close.
func readPattern(v value) string {
	match := readLine(v)
	segments := strings.Split(strings.TrimSuffix(strings.TrimPrefix(match, "/"), "/"), "/")
	switch {
	case match == "" || match == "/":
	case !strings.HasPrefix(match, "/"):
		v.problem(`must begin with "/"`)
	case !doublestar.ValidatePattern(match):
		v.problem("is not a valid pattern")
	case queryForm.MatchString(match):
		v.problem("is compared with the path alone, without query and fragment")
	case escapeForm.MatchString(match):
		v.problem("is compared with the decoded path: write the character itself in place of its escape")
	case slices.ContainsFunc(segments, func(s string) bool { return s == "" || s == "." || s == ".." }):
		v.problem(`must not hold "//", "/./" or "/../", as paths are compared without them`)
	case slices.ContainsFunc(segments, halfDoublestar):
		v.problem(`"**" reaches deeper only as a segment of its own, as in "/admin/**", which matches "/admin" too`)
	}
	return match
}

// halfDoublestar says whether "**" stands beside other text, where it is no more than "*". Braces may hold segments.
func halfDoublestar(segment string) bool {
	for _, part := range strings.FieldsFunc(segment, func(r rune) bool { return strings.ContainsRune("{,}", r) }) {
		if part != "**" && strings.Contains(part, "**") {
			return true
		}
	}
	return false
}
