package tokenapi

import (
	"errors"
	"time"

	"postern/obo"
	"postern/oidc"
)

// endpoint is one of the three, and what it takes.
type endpoint struct {
	path    string
	request string // "request_type" of the metrics
	fields  field
	serve   func(*visit)
}

func newEndpoints() []*endpoint {
	return []*endpoint{
		{
			path: "/api/v1/token", request: "token", serve: serveToken,
			fields: fieldProvider | fieldTarget | fieldResource | fieldDetails | fieldSkipCache,
		},
		{
			path: "/api/v1/token/exchange", request: "token_exchange", serve: serveExchange,
			fields: fieldProvider | fieldTarget | fieldUserToken | fieldSkipCache,
		},
		{path: "/api/v1/introspect", request: "token_introspection", serve: serveIntrospection, fields: fieldProvider | fieldToken},
	}
}

// field is a member of a request; several together are a set.
type field uint8

const (
	fieldProvider field = 1 << iota
	fieldTarget
	fieldUserToken
	fieldToken
	fieldResource
	fieldDetails
	fieldSkipCache

	required = fieldProvider | fieldTarget | fieldUserToken | fieldToken // wherever they are taken at all
	none     = field(0)
)

// fieldOf knows fields by exactly these names.
func fieldOf(name string) field {
	switch name {
	case "identity_provider":
		return fieldProvider
	case "target":
		return fieldTarget
	case "user_token":
		return fieldUserToken
	case "token":
		return fieldToken
	case "resource":
		return fieldResource
	case "authorization_details":
		return fieldDetails
	case "skip_cache":
		return fieldSkipCache
	}
	return none
}

// input is a request that was read.
type input struct {
	seen      field
	provider  *provider
	target    string
	userToken string
	token     string
	resource  *string
	details   []byte // canonical
	skipCache bool
}

// missing names a field that should be there.
func (in *input) missing(e *endpoint) string {
	lack := e.fields & required &^ in.seen
	for _, name := range [...]string{"identity_provider", "target", "user_token", "token"} {
		if lack&fieldOf(name) != 0 {
			return name
		}
	}
	return ""
}

func (in *input) request() obo.Request {
	return obo.Request{
		Provider: in.provider.name, Target: in.target, UserToken: in.userToken,
		Resource: in.resource, AuthorizationDetails: in.details, SkipCache: in.skipCache,
	}
}

func serveToken(v *visit) {
	if in, ok := v.read(); ok {
		serveGrant(v, in.request(), v.h.deps.Broker.Machine)
	}
}

func serveExchange(v *visit) {
	if in, ok := v.read(); ok {
		serveGrant(v, in.request(), v.h.deps.Broker.Exchange)
	}
}

func serveIntrospection(v *visit) {
	in, ok := v.read()
	if !ok {
		return
	}
	said, err := v.h.deps.Introspector.Introspect(&v.scope, in.provider.name, in.token)
	if err != nil {
		v.fail(explainKeys(in.provider.name, err), kindOf(err), err)
		return
	}
	if !said.Active() {
		v.inactive = said.Reason
		v.h.metrics.inactive.WithLabelValues(in.provider.name, said.Reason).Inc()
	}
	v.json(200, said.JSON)
}

// explainKeys is for the one error of an introspection: keys that are not at hand. It is never a verdict on the token (S-34).
func explainKeys(provider string, err error) obo.Failure {
	f := obo.Failure{Status: 503, RetryAfter: time.Second, Body: obo.ErrorBody{
		Code: "server_error", Description: "the keys of identity provider '" + provider + "' cannot be had right now, so the token cannot be judged",
	}}
	if trouble, ok := errors.AsType[*oidc.TroubleError](err); ok && trouble.RetryAfter > 0 {
		f.RetryAfter = trouble.RetryAfter
	}
	return f
}
