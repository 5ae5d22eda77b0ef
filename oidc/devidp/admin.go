package devidp

import (
	"cmp"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// admin serves the knobs over HTTP: JSON in, JSON out, and only for callers on this machine that no web page can be.
func (p *IdP) admin(x *exchange) {
	if !x.fromHere() {
		x.json(http.StatusForbidden, map[string]any{"error": "the knobs are for programs and pages of this host"})
		return
	}
	name := strings.TrimPrefix(x.r.URL.Path, pathAdmin)
	if look, known := map[string]func() any{
		"counts":         func() any { return p.Counts() },
		"token-requests": func() any { return map[string]any{"requests": p.TokenRequests()} },
	}[name]; known {
		if x.allow(http.MethodGet) {
			x.json(http.StatusOK, look())
		}
		return
	}
	if profile, isLink := strings.CutPrefix(name, "token/"); isLink {
		x.mintByLink(profile)
		return
	}
	turn := x.bodies()[name] // a body of its own, or that of all knobs
	if knob, known := p.knobs()[name]; known {
		turn = func() (any, error) { return x.turn(knob) }
	}
	if turn == nil {
		x.json(http.StatusNotFound, map[string]any{"error": "no such knob"})
		return
	}
	if !x.allow(http.MethodPost) {
		return
	}
	kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" { // a form of another site cannot send this
		x.json(http.StatusUnsupportedMediaType, map[string]any{"error": "the body must be application/json"})
		return
	}
	answer, err := turn()
	if err != nil {
		x.json(http.StatusBadRequest, map[string]any{"error": err.Error()})
		return
	}
	p.cfg.Log.Info("test provider: knob turned", "knob", name)
	x.json(http.StatusOK, answer)
}

// turn reads what a knob is to be turned to, and does it.
func (x *exchange) turn(knob func(knobInput) (any, error)) (any, error) {
	d := json.NewDecoder(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	d.DisallowUnknownFields()
	var in knobInput
	if err := d.Decode(&in); err != nil || !ended(d) {
		return nil, errBody
	}
	in.Issuer = cmp.Or(in.Issuer, Entra)
	if x.idp.issuers[in.Issuer] == nil {
		return nil, errIssuer
	}
	return knob(in)
}

// fromHere refuses requests of other sites and names that point here by rebinding.
func (x *exchange) fromHere() bool {
	if !loopback(x.r.Host) && "http://"+x.r.Host != x.base && "https://"+x.r.Host != x.base {
		return false
	}
	if site := x.r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return false
	}
	from := x.r.Header.Get("Origin")
	if from == "" {
		return true
	}
	u, err := url.Parse(from)
	return err == nil && u.Host == x.r.Host
}

// knobInput is the members of all knobs' bodies; each knob reads its own. Times are in milliseconds or seconds, as named.
type knobInput struct {
	Issuer        Issuer   `json:"issuer"` // empty means Entra ID
	Endpoint      Endpoint `json:"endpoint"`
	LatencyMillis int      `json:"latency_ms"`
	Hang          bool     `json:"hang"`
	Status        int      `json:"status"`
	Body          string   `json:"body"`
	ContentType   string   `json:"content_type"`
	RetryAfter    int      `json:"retry_after"`
	Drop          bool     `json:"drop"`
	Truncate      bool     `json:"truncate"`
	Pad           int      `json:"pad"`
	After         bool     `json:"after"`
	Times         int      `json:"times"`

	Members map[string]any `json:"members"`

	GrantType   string `json:"grant_type"` // of a fault or a token error; empty means all
	AADSTS      int    `json:"aadsts"`
	Error       string `json:"error"`
	Description string `json:"description"`
	Suberror    string `json:"suberror"`
	Claims      string `json:"claims"`

	Seconds int      `json:"seconds"`
	User    string   `json:"user"`
	Groups  []string `json:"groups"`
}

