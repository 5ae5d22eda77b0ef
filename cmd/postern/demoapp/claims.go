package demoapp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// claim is one statement of a provider.
type claim struct {
	Name, Value, Meaning string
	Note                 string // a time in words; "" for what is no time
}

// token is the access token in Authorization, decoded and never shown.
type token struct {
	Opaque bool // not a JWT: only its issuer can read it
	Length int  // bytes
	Header []claim
	Claims []claim
	Until  string // exp in words; "" if it does not say
	For    string // aud
}

// readToken decodes a bearer token without verifying it: this app only shows what is inside. nil if there is none.
func readToken(authorization string, now time.Time) *token {
	scheme, raw, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return nil
	}
	t := &token{Opaque: true, Length: len(raw)}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return t
	}
	var sections [2][]claim
	for i := range sections {
		plain, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return t
		}
		if sections[i], err = readClaims(plain, now); err != nil {
			return t
		}
	}
	t.Opaque, t.Header, t.Claims = false, sections[0], sections[1]
	for _, c := range t.Claims {
		switch c.Name {
		case "exp":
			t.Until = c.Note
		case "aud":
			t.For = c.Value
		}
	}
	return t
}

// readClaims lists the members of a JSON object by name, with their values as JSON, strings without quotes.
func readClaims(object []byte, now time.Time) ([]claim, error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.UseNumber() // a number must not change on the way to the eye
	var members map[string]any
	if err := decoder.Decode(&members); err != nil {
		return nil, fmt.Errorf("decode claims: %w", err)
	}
	claims := make([]claim, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		c := claim{Name: name, Meaning: claimInWords(name)}
		switch value := members[name].(type) {
		case string:
			c.Value = value
		case json.Number:
			c.Value = value.String()
			if seconds, err := value.Int64(); err == nil && isTime(name) {
				c.Note = inWords(time.Unix(seconds, 0), now)
			}
		default:
			c.Value = compact(value)
		}
		claims = append(claims, c)
	}
	return claims, nil
}

func compact(value any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // the template escapes
	if encoder.Encode(value) != nil {
		return ""
	}
	return strings.TrimSpace(text.String())
}

func isTime(claim string) bool {
	return claim == "exp" || claim == "iat" || claim == "nbf" || claim == "auth_time"
}

// inWords is a time of day with its distance: "14:03:22 UTC, 5 minutes ago".
func inWords(t, now time.Time) string {
	clock := t.UTC().Format("15:04:05 UTC")
	distance := t.Sub(now).Round(time.Second)
	switch {
	case distance == 0:
		return clock + ", just now"
	case distance < 0:
		return clock + ", " + duration(-distance) + " ago"
	}
	return clock + ", in " + duration(distance)
}

func duration(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= unit.size {
			return count(int(d/unit.size), unit.name)
		}
	}
	return count(int(d/time.Second), "second")
}

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// claimInWords says what the well-known claims mean; "" for others.
func claimInWords(name string) string {
	switch name {
	case "iss":
		return "who issued this"
	case "aud":
		return "whom it is for"
	case "sub":
		return "the issuer's number for the person in this app"
	case "exp":
		return "when it ends"
	case "iat":
		return "when it was issued"
	case "nbf":
		return "from when it holds"
	case "auth_time":
		return "when the person logged in"
	case "acr":
		return "how strong the login was"
	case "amr":
		return "how the person proved who they are"
	case "azp", "appid", "client_id":
		return "the program that it was issued to"
	case "azpacr":
		return "how that program proved itself"
	case "oid":
		return "the person's number in the organisation"
	case "tid":
		return "the organisation"
	case "sid":
		return "the login at the provider"
	case "jti", "uti":
		return "number of this very token"
	case "nonce":
		return "ties this to the browser that asked"
	case "at_hash":
		return "ties this to the access token"
	case "name":
		return "for showing"
	case "preferred_username":
		return "login name, for showing only"
	case "email":
		return "e-mail address"
	case "email_verified", "xms_edov":
		return "whether the provider vouches for the address"
	case "groups":
		return "groups that the person is in"
	case "roles":
		return "what the caller may do"
	case "scp", "scope":
		return "what was asked for"
	case "NAVident":
		return "the person's number as an employee"
	case "pid":
		return "national identity number"
	case "ver":
		return "version of the format"
	case "alg":
		return "how it is signed"
	case "kid":
		return "the key that signed it"
	case "typ":
		return "what it is"
	}
	return ""
}
