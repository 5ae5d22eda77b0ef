package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
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

func (m members) setIfAbsent(name string, seconds int64) {
	if !m.has(name) {
		m[name] = strconv.AppendInt(nil, seconds, 10)
	}
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
		return fmt.Errorf("has a member '%s' of the wrong type", name)
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
		return 0, false, fmt.Errorf("has a member '%s' that is not a time", name)
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

// overage says that the groups were too many for the token, so that it only points to them (tokens of Entra ID): "hasgroups", or an entry
// "groups" in "_claim_names" (OIDC Core §5.6.2).
func (m members) overage() bool {
	var has looseBool
	if m.decode("hasgroups", &has) == nil && has.yes() {
		return true
	}
	names, err := readObject(m["_claim_names"])
	return err == nil && names.has("groups")
}

// decidedNames are the claims that something is decided on. A twin of one in other letters would be read as it by whoever folds case.
var decidedNames = [...]string{
	"iss", "sub", "aud", "azp", "exp", "iat", "nbf", "jti", "uti", "nonce", "at_hash", "c_hash", "s_hash", "auth_time", "acr", "sid", "tid",
	"oid", "groups", "hasgroups", "_claim_names", "roles", "scp", "scope", "NAVident", "pid", "client_id", "idp", "idtyp", "ver", "typ", "cnf",
	"consumer", "supplier", "delegation_source",
}

// noTwins refuses twins of these and of more names.
func (m members) noTwins(more ...string) error {
	if err := m.noTwinsOf(decidedNames[:]); err != nil || len(more) == 0 {
		return err
	}
	return m.noTwinsOf(more)
}

// noTwinsOf refuses names that are one of these but for upper and lower case, by the folding of encoding/json (which takes U+017F for s),
// and names with a NUL, which end there for whoever reads them in C (GO-2026-4770).
func (m members) noTwinsOf(names []string) error {
	for name := range m {
		if strings.IndexByte(name, 0) >= 0 {
			return errors.New("has a member with a NUL in its name")
		}
		plain := isASCII(name)
		for _, decided := range names {
			if plain && len(name) != len(decided) && isASCII(decided) { // most are told apart by this
				continue
			}
			if name != decided && strings.EqualFold(name, decided) {
				return fmt.Errorf("has a member that is '%s' but for upper and lower case", decided)
			}
		}
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
