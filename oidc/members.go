package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// members are the top-level members of a JSON object by their exact names, as slices of what was read. encoding/json alone would fold
// case and take the last of two (GO-2026-4569).
type members map[string]json.RawMessage

var (
	errNoObject = errors.New("is not a JSON object")
	errDoubled  = errors.New("has a member twice")
)

// readObject reads an object whose names are all different. Errors continue a sentence and hold nothing of the data. It runs for every
// session that comes from the store, so it looks at the bytes itself: once they are known to be valid JSON, strings and brackets suffice.
func readObject(data []byte) (members, error) {
	if !json.Valid(data) {
		return nil, errNoObject
	}
	at := skipSpace(data, 0)
	if data[at] != '{' {
		return nil, errNoObject
	}
	m := make(members, 24)
	for at = skipSpace(data, at+1); data[at] != '}'; {
		if data[at] == ',' {
			at = skipSpace(data, at+1)
		}
		end := endOfString(data, at)
		name, err := stringValue(data[at:end])
		if err != nil {
			return nil, errNoObject
		}
		at = skipSpace(data, skipSpace(data, end)+1) // past the colon
		end = endOfValue(data, at)
		if m.has(name) {
			return nil, errDoubled
		}
		m[name] = data[at:end:end]
		at = skipSpace(data, end)
	}
	return m, nil
}

func skipSpace(data []byte, at int) int {
	for data[at] == ' ' || data[at] == '\t' || data[at] == '\n' || data[at] == '\r' {
		at++
	}
	return at
}

// endOfString is the index after the string that begins at at.
func endOfString(data []byte, at int) int {
	for at++; data[at] != '"'; at++ {
		if data[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// endOfValue is the index after the value that begins at at.
func endOfValue(data []byte, at int) int {
	for depth := 0; ; {
		switch data[at] {
		case '"':
			at = endOfString(data, at) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth < 0 {
				return at // the end of the object around a bare number or word
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return at
			}
		}
		at++
		if last := data[at-1]; depth == 0 && (last == '"' || last == '}' || last == ']') {
			return at
		}
	}
}

// stringValue decodes a JSON string, without ceremony where nothing is escaped.
func stringValue(raw []byte) (text string, err error) {
	for _, c := range raw {
		if c == '\\' || c >= 0x80 {
			err = json.Unmarshal(raw, &text)
			return text, err
		}
	}
	return string(raw[1 : len(raw)-1]), nil
}

func (m members) has(name string) bool {
	_, ok := m[name]
	return ok
}

// decode reads one member into target; absent and null leave it alone.
func (m members) decode(name string, target any) error {
	raw, ok := m[name]
	if !ok {
		return nil
	}
	var err error
	if text, isText := target.(*string); isText && raw[0] == '"' {
		*text, err = stringValue(raw)
	} else {
		err = json.Unmarshal(raw, target)
	}
	if err != nil {
		return fmt.Errorf("has a member %q of the wrong type", name)
	}
	return nil
}

// text is a string member, empty if absent.
func (m members) text(name string) (string, error) {
	var s string
	err := m.decode(name, &s)
	return s, err
}

// seconds is a NumericDate (RFC 7519 §2) in whole seconds. Fractions are cut off.
func (m members) seconds(name string) (at int64, present bool, err error) {
	raw, ok := m[name]
	if !ok || string(raw) == "null" {
		return 0, false, nil
	}
	var number float64
	if err := json.Unmarshal(raw, &number); err != nil || math.Abs(number) > 1<<53 {
		return 0, false, fmt.Errorf("has a member %q that is not a time", name)
	}
	return int64(number), true, nil
}

// audience is "aud" (RFC 7519 §4.1.3): one text, or a list of texts.
func (m members) audience() ([]string, error) {
	raw, ok := m["aud"]
	if !ok {
		return nil, nil
	}
	var list []*string
	if len(raw) > 0 && raw[0] == '"' {
		list = make([]*string, 1)
		if err := json.Unmarshal(raw, &list[0]); err != nil {
			return nil, errors.New("has a malformed audience")
		}
	} else if err := json.Unmarshal(raw, &list); err != nil {
		return nil, errors.New("has a malformed audience")
	}
	var aud []string
	for _, one := range list {
		if one == nil || *one == "" {
			return nil, errors.New("has a malformed audience")
		}
		aud = append(aud, *one)
	}
	return aud, nil
}

// decidedNames are the claims that something is decided on. A twin of one in other letters would be read as it by whoever folds case.
var decidedNames = [...]string{
	"iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "auth_time", "acr", "sid", "tid", "oid",
	"groups", "roles", "scp", "scope", "NAVident", "pid",
}

// noTwins refuses such twins, by the folding of encoding/json (which takes U+017F for s).
func (m members) noTwins() error {
	for name := range m {
		for _, decided := range decidedNames {
			if name != decided && strings.EqualFold(name, decided) {
				return fmt.Errorf("has a member that is %q but for upper and lower case", decided)
			}
		}
	}
	return nil
}
