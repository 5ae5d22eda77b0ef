package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"postern/oidc/devidp"
)

// login signs a person of the test provider in, by the whole way through the browser, and returns the session cookie as "name=value".
func login(ctx context.Context, ingress string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, ingress+"/oauth2/login?redirect="+pathSmall, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Accept", "text/html")
	page, err := browser.Do(request) //nolint:bodyclose // devidp.Answer closes it
	if err != nil {
		return "", fmt.Errorf("open login page: %w", withoutQuery(err))
	}
	answer, err := devidp.Answer(browser, page, "kari", "")
	if err != nil {
		return "", withoutQuery(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return "", fmt.Errorf("come back from login: %w", err)
	}
	if answer.StatusCode != http.StatusOK || answer.Request.URL.Path != pathSmall {
		return "", fmt.Errorf("login ends with status %d on %s", answer.StatusCode, answer.Request.URL.Path)
	}
	for _, cookie := range jar.Cookies(answer.Request.URL) {
		if strings.HasSuffix(cookie.Name, ".session") {
			return cookie.Name + "=" + cookie.Value, nil
		}
	}
	return "", errors.New("login left no session cookie")
}

// withoutQuery takes the URL out of an error of the client: codes and states are in it.
func withoutQuery(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
