package proxy

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"postern/config"
	"postern/oidc"
)

// identityHeaders writes who is calling into the request to the app (contract 4.3): the one place where that happens. It is made once and
// safe for concurrent use.
type identityHeaders struct {
	postern, claims, oauth2Proxy, easyAuth bool

	extra    []claimHeader
	maxBytes int // of all headers that are the same for each request of a caller; 0 means no limit

	derive         func(*oidc.Identity) any // made once: a method value would be an allocation per request
	auth           map[string][]string      // "session" and "bearer", as header values
	accessTokensOf [2]string                // headers that carry the access token of a user; "" where the set is off
	lastNames      atomic.Pointer[[]string] // of the headers that were made last
}

// claimHeader is one entry of "identity.claims".
type claimHeader struct{ header, claim string }

// headerValues are the headers of one identity: names, canonical, and the text of each. The texts are shared by all requests of the caller and
// never written to again. It is kept for thousands of callers, of whom each is in no processor's cache when they come again: callers with the
// same headers share their names, and the texts of one lie together.
type headerValues struct {
	names     []string
	texts     []string
	user      bool
	truncated bool
	told      atomic.Bool
	bearer    atomic.Pointer[bearerValue]
}

// bearerValue is the Authorization header of one access token: it is long, and the same for every request until the next refresh.
type bearerValue struct {
	token string
	value [1]string
}

// newIdentityHeaders reads which sets are on; without any, nothing is ever written.
func newIdentityHeaders(cfg config.Identity) *identityHeaders {
	w := &identityHeaders{
		postern:     slices.Contains(cfg.Headers, "postern"),
		claims:      slices.Contains(cfg.Headers, "claims"),
		oauth2Proxy: slices.Contains(cfg.Headers, "oauth2-proxy"),
		easyAuth:    slices.Contains(cfg.Headers, "easyauth"),
		maxBytes:    cfg.MaxBytes,
		auth:        map[string][]string{"session": {"session"}, "bearer": {"bearer"}},
	}
	for header, claim := range cfg.Claims {
		w.extra = append(w.extra, claimHeader{http.CanonicalHeaderKey(header), claim})
	}
	slices.SortFunc(w.extra, func(a, b claimHeader) int { return strings.Compare(a.header, b.header) })
	if w.oauth2Proxy {
		w.accessTokensOf[0] = "X-Forwarded-Access-Token"
	}
	if w.easyAuth {
		w.accessTokensOf[1] = "X-Ms-Token-Aad-Access-Token"
	}
	w.derive = func(id *oidc.Identity) any { return w.valuesOf(id) }
	return w
}

// write sets the headers of an admitted caller. h must have been stripped of every managed name before. auth is "session" or "bearer";
// accessToken is the one that the app gets as Authorization, or "". The result is true once in the life of an identity whose headers were
// too many (identity.max-bytes), for a warning.
func (w *identityHeaders) write(h http.Header, id *oidc.Identity, auth, accessToken string) (truncated bool) {
	values := id.Memo(w.derive).(*headerValues)
	for i, name := range values.names {
		h[name] = values.texts[i : i+1 : i+1]
	}
	if w.postern {
		h["X-Postern-Auth"] = w.auth[auth]
	}
	if (w.oauth2Proxy || w.easyAuth) && values.user && carriable(accessToken) {
		token := []string{accessToken}
		for _, name := range w.accessTokensOf {
			if name != "" {
				h[name] = token
			}
		}
	}
	return values.truncated && values.told.CompareAndSwap(false, true)
}

// authorization is the value of the Authorization header (RFC 6750 §2.1) for a token of this identity, made once a token.
func (w *identityHeaders) authorization(id *oidc.Identity, token string) []string {
	values := id.Memo(w.derive).(*headerValues)
	if kept := values.bearer.Load(); kept != nil && kept.token == token {
		return kept.value[:]
	}
	made := &bearerValue{token, [1]string{"Bearer " + token}}
	values.bearer.Store(made)
	return made.value[:]
}

// valuesOf makes the headers of an identity, all but those that differ from request to request.
func (w *identityHeaders) valuesOf(id *oidc.Identity) *headerValues {
	v := &headerValues{user: id.Kind() == oidc.User}
	if w.postern {
		w.addPostern(v, id)
	}
	if w.oauth2Proxy && v.user {
		addOAuth2Proxy(v, id)
	}
	if w.easyAuth {
		addEasyAuth(v, id)
	}
	if len(w.extra) > 0 {
		w.addExtra(v, id)
	}
	if w.claims {
		v.add(headerClaims, base64.RawURLEncoding.EncodeToString([]byte(id.ClaimsJSON())))
	}
	if w.maxBytes > 0 && v.size() > w.maxBytes {
		v.truncate()
	}
	w.pack(v)
	return v
}

