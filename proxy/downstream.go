package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"postern/config"
	"postern/obo"
	"postern/oidc"
	"postern/oidc/meter"
	"postern/proxy/forward"
	"postern/proxy/pages"
	"postern/proxy/policy"
)

// Exchanger gets tokens on behalf of users: *obo.Broker.
type Exchanger interface {
	Exchange(ctx context.Context, r obo.Request) (obo.Token, error)
}

// downstream gets the app tokens for other APIs on behalf of the users who call it (option upstream-tokens, S-43).
type downstream struct {
	tokens    []downstreamToken
	exchanger Exchanger
}

type downstreamToken struct {
	header   string // canonical
	request  obo.Request
	required bool
	paths    *policy.Globs // nil: every path
}

const (
	refusalAge       = 60              // seconds for which a refusal counts, per user and target (S-43)
	optionalPatience = 2 * time.Second // what an optional token may cost a request; the call goes on for the next one
)

// newDownstream is nil without tokens to get.
func newDownstream(tokens []config.UpstreamToken, exchanger Exchanger) (*downstream, error) {
	if len(tokens) == 0 {
		return nil, nil
	}
	if exchanger == nil {
		return nil, errors.New("upstream-tokens: there is nobody to get them from")
	}
	d := &downstream{exchanger: exchanger}
	for i, one := range tokens {
		token := downstreamToken{
			header: http.CanonicalHeaderKey(one.Header), required: one.Required,
			request: obo.Request{Provider: one.Provider, Target: one.Target, RefusalAge: refusalAge},
		}
		if len(one.Paths) > 0 {
			var err error
			if token.paths, err = policy.CompileGlobs(one.Paths); err != nil {
				return nil, fmt.Errorf("upstream-tokens: entry %d: %w", i+1, err)
			}
		}
		d.tokens = append(d.tokens, token)
	}
	return d, nil
}

// fetched is a token on its way to the app, or why there is none.
type fetched struct {
	*downstreamToken
	values []string // of the header; nil: none
	err    error
}

// fetch gets the tokens of a request at once. Only an admitted user has any.
func (h *Handler) fetch(v *visit, r *http.Request, p *passage) error {
	if h.downstream == nil || p.who.identity == nil || p.who.identity.Kind() != oidc.User {
		return nil
	}
	var wanted []fetched
	for i := range h.downstream.tokens {
		if token := &h.downstream.tokens[i]; token.isFor(p.path) {
			wanted = append(wanted, fetched{downstreamToken: token})
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(meter.Uncharged(v.context())) // of one that is lost, nobody waits for the others
	defer cancel()
	began := h.now()
	var wait sync.WaitGroup
	for i := range wanted {
		one := &wanted[i]
		get := func() {
			h.downstream.get(ctx, one, &p.who)
			if one.required && one.err != nil {
				cancel()
			}
		}
		if i < len(wanted)-1 {
			wait.Go(get)
		} else { // nobody else has anything to do
			get()
		}
	}
	wait.Wait()
	meter.Waited(v.context(), h.now().Sub(began)) // for all of them at once
	v.downstream = wanted
	return h.missing(v, r, h.open(p))
}

// isFor says whether the app gets the token with a request for this path: in every reading, and a required one in any, since the app may
// rely on it.
func (t *downstreamToken) isFor(path policy.Path) bool {
	return t.paths == nil || t.paths.MatchPath(path) || t.required && t.paths.MatchAnyReading(path)
}

// get asks for one token.
func (d *downstream) get(ctx context.Context, one *fetched, who *caller) {
	defer func() {
		if panicked := recover(); panicked != nil { // in a goroutine it would end the process
			one.err = fmt.Errorf("panic of type %T", panicked)
		}
	}()
	if from := who.identity.Provider(); !oidc.Exchanges(one.request.Provider, from) {
		one.err = &unfitError{from, one.request.Provider}
		return
	}
	if !one.required {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, optionalPatience)
		defer cancel()
	}
	request := one.request
	request.UserToken, request.User = who.token, userOf(who.identity)
	token, err := d.exchanger.Exchange(ctx, request)
	if err != nil {
		one.err = err
		return
	}
	one.values = []string{token.Access.Raw()}
}

// userOf names a person for as long as a refusal is remembered, whatever token they bring; nobody is named by nothing.
func userOf(id *oidc.Identity) string {
	if id.Subject() == "" {
		return ""
	}
	return id.Provider() + " " + id.Tenant() + " " + id.Subject()
}

// unfitError says that the token of a user means nothing to a provider. It is not sent there.
type unfitError struct{ from, to string }

func (e *unfitError) Error() string { return e.to + " does not exchange tokens of " + e.from }

// missing judges what could not be had: without a required token the app is not called, unless it would be without a user too.
func (h *Handler) missing(v *visit, r *http.Request, open bool) error {
	var lost *failure
	for i := range v.downstream {
		one := &v.downstream[i]
		if one.err == nil {
			h.metrics.downstream.WithLabelValues(one.header, "sent").Inc()
			continue
		}
		f := tokenLost(one.err)
		h.metrics.downstream.WithLabelValues(one.header, f.code).Inc()
		if one.required && !open && (lost == nil || lost.status == forward.StatusClientGone) { // whoever was given up for another is not the reason
			lost = f
		}
		if level := slog.LevelDebug; (open || !one.required) && f.status != forward.StatusClientGone {
			if f.status != http.StatusForbidden {
				level = slog.LevelWarn
			}
			h.log.LogAttrs(v.context(), level, "a token for another API is left out", slog.String("header", one.header),
				slog.String("error", forward.MaskDigits(one.err.Error())))
		}
	}
	if lost == nil {
		return nil
	}
	return lost
}

// tokenLost finds the answer to a required token that cannot be had: 403 for a refusal, 503 in trouble.
func tokenLost(err error) *failure {
	_, unfit := errors.AsType[*unfitError](err)
	_, ended := errors.AsType[*oidc.InvalidTokenError](err)
	if unfit || ended || obo.Explain(err).Refused {
		return &failure{
			status: http.StatusForbidden, code: "downstream_refused", page: pages.Forbidden, err: err,
			description: "The app calls another API on behalf of its users, and the identity provider gives no token for that.",
		}
	}
	if _, trouble := errors.AsType[*oidc.TroubleError](err); !trouble && !errors.Is(err, context.DeadlineExceeded) {
		return classify(err)
	}
	f := providerTrouble(err)
	f.code = "downstream_unavailable"
	f.description = "The app calls another API on behalf of its users, and the token for that cannot be had right now. Try again in a moment."
	return f
}

// hand writes the tokens into the request to the app.
func (v *visit) hand(header http.Header) {
	for i := range v.downstream {
		if one := &v.downstream[i]; one.values != nil {
			header[one.header] = one.values
		}
	}
}
