package devidp

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
)

var flowField = newForm(`name="flow" value="([^"]*)"`)

// Answer submits the login page as a person would who presses the button of a persona, with free claims if there are any; persona
// "cancel" is the other button. The client must have a cookie jar for single sign-on, and its redirect policy decides how
// far the way back to the app is followed. The page is read and closed.
func Answer(client *http.Client, page *http.Response, persona, freeClaims string) (*http.Response, error) {
	defer func() { _ = page.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(page.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read login page: %w", err)
	}
	field := flowField.regexp().FindSubmatch(body)
	if field == nil || page.Request == nil {
		return nil, errors.New("answer login page: this is not one")
	}
	form := url.Values{"flow": {html.UnescapeString(string(field[1]))}, "claims": {freeClaims}, "persona": {persona}}
	if persona == "cancel" {
		form.Set("cancel", "yes")
	}
	to := *page.Request.URL
	to.RawQuery = ""
	request, err := http.NewRequestWithContext(page.Request.Context(), http.MethodPost, to.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("answer login page: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("answer login page: %w", err)
	}
	return answer, nil
}
