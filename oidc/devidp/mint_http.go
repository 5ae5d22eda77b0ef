package devidp

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// mintByPOST takes a [MintRequest] as JSON.
func (x *exchange) mintByPOST() (any, error) {
	var m MintRequest
	d := json.NewDecoder(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	d.DisallowUnknownFields()
	d.UseNumber() // a number is signed as it was written
	if err := d.Decode(&m); err != nil || !ended(d) {
		return nil, errBody
	}
	m.Base = x.base
	token, signed, err := x.idp.mint(m)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"token": token, "header": signed.Header, "claims": signed.Claims}
	if m.RawPayload != "" {
		answer["claims"] = nil
	}
	return answer, nil
}

// ended says that there is nothing behind the JSON value that was read.
func ended(d *json.Decoder) bool {
	_, err := d.Token()
	return errors.Is(err, io.EOF)
}

// mintByLink answers GET /_dev/token/<profile>?<claim>=<value>, for a browser's address line and curl.
func (x *exchange) mintByLink(profile string) {
	if !x.allow(http.MethodGet) {
		return
	}
	m, err := linkRequest(profile, x.r.URL.RawQuery)
	m.Base = x.base
	var token string
	if err == nil {
		token, err = x.idp.Mint(m)
	}
	if err != nil {
		x.json(http.StatusBadRequest, map[string]any{"error": err.Error()})
		return
	}
	x.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(x.w, token+"\n")
}

// linkRequest makes claims of query parameters. A repeated one becomes a list, and so does one whose claim is always a list; an empty one takes
// the claim away. `persona` and `exp_in` are no claims but what they are in a [MintRequest].
func linkRequest(profile, query string) (MintRequest, error) {
	m := MintRequest{Profile: profile, Claims: map[string]any{}}
	if _, known := mintProfiles()[profile]; !known || profile == "" {
		return m, errors.New("no such profile; known are entra-user, entra-app, entra-id-token, tokenx, maskinporten, idporten, idporten-id-token, entra-logout-token, idporten-logout-token")
	}
	if len(query) > maxQuery {
		return m, errors.New("the query is too long")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return m, errors.New("the query cannot be read")
	}
	for name, all := range values {
		switch {
		case name == "persona":
			m.Persona = all[0]
		case name == "exp_in":
			seconds, err := strconv.Atoi(all[0])
			if err != nil {
				return m, errors.New("exp_in is not a number of seconds")
			}
			m.ExpIn = &seconds
		case slices.Contains([]string{"exp", "iat", "nbf", "auth_time"}, name):
			seconds, err := strconv.ParseInt(all[0], 10, 64)
			if err != nil {
				return m, errors.New(name + " is not a number of seconds")
			}
			m.Claims[name] = seconds
		case len(all) == 1 && all[0] == "":
			m.Claims[name] = nil
		case len(all) > 1, slices.Contains([]string{"groups", "roles", "amr", "wids"}, name):
			m.Claims[name] = all
		default:
			m.Claims[name] = all[0]
		}
	}
	return m, nil
}
