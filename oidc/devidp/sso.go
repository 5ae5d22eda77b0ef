package devidp

import (
	"net/http"
	"slices"
	"strings"
)

// cookieName is the single sign-on cookie. It is no cookie of Postern, and is sent to one issuer's path alone.
const cookieName = "devidp_session"

// ssoSession is a browser that is logged in here.
type ssoSession struct {
	person  *person
	level   int             // index of the level that was reached, 0 where there are none
	clients map[string]bool // who got a code, and hears of the logout
}

// ssoSession is the session of the request's cookie, nil if there is none. With several cookies of the name none counts.
func (p *IdP) ssoSession(x *exchange) *ssoSession {
	id, ok := x.sessionCookie()
	if !ok {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	session, _ := x.at.sessions.get(id, x.now)
	return session
}

func (x *exchange) sessionCookie() (string, bool) {
	cookies := x.r.CookiesNamed(cookieName)
	if len(cookies) != 1 || cookies[0].Value == "" {
		return "", false
	}
	return cookies[0].Value, true
}

// startSession gives the browser a new session and ends the one it had.
func (p *IdP) startSession(x *exchange, who *person, level int) *ssoSession {
	session := &ssoSession{person: who, level: level, clients: map[string]bool{}}
	id := p.secret()
	old, _ := x.sessionCookie()
	p.mu.Lock()
	x.at.sessions.drop(old)
	x.at.sessions.put(id, session, x.now)
	p.mu.Unlock()
	x.setSession(id, 0)
	return session
}

func (x *exchange) setSession(id string, maxAge int) {
	http.SetCookie(x.w, &http.Cookie{ //nolint:gosec // Secure would lose it on plain http, which is what a test provider speaks
		Name: cookieName, Value: id, Path: x.at.home, MaxAge: maxAge,
		HttpOnly: true, Secure: strings.HasPrefix(x.base, "https://"), SameSite: http.SameSiteLaxMode,
	})
}

// endSessions ends the browser's session and that of the id token hint, and returns the clients that took part, in order.
func (p *IdP) endSessions(x *exchange, sid string) (ended []*ssoSession) {
	id, ok := x.sessionCookie()
	p.mu.Lock()
	defer p.mu.Unlock()
	x.at.sessions.each(func(key string, s *ssoSession) {
		if (ok && key == id) || (sid != "" && s.person.sid == sid) {
			x.at.sessions.drop(key)
			ended = append(ended, s)
		}
	})
	return ended
}

// answersTo says whether a login_hint means this person.
func (who Persona) answersTo(hint string) bool {
	return slices.ContainsFunc([]string{who.ID, who.Username, who.ObjectID, who.PID, who.loginHint()}, func(name string) bool {
		return name != "" && strings.EqualFold(name, hint)
	})
}
