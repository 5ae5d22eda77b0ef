package obo

import (
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/oidc"
)

// source is one provider, and how it is asked.
type source struct {
	name     string
	endpoint *oidc.TokenEndpoint
	machine  grant // nil: it gives no such tokens
	exchange grant
	hits     map[use]prometheus.Counter // of the cache, by what there is a grant for; looked up once
	breaker  breaker
}

// grant puts a request into the words of one provider.
type grant func(r Request) question

// question is a request as it is sent, but for the credential, which is made anew for each attempt.
type question struct {
	form       url.Values
	credential oidc.Authenticator // nil: that of the endpoint
}

func newSource(p Provider, now func() time.Time) (*source, error) {
	s := &source{name: p.Name, endpoint: p.Endpoint, breaker: breaker{now: now}}
	if p.Endpoint == nil {
		return s, nil
	}
	switch p.Name {
	case oidc.EntraID:
		s.machine, s.exchange = entraClientCredentials, entraOnBehalfOf
	case oidc.TokenX:
		s.exchange = tokenXExchange
	case oidc.Maskinporten:
		signed, err := oidc.NewJWTGrant(p.Credentials, p.Deps)
		if err != nil {
			return nil, err
		}
		s.machine = maskinportenGrant(signed)
	case oidc.OpenID:
		s.machine, s.exchange = clientCredentials, tokenExchange
	}
	return s, nil
}
