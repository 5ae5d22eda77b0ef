package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"unicode/utf8"

	"postern/session"
)

// maxSelector bounds a subject or session name. OpenID Connect Core §2 allows a subject 255 characters; some providers take more.
const maxSelector = 1024

var errSelector = badRequest(`The body must be a JSON object with exactly one member, "sub" or "sid", a text that is not empty.`)

// readSelector reads whose sessions are meant (S-31). A body that could be read in two ways, by a repeated or misspelt member, ends nobody's
// session: it is read token by token, since encoding/json takes the last of two members and does not look at case.
func readSelector(body io.Reader) (of session.Selector, err error) {
	text, err := io.ReadAll(body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return of, badRequest("The body is too large.")
	}
	if err != nil || !utf8.Valid(text) {
		return of, errSelector
	}
	in := json.NewDecoder(bytes.NewReader(text))
	var tokens [4]json.Token
	for i := range tokens {
		if tokens[i], err = in.Token(); err != nil {
			return of, errSelector
		}
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return of, errSelector
	}
	value, isText := tokens[2].(string)
	if tokens[0] != json.Delim('{') || tokens[3] != json.Delim('}') || !isText || value == "" || len(value) > maxSelector {
		return of, errSelector
	}
	switch tokens[1] {
	case "sub":
		return session.Selector{Subject: value}, nil
	case "sid":
		return session.Selector{SID: value}, nil
	}
	return of, errSelector
}
