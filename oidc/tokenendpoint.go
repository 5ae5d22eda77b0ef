package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"postern/oidc/meter"
)

const (
	roomWait    = 10 * time.Second      // for one of the slots of S-28
	maxLifetime = 366 * 24 * time.Hour  // of an access token; more is cut, so that sums of times do not overflow
	retryCap    = time.Hour             // Retry-After beyond this is not believed
	unsentPause = 50 * time.Millisecond // before the one repetition of a request that was never sent
	maxWords    = 8 << 10               // of a provider about its refusal
	maxCodes    = 32
	maxLabel    = 128
)

var errNoLifetime = errors.New("the answer has no positive expires_in")

// TokenEndpoint sends grants of one client to one provider. It is small and our own because golang.org/x/oauth2 cannot put assertions on
// a refresh, and may send the same code twice to find out how to authenticate.
type TokenEndpoint struct {
	provider *Provider
	auth     Authenticator
	deps     Deps
}

// NewTokenEndpoint makes the token endpoint of p for the client that auth speaks for.
func NewTokenEndpoint(p *Provider, auth Authenticator, d Deps) *TokenEndpoint {
	return &TokenEndpoint{provider: p, auth: auth, deps: d.withDefaults()}
}

// TokenResponse is a successful answer (RFC 6749 §5.1).
type TokenResponse struct {
	Tokens
	ExpiresIn       time.Duration // of the access token, as the provider says
	Scope           string
	IssuedTokenType string // RFC 8693 §2.2.1
}

// With is the same endpoint for another credential.
func (e *TokenEndpoint) With(auth Authenticator) *TokenEndpoint {
	return &TokenEndpoint{provider: e.provider, auth: auth, deps: e.deps}
}

// Grant sends one grant. It is sent once; only if it could not even be sent (no connection), it is tried once more: a code or a rotating
// refresh token must never be presented twice after an unknown outcome. Op is a verb phrase for errors and metrics: "redeem code".
func (e *TokenEndpoint) Grant(ctx context.Context, op string, form url.Values) (TokenResponse, error) {
	answer, err := e.attempt(ctx, op, form, readTokenResponse)
	if t := (*TroubleError)(nil); errors.As(err, &t) && t.again && pause(ctx, unsentPause) {
		return e.attempt(ctx, op, form, readTokenResponse)
	}
	return answer, err
}

// Attempt sends one grant exactly once, with a fresh credential. The token may have no life left.
func (e *TokenEndpoint) Attempt(ctx context.Context, op string, form url.Values) (TokenResponse, error) {
	return e.attempt(ctx, op, form, readTokenOfAnyLife)
}

func (e *TokenEndpoint) attempt(
	ctx context.Context, op string, form url.Values, read func(body []byte, now time.Time) (TokenResponse, error),
) (TokenResponse, error) {
	md, err := e.provider.Metadata(ctx)
	if err != nil {
		return TokenResponse{}, err
	}
	if md.TokenEndpoint == "" {
		return TokenResponse{}, e.trouble(op, errors.New("the metadata has no token endpoint"))
	}
	body, err := e.post(ctx, op, md, md.TokenEndpoint, form)
	if err != nil {
		return TokenResponse{}, err
	}
	answer, err := read(body, e.deps.Now())
	if err != nil {
		t := e.trouble(op, err)
		t.Malformed = true
		return TokenResponse{}, t
	}
	return answer, nil
}

func (e *TokenEndpoint) trouble(op string, err error) *TroubleError {
	return &TroubleError{Provider: e.provider.cfg.Name, Op: op, Err: err}
}

// post makes one attempt with a fresh credential and returns the body of a 2xx answer.
func (e *TokenEndpoint) post(ctx context.Context, op string, md *Metadata, endpoint string, form url.Values) (body []byte, err error) {
	leave, err := e.provider.enter(ctx, op)
	if err != nil {
		return nil, err
	}
	defer leave()
	began := e.deps.Now()
	defer func() {
		ended := e.deps.Now()
		e.provider.metrics.call(op, began, ended, err)
		meter.Waited(ctx, ended.Sub(began))
	}()
	ctx, span := e.provider.span(ctx, op)
	defer func() { endCall(span, err) }()

	form = maps.Clone(form)
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	if err := e.auth.Authenticate(md, form, header); err != nil {
		return nil, e.trouble(op, fmt.Errorf("%w: %w", ErrCredential, err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, e.trouble(op, err)
	}
	req.Header = header
	span.Inject(header)
	resp, err := e.deps.HTTP.Do(req)
	if err != nil {
		t := e.trouble(op, err)
		t.again, t.Malformed = unsent(err), errors.Is(err, errBodyTooLarge)
		return nil, t
	}
	span.SetNumber("http.response.status_code", int64(resp.StatusCode))
	e.provider.metrics.clock(resp.Header, began, e.deps.Now())
	body, err = readBody(resp)
	if err != nil {
		t := e.trouble(op, fmt.Errorf("read answer: %w", err))
		if errors.Is(err, errBodyTooLarge) { // else it broke off, which is as good as none
			t.Status, t.Malformed = resp.StatusCode, true
		}
		return nil, t
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return body, nil
	}
	return nil, e.classify(op, resp, body, form)
}

// classify tells the provider's trouble from its refusal.
func (e *TokenEndpoint) classify(op string, resp *http.Response, body []byte, form url.Values) error {
	status := resp.StatusCode
	t := e.trouble(op, statusError(status))
	t.Status, t.fault = status, status >= 500
	t.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), e.deps.Now())
	t.Answer = e.readRefusal(op, status, body, form)
	passing := t.fault || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
	switch {
	case passing:
		return t
	case status < 400 || t.Answer == nil: // a redirect, a web page or nonsense: some proxy spoke, not the token endpoint
		t.Malformed = true
		return t
	case t.Answer.Code == "server_error" || t.Answer.Code == "temporarily_unavailable":
		t.Err = fmt.Errorf("%w: %s", t.Err, t.Answer.Code)
		t.fault = true
		return t
	}
	return t.Answer
}

