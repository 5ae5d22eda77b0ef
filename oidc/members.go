package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// members are the top-level members of a JSON object by their exact names, as parts of the text that was read. encoding/json alone would fold
// case and take the last of two (GO-2026-4569).
type members map[string]string

var (
	errNoObject = errors.New("is not a JSON object")
	errDoubled  = errors.New("has a member twice")
	errNoText   = errors.New("is not a text")
)

// readObject reads an object whose names are all different. Errors continue a sentence and hold nothing of the text. What is taken out of it
// keeps all of it alive.
func readObject(text string) (members, error) {
	start := skipSpace(text, 0)
	if byteAt(text, start) != '{' {
		return nil, errNoObject
	}
	const usual = 24
	m := make(members, min(strings.Count(text, ":"), usual))
	doubled := false
	end := endOfCompound(text, start, 1, func(quoted string, from, to int) {
		name, err := unquote(quoted)
		doubled = doubled || err != nil || m.has(name)
		m[name] = text[from:to]
	})
	switch {
	case end < 0 || skipSpace(text, end) != len(text):
		return nil, errNoObject
	case doubled:
		return nil, errDoubled
	}
	return m, nil
}

func (m members) has(name string) bool {
	_, ok := m[name]
	return ok
}

func (m members) setIfAbsent(name string, seconds int64) {
	if !m.has(name) {
		m[name] = strconv.FormatInt(seconds, 10)
	}
}

// decode reads one member into target; absent and null leave it alone.
func (m members) decode(name string, target any) error {
	raw, ok := m[name]
	if !ok {
		return nil
	}
	var err error
	switch target := target.(type) {
	case *string:
		err = decodeText(raw, target)
	case *stringOrList:
		*target, err = readStringOrList(raw)
	case *looseBool:
		*target = readLooseBool(raw)
	default:
		err = json.Unmarshal([]byte(raw), target)
	}
	return wrongType(name, err)
}

// object is one JSON object of them, sorted by name; their values are as they came.
func (m members) object() string {
	text := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendMember(text, name, m[name])
	}
	return string(append(text, '}'))
}

func appendMember(to []byte, name, value string) []byte {
	return append(append(appendText(to, name), ':'), value...)
}

func appendText(b []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // texts always encode
	}
	return append(b, quoted...)
}

// text is a string member, empty if absent.
func (m members) text(name string) (text string, err error) {
	if raw, ok := m[name]; ok {
		err = wrongType(name, decodeText(raw, &text))
	}
	return text, err
}

func wrongType(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("has a member '%s' of the wrong type", name)
}

func decodeText(raw string, target *string) (err error) {
	switch {
	case raw[0] == '"':
		*target, err = unquote(raw)
	case raw != "null":
		err = errNoText
	}
	return err
}

// seconds is a NumericDate (RFC 7519 §2) in whole seconds. Fractions are cut off.
func (m members) seconds(name string) (at int64, present bool, err error) {
	raw, ok := m[name]
	if !ok || raw == "null" {
		return 0, false, nil
	}
	number, err := strconv.ParseFloat(raw, 64) // of all JSON values it takes numbers only
	if err != nil || math.Abs(number) > 1<<53 {
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
	audience, err := readStringOrList(raw)
	if err != nil || slices.Contains(audience, "") { // null reads as ""
		return nil, errors.New("has a malformed audience")
	}
	if len(audience) == 0 {
		return nil, nil
	}
	return audience, nil
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
var decidedNames = newNameSet(
	"iss", "sub", "aud", "azp", "exp", "iat", "nbf", "jti", "uti", "nonce", "at_hash", "c_hash", "s_hash", "auth_time", "acr", "sid", "tid",
	"oid", "groups", "hasgroups", "_claim_names", "roles", "scp", "scope", "NAVident", "pid", "client_id", "idp", "idtyp", "ver", "typ", "cnf",
	"consumer", "supplier", "delegation_source",
)

// noTwins refuses twins of these.
func (m members) noTwins() error { return m.noTwinsOf(decidedNames) }

// noTwinsOf refuses names that are one of these but for upper and lower case, and names with a NUL, which end there for whoever reads them in C
// (GO-2026-4770).
func (m members) noTwinsOf(decided *nameSet) error {
	for name := range m {
		if strings.IndexByte(name, 0) >= 0 {
			return errors.New("has a member with a NUL in its name")
		}
		if twin := decided.twinOf(name); twin != "" {
			return fmt.Errorf("has a member that is '%s' but for upper and lower case", twin)
		}
	}
	return nil
}
