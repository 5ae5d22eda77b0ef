package demoapp

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// tryView is what the templates of /try see.
type tryView struct {
	view
	Groups   []tryGroup
	Requests []tryChoice
	As       TryCaller  // who calls
	Ask      TryRequest // what for
	Again    string     // the address of the same call once more
	Outcome  tryOutcome
	Tried    *triedView // nil if there was no answer
	Trouble  string     // why not
	Policy   TryPolicy
}

type tryGroup struct {
	Name    string
	Callers []tryChoice
}

// tryChoice is one link among several, of which one is chosen.
type tryChoice struct {
	Address string
	Name    string
	About   string
	Chosen  bool
}

// tryOutcome is the answer in a few words. Let in and stopped are told apart by words and shape, not by colour alone.
type tryOutcome struct {
	Passed bool
	Title  string
	Text   string
}

// triedView is a call, readable.
type triedView struct {
	*Tried
	StatusText string
	Answer     []header // headers of the answer that say something
	Identity   []header // headers that told the API who is calling
	WithToken  bool     // Authorization reached the API
	TokenHead  []claim
	Claims     []claim
}

// try makes the call that the query asks for. Without a query it is the first of each, so that the page begins with something to read.
func (a *App) try(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	callers, requests := a.cfg.Trier.Callers(), a.cfg.Trier.Requests()
	as, knownCaller := pick(callers, query.Get("caller"), func(c TryCaller) string { return c.ID })
	ask, knownRequest := pick(requests, query.Get("request"), func(c TryRequest) string { return c.ID })
	if !knownCaller || !knownRequest {
		a.notFound(w, r)
		return
	}
	v := tryView{
		view: a.view(r), As: as, Ask: ask,
		Groups: groups(callers, as, ask), Requests: choices(requests, as, ask), Policy: a.cfg.Trier.Policy(),
	}
	v.Title = "Try the API"
	times, _ := strconv.Atoi(query.Get("again")) // 0 is good for nonsense too
	v.Again = tryAddress(as.ID, ask.ID, "again", strconv.Itoa(times+1))
	status := http.StatusOK
	tried, err := a.cfg.Trier.Try(r.Context(), as.ID, ask.ID)
	if err != nil {
		status, v.Trouble = http.StatusBadGateway, err.Error()
	} else {
		v.Tried, v.Outcome = a.readTried(tried), outcome(tried)
	}
	a.render(w, status, "trypage.html", v)
}

// pick finds an ID, and the first of all for none.
func pick[T any](all []T, id string, idOf func(T) string) (T, bool) {
	i := slices.IndexFunc(all, func(one T) bool { return id == "" || idOf(one) == id })
	if i < 0 {
		var none T
		return none, false
	}
	return all[i], true
}

// tryAddress is the page of one choice. The fragment brings the answer into view, and the keyboard to it.
func tryAddress(caller, request string, more ...string) string {
	query := url.Values{"caller": {caller}, "request": {request}}
	for i := 0; i+1 < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	return "/try?" + query.Encode() + "#answer"
}

// choice is a link. That of what is chosen already has no fragment: with it a browser would scroll, and not call once more.
func choice(caller, request, name, about string, chosen bool) tryChoice {
	address := tryAddress(caller, request)
	if chosen {
		address, _, _ = strings.Cut(address, "#")
	}
	return tryChoice{address, name, about, chosen}
}

func groups(callers []TryCaller, as TryCaller, ask TryRequest) (all []tryGroup) {
	for _, c := range callers {
		if len(all) == 0 || all[len(all)-1].Name != c.Group {
			all = append(all, tryGroup{Name: c.Group})
		}
		last := &all[len(all)-1]
		last.Callers = append(last.Callers, choice(c.ID, ask.ID, c.Name, c.About, c.ID == as.ID))
	}
	return all
}

func choices(requests []TryRequest, as TryCaller, ask TryRequest) (all []tryChoice) {
	for _, r := range requests {
		all = append(all, choice(as.ID, r.ID, r.Method+" "+r.Path, r.About, r.ID == ask.ID))
	}
	return all
}

// outcome says what became of a call.
func outcome(t *Tried) tryOutcome {
	known := t.Received.Get("X-Postern-Auth") != ""
	switch {
	case t.Reached && known:
		return tryOutcome{true, "Let in", "Postern believed the caller, the policy admits it, and the API answered."}
	case t.Reached:
		return tryOutcome{true, "Let pass, without a name", "This address is open to everybody. Postern told the API nothing about the caller."}
	}
	const never = " The API never heard of it."
	switch t.Status {
	case http.StatusBadRequest:
		return tryOutcome{false, "Not understood", "Postern refused the request for its shape." + never}
	case http.StatusUnauthorized:
		if t.Token == nil {
			return tryOutcome{false, "Who are you?", "Nobody may pass here without saying who they are." + never}
		}
		if strings.Contains(t.Header.Get("WWW-Authenticate"), "insufficient_user_authentication") { // RFC 9470
			return tryOutcome{false, "Not strong enough", "Postern knows who is calling, and the policy asks for a stronger login." + never}
		}
		return tryOutcome{false, "Not believed", "Postern does not take this token as proof of who is calling." + never}
	case http.StatusForbidden:
		return tryOutcome{false, "Not allowed", "Postern knows who is calling, and the policy does not admit it." + never}
	case http.StatusMethodNotAllowed:
		return tryOutcome{false, "Nobody may do that", "The policy does not name this method here, so it is refused whoever asks." + never}
	case http.StatusServiceUnavailable:
		return tryOutcome{false, "Not now", "Postern could not look into it. It never guesses." + never}
	}
	return tryOutcome{false, "Stopped", "The request did not get through." + never}
}

func (a *App) readTried(t *Tried) *triedView {
	now := a.cfg.Now()
	v := &triedView{Tried: t, StatusText: strconv.Itoa(t.Status) + " " + http.StatusText(t.Status)}
	for _, known := range answerHeaders() {
		if value := strings.Join(t.Header.Values(known[0]), ", "); value != "" {
			v.Answer = append(v.Answer, header{Name: known[0], Value: value, Meaning: known[1]})
		}
	}
	if t.Reached {
		v.Identity = readCaller(t.Received, now).Headers
		v.WithToken = t.Received.Get("Authorization") != ""
	}
	if t.Token != nil {
		// A token that cannot be read is shown as one without claims; there is nothing else to say about it.
		v.TokenHead, _ = readClaims(t.Token.Header, now)
		v.Claims, _ = readClaims(t.Token.Claims, now)
		v.Claims = slices.Concat(without(v.Claims, opaque), without(v.Claims, func(c claim) bool { return !opaque(c) }))
	}
	return v
}

// opaque says whether a claim means something to its issuer alone. These stand last.
func opaque(c claim) bool { return slices.Contains([]string{"aio", "rh", "uti", "jti"}, c.Name) }

func without(claims []claim, unwanted func(claim) bool) []claim {
	return slices.DeleteFunc(slices.Clone(claims), unwanted)
}

// answerHeaders are the headers of an answer that the page explains.
func answerHeaders() [][2]string {
	return [][2]string{
		{"WWW-Authenticate", "What was wrong, for programs to read (RFC 6750)."},
		{"Allow", "The methods that the policy names here."},
		{"Retry-After", "When it is worth asking again, in seconds."},
		{"Location", "Where the new order is."},
		{"Content-Type", "What the body is."},
		{"X-Request-Id", "The number of this call in the log."},
	}
}