// readRefusal reads RFC 6749 §5.2, and what Entra ID adds. It is nil if there is no error code. What else is there is for whoever wants to
// know more; none of it may stop the classification.
func (e *TokenEndpoint) readRefusal(op string, status int, body []byte, form url.Values) *RefusalError {
	answer, err := readObject(string(body))
	if err != nil {
		return nil
	}
	text := func(name string, most int) string { // refusals are remembered: they keep nothing else alive
		value, _ := answer.text(name)
		if len(value) > most {
			return ""
		}
		return strings.Clone(value)
	}
	code := text("error", len(body))
	if !isErrorCode(code) {
		return nil
	}
	r := &RefusalError{
		Provider: e.provider.cfg.Name, Op: op, Status: status, Code: code,
		Claims: text("claims", maxWords), Suberror: text("suberror", maxLabel), CorrelationID: text("correlation_id", maxLabel),
	}
	description, _ := answer.text("error_description")
	secrets := secretsOf(form, e.auth)
	r.Description = cleanText(description, secrets...)
	words := redact(description, secrets)
	r.Words = strings.Clone(words[:min(len(words), maxWords)])
	var codes []int64
	if answer.decode("error_codes", &codes) == nil && len(codes) > 0 && len(codes) <= maxCodes {
		r.ErrorCodes, _ = json.Marshal(codes)
	}
	return r
}

// enter takes one of the slots for calls at the provider (S-28) and returns how to give it back.
func (p *Provider) enter(ctx context.Context, op string) (leave func(), err error) {
	leave = func() { <-p.room }
	select {
	case p.room <- struct{}{}:
		return leave, nil
	default:
	}
	timer := time.NewTimer(roomWait)
	defer timer.Stop()
	err = errors.New("too many calls are at the provider")
	select {
	case p.room <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		err = fmt.Errorf("%w: %w", err, context.Cause(ctx))
	case <-timer.C:
	}
	return nil, &TroubleError{Provider: p.cfg.Name, Op: op, RetryAfter: time.Second, Err: err}
}

// unsent says that no byte of the request can have reached the provider: there was no connection to write to.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") && !errors.Is(err, context.Canceled)
}

// pause waits, and says whether there is still somebody to go on for.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// readTokenResponse holds the answer to RFC 6749 §5.1. Stricter: expires_in is required, because a token without an end cannot be
// refreshed in time. Laxer: token_type in any case (as the RFC says), expires_in also as a string, which some providers send.
func readTokenResponse(body []byte, now time.Time) (TokenResponse, error) {
	answer, err := readTokenOfAnyLife(body, now)
	if err == nil && answer.ExpiresIn == 0 { // nobody could refresh it in time
		return TokenResponse{}, errNoLifetime
	}
	return answer, err
}

// readTokenOfAnyLife is the same, and takes a token that ends at once: an app may want it all the same.
func readTokenOfAnyLife(body []byte, now time.Time) (TokenResponse, error) {
	var got struct {
		access, refresh, id, kind, scope, issued string
	}
	answer, err := readObject(string(body))
	if err != nil {
		return TokenResponse{}, fmt.Errorf("the answer %w", err)
	}
	for name, target := range map[string]*string{
		"access_token": &got.access, "refresh_token": &got.refresh, "id_token": &got.id,
		"token_type": &got.kind, "scope": &got.scope, "issued_token_type": &got.issued,
	} {
		if err := answer.decode(name, target); err != nil {
			return TokenResponse{}, fmt.Errorf("the answer %w", err)
		}
	}
	lifetime, err := readLifetime(answer["expires_in"])
	switch {
	case err != nil:
		return TokenResponse{}, err
	case got.access == "":
		return TokenResponse{}, errors.New("the answer has no access_token")
	case !strings.EqualFold(got.kind, "Bearer"):
		return TokenResponse{}, errors.New("the answer's token_type is not Bearer")
	}
	for _, token := range []string{got.access, got.refresh, got.id} {
		if !isTokenText(token) {
			return TokenResponse{}, errors.New("the answer has a token of forbidden characters or over 64 KiB")
		}
	}
	kept := strings.Clone // the rest of the answer is not
	return TokenResponse{
		Tokens: Tokens{
			Access: NewToken(kept(got.access)), Refresh: NewToken(kept(got.refresh)), ID: NewToken(kept(got.id)),
			Expiry: now.Add(lifetime),
		},
		ExpiresIn: lifetime, Scope: kept(got.scope), IssuedTokenType: kept(got.issued),
	}, nil
}

func readLifetime(text string) (time.Duration, error) {
	if len(text) > 1 && text[0] == '"' {
		text = text[1 : len(text)-1]
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0) { // written so that NaN is refused too
		return 0, errNoLifetime
	}
	return time.Duration(min(seconds, maxLifetime.Seconds())) * time.Second, nil
}

// retryAfter reads RFC 9110 §10.2.3 in both spellings.
func retryAfter(value string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), retryCap)
}
