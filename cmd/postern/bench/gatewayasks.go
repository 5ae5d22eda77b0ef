package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"time"

	"postern/oidc/devidp"
)

// entrant is a gateway in a scenario that it can do.
type entrant struct {
	gateway *gateway
	caller  *caller // as the scenario's, with what this gateway knows it by
}

// cannot is why a gateway does not take part in a scenario, which is no failure.
type cannot string

// Error implements error.
func (c cannot) Error() string { return string(c) }

// openGateways starts the gateways and finds out what each can do. One that pretends to is an error, and so is it if none can do anything.
func (w *world) openGateways(ctx context.Context, all gateways, callers []*caller, progress io.Writer) error {
	useful := len(all) == 0
	for _, g := range all {
		if err := w.startGateway(ctx, g); err != nil {
			return err
		}
		var can, why []string
		for _, c := range callers {
			if !slices.Contains([]string{anonymous, session, bearerName(fewTokens)}, c.name) {
				continue // these ask for what is Postern's own
			}
			own, err := w.enter(ctx, g, c)
			if reason, is := errors.AsType[cannot](err); is {
				why = append(why, c.name+": "+string(reason))
				continue
			}
			if err != nil {
				return fmt.Errorf("%s, %s: %w; it wrote:\n%s", g.name, c.name, err, g.process.said.String())
			}
			c.entrants, can = append(c.entrants, entrant{g, own}), append(can, c.name)
		}
		if useful = useful || len(can) > 0; len(can) > 0 {
			say(progress, "%s: %s", g.name, strings.Join(can, "; "))
		} else {
			say(progress, "%s: none of these scenarios: %s", g.name, strings.Join(why, "; "))
		}
	}
	if !useful {
		return errors.New("no gateway can do any of these scenarios")
	}
	return nil
}

// enter is the caller as a gateway knows it, or [cannot]. Where anybody gets through, nobody has to log in, and no token is looked at: there is
// nothing of a session or of a token to be measured.
func (w *world) enter(ctx context.Context, g *gateway, c *caller) (*caller, error) {
	own := &caller{name: c.name, foreign: true, common: browserHeaders(g.address, plainCookies)}
	open, err := w.reaches(ctx, g, own.header(0))
	if err != nil {
		return nil, err
	}
	switch {
	case c.name == anonymous && open:
		return own, nil
	case c.name == anonymous:
		return nil, cannot("nobody gets through without a caller")
	case open:
		return nil, cannot("anybody gets through")
	case c.name == session:
		cookies, err := loginThrough(ctx, g.origin()+pathSmall)
		if err != nil {
			return nil, err
		}
		own.common = browserHeaders(g.address, plainCookies+"; "+cookies)
	default:
		own.common, own.tokens = serviceHeaders(g.address), c.tokens
		forged := own.header(0)
		forged.Set("Authorization", forge(forged.Get("Authorization")))
		if open, err = w.reaches(ctx, g, forged); err != nil {
			return nil, err
		}
		if open {
			return nil, errors.New("a token whose signature is broken gets through: tokens are not looked at")
		}
	}
	for n := range max(1, len(own.tokens)) { // from now on known, where anything is
		passes, err := w.reaches(ctx, g, own.header(n))
		switch {
		case err != nil:
			return nil, err
		case !passes && len(own.tokens) > 0 && n == 0:
			return nil, cannot("a good token does not get through")
		case !passes:
			return nil, errors.New("what has just logged in, or is as good a token as the last, does not get through")
		}
	}
	return own, nil
}

// forge breaks the signature at the end of a token.
func forge(token string) string {
	at, other := len(token)-20, "A"
	if token[at:at+1] == other {
		other = "B"
	}
	return token[:at] + other + token[at+1:]
}

// reaches says whether a gateway lets a request through. An answer of 200 that the app knows nothing of is an error: it would be quick.
func (w *world) reaches(ctx context.Context, g *gateway, header http.Header) (bool, error) {
	before, err := countsOf(ctx, w.app)
	if err != nil {
		return false, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.process.address+small.path, nil)
	if err != nil {
		return false, err
	}
	addHeader(request, header)
	client := plain()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Do(request)
	if err != nil {
		return false, fmt.Errorf("ask %s: %w", g.name, err)
	}
	defer answer.Body.Close()
	length, err := io.Copy(io.Discard, answer.Body)
	if err != nil {
		return false, fmt.Errorf("ask %s: %w", g.name, err)
	}
	after, err := countsOf(ctx, w.app)
	if err != nil {
		return false, err
	}
	reached := after.Requests > before.Requests
	if passed := answer.StatusCode == http.StatusOK; passed && (!reached || length != smallSize) {
		return false, fmt.Errorf("an answer of status 200 and %d bytes is not the app's: the request reached it %d times", length, after.Requests-before.Requests)
	} else if !passed && reached {
		return false, fmt.Errorf("the app was asked and the answer is status %d", answer.StatusCode)
	}
	return reached, nil
}

// loginThrough signs a person in where a gateway leads a browser, and returns all cookies that it has then.
func loginThrough(ctx context.Context, page string) (cookies string, err error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Accept", "text/html")
	answer, err := browser.Do(request)
	if err != nil {
		return "", fmt.Errorf("open the app: %w", withoutQuery(err))
	}
	if answer.Request.URL.Host == request.URL.Host {
		_ = answer.Body.Close()
		return "", cannot(fmt.Sprintf("no page of the provider to log in at, but status %d at %s", answer.StatusCode, answer.Request.URL.Path))
	}
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 300))
		_ = answer.Body.Close()
		return "", fmt.Errorf("the login page of the provider has status %d: %s", answer.StatusCode, text)
	}
	back, err := devidp.Answer(browser, answer, "kari", "")
	if err != nil {
		return "", withoutQuery(err)
	}
	defer back.Body.Close()
	if _, err := io.Copy(io.Discard, back.Body); err != nil {
		return "", fmt.Errorf("come back from login: %w", err)
	}
	if back.StatusCode != http.StatusOK || back.Request.URL.Host != request.URL.Host {
		return "", fmt.Errorf("login ends with status %d at %s%s", back.StatusCode, back.Request.URL.Host, back.Request.URL.Path)
	}
	var all []string
	for _, cookie := range jar.Cookies(request.URL) {
		all = append(all, cookie.Name+"="+cookie.Value)
	}
	slices.Sort(all)
	if len(all) == 0 {
		return "", errors.New("login left no cookie")
	}
	return strings.Join(all, "; "), nil
}
