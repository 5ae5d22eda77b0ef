package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// soakEcho is what the soak's app says of a request. It keeps nothing: [App] remembers every request.
type soakEcho struct{ URI, User, Authorization string }

func soakApp(t testing.TB) *AppServer {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(soakEcho{r.RequestURI, r.Header.Get("X-Postern-User"), r.Header.Get("Authorization")})
	}))
	t.Cleanup(server.Close)
	return &AppServer{URL: server.URL, Addr: strings.TrimPrefix(server.URL, "http://")}
}

// soakAnswer is one request and what came of it.
type soakAnswer struct {
	what, path  string
	replica     int
	public      bool
	asked, done time.Time

	err         error
	status      int
	cookies     int
	retryAfter  string
	location    string
	uri, user   string // as the app saw them
	tokenUser   string // whom the access token at the app is about
	tokenExpiry time.Time
}

func (a soakAnswer) took() time.Duration { return a.done.Sub(a.asked) }

func (a soakAnswer) String() string {
	if a.err != nil {
		return fmt.Sprintf("%s %s: no answer: %v", a.what, a.path, a.err)
	}
	return fmt.Sprintf("%s %s: status %d for %q", a.what, a.path, a.status, a.user)
}

// soakBrowser is one browser of one user. Its methods are called by one goroutine.
type soakBrowser struct {
	*soak
	user    string
	random  *rand.Rand
	client  *Client // for logins: it has the cookies
	session *soakSession
	n       int
}

// send makes one request at a replica, with a cookie or none.
func (k *soak) send(method, path, cookie string, replica int, headers ...string) (soakAnswer, *http.Response, []byte) {
	return k.sendBody(method, path, cookie, http.NoBody, replica, headers...)
}