// pack gives the headers the form in which they are kept.
func (w *identityHeaders) pack(v *headerValues) {
	if last := w.lastNames.Load(); last != nil && slices.Equal(*last, v.names) {
		v.names = *last
	} else {
		v.names = slices.Clip(v.names)
		names := v.names
		w.lastNames.Store(&names)
	}
	all, texts := strings.Join(v.texts, ""), make([]string, len(v.texts))
	for i, text := range v.texts {
		texts[i], all = all[:len(text)], all[len(text):]
	}
	v.texts = texts
}

const (
	headerGroups = "X-Postern-Groups"
	headerClaims = "X-Postern-Claims"
)

func (w *identityHeaders) addPostern(v *headerValues, id *oidc.Identity) {
	v.add("X-Postern-Provider", percentEncode(id.Provider()))
	v.add("X-Postern-Kind", string(id.Kind()))
	if id.Provider() != oidc.Maskinporten {
		v.add("X-Postern-Subject", percentEncode(id.Subject()))
	}
	if v.user {
		v.add("X-Postern-User", percentEncode(id.User()))
		v.add("X-Postern-Username", percentEncode(id.Username()))
		v.add("X-Postern-Name", percentEncode(id.Name()))
		v.add("X-Postern-Email", percentEncode(id.Email()))
	}
	v.add("X-Postern-Tenant", percentEncode(id.Tenant()))
	v.add("X-Postern-Object", percentEncode(id.Object()))
	v.add("X-Postern-Client", percentEncode(id.Client()))
	v.add("X-Postern-Organization", percentEncode(id.Organization()))
	v.add(headerGroups, percentEncodeList(id.Groups()))
	v.add("X-Postern-Roles", percentEncodeList(id.Roles()))
	v.add("X-Postern-Scopes", percentEncodeList(id.Scopes()))
	v.add("X-Postern-Acr", percentEncode(id.ACR()))
}

// addOAuth2Proxy writes what oauth2-proxy would, raw.
func addOAuth2Proxy(v *headerValues, id *oidc.Identity) {
	v.addRaw("X-Forwarded-User", id.Subject())
	v.addRaw("X-Forwarded-Email", id.Email())
	v.addRaw("X-Forwarded-Preferred-Username", id.Username())
	var groups []string
	for _, group := range id.Groups() {
		if carriable(group) && !strings.Contains(group, ",") { // a comma would make two groups of one
			groups = append(groups, group)
		}
	}
	v.addRaw("X-Forwarded-Groups", strings.Join(groups, ","))
}

// add appends a header unless it has no value: an app must not have to tell "absent" from "empty".
func (v *headerValues) add(name, value string) {
	if value != "" {
		v.names, v.texts = append(v.names, name), append(v.texts, value)
	}
}

// addRaw is add for a value that is not encoded. One that HTTP would not carry as it is, is left out: cutting it could make it
// another's name.
func (v *headerValues) addRaw(name, value string) {
	if carriable(value) {
		v.add(name, value)
	}
}

// size is what the headers are on the wire: "Name: value" and a line end.
func (v *headerValues) size() int {
	size := 0
	for i, name := range v.names {
		size += len(name) + len(": \r\n") + len(v.texts[i])
	}
	return size
}

// truncate leaves out what grows without bound and says so (S-36): servers refuse requests with more than some 8 KiB of headers.
func (v *headerValues) truncate() {
	var left []string
	for _, big := range [...]struct{ header, says string }{{headerGroups, "groups"}, {headerClaims, "claims"}} {
		if v.drop(big.header) {
			left = append(left, big.says)
		}
	}
	v.truncated = len(left) > 0
	v.add("X-Postern-Truncated", strings.Join(left, ","))
}

func (v *headerValues) drop(name string) (was bool) {
	for i := slices.Index(v.names, name); i >= 0; i = slices.Index(v.names, name) {
		v.names, v.texts, was = slices.Delete(v.names, i, i+1), slices.Delete(v.texts, i, i+1), true
	}
	return was
}
