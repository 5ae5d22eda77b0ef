package doctor

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"postern/oidc"
)

// What each provider answers to a grant in which only the client is real.
func TestClientIsJudgedByWhatTheProviderRefuses(t *testing.T) {
	t.Parallel()
	refused := func(code, words string) error {
		return &oidc.RefusalError{Code: code, Words: words, Description: words, Status: 400}
	}
	for name, c := range map[string]struct {
		kind string
		err  error
		want Status
	}{
		"granted":                            {oidc.EntraID, nil, OK},
		"code that is not there":             {oidc.OpenID, refused("invalid_grant", ""), OK},
		"wrong secret":                       {oidc.OpenID, refused("invalid_client", ""), Problem},
		"client may not have the grant":      {oidc.OpenID, refused("unauthorized_client", ""), Problem},
		"who knows":                          {oidc.OpenID, refused("invalid_request", ""), Warning},
		"invented code":                      {oidc.OpenID, refused("computer_says_no", ""), Warning},
		"Entra ID: app without its own name": {oidc.EntraID, refused("invalid_resource", "AADSTS500011"), OK},
		"Entra ID: secret expired":           {oidc.EntraID, refused("invalid_client", "AADSTS7000222: expired"), Problem},
		"Entra ID: app unknown":              {oidc.EntraID, refused("unauthorized_client", "AADSTS700016: unknown"), Problem},
		"Entra ID: no federated credential":  {oidc.EntraID, refused("invalid_request", "AADSTS700213: no match"), Problem},
		"Maskinporten: scope unknown":        {oidc.Maskinporten, refused("invalid_scope", "MP-200"), OK},
		"Maskinporten: key unknown":          {oidc.Maskinporten, refused("invalid_grant", "MP-124"), Problem},
		"Maskinporten: grant malformed":      {oidc.Maskinporten, refused("invalid_request", "MP-011"), Warning},
		"TokenX: subject token":              {oidc.TokenX, refused("invalid_request", "invalid subject_token: invalid request, cannot parse token"), OK},
		"TokenX: audience":                   {oidc.TokenX, refused("invalid_request", "token exchange audience x is invalid"), OK},
		"TokenX: not in the inbound list":    {oidc.TokenX, refused("invalid_request", "client 'x' is not authorized to get token with aud=x"), OK},
		"TokenX: key unknown":                {oidc.TokenX, refused("invalid_request", "token verification failed: Signed+JWT+rejected"), Problem},
		"TokenX: client unknown":             {oidc.TokenX, refused("invalid_client", "client not registered"), Problem},
		"TokenX: before it knows who asks":   {oidc.TokenX, refused("invalid_request", "Parameter audience missing"), Warning},
		"a web page":                         {oidc.OpenID, &oidc.TroubleError{Status: 200, Malformed: true, Err: errors.New("x")}, Problem},
		"no connection":                      {oidc.OpenID, &oidc.TroubleError{Err: &url.Error{Err: context.DeadlineExceeded}}, Problem},
		"federated token that is not there":  {oidc.EntraID, &oidc.TroubleError{Err: oidc.ErrCredential}, Problem},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &examiner{Provider: Provider{Kind: c.kind, Credentials: oidc.Credentials{ClientID: "me"}}}
			got := e.judgeClient("client", c.err)
			if got.Status != c.want || got.Text == "" || (got.Advice == "") != (c.want == OK) {
				t.Errorf("%+v, want %s", got, c.want)
			}
		})
	}
}

// Each number that says what is wrong with a credential leads to advice of its own, and none to that of a longer or shorter one.
func TestAdviceGoesByTheNumber(t *testing.T) {
	t.Parallel()
	e := &examiner{}
	for number, want := range map[string]string{
		"AADSTS7000215": "secret's value", "AADSTS7000222": "secret has expired", "AADSTS700027": "not registered", "AADSTS50012": "signature or time",
		"AADSTS700023": "audience is not accepted", "AADSTS700024": "clock", "AADSTS700021": "another client", "AADSTS700016": "not known in this tenant",
		"AADSTS7000112": "switched off", "AADSTS90002": "tenant is not known", "AADSTS70021": "federated", "AADSTS700211": "federated", "AADSTS700213": "federated",
		"MP-100": "client id is not known", "MP-110": "slash", "MP-121": "expired", "MP-124": "kid", "MP-130": "clock",
		"AADSTS7000218": "Check the client id, and", "AADSTS500121": "Check the client id, and",
	} {
		if got := e.clientAdvice(&oidc.RefusalError{Code: "invalid_client", Words: number + ": whatever"}); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", number, got, want)
		}
	}
}

// Only an answer at the redirect URI itself says that the provider knows it.
func TestSilentAnswerMustArriveAtTheRedirectURI(t *testing.T) {
	t.Parallel()
	const own = "https://app.example.org/oauth2/callback"
	for to, want := range map[string]Status{
		own + "?error=login_required":                                       OK,
		own + "?error=invalid_scope":                                        Problem,
		own + "?error=unauthorized_client":                                  Problem,
		"https://idp.example.org/login":                                     Unchecked,
		"https://app.example.org.evil.example/oauth2/callback?error=x":      Unchecked,
		"https://app.example.org/elsewhere?error=login_required":            Unchecked,
		"http://app.example.org/oauth2/callback?error=login_required":       Unchecked,
		"https://app.example.org:8443/oauth2/callback?error=login_required": Unchecked,
	} {
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		if got := answeredAt("redirect", own, u); got.Status != want {
			t.Errorf("%s: %s, want %s", to, got.Status, want)
		}
	}
}
