package session

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"postern/oidc"
)

// An SSO proxy also reads the sessions of a wonderwall SSO server (S-49), so that apps can move one by one. It only reads: such a session is never
// renewed, moved, ended or kept in memory here.

// openWonderwall opens what the store has of such a session. What cannot be used is nobody, as a record of ours is that does not open.
func (m *Manager) openWonderwall(ctx context.Context, t *ticket, value []byte) (*opened, error) {
	o, err := m.openedWonderwall(t, value)
	if err != nil {
		m.log.WarnContext(ctx, "a session record of wonderwall cannot be used", "session", t.logName, "error", err)
		m.unknown.add(t.cookie, m.now())
		return nil, ErrNoSession
	}
	return o, nil
}

func (m *Manager) openedWonderwall(t *ticket, value []byte) (*opened, error) {
	r, acr, err := openWonderwallRecord(t, value)
	if err != nil {
		return nil, err
	}
	o, err := m.newOpened(t, Revision{}, r, nil)
	if err != nil {
		return nil, err
	}
	// The level of the session is that of its login. An id token that a refresh brought may say as much or less, and never more (S-18).
	if !oidc.ACRSatisfies(o.session.identity.ACR(), acr) {
		return nil, errors.New("its id token has another level than its login")
	}
	return o, nil
}

const (
	// maxWonderwallID bounds the name of a record: provider, client id and the provider's session id or 64 random bytes.
	maxWonderwallID = 1024

	wonderwallOverhead = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead
)

// openWonderwallCookie opens {"id": store key, "dek": data key}, which wonderwall seals with XChaCha20-Poly1305 by the encryption key itself and
// writes as base64url without padding. It returns [ErrNoSession] for anything else, without a call of the store.
func openWonderwallCookie(ring *KeyRing, value string, print fingerprint) (*ticket, error) {
	if len(value) > maxSealed || strings.ContainsAny(value, "\r\n") {
		return nil, ErrNoSession
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(sealed) <= wonderwallOverhead {
		return nil, ErrNoSession
	}
	for _, k := range ring.current.Load().keys {
		plain, err := openXChaCha(k.secret, sealed)
		if err != nil {
			continue
		}
		t, err := readWonderwallTicket(plain)
		if err != nil {
			return nil, ErrNoSession
		}
		t.wonderwall, t.cookie, t.sealedBy = true, print, k
		t.handle, t.logName = k.mac("wonderwall", t.storeKey), k.hash("log", t.storeKey)[:22]
		return t, nil
	}
	return nil, ErrNoSession
}

func readWonderwallTicket(plain []byte) (*ticket, error) {
	m, err := readMembers(plain)
	if err != nil {
		return nil, err
	}
	var id string
	var dataKey []byte
	if err := errors.Join(m.decode("id", &id), m.decode("dek", &dataKey)); err != nil {
		return nil, err
	}
	if len(dataKey) != keySize || !wonderwallID(id) {
		return nil, errMalformed
	}
	t := &ticket{storeKey: id}
	copy(t.dataKey[:], dataKey)
	return t, nil
}

// wonderwallID says whether a text is "provider:client id:session id" and nothing that could be one of our own keys, or a key of anything else.
func wonderwallID(id string) bool {
	if len(id) > maxWonderwallID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return false
	}
	parts := strings.SplitN(id, ":", 3)
	return len(parts) == 3 && parts[0] != "" && parts[0] != "postern" && parts[1] != "" && parts[2] != ""
}

// wonderwallProvider is the login provider of a record by its name: wonderwall takes every other word for a generic one.
func wonderwallProvider(id string) string {
	switch provider, _, _ := strings.Cut(id, ":"); provider {
	case "azure":
		return oidc.EntraID
	case "idporten":
		return oidc.IDPorten
	default:
		return oidc.OpenID
	}
}

// openXChaCha opens nonce, ciphertext and tag, without associated data.
func openXChaCha(secret, sealed []byte) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(secret)
	if err != nil {
		return nil, err
	}
	if len(sealed) < wonderwallOverhead {
		return nil, errForeign
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return nil, errForeign
	}
	return plain, nil
}
