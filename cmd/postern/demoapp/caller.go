package demoapp

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// caller is who the headers say is calling.
type caller struct {
	Known    bool // the headers name somebody
	Name     string
	User     string
	Initials string
	Provider string // in words
	Groups   []string
	LoggedIn string // when, in words; "" if the claims do not say
	Headers  []header
	Claims   []claim
}

// header is one line of identity.
type header struct {
	Name, Value, Meaning string
	Sent                 string // as it came, if that differs from the readable value
}

const headerPrefix = "X-Postern-"

// meanings are the headers of Postern in the order of the table, in words for people who never read an RFC.
func meanings() [][2]string {
	return [][2]string{
		{"X-Postern-User", "Who it is, durably. Use this as the key for a person: it does not change when somebody marries or moves."},
		{"X-Postern-Name", "The person's name, for showing."},
		{"X-Postern-Username", "The login name, for showing. It can change hands, so never decide by it."},
		{"X-Postern-Email", "The e-mail address. It is only here if the provider vouches for it."},
		{"X-Postern-Auth", "How the caller came in: session is a login in a browser, bearer a token that a program sent."},
		{"X-Postern-Provider", "Who vouches for the caller."},
		{"X-Postern-Kind", "A person (user) or a program (app)."},
		{"X-Postern-Subject", "The provider's own number for this person in this app (sub)."},
		{"X-Postern-Tenant", "The organisation at Entra ID (tid)."},
		{"X-Postern-Object", "The person's number in that organisation (oid)."},
		{"X-Postern-Client", "The program that calls, if one does."},
		{"X-Postern-Organization", "The organisation number of the calling organisation."},
		{"X-Postern-Groups", "The groups that the person is in."},
		{"X-Postern-Roles", "What the provider says that the caller may do here (roles)."},
		{"X-Postern-Scopes", "What the caller was allowed to ask for (scopes)."},
		{"X-Postern-Acr", "How strong the login was."},
		{"X-Postern-Claims", "Everything that the provider said about the person, packed in base64. It is unpacked below."},
		{"X-Postern-Assertion", "The same once more, signed by Postern, for apps that want a proof."},
		{"X-Postern-Truncated", "What was left out because the headers had grown too big."},
	}
}

func readCaller(h http.Header, now time.Time) caller {
	c := caller{
		Name: unescape(h.Get("X-Postern-Name")), User: unescape(h.Get("X-Postern-User")),
		Provider: providerInWords(h.Get("X-Postern-Provider")), Groups: list(h.Get("X-Postern-Groups")),
	}
	c.Known = h.Get("X-Postern-Auth") != ""
	if c.Name == "" {
		c.Name = c.User
	}
	c.Initials = initials(c.Name)
	seen := map[string]bool{}
	for _, known := range meanings() {
		seen[known[0]] = true
		if h.Get(known[0]) != "" {
			c.Headers = append(c.Headers, readHeader(h, known[0], known[1]))
		}
	}
	var others []string
	for name := range h {
		if strings.HasPrefix(name, headerPrefix) && !seen[name] {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	for _, name := range others {
		c.Headers = append(c.Headers, readHeader(h, name, "This demo does not know this one."))
	}
	if packed := h.Get("X-Postern-Claims"); packed != "" {
		if plain, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(packed, "=")); err == nil {
			c.Claims, _ = readClaims(plain, now)
		}
	}
	for _, claim := range c.Claims {
		if claim.Name == "auth_time" || claim.Name == "iat" && c.LoggedIn == "" {
			c.LoggedIn = claim.Note
		}
	}
	return c
}

func readHeader(h http.Header, name, meaning string) header {
	sent := strings.Join(h.Values(name), ", ")
	line := header{Name: name, Value: unescape(sent), Meaning: meaning}
	switch name {
	case "X-Postern-Groups", "X-Postern-Roles", "X-Postern-Scopes":
		line.Value = strings.Join(list(sent), ", ")
		if strings.Contains(sent, "%") {
			line.Sent = sent
		}
	case "X-Postern-Claims", "X-Postern-Assertion":
		line.Value = shorten(sent)
	default:
		if line.Value != sent {
			line.Sent = sent
		}
	}
	return line
}

// unescape undoes the percent-encoding that Postern gives to bytes outside of printable ASCII (contract 4.3).
func unescape(value string) string {
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}

// list splits before it unescapes: a comma inside of a value comes as %2C.
func list(value string) []string {
	if value == "" {
		return nil
	}
	parts := strings.Split(value, ",")
	for i := range parts {
		parts[i] = unescape(parts[i])
	}
	return parts
}

// shorten keeps the beginning of a value that nobody reads as it is.
func shorten(value string) string {
	if len(value) <= 32 {
		return value
	}
	return value[:32] + "…"
}

func providerInWords(name string) string {
	switch name {
	case "entra_id":
		return "Entra ID"
	case "idporten":
		return "ID-porten"
	case "tokenx":
		return "TokenX"
	case "maskinporten":
		return "Maskinporten"
	case "openid", "":
		return "the login provider"
	}
	return unescape(name)
}

// initials are the first letters of the first and the last word.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(words) == 0 {
		return "?"
	}
	letters := []rune(words[0])[:1]
	if len(words) > 1 {
		letters = append(letters, []rune(words[len(words)-1])[0])
	}
	return strings.ToUpper(string(letters))
}

func readRequest(r *http.Request) request {
	req := request{Method: r.Method, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery}
	if req.RawQuery == "" {
		return req
	}
	for pair := range strings.SplitSeq(req.RawQuery, "&") {
		name, raw, _ := strings.Cut(pair, "=")
		value, err := url.QueryUnescape(raw)
		if err != nil {
			value = raw
		}
		req.Params = append(req.Params, param{name, raw, value})
	}
	return req
}
