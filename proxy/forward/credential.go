package forward

import (
	"net/http"
	"strings"
)

// CredentialKind says what a request's Authorization header is, before anything in it is believed.
type CredentialKind uint8

// The kinds of credential.
const (
	NoCredential CredentialKind = iota // there is none
	BearerToken                        // one well-formed Bearer token
	Passthrough                        // of a scheme that the operator leaves to the app (option authorization-passthrough)
	Malformed                          // anything else: another scheme, two credentials, a token that is none (S-24)
)

// Credential is what a request says about itself. Token is only there for a bearer, without the scheme, and nothing of it is verified.
type Credential struct {
	Kind  CredentialKind
	Token string
}

const (
	bearerScheme = "bearer"
	maxBearer    = 16 << 10 // bytes of a token; what is longer costs more to look at than it can be worth (peers.md row 59)
)

// ReadCredential reads the Authorization header by RFC 6750 §2.1: "Bearer", one space or more, one b64token, and not a byte more. Only the case
// of the scheme is free (RFC 9110 §11.1). What some app might read as a token although it is not of this form is malformed, so that
// no second reading gets past the verification. passthrough names schemes, without regard to case.
func ReadCredential(h http.Header, passthrough []string) Credential {
	values, present := h["Authorization"]
	if !present || len(values) == 0 {
		return Credential{}
	}
	if len(values) > 1 {
		return Credential{Kind: Malformed}
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	switch {
	case strings.EqualFold(scheme, bearerScheme):
		if token := afterScheme(rest); isBearerToken(token) {
			return Credential{BearerToken, token}
		}
	case scheme != "" && hasFold(passthrough, scheme) && isPassable(rest):
		return Credential{Kind: Passthrough}
	}
	return Credential{Kind: Malformed}
}

// PresentedToken is what stands where [ReadCredential] looks for a token, of whatever bytes, or "".
func PresentedToken(h http.Header) string {
	values := h["Authorization"]
	if len(values) != 1 {
		return ""
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, bearerScheme) {
		return ""
	}
	return afterScheme(rest)
}

func afterScheme(rest string) string { return strings.TrimLeft(rest, " ") }

// isBearerToken is b64token: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=".
func isBearerToken(token string) bool {
	if len(token) > maxBearer {
		return false
	}
	body := strings.TrimRight(token, "=")
	for i := range len(body) {
		if !isTokenByte[body[i]] {
			return false
		}
	}
	return body != ""
}

// isTokenByte is a table: a token has a thousand bytes and more.
var isTokenByte = func() (table [256]bool) {
	for c := range table {
		table[c] = isAlphanumeric(byte(c)) || strings.IndexByte("-._~+/", byte(c)) >= 0
	}
	return table
}()

// isPassable looks at what follows another scheme: printable ASCII without the word "Bearer" before a space. Apps that split the header there would
// find a token that nobody has verified.
func isPassable(rest string) bool {
	for i := range len(rest) {
		c, before := rest[i], rest[:i]
		if c < 0x20 || c > 0x7e || c == ' ' && len(before) >= len(bearerScheme) && strings.EqualFold(before[i-len(bearerScheme):], bearerScheme) {
			return false
		}
	}
	return true
}

// TokenInQuery says whether a query has a parameter named "access_token" (RFC 6750 §2.3), however the name is escaped. Parameters end at "&" and,
// for apps that still read them so, at ";". The rest of the query is the app's and is not looked into; nothing is allocated.
func TokenInQuery(query string) bool {
	for query != "" {
		parameter := query
		if end := strings.IndexAny(query, "&;"); end >= 0 {
			parameter, query = query[:end], query[end+1:]
		} else {
			query = ""
		}
		if hasName(parameter, "access_token") {
			return true
		}
	}
	return false
}

// hasName says whether a parameter, "name=value" or "name", has this name once it is decoded. name holds neither "%" nor "+".
func hasName(parameter, name string) bool {
	for i := range len(name) {
		if parameter == "" {
			return false
		}
		c, length := parameter[0], 1
		if c == '%' {
			if decoded, ok := unescape(parameter); ok {
				c, length = decoded, 3
			}
		}
		if c != name[i] {
			return false
		}
		parameter = parameter[length:]
	}
	return parameter == "" || parameter[0] == '='
}
