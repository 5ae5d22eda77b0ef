package demoapp

import (
	"net/http"
	"net/url"
	"strconv"
)

// onBehalfView is what the template of /onbehalf sees.
type onBehalfView struct {
	view
	Config  *OnBehalf
	Choices []tryChoice   // the APIs
	API     DownstreamAPI // the one that is called, or that the examples call
	Calls   *onBehalfCalls
	Outcome tryOutcome
	Direct  *told // what the API said that it was told; nil if it was not reached
	Egress  *told
	Tokens  *comparison // nil if no token was got
}

// onBehalf shows how the app calls an API on behalf of its user, and does so if the query names the API.
func (a *App) onBehalf(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	asked := query.Get("api")
	api, known := pick(a.cfg.OnBehalf.APIs, asked, func(one DownstreamAPI) string { return one.ID })
	if !known {
		a.notFound(w, r)
		return
	}
	v := onBehalfView{view: a.view(r), Config: a.cfg.OnBehalf, API: api}
	v.Title = "On behalf of the user"
	times, _ := strconv.Atoi(query.Get("again")) // 0 is good for nonsense too
	for _, one := range v.Config.APIs {
		address := url.Values{"api": {one.ID}}
		if one.ID == asked { // with the very address of the page a browser would scroll, and not call once more
			address.Set("again", strconv.Itoa(times+1))
		}
		v.Choices = append(v.Choices, tryChoice{"/onbehalf?" + address.Encode() + "#answer", one.Name, one.About, one.ID == asked})
	}
	if authorization := r.Header.Get("Authorization"); asked != "" && bearer(authorization) != "" {
		calls := a.callOnBehalf(r.Context(), api, authorization)
		v.Calls, v.Outcome = &calls, calls.outcome()
		v.Direct, v.Egress = calls.Direct.told(), calls.Egress.told()
		v.Tokens = a.compareTokens(v.Token, calls.token, v.Egress)
	}
	a.render(w, http.StatusOK, "onbehalf.html", v)
}

// compareTokens puts the token that the app received beside those that were got with it; nil if none was.
func (a *App) compareTokens(received *token, raw string, egress *told) *comparison {
	exchanged := readToken("Bearer "+raw, a.cfg.Now())
	if received == nil || exchanged == nil || exchanged.Opaque {
		return nil
	}
	var arrived []claim
	if egress != nil {
		arrived, _ = readClaims(egress.Token, a.cfg.Now()) // what cannot be read is not shown
	}
	c := compare(received.Claims, exchanged.Claims, arrived)
	return &c
}

// outcome says what became of the calls.
func (c *onBehalfCalls) outcome() tryOutcome {
	switch {
	case c.Exchange.OK() && c.Direct != nil && c.Direct.OK() && c.Egress.OK():
		return tryOutcome{true, "Called both ways", "Each time the API got a token made for it, and knows that the call is for you."}
	case c.Exchange.Trouble != "" || c.Egress.Trouble != "" || c.Direct != nil && c.Direct.Trouble != "":
		return tryOutcome{false, "No answer", "One of the two ways did not answer."}
	case c.Direct != nil && c.Direct.refused() && c.Egress.refused():
		return tryOutcome{false, "Stopped at the API", "The provider gave a token: this app may call the API for you. But the API's own policy does not admit you."}
	case c.token != "":
		return tryOutcome{false, "Not as planned", "The provider gave a token, and not every call with it was answered as it should be."}
	case c.Exchange.refused() && c.Egress.refused():
		return tryOutcome{false, "No token for this API", "The provider gives none, so neither way reached the API. Both say why, in the same words."}
	}
	return tryOutcome{false, "Not now", "There was no token to call the API with. It is worth trying again."}
}
