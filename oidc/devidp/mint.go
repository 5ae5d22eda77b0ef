package devidp

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The profiles of minted tokens: each starts from what a real token of its kind says. The empty profile starts from nothing.
const (
	MintEntraUser       = "entra-user"     // access token about a person
	MintEntraApp        = "entra-app"      // access token of an app's own
	MintEntraIDToken    = "entra-id-token" //nolint:gosec // the name of a profile
	MintTokenX          = "tokenx"
	MintMaskinporten    = "maskinporten"
	MintIDPorten        = "idporten"          // access token
	MintIDPortenIDToken = "idporten-id-token" //nolint:gosec // the name of a profile
	MintEntraLogout     = "entra-logout-token"
	MintIDPortenLogout  = "idporten-logout-token"
)

// mintProfiles is the profiles and whose keys sign them.
func mintProfiles() map[string]Issuer {
	return map[string]Issuer{
		"": Entra, MintEntraUser: Entra, MintEntraApp: Entra, MintEntraIDToken: Entra, MintTokenX: TokenX, MintMaskinporten: Maskinporten,
		MintIDPorten: IDPorten, MintIDPortenIDToken: IDPorten,
		MintEntraLogout: Entra, MintIDPortenLogout: IDPorten,
	}
}

// MintRequest asks for a token with any content. The zero value is an empty claim set, signed as Entra ID would.
type MintRequest struct {
	Profile      string         `json:"profile"`       // one of the Mint constants, or ""
	Persona      string         `json:"persona"`       // whom it is about, named as in login_hint; empty means the first who fits
	Claims       map[string]any `json:"claims"`        // laid over those of the profile; nil takes one away
	Header       map[string]any `json:"header"`        // laid over typ, alg and kid; nil takes one away
	Alg          string         `json:"alg"`           // RS256 (also if empty), PS256, RS384, RS512, ES256, none, or HS256 with the public key as secret
	Key          string         `json:"key"`           // "" the one that signs, "unknown" never published, "withdrawn" the last one that was, or an issuer's name
	BadSignature bool           `json:"bad_signature"` // sign something else
	RawPayload   string         `json:"raw_payload"`   // signed as it is in place of the claims: doubled members, no JSON at all
	ExpIn        *int           `json:"exp_in"`        // exp, iat and nbf in seconds from now; nil means as the profile does
	IatIn        *int           `json:"iat_in"`
	NbfIn        *int           `json:"nbf_in"`
	Base         string         `json:"-"` // scheme and host by which the reader of the token knows the provider; empty means Config.BaseURL
}

// Mint signs the token that is asked for. Nothing of it is checked: whether it verifies is for its reader to find out.
func (p *IdP) Mint(m MintRequest) (string, error) {
	token, _, err := p.mint(m)
	return token, err
}

// mint also returns what was signed.
func (p *IdP) mint(m MintRequest) (string, Draft, error) {
	name, known := mintProfiles()[m.Profile]
	if !known {
		return "", Draft{}, fmt.Errorf("mint token: unknown profile; known are %s", strings.Join(slices.Sorted(maps.Keys(mintProfiles())), " "))
	}
	s := p.seenFrom(name, m.Base)
	if s.base == "" && m.Profile != "" {
		return "", Draft{}, errors.New("mint token: without a base URL nobody knows the issuer")
	}
	claims, err := s.mintClaims(m)
	if err != nil {
		return "", Draft{}, err
	}
	for claim, in := range map[string]*int{"exp": m.ExpIn, "iat": m.IatIn, "nbf": m.NbfIn} {
		if in != nil {
			claims[claim] = s.now.Unix() + int64(*in)
		}
	}
	lay(claims, m.Claims)
	alg := cmp.Or(m.Alg, "RS256")
	key, err := s.mintKey(m.Key, alg == "ES256")
	if err != nil {
		return "", Draft{}, err
	}
	header := map[string]any{}
	if m.Profile == MintEntraLogout || m.Profile == MintIDPortenLogout {
		header["typ"] = "logout+jwt"
	}
	maps.Copy(header, m.Header)
	d := Draft{Kind: "minted", Header: header, Claims: claims, BadSignature: m.BadSignature}
	token, err := s.signBy(key, alg, m.RawPayload, &d)
	return token, d, err
}

