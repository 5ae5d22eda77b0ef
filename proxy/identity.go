package proxy

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"unique"

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
}

// claimHeader is one entry of "identity.claims".
type claimHeader struct{ header, claim string }

// headerValues are the headers of one identity as they are kept.
type headerValues struct {
	common    unique.Handle[commonHeaders]
	own       packedTexts // those of the last names
	truncated bool
	told      atomic.Bool
	bearer    atomic.Pointer[bearerValue]
}

// commonHeaders are what identities have in common, kept once for all of them.
type commonHeaders struct {
	names packedTexts // of all their headers, canonical
	texts packedTexts // those of the first names
	user  bool
}

// headerTexts is memory for the headers of one request: as many as most callers have.
type headerTexts [16]string

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
// accessToken is the one that the app gets as Authorization, or ""; room is for the values, and must not be used for anything else while h lives. The
// result is true once in the life of an identity whose headers were too many (identity.max-bytes), for a warning.
func (w *identityHeaders) write(h http.Header, room *headerTexts, id *oidc.Identity, auth, accessToken string) (truncated bool) {
	values := id.Memo(w.derive).(*headerValues)
	common := values.common.Value()
	texts := values.own.unpack(common.texts.unpack(room[:0]))
	var names [2 * len(headerTexts{})]string
	for i, name := range common.names.unpack(names[:0]) {
		h[name] = texts[i : i+1 : i+1]
	}
	if w.postern {
		h["X-Postern-Auth"] = w.auth[auth]
	}
	if (w.oauth2Proxy || w.easyAuth) && common.user && carriable(accessToken) {
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
	l := &headerList{user: id.Kind() == oidc.User}
	if w.postern {
		w.addPostern(l, id)
	}
	if w.oauth2Proxy && l.user {
		addOAuth2Proxy(l, id)
	}
	if w.easyAuth {
		addEasyAuth(l, id)
	}
	if len(w.extra) > 0 {
		w.addExtra(l, id)
	}
	if w.claims {
		l.add(headerClaims, base64.RawURLEncoding.EncodeToString([]byte(id.ClaimsJSON())))
	}
	truncated := w.maxBytes > 0 && l.size() > w.maxBytes && l.truncate()
	return &headerValues{
		common: unique.Make(commonHeaders{packTexts(l.names), packTexts(l.texts[:l.common]), l.user}), own: packTexts(l.texts[l.common:]), truncated: truncated,
	}
}

const (
	headerGroups = "X-Postern-Groups"
	headerClaims = "X-Postern-Claims"
)

// addPostern is called before the others: its first headers are those that many callers have in common.
func (w *identityHeaders) addPostern(l *headerList, id *oidc.Identity) {
	l.add("X-Postern-Provider", percentEncode(id.Provider()))
	l.add("X-Postern-Kind", string(id.Kind()))
	l.add("X-Postern-Tenant", percentEncode(id.Tenant()))
	l.add("X-Postern-Client", percentEncode(id.Client()))
	l.add("X-Postern-Organization", percentEncode(id.Organization()))
	l.add("X-Postern-Roles", percentEncodeList(id.Roles()))
	l.add("X-Postern-Scopes", percentEncodeList(id.Scopes()))
	l.add("X-Postern-Acr", percentEncode(id.ACR()))
	l.common = len(l.names)
	if id.Provider() != oidc.Maskinporten {
		l.add("X-Postern-Subject", percentEncode(id.Subject()))
	}
	if l.user {
		l.add("X-Postern-User", percentEncode(id.User()))
		l.add("X-Postern-Username", percentEncode(id.Username()))
		l.add("X-Postern-Name", percentEncode(id.Name()))
		l.add("X-Postern-Email", percentEncode(id.Email()))
	}
	l.add("X-Postern-Object", percentEncode(id.Object()))
	l.add(headerGroups, percentEncodeList(id.Groups()))
}

// addOAuth2Proxy writes what oauth2-proxy would, raw.
func addOAuth2Proxy(l *headerList, id *oidc.Identity) {
	l.addRaw("X-Forwarded-User", id.Subject())
	l.addRaw("X-Forwarded-Email", id.Email())
	l.addRaw("X-Forwarded-Preferred-Username", id.Username())
	var groups []string
	for _, group := range id.Groups() {
		if carriable(group) && !strings.Contains(group, ",") { // a comma would make two groups of one
			groups = append(groups, group)
		}
	}
	l.addRaw("X-Forwarded-Groups", strings.Join(groups, ","))
}
