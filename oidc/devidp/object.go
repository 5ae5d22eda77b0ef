package devidp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of JSON that comes from outside.
const (
	maxObject = 8 << 10 // bytes of free claims and of the claims parameter
	maxDepth  = 16
)

// parseObject reads one JSON object, and refuses what two readers could read in two ways: doubled members, bytes behind it, invalid
// UTF-8, and very deep nesting. Numbers stay as they were written.
func parseObject(raw []byte) (map[string]any, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	value, err := parseValue(d, 0)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON object")
	}
	return object, nil
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, errors.New("not valid JSON") // the cause would quote the input
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth >= maxDepth {
		return nil, errors.New("nested too deeply")
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			item, err := parseValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		return list, closing(d)
	}
	object := map[string]any{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errors.New("not valid JSON")
		}
		if _, twice := object[name]; twice {
			return nil, errors.New("a member is there twice")
		}
		if object[name], err = parseValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	return object, closing(d)
}

func closing(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return errors.New("not valid JSON")
	}
	return nil
}

// protocol claims are ours alone: with one of them changed nobody could log in, which [IdP.AlterTokens] is for.
func protocolClaims() []string {
	return []string{"iss", "aud", "exp", "iat", "nbf", "nonce", "azp", "azpacr", "sid", "auth_time", "ver", "_claim_names", "_claim_sources"}
}

// parseFreeClaims reads what a person typed on the login page. A null takes a claim away. The error is a sentence for that page and quotes
// nothing but names that are on our own list.
func parseFreeClaims(typed string) (map[string]any, error) {
	typed = strings.TrimSpace(typed)
	if typed == "" {
		return nil, nil
	}
	if len(typed) > maxObject {
		return nil, fmt.Errorf("longer than %d bytes", maxObject)
	}
	claims, err := parseObject([]byte(typed))
	if err != nil {
		return nil, err
	}
	for name := range claims {
		if slices.Contains(protocolClaims(), name) {
			return nil, fmt.Errorf("%s cannot be changed here", name)
		}
	}
	for _, name := range []string{"sub", "oid", "tid"} {
		if value, there := claims[name]; there {
			if s, ok := value.(string); !ok || s == "" {
				return nil, fmt.Errorf("%s must be a text", name)
			}
		}
	}
	return claims, nil
}