func (p *IdP) knobs() map[string]func(knobInput) (any, error) {
	keys := func(of Issuer) any { return map[string]any{"keys": p.KeyIDs(of)} }
	done := map[string]any{}
	return map[string]func(knobInput) (any, error){
		"keys/rotate":   func(in knobInput) (any, error) { err := p.RotateKeys(in.Issuer); return keys(in.Issuer), err },
		"keys/withdraw": func(in knobInput) (any, error) { p.WithdrawKeys(in.Issuer); return keys(in.Issuer), nil },
		"faults":        func(in knobInput) (any, error) { return done, p.faultFrom(in) },
		"faults/clear":  func(knobInput) (any, error) { p.ClearFaults(); return done, nil },
		"token-error": func(in knobInput) (any, error) {
			switch {
			case in.Status != 0 && !plausible(in.Status):
				return nil, errStatus
			case in.GrantType != "" && !slices.Contains(p.issuers[in.Issuer].grants, in.GrantType):
				return nil, errGrant
			}
			p.FailToken(TokenError{
				Issuer: in.Issuer, GrantType: in.GrantType, AADSTS: in.AADSTS, Error: in.Error, Status: in.Status, Description: in.Description,
				Suberror: in.Suberror, Claims: in.Claims, Times: in.Times,
			})
			return done, nil
		},
		"token-lifetime": func(in knobInput) (any, error) {
			of := []Issuer{in.Issuer}
			if in.Issuer == Entra {
				of = nil // with ID-porten
			}
			p.SetTokenLifetime(time.Duration(in.Seconds)*time.Second, of...)
			return done, nil
		},
		"refresh-tokens/revoke": func(in knobInput) (any, error) {
			return map[string]any{"revoked": p.RevokeRefreshTokens(in.User, in.Issuer)}, nil
		},
		"groups":                func(in knobInput) (any, error) { return done, p.SetGroups(in.User, in.Groups) },
		"auto-login":            func(in knobInput) (any, error) { return done, p.SetAutoLogin(in.User) },
		"token-requests/forget": func(knobInput) (any, error) { p.ForgetRequests(); return done, nil },
	}
}

// bodies are the knobs that are turned by another body, or need to know how the provider was reached.
func (x *exchange) bodies() map[string]func() (any, error) {
	return map[string]func() (any, error){
		"mint": x.mintByPOST, "clients": x.registerByPOST, "logout": func() (any, error) { return x.turn(x.logoutByPOST) },
	}
}

// logoutByPOST ends sessions at the provider itself.
func (x *exchange) logoutByPOST(in knobInput) (any, error) {
	ended, told, err := x.idp.EndSessions(x.r.Context(), in.User, x.base, in.Issuer)
	return map[string]any{"ended": ended, "told": told}, err
}

var (
	errBody     = errors.New("the body is not the JSON object that the README describes")
	errStatus   = errors.New("status must be from 200 to 599")
	errEndpoint = errors.New("endpoint must be one of front, metadata, keys, authorize, login, token, logout, par, revoke, and one that the issuer has")
	errGrant    = errors.New("grant_type must be one that the issuer has, and a fault with one is of the endpoint token")
	errIssuer   = errors.New("issuer must be one of entra, tokenx, maskinporten, idporten")
)

// plausible statuses are those that net/http can send as a final answer.
func plausible(status int) bool { return status >= 200 && status <= 599 }

func (p *IdP) faultFrom(in knobInput) error {
	if _, there := p.issuers[in.Issuer].paths[in.Endpoint]; !there && (in.Endpoint != EndpointFront || in.Issuer != Entra) {
		return errEndpoint
	}
	if in.Status != 0 && !plausible(in.Status) {
		return errStatus
	}
	at := in.Endpoint.Of(in.Issuer)
	if in.GrantType != "" {
		if in.Endpoint != EndpointToken || !slices.Contains(p.issuers[in.Issuer].grants, in.GrantType) {
			return errGrant
		}
		at = at.For(in.GrantType)
	}
	p.SetFault(at, Fault{
		Latency: time.Duration(in.LatencyMillis) * time.Millisecond, Hang: in.Hang, Status: in.Status, Body: in.Body, ContentType: in.ContentType,
		RetryAfter: time.Duration(in.RetryAfter) * time.Second, Drop: in.Drop, Truncate: in.Truncate, Members: in.Members, Pad: in.Pad,
		After: in.After, Times: in.Times,
	})
	return nil
}