func (k *soak) sendBody(method, path, cookie string, body io.Reader, replica int, headers ...string) (soakAnswer, *http.Response, []byte) {
	a := soakAnswer{what: method, path: path, replica: replica, public: strings.HasPrefix(path, "/public/"), asked: time.Now()}
	r, err := http.NewRequest(method, k.w.All[replica].URL()+path, body)
	if err != nil {
		a.err, a.done = err, time.Now()
		return a, nil, nil
	}
	r.Host = k.w.host()
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := k.http.Do(r)
	var answer []byte
	if err == nil {
		answer, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	a.done, a.err = time.Now(), err
	if err != nil {
		return a, nil, nil
	}
	a.status, a.cookies = resp.StatusCode, len(resp.Cookies())
	a.retryAfter, a.location = resp.Header.Get("Retry-After"), resp.Header.Get("Location")
	return a, resp, answer
}

// asNavigation are headers of a person who follows a link.
var asNavigation = []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none"}

// visit asks for a path of the app and judges the answer.
func (k *soak) visit(s *soakSession, path string, replica int, headers ...string) soakAnswer {
	cookie := ""
	if s != nil {
		cookie = s.cookie
	}
	a, _, body := k.send(http.MethodGet, path, cookie, replica, headers...)
	if a.status == http.StatusOK {
		var e soakEcho
		if a.err = json.Unmarshal(body, &e); a.err == nil {
			a.uri, a.user = e.URI, e.User
			a.tokenUser, a.tokenExpiry = readToken(e.Authorization)
		}
	}
	k.model.judge(s, a)
	return a
}

// readToken is whom an access token is about, and until when. Nobody checks it here: it came from the app.
func readToken(authorization string) (user string, expiry time.Time) {
	parts := strings.Split(authorization, ".")
	if len(parts) != 3 {
		return "", time.Time{}
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		NAVident string `json:"NAVident"`
		Exp      int64  `json:"exp"`
	}
	_ = json.Unmarshal(payload, &claims)
	return claims.NAVident, time.Unix(claims.Exp, 0)
}

// act does one of the things that people do.
func (b *soakBrowser) act() {
	replica := b.random.IntN(len(b.w.All))
	b.n++
	if b.session != nil {
		if _, ended := b.session.state(); !ended.IsZero() { // by another browser of the same user
			b.session = nil
		}
	}
	if b.random.IntN(300) == 0 {
		b.leaveEverywhere()
		return
	}
	path := fmt.Sprintf("/x/%s/%d", b.user, b.n)
	switch dice := b.random.IntN(100); {
	case b.session == nil && dice < 60:
		b.login(replica)
	case b.session == nil:
		b.visit(nil, path, replica)
	case dice < 70:
		if a := b.visit(b.session, path, replica); a.status == http.StatusUnauthorized { // in order, or the model has said so
			b.session = nil
		}
	case dice < 78:
		b.visit(b.session, path, replica, asNavigation...)
	case dice < 82:
		b.visit(b.session, "/public"+path, replica)
	case dice < 86:
		b.page(path)
	case dice < 90:
		b.ask(http.MethodGet, "/oauth2/session", replica)
	case dice < 93:
		b.ask(http.MethodPost, "/oauth2/session/refresh", replica)
	case dice < 95:
		b.login(replica) // once more, over the session that is there
	case dice < 98:
		b.logout("/oauth2/logout/local")
	default:
		b.logout("/oauth2/logout")
	}
}

// page is what a page load does: several requests at once, wherever they go.
func (b *soakBrowser) page(path string) {
	var wait sync.WaitGroup
	for n := range 6 {
		replica := b.random.IntN(len(b.w.All))
		wait.Go(func() { b.visit(b.session, fmt.Sprintf("%s/%d", path, n), replica) })
	}
	wait.Wait()
}

// ask asks Postern itself about the session.
func (b *soakBrowser) ask(method, path string, replica int) {
	a, _, body := b.send(method, path, b.session.cookie, replica)
	switch {
	case a.status == http.StatusOK && strings.Contains(string(body), `"session"`):
		b.session.note(b.model, a)
		b.model.count("session endpoints")
	default:
		b.model.judge(b.session, a)
	}
}

// login signs the browser in at one replica and comes back to another one.
func (b *soakBrowser) login(replica int) {
	old := b.session
	start := b.try(fmt.Sprintf("/oauth2/login?redirect=/x/%s/%d", b.user, b.n), replica) // the same place again and again would be a loop
	if start.status != http.StatusFound {
		b.judgeLogin(start)
		return
	}
	claims := fmt.Sprintf(`{"sub":%q,"oid":%q,"NAVident":%q}`, "sub-"+b.user, "oid-"+b.user, b.user)
	back := b.w.dev.SignInWith(b.client, start.response, "kari", claims)
	if old != nil {
		old.leave()
	}
	done := b.try(back.Where().RequestURI(), b.random.IntN(len(b.w.All)))
	name, value := b.w.sessionCookie(b.client)
	if done.status != http.StatusFound || done.err != nil || value == "" {
		if done.status != http.StatusUnauthorized || !b.model.wasOvertaken(b.user, start.asked) {
			b.judgeLogin(done)
		}
		if old != nil { // it may have ended or not; whoever wants to be sure logs out
			b.settle(old)
			b.session = nil
		}
		return
	}
	if old != nil && b.model.broken(done.soakAnswer, true, brokenStore, brokenProcess, brokenMachine) {
		b.settle(old) // the new session was made, and in the next moment the store was gone
	} else if old != nil {
		b.model.left(old, done.done)
	}
	b.session = b.model.login(b.user, name+"="+value, start.asked)
	b.session.note(b.model, done.soakAnswer)
	b.model.count("logins")
}

// loginAnswer is one to the browser with the cookies.
type loginAnswer struct {
	soakAnswer
	response *Response
}

func (b *soakBrowser) try(path string, replica int) loginAnswer {
	a := soakAnswer{what: "login", path: strings.SplitN(path, "?", 2)[0], replica: replica, asked: time.Now()}
	r, err := b.client.Try(http.MethodGet, "http://app.localhost:"+b.w.All[replica].Port()+path, "", append([]string{"Host", b.w.host()}, asNavigation...)...)
	a.done, a.err = time.Now(), err
	if err == nil {
		a.status, a.retryAfter = r.StatusCode, r.Header.Get("Retry-After")
	}
	return loginAnswer{a, r}
}

// judgeLogin is for one that did not succeed.
func (b *soakBrowser) judgeLogin(a loginAnswer) {
	b.model.count("logins in trouble")
	switch {
	case a.err != nil && b.model.broken(a.soakAnswer, true, brokenProcess):
	case a.status == http.StatusServiceUnavailable && a.retryAfter != "" && b.model.broken(a.soakAnswer, true, brokenStore, brokenProcess, brokenMachine):
	default:
		b.model.violation(b.session, a.soakAnswer, "a login that fails while nothing is broken, or in another way than by 503")
	}
}

// logout ends the session. A browser that is told of trouble tries again until it is told of success.
func (b *soakBrowser) logout(path string) {
	s := b.session
	b.session = nil
	if b.end(s, path) && b.random.IntN(2) == 0 {
		b.client.Forget()
	}
}

// leaveEverywhere has the provider say that the user was logged out (OIDC Back-Channel Logout 1.0), until that is answered with success.
func (b *soakBrowser) leaveEverywhere() {
	answered := b.model.leaveEverywhere(b.user)
	for {
		token := b.w.logoutToken(b.t, map[string]any{"sub": "sub-" + b.user, "sid": nil})
		form := strings.NewReader(url.Values{"logout_token": {token}}.Encode())
		a, _, _ := b.sendBody(http.MethodPost, "/oauth2/logout/backchannel", "", form, b.random.IntN(len(b.w.All)), "Content-Type", "application/x-www-form-urlencoded")
		switch {
		case a.status == http.StatusOK:
			answered(a.done)
			b.model.count("logouts everywhere")
			return
		case a.err == nil && a.status != http.StatusServiceUnavailable:
			b.model.violation(nil, a, "a logout by the back channel that is neither done nor in trouble")
			answered(time.Time{})
			return
		}
		b.model.count("logouts everywhere in trouble")
		select {
		case <-b.over:
			answered(time.Time{})
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// settle ends a session of which nobody knows whether it has.
func (b *soakBrowser) settle(s *soakSession) { b.end(s, "/oauth2/logout/local") }

func (b *soakBrowser) end(s *soakSession, path string) bool {
	s.leave()
	for {
		a, _, _ := b.send(http.MethodGet, path, s.cookie, b.random.IntN(len(b.w.All)), asNavigation...)
		s.note(b.model, a)
		switch {
		case a.status == http.StatusNoContent || a.status == http.StatusFound && strings.HasPrefix(a.location, b.w.dev.origin()):
			b.model.left(s, a.done)
			b.model.count("logouts")
			return true
		case a.err == nil && a.status != http.StatusServiceUnavailable:
			b.model.violation(s, a, "a logout that is neither done nor in trouble")
			return false
		case a.err != nil && !b.model.broken(a, true, brokenProcess), a.err == nil && !b.model.broken(a, true, brokenStore, brokenProcess, brokenMachine):
			b.model.violation(s, a, "a logout that fails while nothing is broken")
			return false
		case a.err == nil && a.cookies > 0:
			b.model.violation(s, a, "a logout that did not work takes the cookie away")
		}
		b.model.count("logouts in trouble")
		select {
		case <-b.over:
			return false
		case <-time.After(100 * time.Millisecond):
		}
	}
}
