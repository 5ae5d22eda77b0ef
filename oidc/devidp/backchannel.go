package devidp

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	logoutEvent     = "http://schemas.openid.net/event/backchannel-logout"
	logoutTokenLife = 2 * time.Minute
	tellTime        = 10 * time.Second // for a client to take a logout token
)

// Told is what a client answered to a logout token.
type Told struct {
	Client string `json:"client"`
	Status int    `json:"status"` // 0 if there was no answer
}

// EndSessions logs a person out at an issuer, wherever they are logged in, as an administrator would, and tells the clients of those sessions over the
// back channel. The person is named as in login_hint; "" means everybody. The base is that of [IdP.IssuerURL].
func (p *IdP) EndSessions(ctx context.Context, person, base string, of Issuer) (ended int, told []Told, err error) {
	if p.issuers[of] == nil {
		return 0, nil, errIssuer
	}
	s := p.seenFrom(of, base)
	var sessions []*ssoSession
	p.mu.Lock()
	s.at.sessions.each(func(key string, session *ssoSession) {
		if person == "" || session.person.answersTo(person) {
			s.at.sessions.drop(key)
			sessions = append(sessions, session)
		}
	})
	p.mu.Unlock()
	return len(sessions), s.tell(ctx, sessions), nil
}

// hasBackChannel says whether a client wants to be told over the back channel, and so whether the metadata offers it.
func (p *IdP) hasBackChannel() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.clients {
		if c.BackChannelLogoutURI != "" {
			return true
		}
	}
	return false
}

// tell sends a logout token to each client of the sessions that wants one (OIDC Back-Channel Logout 1.0 §2.5), all at once, and waits for what they
// say. Nothing is sent twice.
func (s site) tell(ctx context.Context, ended []*ssoSession) []Told {
	type letter struct {
		client  *client
		session *ssoSession
	}
	var letters []letter
	s.idp.mu.Lock()
	for _, session := range ended {
		for _, id := range slices.Sorted(maps.Keys(session.clients)) {
			if c := s.idp.clients[id]; c != nil && c.BackChannelLogoutURI != "" {
				letters = append(letters, letter{c, session})
			}
		}
	}
	s.idp.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTime)
	defer cancel()
	told := make([]Told, len(letters))
	var wait sync.WaitGroup
	for i, l := range letters {
		told[i].Client = l.client.ID
		wait.Go(func() {
			var err error
			if told[i].Status, err = s.send(ctx, l.client, l.session.person); err != nil {
				s.idp.cfg.Log.WarnContext(ctx, "test provider: a client could not be told of a logout", "client", l.client.ID, "error", err)
			}
		})
	}
	wait.Wait()
	return told
}

func (s site) send(ctx context.Context, c *client, who *person) (status int, err error) {
	token, err := s.sign(Draft{Kind: "logout_token", Header: map[string]any{"typ": "logout+jwt"}, Claims: s.logoutClaims(c, who)})
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BackChannelLogoutURI, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return 0, fmt.Errorf("send logout token: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := s.idp.cfg.HTTP.Do(r)
	if err != nil {
		return 0, fmt.Errorf("send logout token: %w", err)
	}
	return answer.StatusCode, answer.Body.Close()
}

// logoutClaims is the claim set of a logout token (§2.4): the session, and the person by the name that this client knows.
func (s site) logoutClaims(c *client, who *person) map[string]any {
	return map[string]any{
		"iss": s.issuer(), "aud": c.ID, "iat": s.now.Unix(), "exp": s.now.Add(logoutTokenLife).Unix(), "jti": s.idp.guid(),
		"sub": s.at.login.idClaims(s, &grant{client: c, person: who}, true)["sub"], "sid": who.sid,
		"events": map[string]any{logoutEvent: map[string]any{}},
	}
}

// newHTTPClient finds names below .localhost where RFC 6761 §6.3 puts them, and follows no redirect.
func newHTTPClient() *http.Client {
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if host, port, err := net.SplitHostPort(address); err == nil && net.ParseIP(host) == nil && loopback(host) {
					address = net.JoinHostPort("127.0.0.1", port)
				}
				return dialer.DialContext(ctx, network, address)
			},
		},
	}
}
