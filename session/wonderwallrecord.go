package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"postern/oidc"
)

// openWonderwallRecord opens the JSON that wonderwall keeps of a session, sealed with XChaCha20-Poly1305 by the data key of its cookie. acr is the
// level of the login. The refresh token is left where it is: nobody here has a use for it.
func openWonderwallRecord(t *ticket, value []byte) (r record, acr string, err error) {
	if len(value) > maxRecord {
		return record{}, "", errTooLarge
	}
	plain, err := openXChaCha(t.dataKey[:], value)
	if err != nil {
		return record{}, "", err
	}
	data, err := readMembers(plain)
	if err != nil {
		return record{}, "", err
	}
	r, acr, err = readWonderwall(data)
	if err != nil {
		return record{}, "", err
	}
	r.provider = wonderwallProvider(t.storeKey)
	return r, acr, nil
}

func readWonderwall(data members) (r record, acr string, err error) {
	var access, id string
	metadata := data.object("metadata", &err)
	lifetime, tokens := metadata.object("session", &err), metadata.object("tokens", &err)
	err = errors.Join(err,
		data.decode("access_token", &access), data.decode("id_token", &id), data.decode("external_session_id", &r.sid), data.decode("acr", &acr),
		lifetime.time("created_at", &r.created), lifetime.time("ends_at", &r.ends), lifetime.time("timeout_at", &r.timeout),
		tokens.time("expire_at", &r.expiry), tokens.time("refreshed_at", &r.refreshed),
	)
	switch {
	case err != nil:
		return record{}, "", err
	case access == "":
		return record{}, "", errMalformed
	}
	r.access, r.id = oidc.NewToken(access), oidc.NewToken(id)
	if r.claims, err = payloadOf(r.id); err != nil { // whoever wrote the record has checked the signature
		return record{}, "", errMalformed
	}
	claims, err := readMembers([]byte(r.claims))
	if err != nil {
		return record{}, "", err
	}
	var subject string
	if err := claims.decode("sub", &subject); err != nil || subject == "" {
		return record{}, "", errMalformed
	}
	return r, acr, nil
}

// members are those of a JSON object by their exact names. encoding/json alone would fold case, and take the last of two (GO-2026-4569).
type members map[string]json.RawMessage

// readMembers reads one object whose names are all different, and nothing after it.
func readMembers(data []byte) (members, error) {
	if !utf8.Valid(data) {
		return nil, errMalformed
	}
	in := json.NewDecoder(bytes.NewReader(data))
	if start, err := in.Token(); err != nil || start != json.Delim('{') {
		return nil, errMalformed
	}
	m := members{}
	for in.More() {
		token, err := in.Token()
		name, text := token.(string)
		if _, twice := m[name]; err != nil || !text || twice {
			return nil, errMalformed
		}
		var value json.RawMessage
		if err := in.Decode(&value); err != nil {
			return nil, errMalformed
		}
		m[name] = value
	}
	if _, err := in.Token(); err != nil {
		return nil, errMalformed
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, errMalformed
	}
	return m, nil
}

// decode reads a member; one that is absent leaves the target alone.
func (m members) decode(name string, into any) error {
	value, ok := m[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(value, into); err != nil {
		return fmt.Errorf("%w: %s", errMalformed, name) // the cause would quote it
	}
	return nil
}

// object reads a member that is an object, or adds to the error.
func (m members) object(name string, failed *error) members {
	inner, err := readMembers(m[name])
	if err != nil {
		*failed = fmt.Errorf("%w: %s", errMalformed, name)
	}
	return inner
}

// time reads a time of RFC 3339; the year 1 is none. Other years that no session has are refused, before arithmetic on them goes astray.
func (m members) time(name string, into *time.Time) error {
	if err := m.decode(name, into); err != nil {
		return err
	}
	*into = into.UTC()
	if !into.IsZero() && (into.Year() < 1971 || into.Year() > 2199) {
		return fmt.Errorf("%w: %s", errMalformed, name)
	}
	return nil
}
