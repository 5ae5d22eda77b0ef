package devidp

import (
	"net/http"
	"strings"
)

// flow is a login that waits for a person.
type flow struct{ request *authRequest }

// loginView is what the login page shows.
type loginView struct {
	At       string // name of the issuer
	Citizens bool   // show national identity numbers and levels in place of groups
	Level    string // that the login is for, "" where there are none
	Example  string // of free claims
	Action   string
	Flow     string
	App      string
	Returns  string // origin that the browser goes back to
	Why      string
	Personas []personaView
	Claims   string // as typed
	Problem  string // with the claims
}

type personaView struct {
	Persona
	Initials string
	Hue      int
	AtMost   string // level, in short
	SignedIn bool
	Hinted   bool
}

// login shows the people to choose from, and takes the choice.
func (p *IdP) login(x *exchange) {
	if !x.allow(http.MethodGet, http.MethodPost) {
		return
	}
	if err := http.NewCrossOriginProtection().Check(x.r); err != nil { // nobody is logged in as somebody by another site
		x.message(http.StatusForbidden, "Sent from another site", "The login form only works from its own page.", "")
		return
	}
	q, bad := x.query()
	if bad != nil || !q.single() {
		x.refusePage(refuse(9002313))
		return
	}
	p.mu.Lock()
	waiting, found := x.at.flows.get(q.get("flow"), x.now)
	p.mu.Unlock()
	if !found {
		x.message(http.StatusBadRequest, "This login is over",
			"It was finished, or has waited too long. Go back to the app and start again.", "")
		return
	}
	if x.r.Method != http.MethodPost {
		x.loginPage(http.StatusOK, q.get("flow"), waiting.request, "", "")
		return
	}
	p.choose(x, q, waiting.request)
}

func (p *IdP) choose(x *exchange, q params, a *authRequest) {
	who, known := x.persona(q.get("persona"))
	extra, err := parseFreeClaims(q.get("claims"))
	cancelled := q.get("cancel") != ""
	switch {
	case cancelled:
	case err != nil:
		x.loginPage(http.StatusBadRequest, q.get("flow"), a, q.get("claims"), err.Error())
		return
	case !known:
		x.loginPage(http.StatusBadRequest, q.get("flow"), a, q.get("claims"), "choose one of the people below")
		return
	}
	p.mu.Lock()
	_, still := x.at.flows.take(q.get("flow"), x.now)
	p.mu.Unlock()
	if !still { // a double click: the other request goes on
		x.message(http.StatusConflict, "This login is over", "It has just been answered.", "")
		return
	}
	if cancelled {
		x.refuseTo(a.redirectURI, a.state, refuse(65004))
		return
	}
	// Choosing the account that is logged in already is no new authentication.
	if session := p.ssoSession(x); session != nil && !a.asks("login") && a.maxAge < 0 && extra == nil && session.person.ID == who.ID &&
		!x.stepsUp(a, session) {
		p.release(x, a, session)
		return
	}
	p.admit(x, a, who, extra)
}

// automatic is who logs in without a page; nobody if that is somebody for another issuer.
func (x *exchange) automatic(hint string) (Persona, bool) {
	x.idp.mu.Lock()
	auto := x.idp.autoLogin
	x.idp.mu.Unlock()
	if auto == "" {
		return Persona{}, false
	}
	if who, ok := x.persona(hint); ok {
		return who, true
	}
	return x.persona(auto)
}

func (x *exchange) loginPage(status int, flowID string, a *authRequest, typed, problem string) {
	view := loginView{
		At: x.at.title, Action: x.at.paths[EndpointLogin], Flow: flowID, App: a.client.Name, Returns: origin(a.redirectURI), Claims: typed,
		Problem: problem, Citizens: x.at.name == IDPorten, Level: x.at.acr(a.level), Example: x.at.exampleClaim,
	}
	session := x.idp.ssoSession(x)
	switch {
	case a.asks("consent"):
		view.Why = "The app asks for your consent: choosing a person gives it, cancelling refuses it."
	case session != nil && x.stepsUp(a, session):
		view.Why = "The app asks for a higher level than you have logged in with."
	case a.asks("login") || (a.maxAge >= 0 && session != nil):
		view.Why = "The app wants you to log in again."
	case a.asks("select_account"):
		view.Why = "The app wants you to choose an account."
	}
	for i, who := range x.idp.cfg.Personas {
		if !x.at.admits(who) {
			continue
		}
		one := viewOf(who, i)
		one.SignedIn = session != nil && session.person.ID == who.ID
		one.Hinted = a.loginHint != "" && who.answersTo(a.loginHint)
		if one.Hinted {
			view.Personas = append([]personaView{one}, view.Personas...)
			continue
		}
		view.Personas = append(view.Personas, one)
	}
	// Chromium holds a form to this policy through all redirects that follow, so the client's own origins are in it.
	targets := []string{origin(a.redirectURI)}
	for _, uris := range [][]string{a.client.RedirectURIs, a.client.Origins} {
		for _, uri := range uris {
			targets = append(targets, origin(uri))
		}
	}
	x.page(status, pageLogin, view, policy{forms: targets})
}

// viewOf is somebody as pages show them, the nth of all.
func viewOf(who Persona, n int) personaView {
	return personaView{Persona: who, Initials: initials(who.Name), Hue: n % 8, AtMost: strings.TrimPrefix(who.ACR, "idporten-loa-")}
}

// initials are the first letters of the first two words.
func initials(name string) string {
	var letters []rune
	for word := range strings.FieldsSeq(name) {
		if len(letters) < 2 {
			letters = append(letters, []rune(word)[0])
		}
	}
	return strings.ToUpper(string(letters))
}