// lay puts changes over an object; nil takes a member away.
func lay(object, changes map[string]any) {
	maps.Copy(object, changes)
	maps.DeleteFunc(object, func(_ string, value any) bool { return value == nil })
}

// mintKey is the key that is asked for: one of the issuer's own, one of another issuer, or one that nobody can know (any more).
func (s site) mintKey(which string, elliptic bool) (*signingKey, error) {
	ring := s.at.keys
	switch which {
	case "":
	case "unknown":
		return ring.stranger(elliptic)
	case "withdrawn":
		key, err := ring.lastWithdrawn(elliptic)
		if err != nil {
			return nil, errors.New("mint token: no key of this kind is withdrawn; rotate and withdraw first")
		}
		return key, nil
	default:
		other := s.idp.issuers[Issuer(which)]
		if other == nil {
			return nil, errors.New(`mint token: key must be "unknown", "withdrawn" or the name of an issuer`)
		}
		ring = other.keys
	}
	if elliptic {
		return ring.ec()
	}
	return ring.signer()
}

// mintClaims is what a real token of the profile would say.
func (s site) mintClaims(m MintRequest) (map[string]any, error) {
	c := s.mintClient()
	life := s.lifetime()
	switch m.Profile {
	case "":
		return map[string]any{}, nil
	case MintEntraApp:
		return s.entraAppClaims(c, c.ID, []string{defaultRole}, PrivateKeyJWT, life), nil
	case MintMaskinporten:
		return s.maskinportenClaims(c.ID, life), nil
	}
	logsIn := s
	if m.Profile == MintTokenX {
		logsIn = s.of(IDPorten)
	}
	g, err := logsIn.mintGrant(c, m.Persona)
	if err != nil {
		return nil, err
	}
	switch m.Profile {
	case MintEntraUser:
		return s.entraUserClaims(g, c.ID, c.Scopes, PrivateKeyJWT, life), nil
	case MintIDPorten:
		return s.idPortenAccessClaims(g, g.scopes, PrivateKeyJWT, life), nil
	case MintEntraLogout, MintIDPortenLogout:
		return s.logoutClaims(c, g.person), nil
	case MintTokenX:
		subject := logsIn.idPortenAccessClaims(g, g.scopes, PrivateKeyJWT, logsIn.lifetime())
		return s.tokenXClaims(subject, s.idp.cfg.TokenXAudience, DefaultTokenXCaller, life), nil
	}
	return s.at.login.idClaims(s, g, false), nil
}

// mintClient is the first client that was registered, or a made-up one.
func (s site) mintClient() *client {
	s.idp.mu.Lock()
	defer s.idp.mu.Unlock()
	if c := s.idp.clients[s.idp.firstClient]; c != nil {
		return c
	}
	return &client{ClientConfig: ClientConfig{
		ID: "5f1d7c1e-8f0a-4d53-9d0c-6a1f0f7f3b10", Name: DefaultTokenXAudience, Scopes: []string{"defaultaccess"},
	}}
}

// mintGrant is a login as it would have been a moment ago, at the highest level that the person reaches.
func (s site) mintGrant(c *client, persona string) (*grant, error) {
	at := slices.IndexFunc(s.idp.cfg.Personas, func(who Persona) bool {
		return s.at.admits(who) && (persona == "" || who.answersTo(persona))
	})
	if at < 0 {
		return nil, errors.New("mint token: nobody of that name can log in at " + s.at.title)
	}
	who := s.idp.cfg.Personas[at]
	return &grant{
		client: c, scopes: scopes{openid: []string{"openid"}}, nonce: s.idp.secret(), acr: s.at.acr(s.at.most(who)), locale: "nb",
		resource: s.idp.cfg.IDPortenAudience, person: &person{Persona: who, authTime: s.now.Add(-time.Second), sid: s.idp.guid()},
	}, nil
}
